"""Biflows to uniflows: a batch of bidirectional records as one of each direction (RFC 5103).

A column of the reverse uniflows is, by the first rule that applies:

1. the reverse column of the same element (PEN 29305, or CERT's own reverse elements);
2. the other one of a pair of source and destination, ingress and egress (PAIRS). Of a pair with one half only, such
   as a batch of source addresses, the column is renamed; VLANs and what NAT makes of addresses (SWAPPED) stay as they
   are then. NAT is seen from the same side: the reverse uniflow goes to the address that the forward one came from;
3. null, if it says something of forward packets only: a counter without reverse, a next hop (FORWARD_ONLY); scaled
   counters are the reverse ones times samplingRate, where both are there;
4. biflowDirection with initiator and reverse initiator exchanged;
5. what it was: protocol, end reason, flow times. Times are those of both directions together unless there are
   reverse times, or CERT's reverseFlowDeltaMilliseconds, which the reverse start is later by.
   So is flowDirection: RFC 5103 lets it have a reverse, and without one the reverse packets can have come in by
   another interface, or gone out by the same one. So are lists: RFC 6313 knows no reverse of what stands in them, and
   as a rule it is about both directions (what YAF tells of an application's dialogue).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from headwater.batch.biflow_times import reverse_times
from headwater.batch.fields import null_column
from headwater.batch.plan import field_targets
from headwater.batch.sampling import SCALED_COUNTERS, scaled
from headwater.batch.schema import Column, Schema, free_name
from headwater.model import registry as registries
from headwater.model.element import CERT_PEN, InformationElement, Semantics
from headwater.model.template import Field, Template
from headwater.model.types import DataType

if TYPE_CHECKING:
    from headwater.batch.batch import Batch
    from headwater.batch.lists import Values

Key = tuple[tuple[int, int], int]
"""((pen, id), which of the columns of that element)."""

_BIFLOW_DIRECTION: Final = (0, 239)
_INVERTED: Final = np.array([0, 2, 1, *range(3, 256)], np.uint8)
"""biflowDirection of the reverse: initiator (1) and reverseInitiator (2) change places (RFC 5103 §6.3)."""
_VOLUME: Final = frozenset((0, id) for id in (1, 2, 85, 86, 352, 353))
"""Packets and octets, delta and total: reverse uniflows in which all of them are zero are none."""
_REVERSE_DELTA: Final = (CERT_PEN, 21)

PAIRS: Final = (
    (7, 11), (8, 12), (9, 13), (27, 28), (29, 30), (44, 45), (170, 169),  # ports, addresses, prefixes
    (180, 181), (182, 183), (56, 80), (81, 57), (414, 415),  # UDP and TCP ports, MAC addresses
    (16, 17), (129, 128), (484, 485), (487, 488), (490, 491), (511, 512),  # BGP
    (10, 14), (234, 235), (252, 253), (368, 369),  # interfaces, VRFs
)  # fmt: skip
"""IANA elements of source and destination, ingress and egress."""
SWAPPED: Final = ((58, 59), (243, 254), (245, 255), (225, 226), (227, 228), (281, 282))
"""VLANs before and after, addresses and ports after NAT: exchanged where a record has both."""
FORWARD_ONLY: Final = frozenset((15, 18, 62, 63))
"""Next hops: of forward packets."""

_OTHER: Final = {a: b for pair in (*PAIRS, *SWAPPED) for a, b in (pair, pair[::-1])}
_RENAMED: Final = frozenset(id for pair in PAIRS for id in pair)
_COUNTERS: Final = (Semantics.DELTA_COUNTER, Semantics.TOTAL_COUNTER)
_PREFIXES: Final = {"ingress": "egress", "egress": "ingress", "source": "destination", "destination": "source"}


@dataclass(frozen=True, slots=True)
class _Source:
    """One column of uniflows: of which column of the biflows it is made, None = null throughout."""

    column: Column
    index: int | None
    is_reverse: bool = False
    is_inverted: bool = False

    def values(self, columns: Sequence[Values], count: int) -> Values:
        if self.index is None:
            return null_column(self.column.type, count)
        values = columns[self.index]
        if not self.is_inverted or not isinstance(values, np.ndarray):
            return values
        inverted: npt.NDArray[Any] = _INVERTED[np.ma.getdata(values)]
        return np.ma.MaskedArray(inverted, np.ma.getmask(values)) if isinstance(values, np.ma.MaskedArray) else inverted


@dataclass(frozen=True, slots=True)
class _Plan:
    """templates: of the forward and of the reverse uniflows. volume: reverse counters. delta: reverse start - start."""

    forward: tuple[_Source, ...]
    reverse: tuple[_Source, ...]
    templates: tuple[Template, Template]
    volume: tuple[int, ...]
    delta: int | None


def is_biflow(template: Template) -> bool:
    """Whether the records tell of both directions: the Template has reverse elements."""
    return any(field.element.forward_key is not None for field in template.fields)


def split_biflow(batch: Batch, *, keep_empty: bool = False) -> tuple[Batch, Batch]:
    """(the forward uniflows, the reverse uniflows), with the same columns in the same order.

    keep_empty: also reverse uniflows whose packet and octet counters are all zero or null: nothing came back.
    The reverse uniflows of a batch without reverse columns are none.
    """
    plan = _plan(batch.template, batch.schema)
    count = batch.num_rows
    columns = [batch.columns[name] for name in batch.schema.names]
    forward = batch.with_columns(plan.templates[0], *_side(plan.forward, columns, count))
    schema, turned = _side(plan.reverse, columns, count)
    own = {one.column.name for one in plan.reverse if one.is_reverse}
    delta = None if plan.delta is None else columns[plan.delta]
    named = reverse_times(dict(zip(schema.names, turned, strict=True)), own, delta)
    reverse = batch.with_columns(plan.templates[1], schema, list((named | _scaled_again(named)).values()))
    if not own:
        return forward, reverse.take(np.empty(0, np.intp))
    if keep_empty or not plan.volume:
        return forward, reverse
    some = np.zeros(count, np.bool_)
    for index in plan.volume:
        some |= np.ma.filled(columns[index], 0) != 0  # type: ignore[arg-type]  # unsigned integers
    return forward, reverse if some.all() else reverse.take(np.flatnonzero(some))


def _scaled_again(columns: dict[str, Values]) -> dict[str, Values]:
    """The scaled counters of reverse uniflows: their own counts at the rate of the biflow."""
    rate = columns.get("samplingRate")
    if not isinstance(rate, np.ndarray):
        return {}
    rates = np.ma.filled(rate, np.nan)
    counts = {name: columns.get(raw) for name, raw in SCALED_COUNTERS.items() if name in columns}
    # a counter of illegal length is octets
    return {name: scaled(raw, rates) for name, raw in counts.items() if isinstance(raw, np.ndarray)}


def _side(sources: tuple[_Source, ...], columns: Sequence[Values], count: int) -> tuple[Schema, list[Values]]:
    return Schema(tuple([one.column for one in sources])), [one.values(columns, count) for one in sources]


@lru_cache(maxsize=256)
def _plan(template: Template, schema: Schema) -> _Plan:
    forward, reverse = _sources(schema.columns)
    volume = [
        one.index
        for one in reverse
        if one.is_reverse
        and one.index is not None
        and one.column.element is not None
        and one.column.element.key in _VOLUME
        and one.column.type.is_unsigned
    ]
    sides = _sources(tuple([target.column for target in field_targets(template)]))
    uniflows, back = [Template(template.id, _fields(side), template.scope_count) for side in sides]
    return _Plan(forward, reverse, (uniflows, back), tuple(volume), _keys(schema.columns).get((_REVERSE_DELTA, 1)))


def _fields(sources: tuple[_Source, ...]) -> tuple[Field, ...]:
    """The fields of a Template for uniflows: nothing that is null throughout."""
    found = [one.column for one in sources if one.index is not None]
    return tuple([Field(c.element, c.length) for c in found if c.element is not None and c.length is not None])


def _sources(columns: Sequence[Column]) -> tuple[tuple[_Source, ...], tuple[_Source, ...]]:
    """What the columns of (the forward uniflows, the reverse uniflows) are made of."""
    there = _keys(columns)
    keys = {index: key for key, index in there.items()}
    back: dict[Key, int] = {}
    for (_, number), index in there.items():
        element = columns[index].element
        if element is not None and element.forward_key is not None:
            back[element.forward_key, number] = index
    forward, reverse = [], []
    for index, column in enumerate(columns):
        if column.element is None or column.element.forward_key is None:
            forward.append(_Source(column, index))
            reverse.append(_turned(columns, index, keys.get(index), there, back))
        elif (key := (column.element.forward_key, keys[index][1])) not in there:
            own = _forward_column(column, column.element, *key)
            forward.append(_Source(own, None))
            reverse.append(_Source(own, index, is_reverse=True))
    return _distinct(forward), _distinct(reverse)


def _distinct(sources: list[_Source]) -> tuple[_Source, ...]:
    """The same with names that differ: half a pair can get the name of an enterprise's element."""
    taken = {one.column.name for one in sources}
    if len(taken) == len(sources):
        return tuple(sources)
    seen: set[str] = set()
    out = []
    for one in sources:
        name = one.column.name
        name = free_name(name, taken) if name in seen else name
        seen.add(name)
        out.append(replace(one, column=one.column._replace(name=name)))
    return tuple(out)


