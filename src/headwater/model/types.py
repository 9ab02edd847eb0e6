"""Abstract data types: ONE row per type, from which every layer takes its facts (RFC 7012 §3.1, RFC 7011 §6)."""

from __future__ import annotations

from enum import Enum
from typing import Any, Final, Self, TypeAlias

VARIABLE: Final = 65535
"""The field length that stands for "the record carries it" (RFC 7011 §7)."""


Value: TypeAlias = Any
"""The Python value of one cell: which type it has depends on the DataType, which says."""


class DataType(Enum):
    """One abstract data type.

    label: its name in the IANA registry; the value of the member.
    code: its number in RFC 5610 §3.1 and the IANA registry.
    width: native octets on the wire, 0 = variable.
    reducible: may be sent shorter than native (RFC 7011 §6.2).
    arrow: Arrow C data interface format of its column.
    numpy: dtype of its column; "" where a column is not one flat array (text, octets, lists).
    ticks: units per second of a time; 0 for everything else.

    The Python value of a single cell is: int for integers, float, bool, str for string, bytes for octetArray,
    macAddress (6) and ipv6Address (16), int for ipv4Address and unsigned256, and for a time the int since
    1970-01-01T00:00:00 in the type's own unit; None where the octets have no meaning.
    """

    # label, code, width, reducible, arrow, numpy, ticks
    OCTET_ARRAY = ("octetArray", 0, 0, False, "z", "", 0)
    UNSIGNED8 = ("unsigned8", 1, 1, False, "C", "u1", 0)
    UNSIGNED16 = ("unsigned16", 2, 2, True, "S", "u2", 0)
    UNSIGNED32 = ("unsigned32", 3, 4, True, "I", "u4", 0)
    UNSIGNED64 = ("unsigned64", 4, 8, True, "L", "u8", 0)
    SIGNED8 = ("signed8", 5, 1, False, "c", "i1", 0)
    SIGNED16 = ("signed16", 6, 2, True, "s", "i2", 0)
    SIGNED32 = ("signed32", 7, 4, True, "i", "i4", 0)
    SIGNED64 = ("signed64", 8, 8, True, "l", "i8", 0)
    FLOAT32 = ("float32", 9, 4, False, "f", "f4", 0)
    FLOAT64 = ("float64", 10, 8, True, "g", "f8", 0)
    BOOLEAN = ("boolean", 11, 1, False, "b", "?", 0)
    MAC_ADDRESS = ("macAddress", 12, 6, False, "w:6", "V6", 0)
    STRING = ("string", 13, 0, False, "u", "", 0)
    SECONDS = ("dateTimeSeconds", 14, 4, False, "tss:", "M8[s]", 1)
    MILLISECONDS = ("dateTimeMilliseconds", 15, 8, False, "tsm:", "M8[ms]", 1_000)
    MICROSECONDS = ("dateTimeMicroseconds", 16, 8, False, "tsu:", "M8[us]", 1_000_000)
    NANOSECONDS = ("dateTimeNanoseconds", 17, 8, False, "tsn:", "M8[ns]", 1_000_000_000)
    IPV4 = ("ipv4Address", 18, 4, False, "I", "u4", 0)
    IPV6 = ("ipv6Address", 19, 16, False, "w:16", "V16", 0)
    BASIC_LIST = ("basicList", 20, 0, False, "+l", "", 0)
    SUB_TEMPLATE_LIST = ("subTemplateList", 21, 0, False, "+l", "", 0)
    SUB_TEMPLATE_MULTI_LIST = ("subTemplateMultiList", 22, 0, False, "+s", "", 0)
    # RFC 9740; big-endian octets in a column, because no Arrow integer or decimal holds 2^256-1
    UNSIGNED256 = ("unsigned256", 23, 32, True, "w:32", "V32", 0)

    label: str
    code: int
    width: int
    reducible: bool
    arrow: str
    numpy: str
    ticks: int
    is_list: bool
    is_unsigned: bool
    is_signed: bool
    is_float: bool
    is_time: bool
    is_address: bool

    def __new__(cls, label: str, code: int, width: int, reducible: bool, arrow: str, numpy: str, ticks: int) -> Self:
        member = object.__new__(cls)
        member._value_ = label
        member.label, member.code, member.width, member.reducible = (label, code, width, reducible)
        member.arrow, member.numpy, member.ticks = arrow, numpy, ticks
        member.is_list = label.endswith("List")
        member.is_unsigned = label.startswith("unsigned")
        member.is_signed = label.startswith("signed")
        member.is_float = label.startswith("float")
        member.is_time = ticks > 0
        member.is_address = label in ("ipv4Address", "ipv6Address", "macAddress")
        return member

    __hash__ = object.__hash__  # members are singletons; Enum's own hash is a Python call per dict lookup

    def __repr__(self) -> str:
        return f"DataType.{self.name}"

    def __str__(self) -> str:
        return self.label

    @property
    def is_integer(self) -> bool:
        """Any signed or unsigned integer."""
        return self.is_unsigned or self.is_signed

    @property
    def is_numeric(self) -> bool:
        """An integer or a float."""
        return self.is_integer or self.is_float

    @property
    def default_length(self) -> int:
        """The field length used when nobody says otherwise: the native width, or VARIABLE."""
        return self.width or VARIABLE

    @classmethod
    def from_label(cls, label: str) -> DataType:
        """The type of that registry name; OCTET_ARRAY for a name nobody knows."""
        return _BY_LABEL.get(label, cls.OCTET_ARRAY)

    @classmethod
    def from_code(cls, code: int) -> DataType:
        """The type of that RFC 5610 number; OCTET_ARRAY for a number nobody knows (RFC 5610 §3.1)."""
        return _BY_CODE.get(code, cls.OCTET_ARRAY)

    def accepts(self, length: int) -> bool:
        """Whether a field of this type may have this length: native, reduced or variable (RFC 7011 §6.2, §7)."""
        if self.width == 0:
            return 0 <= length <= VARIABLE
        if length == self.width:
            return True
        if self is DataType.FLOAT64:
            return length == 4
        return self.reducible and 0 < length < self.width


_BY_LABEL: Final = {t.label: t for t in DataType}
_BY_CODE: Final = {t.code: t for t in DataType}
