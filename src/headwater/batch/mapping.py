"""Classes as Templates: a dataclass, attrs class, msgspec.Struct or NamedTuple whose fields are elements.

    @dataclass
    class Flow:
        source: Annotated[IPv4Address, ie("sourceIPv4Address")]
        octet_delta_count: Annotated[int, ie(length=4)]
        started: Annotated[datetime | None, ie("flowStartMilliseconds")] = None

    map_class(Flow).template          # what its records consist of
    columns_of([Flow(…), Flow(…)])    # instances to columns
    list(fill(batch, Flow))           # and back

A field is the element that `ie` names, or else the one its own name is of, in snake_case or as the registry has it.
Lists: `list[Inner]` of a mapped class is a subTemplateList, `list[A | B]` of several a subTemplateMultiList, and
`list[Annotated[int, ie("octetDeltaCount")]]` a basicList. Fields that may be None are null in columns.
"""

from __future__ import annotations

import typing
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from functools import lru_cache
from inspect import Parameter, signature
from operator import attrgetter
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, Union, get_args, get_origin

from headwater.batch import mapping_fill
from headwater.batch.incoming_columns import Given
from headwater.batch.incoming_names import Meaning, element_named, field_meant, meaning
from headwater.errors import EncodeError, UnknownElement
from headwater.model import registry as registries
from headwater.model.element import InformationElement
from headwater.model.registry import Registry
from headwater.model.template import Field, Template
from headwater.model.types import DataType
from headwater.wire.lists import SEMANTICS, BasicList, SubTemplateList, SubTemplateMultiList

if TYPE_CHECKING:
    from headwater.batch.batch import Batch

Record = TypeVar("Record")

_SEMANTICS = {name: number for number, name in SEMANTICS.items()}
_SEQUENCES = (list, tuple, Sequence)
_FIRST_ID = 256


@dataclass(frozen=True, slots=True)
class Mark:
    """What `ie` says of a field of a class."""

    name: str | None
    length: int | None
    is_scope: bool
    semantic: int


def ie(name: str | None = None, *, length: int | None = None, scope: bool = False, semantic: str = "undefined") -> Mark:
    """Which element a field of a class is, said in its annotation.

    name: any that `columns_of` takes for a column, IESpecs too; None = the field's own name. length: octets on the
    wire, native if nothing is said. scope: the field is scope (RFC 7011 §3.4.2). semantic: of a list (RFC 6313 §4.4).
    """
    if semantic not in _SEMANTICS:
        raise EncodeError(f"a semantic is one of {', '.join(_SEMANTICS)}, not {semantic!r}")
    return Mark(name, length, scope, _SEMANTICS[semantic])


@dataclass(frozen=True, slots=True)
class MappedField:
    """One field of a mapped class.

    name: the attribute. meaning: its element. python: the class of a value, or of an item of a list; None where that
    is several or nothing in particular. item: the element of a basicList's items. is_tuple: lists are tuples.
    classes: mapped classes of a list's records. argument: what it is called when an instance is made. has_default:
    whether one can be made without it.
    """

    name: str
    meaning: Meaning
    python: type | None
    is_optional: bool
    semantic: int = 255
    item: Field | None = None
    is_tuple: bool = False
    classes: tuple[MappedClass, ...] = ()
    argument: str = ""
    has_default: bool = False

    @property
    def field(self) -> Field:
        """As a field of the Template."""
        return field_meant(self.meaning)


@dataclass(frozen=True, slots=True)
class MappedClass:
    """A class and the Template that it is. template: its fields are those of the class, scope first; it has no id."""

    cls: type
    fields: tuple[MappedField, ...]
    template: Template

    def values(self, records: Sequence[Any]) -> list[list[Any]]:
        """One list for each field, lists in it as objects of wire.lists."""
        out = []
        for field in self.fields:
            column = list(map(attrgetter(field.name), records))
            out.append(_lists(field, column) if field.meaning.type.is_list else column)
        return out


def map_class(cls: Any, registry: Registry | None = None) -> MappedClass:
    """How a class is mapped. Raises UnknownElement, EncodeError, both with the field's name."""
    if not isinstance(cls, type):
        raise EncodeError(f"a class is mapped, and {cls!r} is none")
    try:
        return _mapped(cls, registries.IANA if registry is None else registry)
    except RecursionError:
        raise EncodeError(f"{cls.__name__} has lists of itself, so its Template would have no end") from None


