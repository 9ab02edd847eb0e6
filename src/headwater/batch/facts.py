"""Provenance: columns with what is known of the Messages and the transport session that records came in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from headwater.batch.fields import masked
from headwater.batch.schema import Column
from headwater.model.types import DataType

if TYPE_CHECKING:
    from headwater.batch.records import Job
    from headwater.model.registry import Registry
    from headwater.session.key import SessionKey

Flat = npt.NDArray[Any]

IPFIX: Final = 10
"""The version whose Messages have no sysUpTime."""


@dataclass(frozen=True, slots=True)
class Fact:
    """One provenance column. id: the IANA element that means the same, 0 = there is none."""

    type: DataType
    id: int
    make: Callable[[Job, int], Flat]

    def column(self, name: str, registry: Registry) -> Column:
        """Its description."""
        return Column(name, self.type, registry.get(0, self.id) if self.id else None)


def of_messages(facts: Flat, job: Job, count: int) -> Flat:
    """A fact of each Message, for each of `count` records."""
    by_set = facts[job.sets.message]
    if len(by_set) and (by_set == by_set[0]).all():
        return np.full(count, by_set[0])
    return np.repeat(by_set, job.sets.count)


def _constant(value: Any, type: DataType, count: int) -> Flat:
    """The same value for each of `count` records; None = nulls."""
    if value is None:
        return masked(np.zeros(count, type.numpy), np.ones(count, np.bool_))
    return np.full(count, np.array(value, type.numpy))


def _domain(job: Job, count: int) -> Flat:
    return of_messages(job.sets.messages.domain, job, count)


def _sequence(job: Job, count: int) -> Flat:
    return of_messages(job.sets.messages.sequence, job, count)


def _export_time(job: Job, count: int) -> Flat:
    return of_messages(job.sets.messages.export_time.astype("i8").view(DataType.SECONDS.numpy), job, count)


def _template_id(job: Job, count: int) -> Flat:
    return _constant(job.sets.template.id, DataType.UNSIGNED16, count)


def _version(job: Job, count: int) -> Flat:
    return of_messages(job.sets.messages.version.astype(np.uint8), job, count)


def _uptime(job: Job, count: int) -> Flat:
    messages = job.sets.messages
    if messages.uptime is None:
        return _constant(None, DataType.UNSIGNED32, count)
    uptimes = of_messages(messages.uptime, job, count)
    has_none = messages.version[job.sets.message] == IPFIX
    return masked(uptimes, np.repeat(has_none, job.sets.count)) if has_none.any() else uptimes


def _collection_time(job: Job, count: int) -> Flat:
    received = job.sets.messages.received
    if received is None:
        return _constant(None, DataType.MILLISECONDS, count)
    times: Flat = of_messages(received // 1_000_000, job, count).view(DataType.MILLISECONDS.numpy)
    unknown = received[job.sets.message] == 0
    return masked(times, np.repeat(unknown, job.sets.count)) if unknown.any() else times


def _of_keys(job: Job, count: int, type: DataType, value: Callable[[SessionKey], Any]) -> Flat:
    """A value of each record's transport session; None = null."""
    messages = job.sets.messages
    if messages.peer is None:
        key = messages.keys[0]
        return _constant(None if key is None else value(key), type, count)
    used, which = np.unique(messages.peer[job.sets.message], return_inverse=True)
    values = np.zeros(len(used), type.numpy)
    unknown = np.zeros(len(used), np.bool_)
    for index, key in enumerate([messages.keys[peer] for peer in used.tolist()]):
        found = None if key is None else value(key)
        if found is None:
            unknown[index] = True
        else:
            values[index] = np.array(found, type.numpy)
    by_record = np.repeat(which, job.sets.count)
    column: Flat = values[by_record]
    return masked(column, unknown[by_record]) if unknown.any() else column


def plain_address(text: str) -> IPv4Address | IPv6Address:
    """An exporter's address without a zone, and not mapped into IPv6. Raises ValueError for what is none."""
    address = ip_address(text.partition("%")[0])
    return getattr(address, "ipv4_mapped", None) or address


@lru_cache(maxsize=4096)
def address_of(key: SessionKey) -> IPv4Address | IPv6Address | None:
    """Of a transport session, None if it is not one between IP addresses."""
    try:
        return plain_address(key.address)
    except ValueError:
        return None


def _ipv4(key: SessionKey) -> int | None:
    address = address_of(key)
    return int(address) if isinstance(address, IPv4Address) else None


def _ipv6(key: SessionKey) -> bytes | None:
    address = address_of(key)
    return address.packed if isinstance(address, IPv6Address) else None


def _exporter_ipv4(job: Job, count: int) -> Flat:
    return _of_keys(job, count, DataType.IPV4, _ipv4)


def _exporter_ipv6(job: Job, count: int) -> Flat:
    return _of_keys(job, count, DataType.IPV6, _ipv6)


def _exporter_port(job: Job, count: int) -> Flat:
    return _of_keys(job, count, DataType.UNSIGNED16, lambda key: key.port)


FACTS: Final = {
    "exporterIPv4Address": Fact(DataType.IPV4, 130, _exporter_ipv4),
    "exporterIPv6Address": Fact(DataType.IPV6, 131, _exporter_ipv6),
    "exporterTransportPort": Fact(DataType.UNSIGNED16, 217, _exporter_port),
    "exportProtocolVersion": Fact(DataType.UNSIGNED8, 214, _version),
    "observationDomainId": Fact(DataType.UNSIGNED32, 149, _domain),
    "templateId": Fact(DataType.UNSIGNED16, 145, _template_id),
    "exportTime": Fact(DataType.SECONDS, 0, _export_time),
    "sequence": Fact(DataType.UNSIGNED32, 0, _sequence),
    "sysUpTime": Fact(DataType.UNSIGNED32, 0, _uptime),
    "collectionTimeMilliseconds": Fact(DataType.MILLISECONDS, 258, _collection_time),
}
"""Provenance by column name."""
