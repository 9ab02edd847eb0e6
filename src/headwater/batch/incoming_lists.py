"""Lists as Python objects (RFC 6313): as `Batch.rows` gives them, plain or full, or as objects of wire.lists.

    basicList             [1, 2]                   {"semantic": "allOf", "element": "octetDeltaCount", "items": [1, 2]}
    subTemplateList       [{"vlanId": 7}]          {"semantic": "allOf", "template": 257, "items": [{"vlanId": 7}]}
    subTemplateMultiList  {257: [{"vlanId": 7}]}   {"semantic": "allOf", "groups": [{"template": 257, "items": […]}]}

A plain list says nothing of its semantic, so that is "undefined". The names of a dict say which Template its record
has, and "template" may be one, or IESpecs, for a list without any. Which element the items of a plain basicList are
the column's name can say, an IESpec with a member, or the `contents` of `columns_of`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from headwater.batch.incoming_names import field_meant, meaning, of_field, placed
from headwater.batch.incoming_target import Target
from headwater.batch.incoming_values import values_of
from headwater.batch.lists import ListGroup, Lists, MultiLists, Structs, offsets_of
from headwater.batch.schema import Column, Schema
from headwater.errors import DecodeError, EncodeError, UnknownElement
from headwater.model.registry import Registry
from headwater.model.template import Field, Template
from headwater.model.types import DataType
from headwater.session.export_templates import template_of
from headwater.wire.lists import SEMANTICS, BasicList, SubTemplateList, SubTemplateMultiList

_UNDEFINED = 255
_SEMANTICS = {name: number for number, name in SEMANTICS.items()}
_FIRST_ID, _LAST_ID = 256, 65535
Rows = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class _Part:
    """The items of a list, or one group of a multi list. of: None where nothing says it. id: of its Template, or 0."""

    row: int
    of: Field | Template | None
    items: Sequence[Any]
    id: int = 0


def lists(target: Target, data: Sequence[Any]) -> Lists:
    """The column of these values, None = null. Raises EncodeError."""
    semantics = np.zeros(len(data), np.uint8)
    valid = np.ones(len(data), np.bool_)
    parts: list[_Part] = []
    read = _READERS[target.type]
    for row, value in enumerate(data):
        if value is None or value is np.ma.masked:
            valid[row] = False
            continue
        try:
            semantics[row] = read(target, row, value, parts)
        except (UnknownElement, DecodeError) as wrong:
            raise target.refusal(row, value, str(wrong)) from None
        except EncodeError as wrong:
            raise wrong if wrong.row is not None else target.refusal(row, value, str(wrong)) from None
    validity = None if valid.all() else valid
    if target.type is DataType.SUB_TEMPLATE_MULTI_LIST:
        return _multi(target, parts, semantics, validity)
    return _single(target, parts, semantics, validity)


# ---------------------------------------------------------------- reading: each appends parts and gives the semantic


def _read_basic(target: Target, row: int, value: Any, parts: list[_Part]) -> int:
    if isinstance(value, BasicList):
        parts.append(_Part(row, value.field, value.items))
        return value.semantic
    content = target.content if isinstance(target.content, Field) else None
    if isinstance(value, Mapping):
        _check_keys(target, row, value, {"element", "items"})
        said = field_meant(meaning(value["element"], target.registry))
        if content is None or content.element.key != said.element.key:
            content = said
        parts.append(_Part(row, content, _items(target, row, value["items"])))
        return _semantic(target, row, value)
    parts.append(_Part(row, content, _items(target, row, value)))
    return _UNDEFINED


def _read_sub_template(target: Target, row: int, value: Any, parts: list[_Part]) -> int:
    content = target.content if isinstance(target.content, Template) else None
    if isinstance(value, SubTemplateList):
        parts.append(_Part(row, value.template, value.items))
        return value.semantic
    if isinstance(value, Mapping):
        _check_keys(target, row, value, {"template", "items"})
        items = _items(target, row, value["items"])
        content = content or _said(target, value["template"])
        parts.append(_Part(row, content or _template_of(target, row, items), items))
        return _semantic(target, row, value)
    items = _items(target, row, value)
    parts.append(_Part(row, content or _template_of(target, row, items), items))
    return _UNDEFINED


def _read_multi(target: Target, row: int, value: Any, parts: list[_Part]) -> int:
    if isinstance(value, SubTemplateMultiList):
        parts += [_Part(row, template, items, id) for id, template, items in value.groups]
        return value.semantic
    if not isinstance(value, Mapping):
        raise target.refusal(row, value)
    if "groups" in value:
        _check_keys(target, row, value, {"groups"})
        groups = []
        for group in _items(target, row, value["groups"]):
            if not isinstance(group, Mapping) or group.keys() != {"template", "items"}:
                raise target.refusal(row, group, "a group has the keys template, items")
            groups.append((group["template"], group["items"]))
        semantic = _semantic(target, row, value)
    else:
        groups, semantic = list(value.items()), _UNDEFINED
    for label, given in groups:
        items = _items(target, row, given)
        id = _id(label)
        template = _template_of(target, row, items) if id is not None else _said(target, label)
        if template is None:
            raise target.refusal(row, value, "nothing says what the records of an empty group would be")
        parts.append(_Part(row, template, items, id or 0))
    return semantic


_READERS = {
    DataType.BASIC_LIST: _read_basic,
    DataType.SUB_TEMPLATE_LIST: _read_sub_template,
    DataType.SUB_TEMPLATE_MULTI_LIST: _read_multi,
}


def _check_keys(target: Target, row: int, value: Mapping[str, Any], needed: set[str]) -> None:
    if not needed <= value.keys() <= needed | {"semantic"}:
        raise target.refusal(row, value, f"a full list has the keys {', '.join(sorted(needed | {'semantic'}))}")


def _semantic(target: Target, row: int, value: Mapping[str, Any]) -> int:
    given = value.get("semantic", _UNDEFINED)
    number = _SEMANTICS.get(given, given) if isinstance(given, str) else given
    if not isinstance(number, int) or not 0 <= number <= 255:
        raise target.refusal(row, given, f"a semantic is one of {', '.join(_SEMANTICS)}, or a number of 8 bits")
    return number


def _items(target: Target, row: int, value: Any) -> Sequence[Any]:
    if isinstance(value, np.ndarray) and value.ndim:
        return value.tolist()  # type: ignore[no-any-return]
    if not isinstance(value, Sequence) or isinstance(value, str | bytes | bytearray):
        raise target.refusal(row, value)
    return value


def _said(target: Target, template: Any) -> Template | None:
    """The Template that is said in so many words; an id, as that of a list that was read, says nothing."""
    return template_of(template, target.registry) if _id(template) is None else None


def _id(template: Any) -> int | None:
    """The Template ID that it is, also as JSON has keys; None if it is something else."""
    if isinstance(template, int):
        return template
    return int(template) if isinstance(template, str) and template.isdecimal() else None


def _template_of(target: Target, row: int, items: Sequence[Any]) -> Template | None:
    """The Template that the names of these dicts tell, None if there is none."""
    names: dict[str, None] = {}
    for item in items:
        if not isinstance(item, Mapping):
            raise target.refusal(row, item, "a record in a list is a dict")
        names |= dict.fromkeys(item)
    return _template_named(tuple(names), target.registry) if names else None


@lru_cache(maxsize=4096)
def _template_named(names: tuple[str, ...], registry: Registry) -> Template:
    """A Template with a field for each name, in the length that the name tells or else the native one."""
    return Template(0, tuple([field_meant(meaning(name, registry)) for name in names]))


# ---------------------------------------------------------------- parts to columns


def _single(target: Target, parts: list[_Part], semantics: Any, validity: Any) -> Lists:
    """Lists whose rows have one group each; rows without items go with whatever the first group is."""
    kinds: dict[Any, list[_Part]] = {}
    empty: list[int] = []
    for part in parts:
        if part.of is None and not len(part.items):
            empty.append(part.row)
        elif part.of is None:
            why = "nothing says which element its items are; {'element': 'vlanId', 'items': […]} would"
            raise target.refusal(part.row, part.items, why)
        else:
            kinds.setdefault(part.of, []).append(part)
    if empty and not kinds:
        what = "'element': 'vlanId'" if target.type is DataType.BASIC_LIST else "'template': ['vlanId']"
        detail = f"nothing says what the items of an empty list would be; {{{what}, 'items': []}} would"
        raise target.refusal(empty[0], [], detail)
    count = len(semantics)
    which = np.zeros(count, np.uint16) if len(kinds) > 1 else None
    groups = []
    for number, (of, some) in enumerate(kinds.items()):
        rows = np.array([part.row for part in some], np.intp)
        sizes = np.array([len(part.items) for part in some], np.int32)
        if which is not None:
            which[rows] = number
        groups.append(_group(target, of, some, offsets_of(count, rows, sizes), np.repeat(rows, sizes)))
    return Lists(target.type, tuple(groups), which, semantics, validity)


def _multi(target: Target, parts: list[_Part], semantics: Any, validity: Any) -> MultiLists:
    """Multi lists; a Template keeps the id it came with if no other has it."""
    count = len(semantics)
    kinds: dict[Any, list[_Part]] = {}
    for part in parts:
        kinds.setdefault(part.of, []).append(part)
    ids: dict[Any, int] = {}
    for of, some in kinds.items():
        id = some[0].id or of.id
        while not _FIRST_ID <= id <= _LAST_ID or id in ids.values():
            id = id + 1 if _FIRST_ID <= id < _LAST_ID else _FIRST_ID
        ids[of] = id
    groups = []
    for of, some in kinds.items():
        rows = np.array([part.row for part in some], np.intp)
        sizes = np.array([len(part.items) for part in some], np.int32)
        entries = offsets_of(count, rows, None)
        offsets = offsets_of(len(sizes), None, sizes).take(entries)
        group = _group(target, Template(ids[of], of.fields), some, offsets, np.repeat(rows, sizes))
        counts = None if (sizes == 1).all() else sizes
        groups.append(replace(group, entries=entries, counts=counts))
    parent = np.array([part.row for part in parts], np.intp)
    sent = np.array([ids[part.of] for part in parts], np.uint16)
    return MultiLists(target.type, tuple(groups), None, semantics, validity, parent=parent, ids=sent)


def _group(target: Target, of: Field | Template, parts: list[_Part], offsets: Any, rows: Rows) -> ListGroup:
    items = [item for part in parts for item in part.items]
    if isinstance(of, Field):
        type = of_field(of).type
        values = values_of(target.inner(of.name, of.element, type, rows), items)
        return ListGroup(of.element, type, offsets, values, of.length)
    return ListGroup(of, None, offsets, structs(target, of, items, rows))


def structs(target: Target, template: Template, items: Sequence[Any], rows: Rows) -> Structs:
    """Records of an inner Template: dicts by any of the names of its fields, or tuples. rows: that they are in."""
    columns, values = [], []
    keys = _keys(target, template, items, rows)
    for index, (name, field) in enumerate(zip(template.column_names, template.fields, strict=True)):
        meant = of_field(field)
        columns.append(Column(name, meant.type, field.element, field.length))
        inner = target.inner(name, field.element, meant.type, rows)
        values.append(values_of(inner, [_cell(item, index, keys) for item in items]))
    return Structs(Schema(tuple(columns)), tuple(values), len(items))


def _keys(target: Target, template: Template, items: Sequence[Any], rows: Rows) -> dict[int, list[str]]:
    """The names that dicts have for each field. Tuples need none, but have as many values."""
    for number, item in enumerate(items):
        if not isinstance(item, Mapping) and (not isinstance(item, tuple | list) or len(item) != len(template.fields)):
            why = f"a record in a list is a dict, or a tuple of {len(template.fields)} values"
            raise target.refusal(int(rows[number]), item, why)
    names = dict.fromkeys(name for item in items if isinstance(item, Mapping) for name in item)
    keys: dict[int, list[str]] = {}
    try:
        places = placed(tuple(names), template, lambda name: meaning(name, target.registry).element.key)
    except (EncodeError, UnknownElement) as wrong:
        name = (wrong.column if isinstance(wrong, EncodeError) else wrong.name) or _no_text(names)
        number = next((i for i, item in enumerate(items) if isinstance(item, Mapping) and name in item), 0)
        raise target.refusal(int(rows[number]), items[number], str(wrong)) from None
    for name, index in places.items():
        keys.setdefault(index, []).append(name)
    return keys


def _no_text(names: Iterable[Any]) -> Any:
    """The first name that is none."""
    return next((name for name in names if not isinstance(name, str)), "")


def _cell(item: Any, index: int, keys: dict[int, list[str]]) -> Any:
    """The value of one field in a dict or a tuple, None if it lacks it."""
    if not isinstance(item, Mapping):
        return item[index]
    for name in keys.get(index, ()):
        if name in item:
            return item[name]
    return None
