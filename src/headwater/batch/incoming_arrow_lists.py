"""Structured data (RFC 6313) from Arrow, in the shapes that headwater's own export gives it.

list<T> is a basicList, list<struct> a subTemplateList; a struct of such lists has one for each element or Template.
Arrow has no place for a list's semantic, so that becomes "undefined".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from headwater.batch.incoming_arrow import Arrow, values
from headwater.batch.incoming_names import Meaning, field_meant, from_metadata, meaning, of_field
from headwater.batch.incoming_numpy import check_size
from headwater.batch.incoming_target import Target
from headwater.batch.lists import ListGroup, Lists, MultiLists, Structs
from headwater.batch.schema import Column, Schema
from headwater.batch.strings import I32, Bool
from headwater.batch.subset import subset
from headwater.model.template import Field, Template
from headwater.model.types import DataType

_LISTS = ("+l", "+L", "+w")
_NO_NAMES = ("item", "element", "l", "list", "")  # what libraries call the items of any list
_UNDEFINED = 255
_FIRST_ID = 256
Rows = npt.NDArray[np.intp]


def meaning_of(array: Arrow, target_registry: Any) -> Meaning:
    """The meaning of an Arrow field: by its metadata if headwater wrote it, or else by its name."""
    facts = array.metadata
    if "ipfix.type" in facts:
        return from_metadata(array.name, facts, target_registry)
    return meaning(array.name, target_registry)


def lists(target: Target, array: Arrow) -> Lists:
    """The list column of an Arrow array. Raises EncodeError."""
    count, null = array.count, array.null()
    is_multi = target.type is DataType.SUB_TEMPLATE_MULTI_LIST
    if array.format == "n":
        if is_multi and "ipfix.type" in array.metadata:  # our own export has no other form for lists without a group
            return MultiLists(target.type, (), None, np.full(count, _UNDEFINED, np.uint8))
        return Lists.nulls(target.type, count)
    parts = array.children() if array.format == "+s" else [array]
    for part in parts:
        if part.format[:2] not in _LISTS:
            raise target.refusal_of_all(f"an Arrow array of format {part.format!r} cannot be {target.type}")
    valid = np.ones(count, np.bool_) if null is None else ~null
    here = [valid & _present(part) if array.format == "+s" else valid for part in parts]
    groups = [_group(target, part, rows) for part, rows in zip(parts, here, strict=True)]
    known = [(group, rows) for group, rows in zip(groups, here, strict=True) if group is not None]
    semantics = np.where(valid, _UNDEFINED, 0).astype(np.uint8)
    validity = None if null is None else valid
    if is_multi:
        return _multi(target, [group for group, _ in known], [rows for _, rows in known], semantics, validity)
    if not known and valid.any():
        raise target.refusal(int(valid.argmax()), [], "nothing says what the items of an empty list would be")
    which = None
    if len(known) > 1:
        seen = np.sum([rows for _, rows in known], axis=0)
        if (seen > 1).any():
            raise target.refusal(int((seen > 1).argmax()), target.type.label, "it has items of several kinds")
        which = np.zeros(count, np.uint16)
        for number, (_, rows) in enumerate(known):
            which[rows] = number
    return Lists(target.type, tuple([group for group, _ in known]), which, semantics, validity)


def _present(part: Arrow) -> Bool:
    null = part.null()
    return np.ones(part.count, np.bool_) if null is None else ~null


def _multi(
    target: Target, groups: Sequence[ListGroup], here: Sequence[Bool], semantics: Any, validity: Bool | None
) -> MultiLists:
    """One group of each Template at most in a row, in the order of the struct's fields."""
    full = []
    ids: list[int] = []
    for group, rows in zip(groups, here, strict=True):
        assert isinstance(group.of, Template)
        id = group.of.id
        while id < _FIRST_ID or id in ids:
            id = max(id + 1, _FIRST_ID)
        ids.append(id)
        entries = np.zeros(len(rows) + 1, np.int32)
        np.add.accumulate(rows, dtype=np.int32, out=entries[1:])
        counts = np.diff(group.offsets)[rows]
        of = Template(id, group.of.fields)
        full.append(replace(group, of=of, entries=entries, counts=None if (counts == 1).all() else counts))
    if not full:
        return MultiLists(target.type, (), None, semantics, validity)
    parent, number = np.nonzero(np.stack(here, axis=1))
    sent = np.array(ids, np.uint16)[number]
    return MultiLists(target.type, tuple(full), None, semantics, validity, parent=parent, ids=sent)