def fill(batch: Batch, cls: type[Record], *, registry: Registry | None = None) -> Iterator[Record]:
    """An instance of the class for each record; columns that it has no field for are passed over.

    A value is what the field's annotation says: text, int, bytes or an ipaddress object for an address; datetime (its
    zone is UTC, whatever it was written from), text or int for a time; an Enum. Where the batch has no column for a
    field, its default is taken, or None if it may be.
    Raises EncodeError if it has neither, or for a null where None is not allowed.
    """
    return mapping_fill.instances(batch, map_class(cls, registry))


def given(records: Sequence[Any], registry: Registry) -> list[Given]:
    """Instances of one mapped class as columns."""
    mapped = map_class(records[0].__class__, registry)
    for row, record in enumerate(records):
        if record.__class__ is not mapped.cls:
            detail = f"row {row} is {record.__class__.__name__}, the ones before are {mapped.cls.__name__}"
            raise EncodeError(detail, row=row)
    columns = mapped.values(records)
    return [Given(field.name, field.meaning, column) for field, column in zip(mapped.fields, columns, strict=True)]


# ---------------------------------------------------------------- classes


@lru_cache(maxsize=1024)
def _mapped(cls: Any, registry: Registry) -> MappedClass:
    if not is_mappable(cls):
        raise EncodeError(f"no records can be made of {cls.__name__}: it is no dataclass, attrs class, Struct or dict")
    parameters = signature(cls).parameters
    try:
        hints = typing.get_type_hints(cls, include_extras=True)
    except NameError as missing:
        detail = f"{cls.__name__}: {missing}; annotations must be names that the module of the class knows"
        raise EncodeError(detail) from None
    mapped = []
    for name, argument in _arguments(cls).items():
        has_default = parameters[argument].default is not Parameter.empty
        try:
            mapped.append(
                replace(_mapped_field(name, hints[name], registry), argument=argument, has_default=has_default)
            )
        except UnknownElement as unknown:
            unknown.add_note(f"in field {name!r} of {cls.__name__}; ie(…) says which element it is")
            raise
        except EncodeError as wrong:
            raise EncodeError(f"{cls.__name__}.{name}: {wrong}", column=name) from None
    ordered = sorted(mapped, key=lambda field: not field.meaning.is_scope)
    scope = sum([field.meaning.is_scope for field in mapped])
    return MappedClass(cls, tuple(ordered), Template(0, tuple([field.field for field in ordered]), scope))


def is_mappable(cls: Any) -> bool:
    """Whether it is a class that can be mapped."""
    if not isinstance(cls, type):
        return False
    is_named_tuple = issubclass(cls, tuple) and hasattr(cls, "_fields")
    return is_dataclass(cls) or is_named_tuple or hasattr(cls, "__attrs_attrs__") or hasattr(cls, "__struct_fields__")


def _arguments(cls: Any) -> dict[str, str]:
    """Name of each field → what it is called when an instance is made."""
    if is_dataclass(cls):
        return {f.name: f.name for f in fields(cls) if f.init}
    if hasattr(cls, "__attrs_attrs__"):
        return {a.name: a.alias for a in cls.__attrs_attrs__ if a.init}
    names: tuple[str, ...] = cls.__struct_fields__ if hasattr(cls, "__struct_fields__") else cls._fields
    return {name: name for name in names}


def _mapped_field(name: str, hint: Any, registry: Registry) -> MappedField:
    hint, mark, is_optional = _stripped(hint)
    inner = _item_hint(hint)
    if inner is None:
        meant = _meaning(name, mark, None, registry)
        if meant.type.is_list:
            raise EncodeError(f"{meant.element.name} is a {meant.type}, so annotate a list of its items")
        return MappedField(name, meant, _class_of(hint), is_optional)
    item, item_mark, _ = _stripped(inner)
    classes = tuple([_mapped(one, registry) for one in (get_args(item) or (item,)) if is_mappable(one)])
    semantic = 255 if mark is None else mark.semantic
    is_tuple = get_origin(hint) is tuple
    if classes:
        type = DataType.SUB_TEMPLATE_LIST if len(classes) == 1 else DataType.SUB_TEMPLATE_MULTI_LIST
        if len({one.template for one in classes}) < len(classes):
            raise EncodeError("several of the classes have the same Template")
        meant = _meaning(name, mark, type, registry)
        return MappedField(name, meant, None, is_optional, semantic, is_tuple=is_tuple, classes=classes)
    if item_mark is None or item_mark.name is None:
        raise EncodeError('nothing says which element the items are: list[Annotated[int, ie("…")]] does')
    meant = _meaning(name, mark, DataType.BASIC_LIST, registry)
    of = field_meant(_marked(meaning(item_mark.name, registry), item_mark))
    return MappedField(name, meant, _class_of(item), is_optional, semantic, of, is_tuple)