def _keys(columns: Sequence[Column]) -> dict[Key, int]:
    """Index of each column that has an element."""
    counts: Counter[tuple[int, int]] = Counter()
    found = {}
    for index, column in enumerate(columns):
        if column.element is not None:
            counts[column.element.key] += 1
            found[column.element.key, counts[column.element.key]] = index
    return found


def _turned(
    columns: Sequence[Column], index: int, key: Key | None, there: dict[Key, int], back: dict[Key, int]
) -> _Source:
    """What a forward column is in the reverse uniflows."""
    column = columns[index]
    if key is None or column.element is None:
        return _turned_name(columns, index)
    if key in back:
        return _of(column, columns, back[key], is_reverse=True)
    (pen, id), number = key
    if pen == 0 and id in _OTHER:
        other = (0, _OTHER[id]), number
        if other in there:
            return _of(column, columns, there[other])
        if id in _RENAMED:
            element = registries.IANA.get(*other[0])
            return _Source(column._replace(name=_numbered(element.name, number), element=element), index)
    if column.element.semantics in _COUNTERS or (pen == 0 and id in FORWARD_ONLY):
        return _Source(column, None)
    return _Source(column, index, is_inverted=(pen, id) == _BIFLOW_DIRECTION and column.type is DataType.UNSIGNED8)


