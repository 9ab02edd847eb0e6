"""Some of the values of a column, whatever it is made of."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from headwater import kernel
from headwater.batch.lists import ListGroup, Lists, MultiLists, Structs
from headwater.batch.strings import I32, Strings

if TYPE_CHECKING:
    from headwater.batch.lists import Values

Rows = npt.NDArray[np.intp]


def subset(values: Values, rows: Rows) -> Values:
    """The values of these rows; rows: ascending, each at most once."""
    if isinstance(values, Strings):
        return _strings(values, rows)
    if isinstance(values, Lists):
        return _lists(values, rows)
    kept: npt.NDArray[Any] = values[rows]
    return kept


def _strings(values: Strings, rows: Rows) -> Strings:
    end = values.offsets[rows + 1]
    offsets, data = kernel.strings(values.data, end, end - values.offsets[rows])
    return Strings(offsets, data, None if values.validity is None else values.validity[rows], values.is_text)


def _lists(values: Lists, rows: Rows) -> Lists:
    validity, octets = values.validity, values.null_octets
    if validity is not None and octets is not None:
        number = np.cumsum(~validity) - 1  # of each null among them
        octets = _strings(octets, number[rows[~validity[rows]]])
    kept = replace(
        values,
        groups=tuple([_group(group, rows) for group in values.groups]),
        which=None if values.which is None else values.which[rows],
        semantics=values.semantics[rows],
        validity=None if validity is None else validity[rows],
        null_octets=octets,
    )
    if not isinstance(kept, MultiLists):
        return kept
    position = np.full(len(values), -1, np.intp)
    position[rows] = np.arange(len(rows))
    parent = position[kept.parent]
    return replace(kept, parent=parent[parent >= 0], ids=kept.ids[parent >= 0])


def _group(group: ListGroup, rows: Rows) -> ListGroup:
    offsets, items = _spans(group.offsets, rows)
    entries, counts = group.entries, group.counts
    if entries is not None:
        entries, groups = _spans(entries, rows)
        counts = None if counts is None else counts[groups]
    return replace(
        group,
        offsets=offsets,
        items=_structs(group.items, items) if isinstance(group.items, Structs) else subset(group.items, items),
        length=group.length if isinstance(group.length, int) else group.length[rows],
        entries=entries,
        counts=counts,
    )


def _structs(values: Structs, rows: Rows) -> Structs:
    return Structs(values.schema, tuple([subset(column, rows) for column in values.columns]), len(rows))


def _spans(offsets: I32, rows: Rows) -> tuple[I32, Rows]:
    """(offsets of these rows, which items they have)."""
    begin = offsets[rows]
    sizes = offsets[rows + 1] - begin
    kept = np.zeros(len(rows) + 1, np.int32)
    np.add.accumulate(sizes, dtype=np.int32, out=kept[1:])
    return kept, np.repeat(begin - kept[:-1], sizes) + np.arange(int(kept[-1]))