def _meaning(name: str, mark: Mark | None, type: DataType | None, registry: Registry) -> Meaning:
    """The element of a field. type: of a list, for which there is an element if nothing names another."""
    if mark is not None and mark.name is not None:
        meant = meaning(mark.name, registry)
    elif type is None:
        element = element_named(name, registry)
        meant = Meaning(element, element.type)
    else:
        element = _own_list(name, type, registry)
        meant = Meaning(element, element.type)
    if type is not None and meant.type is not type:
        raise EncodeError(f"{meant.element.name} is {meant.type}, but the annotation makes it a {type}")
    return meant if mark is None else _marked(meant, mark)


def _own_list(name: str, type: DataType, registry: Registry) -> InformationElement:
    """The element of the field's name if it is such a list, or else the one that is as general as its type."""
    try:
        found = element_named(name, registry)
    except UnknownElement:
        return registry.named(type.label)
    return found if found.type is type else registry.named(type.label)


def _marked(meant: Meaning, mark: Mark) -> Meaning:
    length = meant.length if mark.length is None else mark.length
    if length is not None and not meant.element.type.accepts(length):
        raise EncodeError(f"{meant.element.type} cannot be sent in {length} octets")
    return Meaning(meant.element, meant.type, length, meant.is_scope or mark.is_scope, meant.content)


def _stripped(hint: Any) -> tuple[Any, Mark | None, bool]:
    """(what is left without Annotated and None, the mark, whether it may be None)."""
    mark, is_optional = None, False
    while True:
        if get_origin(hint) is Annotated:
            hint, *extras = get_args(hint)
            mark = next((extra for extra in extras if isinstance(extra, Mark)), mark)
        elif get_origin(hint) in (Union, UnionType) and NoneType in get_args(hint):
            is_optional = True
            hint = Union[tuple([one for one in get_args(hint) if one is not NoneType])]  # noqa: UP007  # made, not written
        else:
            return hint, mark, is_optional


def _item_hint(hint: Any) -> Any:
    """What a list is of; None if the hint is no list."""
    return get_args(hint)[0] if get_origin(hint) in _SEQUENCES else None


def _class_of(hint: Any) -> type | None:
    return hint if isinstance(hint, type) else None


# ---------------------------------------------------------------- lists of instances


def _lists(field: MappedField, values: Sequence[Any]) -> list[Any]:
    out = []
    for row, value in enumerate(values):
        try:
            out.append(_list(field, value))
        except (EncodeError, TypeError) as wrong:
            raise EncodeError(f"column {field.name!r}, row {row}: {wrong}", column=field.name, row=row) from None
    return out


def _list(field: MappedField, value: Any) -> Any:
    """A list of values or instances as an object of wire.lists."""
    if value is None:
        return None
    if field.item is not None:
        return BasicList(field.semantic, field.item, tuple(value))
    if len(field.classes) == 1:
        (mapped,) = field.classes
        return SubTemplateList(field.semantic, 0, mapped.template, _tuples(mapped, value))
    by_class = {mapped.cls: (number, mapped) for number, mapped in enumerate(field.classes)}
    groups: list[tuple[int, Template, tuple[tuple[Any, ...], ...]]] = []
    run: list[Any] = []
    for record in value:
        if run and record.__class__ is not run[0].__class__:
            groups.append(_run(by_class, run))
            run = []
        run.append(record)
    if run:
        groups.append(_run(by_class, run))
    return SubTemplateMultiList(field.semantic, tuple(groups))


def _run(
    by_class: dict[type, tuple[int, MappedClass]], run: list[Any]
) -> tuple[int, Template, tuple[tuple[Any, ...], ...]]:
    """One group of a multi list: instances of one class that follow each other."""
    found = by_class.get(run[0].__class__)
    if found is None:
        raise EncodeError(f"{run[0]!r} is of none of the classes {', '.join(cls.__name__ for cls in by_class)}")
    number, mapped = found
    return _FIRST_ID + number, mapped.template, _tuples(mapped, run)


def _tuples(mapped: MappedClass, records: Sequence[Any]) -> tuple[tuple[Any, ...], ...]:
    for record in records:
        if record.__class__ is not mapped.cls:
            raise EncodeError(f"{record!r} is no {mapped.cls.__name__}")
    return tuple(zip(*mapped.values(records), strict=True)) if records else ()
