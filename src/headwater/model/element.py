"""InformationElement and its vocabularies: semantics, units, names, reverse elements (RFC 7012 §2.1, RFC 5103 §6)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from headwater.errors import EncodeError
from headwater.model.types import DataType

REVERSE_PEN: Final = 29305
"""The Private Enterprise Number under which every reversible IANA element has its reverse (RFC 5103 §6.1)."""
CERT_PEN: Final = 6871
CERT_REVERSE: Final = 0x4000
"""CERT marks the reverse of its own elements with this bit of the id."""

NETFLOW_PEN: Final = 1 << 32
"""Stands for the name space of what only NetFlow has: the types of NetFlow v9 above 32767, which are vendors' and no
enterprise numbers (RFC 3954 §8), and fields of NetFlow v7 and v8. It has more bits than a Private Enterprise Number."""
NETFLOW_SCOPE_PEN: Final = NETFLOW_PEN + 1
"""Stands for the name space of the scope types of NetFlow v9 (RFC 3954 §6.1)."""

NOT_REVERSIBLE: Final = (
    frozenset((137, 145, 148, 149))  # identifiers that belong to the export, not to one direction (RFC 5102 §5.1)
    | {130, 131, 173, *range(211, 218)}  # process configuration (§5.2)
    | {40, 41, 42, *range(163, 169)}  # process statistics (§5.3)
    | {210, 239}  # paddingOctets, biflowDirection
)
"""IANA elements that have no reverse (RFC 5103 §6.1)."""

NAME_LIMIT: Final = 1024
"""Characters kept of an element's name."""


class Semantics(IntEnum):
    """Data type semantics (RFC 5610 §3.6 and the IANA registry). A number not listed here is kept as it is."""

    DEFAULT = 0
    QUANTITY = 1
    TOTAL_COUNTER = 2
    DELTA_COUNTER = 3
    IDENTIFIER = 4
    FLAGS = 5
    LIST = 6
    SNMP_COUNTER = 7
    SNMP_GAUGE = 8


class Units(IntEnum):
    """Units (RFC 5610 §3.7 and the IANA registry). A number not listed here is kept as it is."""

    NONE = 0
    BITS = 1
    OCTETS = 2
    PACKETS = 3
    FLOWS = 4
    SECONDS = 5
    MILLISECONDS = 6
    MICROSECONDS = 7
    NANOSECONDS = 8
    FOUR_OCTET_WORDS = 9
    MESSAGES = 10
    HOPS = 11
    ENTRIES = 12
    FRAMES = 13
    PORTS = 14
    INFERRED = 15


SEMANTICS_NAMES: Final = {
    Semantics.DEFAULT: "default",
    Semantics.QUANTITY: "quantity",
    Semantics.TOTAL_COUNTER: "totalCounter",
    Semantics.DELTA_COUNTER: "deltaCounter",
    Semantics.IDENTIFIER: "identifier",
    Semantics.FLAGS: "flags",
    Semantics.LIST: "list",
    Semantics.SNMP_COUNTER: "snmpCounter",
    Semantics.SNMP_GAUGE: "snmpGauge",
}
"""Semantics → its spelling in the IANA registry."""

UNITS_NAMES: Final = {u: u.name.lower() for u in Units} | {Units.FOUR_OCTET_WORDS: "4-octet words"}
"""Units → its spelling in the IANA registry."""

_UNSAFE: Final = re.compile(r"[^A-Za-z0-9_]+")
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_UNKNOWN: Final = re.compile(r"_([0-9]{1,10}|v9|v9scope)_([0-9]{1,5})")
_SPACES: Final = {NETFLOW_PEN: "v9", NETFLOW_SCOPE_PEN: "v9scope"}
_PENS: Final = {space: pen for pen, space in _SPACES.items()}


def unknown_name(pen: int, id: int) -> str:
    """The stable name of an element nobody has described."""
    return f"_{_SPACES.get(pen, pen)}_{id}"


def unknown_key(name: str) -> tuple[int, int] | None:
    """(pen, id) of a name made by `unknown_name`, else None."""
    found = _UNKNOWN.fullmatch(name)
    if found is None:
        return None
    pen, id = pen_of(found[1]), int(found[2])
    is_number = pen <= 0xFFFFFFFF or not found[1].isdigit()
    return (pen, id) if is_number and id <= 0xFFFF and unknown_name(pen, id) == name else None


def is_name(text: str) -> bool:
    """Whether the text can be an element's name as it stands: an ASCII identifier, so fit for columns and IESpecs."""
    return _NAME.fullmatch(text) is not None


