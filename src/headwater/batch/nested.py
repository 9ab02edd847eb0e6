"""Structured data (RFC 6313) to columns, at any depth and without a loop over rows.

Every list is octets start..end of a row. Its header says what is inside; rows with the same inside are read together,
by the same plans as top-level records. A value that cannot be read makes its row null and is counted: such rows are
found first, all of them per kind of fault, and then the others are read as if the bad ones did not exist.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from headwater import kernel
from headwater.batch.content import Content, basic_groups, locate, partition, rows_of, structs, taken, which_of
from headwater.batch.lists import ListGroup, Lists, MultiLists, offsets_of
from headwater.batch.records import LIST_COST, ROWS_COST, Job
from headwater.batch.strings import I32, U8, Bool, Strings
from headwater.errors import FaultKind
from headwater.model.template import Field
from headwater.model.types import DataType
from headwater.wire.lists import BASIC_HEADER, GROUP_HEADER, MULTI_HEADER, SUB_TEMPLATE_HEADER

if TYPE_CHECKING:
    from headwater.model.template import Template

_U1, _U2, _U4, _U8 = np.dtype("u1"), np.dtype("u2"), np.dtype("u4"), np.dtype("u8")
_WIDE_PLAN = np.array([(0, 0, 1, 0), (0, 1, 8, 0)], np.int32)  # semantic; field id, element length, enterprise number
_BASIC_PLAN = np.array([(0, 0, 1, 0), (0, 1, 4, 0)], np.int32)  # the same without the number
_SUB_TEMPLATE_PLAN = np.array([(0, 0, 1, 0), (0, 1, 2, 0)], np.int32)  # semantic; Template ID
_SEMANTIC_PLAN = np.array([(0, 0, 1, 0)], np.int32)
_PEN_PLAN = np.array([(0, BASIC_HEADER, 4, 0)], np.int32)
_PEN_OCTETS = 4
_ENTERPRISE = np.uint64(1 << 63)
_NO_PEN = np.uint64(0xFFFF_FFFF_0000_0000)
_SHOWN = 8
_RAGGED = "it does not end with a whole item"
_TOO_MANY = "too many kinds of list content"


class _Refused(Exception):
    """Rows of a list column that cannot be read."""

    def __init__(self, kind: FaultKind, rows: Bool, detail: str = "") -> None:
        super().__init__(kind)
        self.kind, self.rows, self.detail = kind, rows, detail


def read_lists(job: Job, type: DataType, name: str, start: I32, end: I32) -> Lists:
    """The list values start..end of each row. Nulls: what is malformed, unknown, or beyond a limit."""
    if not len(start):
        return Lists.nulls(type, 0)
    bad: Bool | None = None
    lists: Lists | None = None
    spans, left = (start, end), len(start)
    job.depth += 1
    while lists is None and left:
        try:
            _refuse_beyond_limits(job, left)
            lists = _READERS[type](job, name, *spans)
        except _Refused as refused:  # of at least one row, so this ends; and of all rows of a kind, so it ends soon
            count = int(np.count_nonzero(refused.rows))
            job.fault(refused.kind, name, int(spans[0][refused.rows.argmax()]), count, refused.detail)
            bad = refused.rows if bad is None else _added(bad, refused.rows)
            left -= count
            if left:
                spans = start[~bad], end[~bad]
    job.depth -= 1
    if bad is None:
        assert lists is not None
        return lists
    octets = Strings(*kernel.strings(job.sets.buffer, end[bad], (end - start)[bad]), is_text=False)
    return Lists.nulls(type, len(start), octets) if lists is None else lists.spread(bad, octets)


def _added(bad: Bool, more: Bool) -> Bool:
    """These rows, and those of the others that `more` says."""
    all = bad.copy()
    all[~bad] = more
    return all


# ---------------------------------------------------------------- the three kinds


def _read_basic(job: Job, name: str, start: I32, end: I32) -> Lists:
    semantics, keys, begin = _basic_headers(job, start, end - start)
    parts = list(partition(keys))
    _refuse_if_dear(job, [_cost(1, len(start))] * len(parts), [rows for _, rows in parts], len(start))
    registry = job.sets.scope.registry
    fields = [Field(registry.get(key & 0xFFFF_FFFF, key >> 48 & 0x7FFF), key >> 32 & 0xFFFF) for key, _ in parts]
    contents = [
        locate(job, job.inner.of_element(field.element, field.length), rows, taken(begin, rows), taken(end, rows))
        for field, (_, rows) in zip(fields, parts, strict=True)
    ]
    _check(job, name, contents, len(start))
    return Lists(DataType.BASIC_LIST, *basic_groups(job, fields, contents, len(start)), semantics)


def _basic_headers(job: Job, start: I32, size: I32) -> tuple[U8, npt.NDArray[np.uint64], I32]:
    """(semantics, keys, where the elements begin); a key is field id u16, element length u16, enterprise number u32."""
    _refuse_if(size < BASIC_HEADER, FaultKind.BAD_LIST, "the header is cut short")
    buf, begin = job.sets.buffer, start + np.int32(BASIC_HEADER)
    if np.minimum.reduce(size) >= BASIC_HEADER + _PEN_OCTETS:  # then there is a number, or what stands in its place
        semantics, keys = kernel.columns(buf, start[None], _WIDE_PLAN, [_U1, _U8])
        has_pen = keys >= _ENTERPRISE
    else:
        semantics, short = kernel.columns(buf, start[None], _BASIC_PLAN, [_U1, _U4])
        keys = short.astype(_U8) << np.uint64(32)
        has_pen = keys >= _ENTERPRISE
        _refuse_if(has_pen & (size < BASIC_HEADER + _PEN_OCTETS), FaultKind.BAD_LIST, "the header is cut short")
        keys[has_pen] |= kernel.columns(buf, start[has_pen][None], _PEN_PLAN, [_U4])[0]
    count = np.count_nonzero(has_pen)
    if count == len(has_pen):
        begin += np.int32(_PEN_OCTETS)
    elif count == 0:
        keys &= _NO_PEN
    else:
        begin[has_pen] += np.int32(_PEN_OCTETS)
        keys[~has_pen] &= _NO_PEN
    return semantics, keys, begin


def _read_sub_template(job: Job, name: str, start: I32, end: I32) -> Lists:
    _refuse_if(end - start < SUB_TEMPLATE_HEADER, FaultKind.BAD_LIST, "the header is cut short")
    semantics, ids = kernel.columns(job.sets.buffer, start[None], _SUB_TEMPLATE_PLAN, [_U1, _U2])
    begin = start + np.int32(SUB_TEMPLATE_HEADER)
    parts = list(partition(ids))
    templates = _templates(job, parts, len(start))
    contents = [
        locate(job, job.inner.of(template), rows, taken(begin, rows), taken(end, rows))
        for template, (_, rows) in zip(templates, parts, strict=True)
    ]
    _check(job, name, contents, len(start))
    groups = [
        ListGroup(template, None, offsets_of(len(start), content.rows, content.counts), structs(job, content))
        for template, content in zip(templates, contents, strict=True)
    ]
    which = which_of([content.rows for content in contents], len(start))
    return Lists(DataType.SUB_TEMPLATE_LIST, tuple(groups), which, semantics)


def _read_multi(job: Job, name: str, start: I32, end: I32) -> Lists:
    _refuse_if(end - start < MULTI_HEADER, FaultKind.BAD_LIST, "the header is cut short")
    semantics = kernel.columns(job.sets.buffer, start[None], _SEMANTIC_PLAN, [_U1])[0]
    begin = start + np.int32(MULTI_HEADER)
    parent, ids, begin, stop, rest = kernel.chain(job.sets.buffer, begin, end, GROUP_HEADER)
    if np.count_nonzero(rest != end):
        parent, ids, begin, stop = _with_printed_zeros(job, end, parent, ids, begin, stop, rest)
    rows = parent.astype(np.intp)  # numpy takes longer with indices of any other type
    parts = [(id, [taken(column, at) for column in (rows, begin, stop)]) for id, at in partition(ids)]
    templates = _templates(job, [(id, spans[0]) for id, spans in parts], len(start))
    contents = [
        locate(job, job.inner.of(template), *spans) for template, (_, spans) in zip(templates, parts, strict=True)
    ]
    _check(job, name, contents, len(start))
    groups = []
    for template, content in zip(templates, contents, strict=True):
        entries = offsets = offsets_of(len(start), content.rows, None)
        if content.counts is not None:
            offsets = offsets_of(len(content.counts), None, content.counts).take(entries)
        items = structs(job, content)
        groups.append(ListGroup(template, None, offsets, items, entries=entries, counts=content.counts))
    return MultiLists(DataType.SUB_TEMPLATE_MULTI_LIST, tuple(groups), None, semantics, parent=rows, ids=ids)


_READERS = {
    DataType.BASIC_LIST: _read_basic,
    DataType.SUB_TEMPLATE_LIST: _read_sub_template,
    DataType.SUB_TEMPLATE_MULTI_LIST: _read_multi,
}


# ---------------------------------------------------------------- what must be refused


def _refuse_if(rows: Bool, kind: FaultKind, detail: str = "") -> None:
    if np.count_nonzero(rows):
        raise _Refused(kind, rows, detail)


def _refuse_beyond_limits(job: Job, count: int) -> None:
    limit = job.sets.limits.list_depth
    if job.depth > limit:
        raise _Refused(FaultKind.DEPTH_LIMIT, np.ones(count, np.bool_), f"more than {limit} levels")
    job.cost -= LIST_COST
    if job.cost < 0:
        raise _Refused(FaultKind.ELEMENT_LIMIT, np.ones(count, np.bool_), _TOO_MANY)


def _cost(columns: int, rows: int) -> int:
    """What one kind of content costs; see COST_LIMIT."""
    return LIST_COST + columns + rows // ROWS_COST


def _refuse_if_dear(job: Job, costs: Sequence[int], rows: Sequence[npt.NDArray[Any] | None], count: int) -> None:
    """Take what the kinds of content cost; those that are too many are refused."""
    left = job.cost - sum(costs)
    if left >= 0:
        job.cost = left
        return
    left = job.cost
    marks = np.zeros(count, np.bool_)
    for cost, of in zip(costs, rows, strict=True):
        left -= cost
        if left < 0:
            marks[slice(None) if of is None else of] = True
    raise _Refused(FaultKind.ELEMENT_LIMIT, marks, _TOO_MANY)


def _templates(job: Job, parts: Sequence[tuple[int, npt.NDArray[Any] | None]], count: int) -> list[Template]:
    """The inner Templates of (id, rows); rows with an unknown one are refused (RFC 6313 §6)."""
    found = [job.sets.scope.template(id) for id, _ in parts]
    unknown = [id for (id, _), template in zip(parts, found, strict=True) if template is None]
    if unknown:
        marks = np.zeros(count, np.bool_)
        for (_, rows), template in zip(parts, found, strict=True):
            if template is None:
                marks[slice(None) if rows is None else rows] = True
        shown = ", ".join(map(str, unknown[:_SHOWN])) + (", …" if len(unknown) > _SHOWN else "")
        raise _Refused(FaultKind.LIST_TEMPLATE, marks, f"Template {shown} is unknown")
    templates = [template for template in found if template is not None]
    costs = [_cost(len(template.fields), count) for template in templates]
    _refuse_if_dear(job, costs, [rows for _, rows in parts], count)
    return templates


def _with_printed_zeros(
    job: Job, end: I32, parent: I32, ids: npt.NDArray[Any], begin: I32, stop: I32, rest: I32
) -> tuple[I32, npt.NDArray[Any], I32, I32]:
    """The groups with those of "length 0" added, which RFC 6313 §4.5.3 prints for an empty group.

    Only the last 4 octets of a list can be one; anything else that stopped the walk makes the list malformed.
    """
    buf = job.sets.buffer
    rows = np.flatnonzero(rest != end)
    at = rest[rows]
    zero = end[rows] - at == GROUP_HEADER
    zero[zero] = (buf[at[zero] + 2] | buf[at[zero] + 3]) == 0
    bad = np.zeros(len(end), np.bool_)
    bad[rows[~zero]] = True
    _refuse_if(bad, FaultKind.BAD_LIST, "a group does not fit the list")
    where = np.searchsorted(parent, rows, "right")
    id = buf[at].astype(np.uint16) << np.uint16(8) | buf[at + 1]
    return (
        np.insert(parent, where, rows),
        np.insert(ids, where, id),
        np.insert(begin, where, end[rows]),
        np.insert(stop, where, end[rows]),
    )


def _check(job: Job, name: str, contents: Sequence[Content], count: int) -> None:
    """Refuse rows that do not end with a whole item or have too many; salvaging keeps the whole items of the former."""
    limit = job.sets.limits.list_elements
    ragged, large = [], []
    for content in contents:
        if content.ragged is not None:
            ragged.append((content, content.ragged))
        if content.records.count > limit and content.counts is not None:
            large.append((content, content.counts > limit))
    if ragged:
        fatal = [(content, spans) for content, spans in ragged if not job.sets.salvage or content.plan.stride == 0]
        if fatal:
            raise _Refused(FaultKind.BAD_LIST, rows_of(fatal, count), _RAGGED)
    if large:
        _refuse_if(rows_of(large, count), FaultKind.ELEMENT_LIMIT, f"more than {limit} items")
    for content, spans in ragged:
        first = int(content.start[np.argmax(spans)])
        job.fault(FaultKind.BAD_LIST, name, first, int(np.count_nonzero(spans)), _RAGGED)
