"""Which collector gets which records."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Final, Protocol, cast

import numpy as np
import numpy.typing as npt

from headwater.batch.lists import Lists
from headwater.batch.strings import Strings
from headwater.batch.subset import subset
from headwater.errors import EncodeError, HeadwaterError
from headwater.model import registry as registries

if TYPE_CHECKING:
    from headwater.batch.incoming_columns import Incoming
    from headwater.batch.lists import Values
    from headwater.model.registry import Registry
    from headwater.process.exporting_destination import Destination

U64 = npt.NDArray[np.uint64]
Share = tuple["Destination", "Incoming"]

FLOW_KEY: Final = (
    "sourceIPv4Address",
    "destinationIPv4Address",
    "sourceIPv6Address",
    "destinationIPv6Address",
    "protocolIdentifier",
    "sourceTransportPort",
    "destinationTransportPort",
)
_ODD: Final = np.uint64(0x9E3779B97F4A7C15)  # 2^64 divided by the golden ratio
_MIX: Final = np.uint64(0xBF58476D1CE4E5B9)
_SHIFT: Final = np.uint64(31)


class Policy(Protocol):
    """moves: what waits for a collector that is down goes to one that is up."""

    moves: bool

    def shares(self, records: Incoming, destinations: Sequence[Destination]) -> Iterator[Share]:
        """The records that each destination gets; of several that are told the same, the same Incoming."""


def policy_of(name: str, key: Sequence[str], registry: Registry | None = None) -> Policy:
    """The policy of that name. Raises HeadwaterError for one that there is not, UnknownElement for such a key."""
    if name == "hash":
        names = (key,) if isinstance(key, str) else tuple(key)
        for each in names:
            (registry or registries.IANA).named(each.partition("#")[0])  # the second of a name is name#2
        return Hash(names)
    if key:
        raise HeadwaterError(f"key= is for policy='hash', not for {name!r}")
    simple: dict[str, type[Policy]] = {"all": All, "failover": Failover, "round-robin": RoundRobin}
    if name not in simple:
        raise HeadwaterError(f"policy must be one of {', '.join([*simple, 'hash'])}, not {name!r}")
    return simple[name]()


class All:
    """Every collector gets everything."""

    moves = False

    def shares(self, records: Incoming, destinations: Sequence[Destination]) -> Iterator[Share]:
        return ((destination, records) for destination in destinations)


class Failover:
    """The first collector that is up gets everything; while none is, it waits for the first."""

    moves = True

    def shares(self, records: Incoming, destinations: Sequence[Destination]) -> Iterator[Share]:
        yield next((one for one in destinations if one.is_up), destinations[0]), records


class RoundRobin:
    """The collectors that are up take turns, and each gets what is written at a time; options go to all."""

    moves = True

    def __init__(self) -> None:
        self._turn = -1

    def shares(self, records: Incoming, destinations: Sequence[Destination]) -> Iterator[Share]:
        if records.scope_count:
            yield from All().shares(records, destinations)
            return
        count = len(destinations)
        turns = [(self._turn + step) % count for step in range(1, count + 1)]
        self._turn = next((turn for turn in turns if destinations[turn].is_up), turns[0])
        yield destinations[self._turn], records


class Hash:
    """Records with the same key go to the same collector, and wait for it while it is down; options go to all.

    key: names of columns; those that a record's Template lacks do not count, () = addresses, ports and protocol.
    If a collector is added or removed, only what goes to it, or went there, changes its place.
    """

    moves = False

    def __init__(self, key: tuple[str, ...]) -> None:
        self._key = key or FLOW_KEY
        self._is_own = bool(key)

    def shares(self, records: Incoming, destinations: Sequence[Destination]) -> Iterator[Share]:
        names = [name for name in self._key if name in records.names]
        if records.scope_count or len(destinations) == 1:
            yield from All().shares(records, destinations)
            return
        if not names and self._is_own:
            raise EncodeError(f"none of the key's columns is there: {', '.join(self._key)}")
        hashes = np.zeros(records.count, np.uint64)
        for name in names:
            hashes = _mixed(hashes + _hashes(records.values[records.names.index(name)], name))
        # the highest of one number for each collector wins (rendezvous hashing)
        seeds = np.array([zlib.crc32(one.collector.url.encode()) for one in destinations], np.uint64) * _ODD
        winner = np.argmax(np.stack([_mixed(hashes ^ seed) for seed in seeds]), axis=0)
        for number, destination in enumerate(destinations):
            rows = np.flatnonzero(winner == number)
            if len(rows):
                yield destination, some_of(records, rows)


def some_of(records: Incoming, rows: npt.NDArray[np.intp]) -> Incoming:
    """These rows of all columns."""
    return replace(records, values=[subset(values, rows) for values in records.values], count=len(rows))


def _mixed(numbers: U64) -> U64:
    numbers = (numbers ^ (numbers >> _SHIFT)) * _MIX
    numbers = (numbers ^ (numbers >> _SHIFT)) * _ODD
    return cast("U64", numbers ^ (numbers >> _SHIFT))


def _hashes(values: Values, name: str) -> U64:
    """A number for each value; nulls are like zero."""
    if isinstance(values, Strings):
        data = memoryview(values.data)
        return np.array([zlib.crc32(data[a:b]) for a, b in pairwise(values.offsets.tolist())], np.uint64)
    if isinstance(values, Lists):
        raise EncodeError(f"column {name!r} is of lists, which are no key of flows", column=name)
    data_ = np.ascontiguousarray(np.ma.getdata(values))
    octets = data_.view(np.uint8).reshape(len(data_), -1)
    wide = np.zeros((len(data_), -(-octets.shape[1] // 8) * 8), np.uint8)
    wide[:, : octets.shape[1]] = octets
    out = np.zeros(len(data_), np.uint64)
    for word in wide.view(np.uint64).T:
        out = _mixed(out + word)
    return out
