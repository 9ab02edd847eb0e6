"""Provenance: columns with what is known of the Messages and the transport session that records came in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
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

Flat = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class Fact:
    """One provenance column. id: the IANA element that means the same, 0 = there is none."""

    type: DataType
    id: int
    make: Callable[[Job, int], Flat]

    def column(self, name: str, registry: Registry) -> Column:
        """Its description."""
        return Column(name, self.type, registry.get(0, self.id) if self.id else None)


def _of_messages(facts: Flat, job: Job, count: int) -> Flat:
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
    return _of_messages(job.sets.messages.domain, job, count)


def _sequence(job: Job, count: int) -> Flat:
    return _of_messages(job.sets.messages.sequence, job, count)


def _export_time(job: Job, count: int) -> Flat:
    return _of_messages(job.sets.messages.export_time.astype("i8").view(DataType.SECONDS.numpy), job, count)


def _template_id(job: Job, count: int) -> Flat:
    return _constant(job.sets.template.id, DataType.UNSIGNED16, count)


def _collection_time(job: Job, count: int) -> Flat:
    at = job.sets.received_at  # 0: nobody said when
    return _constant(round(at * 1000) if at else None, DataType.MILLISECONDS, count)


def _exporter(job: Job) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(job.sets.key.address)
    except (AttributeError, ValueError):  # no transport session, or not one between IP addresses
        return None
    return getattr(address, "ipv4_mapped", None) or address


def _exporter_ipv4(job: Job, count: int) -> Flat:
    address = _exporter(job)
    return _constant(int(address) if isinstance(address, IPv4Address) else None, DataType.IPV4, count)


def _exporter_ipv6(job: Job, count: int) -> Flat:
    address = _exporter(job)
    return _constant(address.packed if isinstance(address, IPv6Address) else None, DataType.IPV6, count)


def _exporter_port(job: Job, count: int) -> Flat:
    return _constant(getattr(job.sets.key, "port", None), DataType.UNSIGNED16, count)


FACTS: Final = {
    "exporterIPv4Address": Fact(DataType.IPV4, 130, _exporter_ipv4),
    "exporterIPv6Address": Fact(DataType.IPV6, 131, _exporter_ipv6),
    "exporterTransportPort": Fact(DataType.UNSIGNED16, 217, _exporter_port),
    "observationDomainId": Fact(DataType.UNSIGNED32, 149, _domain),
    "templateId": Fact(DataType.UNSIGNED16, 145, _template_id),
    "exportTime": Fact(DataType.SECONDS, 0, _export_time),
    "sequence": Fact(DataType.UNSIGNED32, 0, _sequence),
    "collectionTimeMilliseconds": Fact(DataType.MILLISECONDS, 258, _collection_time),
}
"""Provenance by column name."""