def _group(target: Target, part: Arrow, rows: Bool) -> ListGroup | None:
    """The items of these rows; None if nothing says what they are, and there are none."""
    bounds = part.offsets()
    sizes = np.diff(bounds)
    first, last = int(bounds[0]), int(bounds[-1])
    kept = None
    if sizes[~rows].any():  # what stands under a null
        kept = np.flatnonzero(np.repeat(rows, sizes))
        sizes[~rows] = 0
    check_size(target, int(sizes.sum()))
    offsets = np.zeros(len(rows) + 1, np.int32)
    np.add.accumulate(sizes, dtype=np.int32, out=offsets[1:])
    items = part.items(first, last)
    owners = np.repeat(np.arange(len(rows)), np.diff(bounds))
    if target.type is DataType.BASIC_LIST:
        return _basic(target, part, items, offsets, owners, kept)
    return _records(target, part, items, offsets, owners, kept)


def _basic(
    target: Target, part: Arrow, items: Arrow, offsets: I32, owners: Rows, kept: Rows | None
) -> ListGroup | None:
    field = _item_field(target, part, items)
    if field is None:
        if offsets[-1]:
            row = int(np.argmax(np.diff(offsets) > 0))
            raise target.refusal(row, "…", "nothing says which element its items are")
        return None
    meant = of_field(field)
    column = values(target.inner(field.name, field.element, meant.type, owners), items)
    if kept is not None:
        column = subset(column, kept)
    return ListGroup(field.element, meant.type, offsets, column, field.length)


def _item_field(target: Target, part: Arrow, items: Arrow) -> Field | None:
    """The element of the items, by metadata, by what the column's name says, or by the names of list or items."""
    meant = None
    if "ipfix.type" in items.metadata:
        meant = from_metadata(items.name, items.metadata, target.registry)
    elif isinstance(target.content, Field):
        return target.content
    else:
        for name in (items.name, part.name):
            found = None if name in _NO_NAMES else target.registry.find(name.partition("#")[0])
            if found is not None and found.type is not DataType.BASIC_LIST:
                meant = Meaning(found, found.type)
                break
    return None if meant is None else field_meant(meant)


def _records(
    target: Target, part: Arrow, items: Arrow, offsets: I32, owners: Rows, kept: Rows | None
) -> ListGroup | None:
    if items.format != "+s":
        if offsets[-1]:
            raise target.refusal_of_all(f"lists of Arrow format {items.format!r} cannot be {target.type}")
        return None
    null = items.null()
    if null is not None and (kept is None or null[kept].any()):
        number = int(null.argmax()) if kept is None else int(kept[null[kept].argmax()])
        raise target.refusal(int(owners[number]), None, "a record of a list cannot be null")
    columns, fields, parts = [], [], []
    for child in items.children():
        meant = meaning_of(child, target.registry)
        fields.append(field := field_meant(meant))
        column = values(target.inner(meant.element.name, meant.element, meant.type, owners), child)
        parts.append(column if kept is None else subset(column, kept))
        columns.append((meant.type, meant.element, field.length))
    template = Template(int(part.name) if part.name.isdigit() else 0, tuple(fields))
    schema = Schema(tuple([Column(name, *column) for name, column in zip(template.column_names, columns, strict=True)]))
    return ListGroup(template, None, offsets, Structs(schema, tuple(parts), int(offsets[-1])))
