"""Provenance: columns with what is known of the Messages and the transport session that records came in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

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


class ByMessage(NamedTuple):
    """A fact of each Message of a buffer.

    values: [m]. unknown: bool[m], where it is null; None = nowhere. is_same: whether all Messages have the same.
    """

    values: Flat
    unknown: npt.NDArray[np.bool_] | None
    is_same: bool

    @classmethod
    def of(cls, values: Flat, unknown: npt.NDArray[np.bool_] | None = None) -> ByMessage:
        """With what can be seen of them."""
        if unknown is not None and unknown.any():
            return cls(values, unknown, bool(unknown.all()))
        return cls(values, None, len(values) > 0 and bool((values == values[0]).all()))

    def spread(self, message: npt.NDArray[Any]) -> tuple[Flat, npt.NDArray[np.bool_] | None]:
        """(values, which of them are null; None = none) of records. message: of each."""
        column = self.values.take(message)
        if self.unknown is None:
            return column, None
        unknown = self.unknown.take(message)
        column[unknown] = np.zeros((), column.dtype)
        return column, unknown


class KnownSessions:
    """A value of each transport session, worked out once as long as the list of them only grows.

    value: of a session, None = null. Threads may share it: they see one state or the other.
    """

    def __init__(self, type: DataType, value: Callable[[SessionKey], Any]) -> None:
        self._value = value
        self._none = np.zeros(1, type.numpy)
        self._known: tuple[list[SessionKey | None], Flat, npt.NDArray[np.bool_]]
        self._known = [], self._none[:0], np.zeros(0, np.bool_)

    def of(self, keys: Sequence[SessionKey | None]) -> tuple[Flat, npt.NDArray[np.bool_]]:
        """(values, which of them are null) of these sessions."""
        given = list(keys)
        known, values, unknown = self._known
        if given[: len(known)] != known:  # mostly the same objects, so this costs some nanoseconds for each
            known, values, unknown = [], values[:0], unknown[:0]
        if len(given) > len(known):
            more = [None if key is None else self._value(key) for key in given[len(known) :]]
            found = [self._none[0] if one is None else one for one in more]
            values = np.concatenate([values, np.array(found, values.dtype)])
            unknown = np.concatenate([unknown, np.array([one is None for one in more])])
            self._known = given, values, unknown
        return values, unknown


def of_messages(facts: Flat, job: Job, count: int) -> Flat:
    """A fact of each Message, for each of `count` records."""
    by_set = facts[job.sets.message]
    if len(by_set) and (by_set == by_set[0]).all():
        return np.full(count, by_set[0])
    return np.repeat(by_set, job.sets.count)


def _spread(work_out: Callable[[Job], ByMessage | None], type: DataType) -> Callable[[Job, int], Flat]:
    """How a column of facts of Messages is made: they are worked out once for a buffer, however many Templates it has.

    work_out: None = no Message has it.
    """

    def make(job: Job, count: int) -> Flat:
        if work_out not in job.shared:
            job.shared[work_out] = work_out(job)
        found: ByMessage | None = job.shared[work_out]
        if found is None:
            return _constant(None, type, count)
        if found.is_same:
            return _constant(None if found.unknown is not None else found.values[0], type, count)
        values, unknown = found.spread(job.message_of_records())
        return values if unknown is None or not unknown.any() else np.ma.MaskedArray(values, unknown)

    return make


def _constant(value: Any, type: DataType, count: int) -> Flat:
    """The same value for each of `count` records; None = nulls."""
    if value is None:
        return np.ma.MaskedArray(np.zeros(count, type.numpy), np.ones(count, np.bool_))
    return np.full(count, value, type.numpy)


def _template_id(job: Job, count: int) -> Flat:
    return _constant(job.sets.template.id, DataType.UNSIGNED16, count)


def _domain(job: Job) -> ByMessage:
    return ByMessage.of(job.sets.messages.domain)


def _sequence(job: Job) -> ByMessage:
    return ByMessage.of(job.sets.messages.sequence)


def _export_time(job: Job) -> ByMessage:
    return ByMessage.of(job.sets.messages.export_time.astype("i8").view(DataType.SECONDS.numpy))


def _version(job: Job) -> ByMessage:
    return ByMessage.of(job.sets.messages.version.astype(np.uint8))


def _uptime(job: Job) -> ByMessage | None:
    messages = job.sets.messages
    return None if messages.uptime is None else ByMessage.of(messages.uptime, messages.version == IPFIX)


def _collection_time(job: Job) -> ByMessage | None:
    received = job.sets.messages.received
    if received is None:
        return None
    return ByMessage.of((received // 1_000_000).view(DataType.MILLISECONDS.numpy), received == 0)


def _of_sessions(type: DataType, value: Callable[[SessionKey], Any]) -> Callable[[Job, int], Flat]:
    """How a column with a value of each record's transport session is made. value: None = null."""

    def work_out(job: Job) -> ByMessage:
        messages = job.sets.messages
        if value not in job.sessions:
            job.sessions[value] = KnownSessions(type, value)
        values, unknown = job.sessions[value].of(messages.keys)
        peer = np.zeros(len(messages), np.intp) if messages.peer is None else messages.peer
        values, unknown = values[peer], unknown[peer]
        if unknown.any():
            return ByMessage(values, unknown, bool(unknown.all()))
        return ByMessage(values, None, len(peer) > 0 and bool((peer == peer[0]).all()))

    return _spread(work_out, type)


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


def _port(key: SessionKey) -> int:
    return key.port


FACTS: Final = {
    "exporterIPv4Address": Fact(DataType.IPV4, 130, _of_sessions(DataType.IPV4, _ipv4)),
    "exporterIPv6Address": Fact(DataType.IPV6, 131, _of_sessions(DataType.IPV6, _ipv6)),
    "exporterTransportPort": Fact(DataType.UNSIGNED16, 217, _of_sessions(DataType.UNSIGNED16, _port)),
    "exportProtocolVersion": Fact(DataType.UNSIGNED8, 214, _spread(_version, DataType.UNSIGNED8)),
    "observationDomainId": Fact(DataType.UNSIGNED32, 149, _spread(_domain, DataType.UNSIGNED32)),
    "templateId": Fact(DataType.UNSIGNED16, 145, _template_id),
    "exportTime": Fact(DataType.SECONDS, 0, _spread(_export_time, DataType.SECONDS)),
    "sequence": Fact(DataType.UNSIGNED32, 0, _spread(_sequence, DataType.UNSIGNED32)),
    "sysUpTime": Fact(DataType.UNSIGNED32, 0, _spread(_uptime, DataType.UNSIGNED32)),
    "collectionTimeMilliseconds": Fact(DataType.MILLISECONDS, 258, _spread(_collection_time, DataType.MILLISECONDS)),
}
"""Provenance by column name."""
