"""What lists have inside: which rows have the same, where its items are, and how they become the groups of a column."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from headwater import kernel
from headwater.batch.lists import ListGroup, Structs, offsets_of
from headwater.batch.records import Cell, Job, Records
from headwater.batch.strings import I32, Bool
from headwater.model.template import VARIABLE, Field

if TYPE_CHECKING:
    from headwater.batch.lists import Values
    from headwater.batch.plan import Plan

Index = npt.NDArray[np.intp]

_FEW = 8


@dataclass(slots=True)
class Content:
    """What some rows have inside: spans of items of one kind, and where these items are.

    rows: row of each span, ascending; None = one span for each row. counts: items of each span, None = one each.
    ragged: spans that do not end with a whole item, None = none.
    """

    plan: Plan
    rows: npt.NDArray[Any] | None
    start: I32
    records: Records
    counts: I32 | None
    ragged: Bool | None


def rows_of(marked: Sequence[tuple[Content, Bool]], count: int) -> Bool:
    """bool[count], the rows that have a marked span."""
    rows = np.zeros(count, np.bool_)
    for content, spans in marked:
        rows[spans if content.rows is None else content.rows[spans]] = True
    return rows


def locate(job: Job, plan: Plan, rows: npt.NDArray[Any] | None, start: I32, end: I32) -> Content:
    """Find the items in some spans."""
    if plan.stride == 0:
        counts = np.zeros(len(start), np.int32)
        # octets that no item takes: the loop over them would not end
        return _content(plan, rows, start, Records(0, start=start, counts=counts), counts, end > start)
    if not plan.is_fixed:
        at, size, counts, rest = kernel.scan(job.sets.buffer, start, end, plan.gaps)
        records = Records(at.shape[1], at, size)
        is_one_each = records.count == len(start) and np.count_nonzero(counts) == len(start)
        return _content(plan, rows, start, records, None if is_one_each else counts, rest != end)
    length = end - start
    stride = np.int32(plan.stride)
    if np.count_nonzero(length == stride) == len(length):
        return Content(plan, rows, start, Records(len(start), start[None]), None, None)
    counts = length // stride
    records = Records(int(counts.sum()), start=start, counts=counts, stride=plan.stride)
    return _content(plan, rows, start, records, counts, counts * stride != length)


def _content(
    plan: Plan, rows: npt.NDArray[Any] | None, start: I32, records: Records, counts: I32 | None, ragged: Bool
) -> Content:
    return Content(plan, rows, start, records, counts, ragged if np.count_nonzero(ragged) else None)


def structs(job: Job, content: Content) -> Structs:
    """The items as records of an inner Template."""
    return Structs(content.plan.schema, tuple(content.plan.read(job, content.records)), content.records.count)


def basic_groups(
    job: Job, fields: Sequence[Field], contents: Sequence[Content], count: int
) -> tuple[tuple[ListGroup, ...], npt.NDArray[np.uint16] | None]:
    """(groups, group of each row): a group for each element, whatever the lengths it was sent in."""
    same: dict[tuple[Any, ...], list[int]] = {}
    for number, (field, content) in enumerate(zip(fields, contents, strict=True)):
        same.setdefault((field.element.key, content.plan.schema.columns[0].type), []).append(number)
    groups = []
    rows = []
    for (_, type), numbers in same.items():
        field, content = fields[numbers[0]], contents[numbers[0]]
        if len(numbers) == 1:
            offsets = offsets_of(count, content.rows, content.counts)
            items = content.plan.read(job, content.records)[0]
            groups.append(ListGroup(field.element, type, offsets, items, field.length))
            rows.append(content.rows)
        else:
            merged = _merged(job, [fields[n] for n in numbers], [contents[n] for n in numbers], count)
            groups.append(merged)
            rows.append(np.concatenate([_rows(contents[n]) for n in numbers]))
    return tuple(groups), which_of(rows, count)


def _merged(job: Job, fields: Sequence[Field], contents: Sequence[Content], count: int) -> ListGroup:
    """The group of one element whose lists have elements of several lengths."""
    lengths = np.zeros(count, np.uint16)
    counts = np.zeros(count, np.int32)
    owners = []
    for field, content in zip(fields, contents, strict=True):
        rows = _rows(content)
        lengths[rows] = field.length
        counts[rows] = 1 if content.counts is None else content.counts
        owners.append(np.repeat(rows, counts[rows]))
    order = np.argsort(np.concatenate(owners), kind="stable")
    column = contents[0].plan.schema.columns[0]
    items: Values
    if column.type.numpy:
        parts: list[Any] = [content.plan.read(job, content.records)[0] for content in contents]
        values = np.concatenate([np.ma.getdata(part) for part in parts])[order]
        mask = np.concatenate([np.ma.getmaskarray(part) for part in parts])[order]
        items = np.ma.MaskedArray(values, mask) if mask.any() else values
    else:
        cells = [Cell(field.name, 1 if field.length == VARIABLE else 0, 0, field.length) for field in fields]
        ends = [content.records.ends(cell) for content, cell in zip(contents, cells, strict=True)]
        end = np.concatenate([end for end, _ in ends])[order]
        size = np.concatenate([size for _, size in ends])[order]
        anywhere = job.inner.of_element(fields[0].element, VARIABLE)
        items = anywhere.read(job, Records(len(end), np.stack([end - size, end]), size[None]))[0]
    return ListGroup(fields[0].element, column.type, offsets_of(count, None, counts), items, lengths)


def _rows(content: Content) -> npt.NDArray[Any]:
    assert content.rows is not None  # there are several contents, so none of them has all rows
    return content.rows


def which_of(rows: Sequence[npt.NDArray[Any] | None], count: int) -> npt.NDArray[np.uint16] | None:
    """The number of the part each row is in; None if there is one part only."""
    if len(rows) < 2:
        return None
    which = np.zeros(count, np.uint16)
    for number, part in enumerate(rows):
        which[part] = number
    return which


def taken(values: npt.NDArray[Any], rows: npt.NDArray[Any] | None) -> npt.NDArray[Any]:
    """The values of these rows, of all rows if None."""
    return values if rows is None else values.take(rows)


def partition(keys: npt.NDArray[Any]) -> Iterator[tuple[int, Index | None]]:
    """(key, where it is, ascending) of each distinct key; None = everywhere."""
    if not len(keys):
        return
    here = keys == keys[0]
    if np.count_nonzero(here) == len(keys):
        yield int(keys[0]), None
        return
    yield int(keys[0]), here.nonzero()[0]
    todo = ~here
    for _ in range(_FEW):  # a pass for each key beats sorting while keys are few
        first = int(todo.argmax())
        if not todo[first]:
            return
        here = keys == keys[first]
        yield int(keys[first]), here.nonzero()[0]
        todo &= ~here
    rest = np.flatnonzero(todo)
    order = rest[np.argsort(keys[rest], kind="stable")]
    for part in np.split(order, np.flatnonzero(np.diff(keys[order])) + 1):
        if len(part):
            yield int(keys[part[0]]), part