def _turned_name(columns: Sequence[Column], index: int) -> _Source:
    """The same for a derived column, which has a name only."""
    column = columns[index]
    if column.name.startswith("scaled"):
        return _Source(column, None)
    for prefix, opposite in _PREFIXES.items():
        if column.name.startswith(prefix):
            other = opposite + column.name.removeprefix(prefix)
            found = [number for number, one in enumerate(columns) if one.name == other]
            return _of(column, columns, found[0]) if found else _Source(column._replace(name=other), index)
    return _Source(column, index)


def _of(column: Column, columns: Sequence[Column], index: int, *, is_reverse: bool = False) -> _Source:
    """A column made of another one, with the length that this one has on the wire."""
    source = columns[index]
    return _Source(column._replace(type=source.type, length=source.length), index, is_reverse)


def _forward_column(column: Column, element: InformationElement, key: tuple[int, int], number: int) -> Column:
    """A reverse column as what it is in reverse uniflows."""
    forward = registries.IANA.get(*key)
    if not forward.is_known:
        bare = element.name.removeprefix("reverse")
        forward = replace(element, pen=key[0], id=key[1], name=bare[:1].lower() + bare[1:] or forward.name)
    return column._replace(name=_numbered(forward.name, number), element=forward)


def _numbered(name: str, number: int) -> str:
    return name if number == 1 else f"{name}#{number}"
