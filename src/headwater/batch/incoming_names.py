"""Column names, however people spell them, to the Information Elements they mean."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING

from headwater.batch.plan import column_type
from headwater.errors import DecodeError, EncodeError
from headwater.model.element import SEMANTICS_NAMES, UNITS_NAMES, InformationElement, is_name
from headwater.model.iespec import IESpec, parse_iespec
from headwater.model.registry import Registry
from headwater.model.template import Field, Template
from headwater.model.types import VARIABLE, DataType

if TYPE_CHECKING:
    from headwater.batch.schema import Column

_REPEAT = re.compile(r"#[0-9]+$")
_SPEC_SIGNS = frozenset("(<[{")
_SEMANTICS = {name: int(number) for number, name in SEMANTICS_NAMES.items()}
_UNITS = {name: int(number) for number, name in UNITS_NAMES.items()}


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a column name says.

    type: how the values are to be read; OCTET_ARRAY where the length is illegal for the element. length: octets on
    the wire, None = it does not say. content: what the items of a list are, if it says that.
    """

    element: InformationElement
    type: DataType
    length: int | None = None
    is_scope: bool = False
    content: Field | Template | None = None


@lru_cache(maxsize=4096)
def meaning(name: str, registry: Registry) -> Meaning:
    """The meaning of a name, `name#2`, `_pen_id`, `pen/id`, snake_case name, or IESpec, also one with members.

    Raises UnknownElement, EncodeError for an IESpec that is none.
    """
    if not isinstance(name, str):
        raise EncodeError(f"columns go by name, not by {name!r}")
    if _SPEC_SIGNS.isdisjoint(name) and "\n" not in name:
        element = element_named(name, registry)
        return Meaning(element, element.type)
    try:
        spec = parse_iespec(name, registry)
    except DecodeError as wrong:
        raise EncodeError(str(wrong), column=name) from None
    length = spec.length if "[" in name.partition("\n")[0] else None
    return Meaning(spec.element, spec.element.type, length, "scope" in spec.context, _content(spec))


def field_meant(meant: Meaning) -> Field:
    """The field of a Template for it, in the native length if it does not say another."""
    return Field(meant.element, meant.element.type.default_length if meant.length is None else meant.length)


def of_field(field: Field, *, is_scope: bool = False) -> Meaning:
    """The meaning of a Template's field."""
    return Meaning(field.element, column_type(field.type, field.length), field.length, is_scope)


def of_column(column: Column, *, is_scope: bool = False) -> Meaning:
    """The meaning of a batch's column."""
    if column.element is None:
        detail = f"{column.name} is a fact of the Message, which no Information Element describes; leave it out"
        raise EncodeError(detail, column=column.name)
    return Meaning(column.element, column.type, column.length, is_scope)


def element_named(name: str, registry: Registry) -> InformationElement:
    """The element of a name, `name#2`, or a name in snake_case. Raises UnknownElement."""
    found = registry.find(name.strip())
    if found is None and "#" in name:
        found = registry.find(_REPEAT.sub("", name.strip()))
    if found is None and "_" in name:
        found = _snake_case(_REPEAT.sub("", name.strip()), registry)
    return found if found is not None else registry.named(name)


def repeat_of(name: str) -> int:
    """Which of several columns of an element it is: `name#2` the second."""
    repeat = _REPEAT.search(name)
    return int(repeat[0][1:]) if repeat else 1


def from_metadata(name: str, facts: Mapping[str, str], registry: Registry) -> Meaning:
    """The meaning of an Arrow field with the metadata that `Column.metadata` writes."""
    label = facts.get("ipfix.type", "")
    type = DataType.from_label(label)
    if "ipfix.id" not in facts:
        detail = f"{name} is a fact of the Message, which no Information Element describes; leave it out"
        raise EncodeError(detail, column=name)
    try:
        pen, id = int(facts.get("ipfix.pen", "0")), int(facts["ipfix.id"])
        size = facts.get("ipfix.length")
        length = None if size is None else VARIABLE if size == "variable" else int(size)
    except ValueError:
        raise EncodeError(f"{name}: its metadata is not what headwater writes: {dict(facts)}", column=name) from None
    element = registry.get(pen, id)
    if not label:
        type = element.type
    if not element.is_known and (type is not DataType.OCTET_ARRAY or is_name(facts.get("ipfix.name", ""))):
        called = facts.get("ipfix.name", "")
        semantics, units = facts.get("ipfix.semantics", ""), facts.get("ipfix.units", "")
        element = InformationElement(
            pen, id, called if is_name(called) else element.name, type, _number(_SEMANTICS, semantics),
            _number(_UNITS, units),
        )  # fmt: skip
    is_illegal = type is DataType.OCTET_ARRAY and length is not None and not element.type.accepts(length)
    if element.type is not type and not is_illegal:
        element = replace(element, type=type)
    return Meaning(element, type, length)


def placed(names: tuple[str, ...], template: Template, key_of: Callable[[str], tuple[int, int]]) -> dict[str, int]:
    """Which field of the Template each name is for: that of this column name, or else the next one of its element.

    key_of: (pen, id) of the element that a name means. Several spellings may be for one field.
    Raises EncodeError for a name that is for none.
    """
    exact = {name: index for index, name in enumerate(template.column_names)}
    if exact.keys() >= set(names):
        return {name: exact[name] for name in names}
    by_element: dict[tuple[int, int], list[int]] = {}
    for index, field in enumerate(template.fields):
        by_element.setdefault(field.element.key, []).append(index)
    out = {}
    for name in names:
        if name in exact:
            out[name] = exact[name]
            continue
        fields = by_element.get(key_of(name), [])
        number = repeat_of(name) - 1
        if not 0 <= number < len(fields):
            detail = f"the Template has no field {name!r}; leave the column out, or add the field"
            raise EncodeError(detail, column=name)
        out[name] = fields[number]
    return out


def _number(numbers: Mapping[str, int], word: str) -> int:
    return numbers.get(word, int(word) if word.isdigit() else 0)


def _content(spec: IESpec) -> Field | Template | None:
    """What the members of a list's IESpec say of its items; a subTemplateMultiList has no one content."""
    if not spec.members or spec.element.type is DataType.SUB_TEMPLATE_MULTI_LIST:
        return None
    if spec.element.type is DataType.BASIC_LIST:
        if len(spec.members) > 1:
            raise EncodeError(f"{spec.element.name}: a basicList has items of one element", column=spec.element.name)
        return Field(spec.members[0].element, spec.members[0].length)
    return Template.of(0, *spec.members)


def _snake_case(name: str, registry: Registry) -> InformationElement | None:
    """source_ipv4_address is sourceIPv4Address, reverse_octet_delta_count the reverse element."""
    flat = _flat(name)
    by_flat = _by_flat_name(registry)
    found = by_flat.get(flat)
    if flat.startswith("reverse") and (found is None or found.pen):  # IANA's before an enterprise's, as in `find`
        forward = by_flat.get(flat.removeprefix("reverse"))
        if forward is not None and forward.is_reversible:
            return forward.reverse()
    return found


def _flat(name: str) -> str:
    return name.lower().replace("_", "")


@lru_cache(maxsize=8)
def _by_flat_name(registry: Registry) -> dict[str, InformationElement]:
    """Elements by name without case and underscores; where several have one, the one that `find` would find."""
    elements: dict[str, InformationElement] = {}
    for element in registry:
        elements.setdefault(_flat(element.name), element)
    return elements
