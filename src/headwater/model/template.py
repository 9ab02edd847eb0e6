"""Field and Template: the layout of a record. Two templates are equal if they mean the same on the wire."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from headwater.errors import DecodeError
from headwater.model import registry as registries
from headwater.model.element import InformationElement, unknown_name
from headwater.model.iespec import IESpec, parse_iespec, parse_iespecs
from headwater.model.types import VARIABLE as VARIABLE
from headwater.model.types import DataType

if TYPE_CHECKING:
    from headwater.model.registry import Registry


@dataclass(frozen=True, slots=True, eq=False, init=False)
class Field:
    """One field specifier (RFC 7011 §3.2): an element in `length` octets, VARIABLE = the record says how many.

    Equal to another with the same pen, id and length, whatever the registries call the element.
    """

    element: InformationElement
    length: int

    def __init__(self, element: InformationElement, length: int) -> None:
        _set_element(self, element)
        _set_length(self, length)

    @property
    def wire(self) -> int:
        """pen, id and length in one integer: what equality compares."""
        return self.element.pen << 32 | self.element.id << 16 | self.length

    def __eq__(self, other: object) -> bool:
        return self.wire == other.wire if isinstance(other, Field) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.wire)

    def __str__(self) -> str:
        return str(IESpec(self.element, self.length))

    @property
    def name(self) -> str:
        """The element's name."""
        return self.element.name

    @property
    def type(self) -> DataType:
        """The element's abstract data type."""
        return self.element.type

    @property
    def is_variable(self) -> bool:
        """Whether each record carries the length of this field (RFC 7011 §7)."""
        return self.length == VARIABLE

    @property
    def is_legal(self) -> bool:
        """Whether the type may be sent in this length; if not, the value is raw octets (RFC 7011 §6.2)."""
        return self.element.type.accepts(self.length)


# half the time of the __init__ that a frozen dataclass writes; a template may have 16,370 fields
_set_element = vars(Field)["element"].__set__
_set_length = vars(Field)["length"].__set__


@dataclass(frozen=True, slots=True, eq=False)
class Template:
    """What the records of Data Sets `id` consist of; the first `scope_count` fields are scope (RFC 7011 §3.4).

    Equality and hash look at the fields' wire meaning and at scope_count, not at the id.
    No fields = a withdrawal (§8.1).
    """

    id: int
    fields: tuple[Field, ...]
    scope_count: int = 0
    _wire: tuple[int, ...] = field(init=False, repr=False)
    _hash: int = field(init=False, repr=False)
    _names: tuple[str, ...] = field(init=False, repr=False, default=())

    def __post_init__(self) -> None:
        wire = [f.element.pen << 32 | f.element.id << 16 | f.length for f in self.fields]
        object.__setattr__(self, "_wire", (self.scope_count, *wire))
        object.__setattr__(self, "_hash", hash(self._wire))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Template):
            return NotImplemented
        return self is other or (self._hash == other._hash and self._wire == other._wire)

    def __hash__(self) -> int:
        return self._hash

    def __str__(self) -> str:
        """One IESpec per line; `parse_template` reads it back."""
        scope = ("scope",)
        return "\n".join(
            str(IESpec(f.element, f.length, scope if i < self.scope_count else ())) for i, f in enumerate(self.fields)
        )

    @classmethod
    def of(
        cls,
        id: int,
        *specs: str | Field | IESpec | InformationElement,
        scope: int = 0,
        registry: Registry | None = None,
    ) -> Template:
        """A template from IESpecs, for example `Template.of(256, "sourceIPv4Address", "octetDeltaCount[4]")`.

        scope: how many of the first fields are scope; fields marked {scope} need no count.
        registry: where names come from, the shipped one by default.
        Raises UnknownElement for a name that does not exist, DecodeError for any other mistake in a spec.
        """
        known = registries.IANA if registry is None else registry
        parsed = [parse_iespec(spec, known) if isinstance(spec, str) else spec for spec in specs]
        marked = [isinstance(spec, IESpec) and "scope" in spec.context for spec in parsed]
        if marked != sorted(marked, reverse=True) or (scope and sum(marked) not in (0, scope)):
            raise DecodeError("scope fields come first in a template (RFC 7011 §3.4.2)", section="RFC 7011 §3.4.2")
        if not 0 <= scope <= len(parsed):
            raise DecodeError(f"{scope} scope fields in a template of {len(parsed)}", section="RFC 7011 §3.4.2")
        return cls(id, tuple(map(_field, parsed)), scope or sum(marked))

    @property
    def column_names(self) -> tuple[str, ...]:
        """A different name for each field, in order.

        The element's name; `name#2`, `name#3` where the element comes again; `_<pen>_<id>` where another
        element of the template has the name already.
        """
        if not self._names and self.fields:
            object.__setattr__(self, "_names", _column_names(self.fields, self._wire[1:]))
        return self._names

    @property
    def min_length(self) -> int:
        """Octets of the shortest record: variable fields count 1. The length of every record if none is variable."""
        return sum([1 if f.length == VARIABLE else f.length for f in self.fields])

    @property
    def has_variable(self) -> bool:
        """Whether records differ in length."""
        return any(f.length == VARIABLE for f in self.fields)

    @property
    def has_lists(self) -> bool:
        """Whether a field is structured data (RFC 6313)."""
        return any(f.element.type.is_list for f in self.fields)


def parse_template(text: str, id: int = 256, registry: Registry | None = None) -> Template:
    """The template written as one IESpec per line, {scope} ones first (RFC 7013 §10.2); `#` lines are comments."""
    known = registries.IANA if registry is None else registry
    return Template.of(id, *parse_iespecs(text, known), registry=known)


def _field(spec: str | Field | IESpec | InformationElement) -> Field:
    if isinstance(spec, Field):
        return spec
    if isinstance(spec, InformationElement):
        return Field(spec, spec.type.default_length)
    assert isinstance(spec, IESpec)
    return Field(spec.element, spec.length)


def _column_names(fields: tuple[Field, ...], wires: tuple[int, ...]) -> tuple[str, ...]:
    """See Template.column_names; linear in the number of fields. wires: `Field.wire` of each."""
    names = [f.element.name for f in fields]
    if len(set(names)) == len(names):
        return tuple(names)
    owners: dict[str, int] = {}
    given: dict[int, str] = {}
    counts: dict[int, int] = {}
    for index, wire in enumerate(wires):
        key = wire >> 16  # pen and id without the length
        if key in given:
            counts[key] = count = counts[key] + 1
            names[index] = f"{given[key]}#{count}"
            continue
        name = names[index]
        if owners.setdefault(name, key) != key:
            name = unknown_name(*fields[index].element.key)
            while owners.setdefault(name, key) != key:  # only elements made by hand can have such a name
                name = f"_{name}"
        names[index] = given[key] = name
        counts[key] = 1
    return tuple(names)