def clean_name(text: str) -> str:
    """The nearest usable element name, "" if nothing of the text can be used.

    Runs of other characters become one underscore; leading underscores go, because `_<pen>_<id>` is ours;
    a leading digit gets `ie_` in front; at most NAME_LIMIT characters are kept.
    """
    name = _UNSAFE.sub("_", text[: 4 * NAME_LIMIT].strip()).strip("_")
    if name[:1].isdigit():
        name = f"ie_{name}"
    return name[:NAME_LIMIT]


@dataclass(frozen=True, slots=True)
class InformationElement:
    """What one kind of value is called and how it is read (RFC 7012 §2.1). Its identity is (pen, id).

    pen: Private Enterprise Number, 0 = IANA.  id: without the Enterprise bit (bit 15).
    semantics, units: numbers of the IANA registries, see Semantics and Units.
    range: inclusive bounds of a value, or None.
    """

    pen: int
    id: int
    name: str
    type: DataType
    semantics: int = 0
    units: int = 0
    range: tuple[int, int] | None = None
    status: str = "current"

    def __hash__(self) -> int:
        return hash((self.pen, self.id))

    @property
    def key(self) -> tuple[int, int]:
        """(pen, id)."""
        return (self.pen, self.id)

    @property
    def number(self) -> str:
        """`id` of IANA's, `pen/id` of an enterprise's, `v9/id` and `v9scope/id` of NetFlow's."""
        return f"{_SPACES.get(self.pen, self.pen)}/{self.id}" if self.pen else str(self.id)

    @property
    def is_known(self) -> bool:
        """False for the placeholder of an element that nobody has described."""
        return self.type is not DataType.OCTET_ARRAY or self.name != unknown_name(self.pen, self.id)

    @property
    def semantics_name(self) -> str:
        """The registry's word for the semantics; the number as text if it has none."""
        return _word(SEMANTICS_NAMES, self.semantics)

    @property
    def units_name(self) -> str:
        """The registry's word for the units; the number as text if it has none."""
        return _word(UNITS_NAMES, self.units)

    @property
    def forward_key(self) -> tuple[int, int] | None:
        """(pen, id) of the element this one is the reverse of, or None for a forward element."""
        if self.pen == REVERSE_PEN:
            return (0, self.id)
        if self.pen == CERT_PEN and self.id & CERT_REVERSE:
            return (CERT_PEN, self.id ^ CERT_REVERSE)
        return None

    @property
    def is_reversible(self) -> bool:
        """Whether `reverse()` gives an element: known IANA and CERT elements, except those RFC 5103 §6.1 names."""
        if self.pen == 0:
            return self.is_known and 0 < self.id < 0x8000 and self.id not in NOT_REVERSIBLE
        return self.pen == CERT_PEN and self.is_known and self.id < CERT_REVERSE and not self.name.startswith("reverse")

    def reverse(self) -> InformationElement:
        """The same measure of the reverse direction of a biflow (RFC 5103 §6.1).

        Raises EncodeError if there is none: the element describes the export itself, is already a reverse
        element, or belongs to an enterprise (the RFC reverses IANA elements only; CERT has a rule of its own).
        """
        if not self.is_reversible:
            raise EncodeError(f"{self.name} has no reverse element (RFC 5103 §6.1)", column=self.name)
        pen, id = (REVERSE_PEN, self.id) if self.pen == 0 else (CERT_PEN, self.id | CERT_REVERSE)
        name = f"reverse{self.name[0].upper()}{self.name[1:]}"
        return InformationElement(pen, id, name, self.type, self.semantics, self.units, self.range, self.status)


NETFLOW_PADDING: Final = InformationElement(NETFLOW_PEN, 0, "netflowPadding", DataType.OCTET_ARRAY)
"""Octets without a meaning in the fixed records of NetFlow v1 to v8; they are no column."""


def pen_of(text: str | None) -> int:
    """The number that stands before the slash of `InformationElement.number`; None is IANA."""
    return 0 if text is None else _PENS[text] if text in _PENS else int(text)


def unknown_element(pen: int, id: int) -> InformationElement:
    """The placeholder of an element nobody has described: raw octets under a stable name."""
    return InformationElement(pen, id, unknown_name(pen, id), DataType.OCTET_ARRAY)


def _word(names: dict[Semantics, str] | dict[Units, str], number: int) -> str:
    return names.get(number, str(number))  # type: ignore[call-overload, no-any-return]  # an IntEnum key equals its int
