"""Parts of a Message: octets and what they are, as a tree whose leaves cover every octet once."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from headwater.errors import Fault, FaultKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from headwater.model.template import Field


class PartKind(StrEnum):
    """What a part of a Message is."""

    MESSAGE = "message"
    HEADER = "header"
    SET = "set"
    TEMPLATE = "template"
    RECORD = "record"
    SPECIFIER = "specifier"
    FIELD = "field"
    LIST = "list"
    NUMBER = "number"
    PADDING = "padding"
    UNREAD = "unread"


@dataclass(frozen=True, slots=True)
class Part:
    """Octets `at` (absolute) to `at + length` and what they are. `parts`, if any, cover them in order without gaps.

    text: the value in words; value: as Python value (see DataType). field: of a value or a field specifier.
    """

    kind: PartKind
    at: int
    length: int
    name: str
    text: str = ""
    value: Any = None
    field: Field | None = None
    faults: tuple[Fault, ...] = ()
    parts: tuple[Part, ...] = ()

    @property
    def end(self) -> int:
        """Offset of the octet after the last."""
        return self.at + self.length

    def walk(self) -> Iterator[Part]:
        """This part and all in it, in the order of the wire."""
        yield self
        for part in self.parts:
            yield from part.walk()

    def leaves(self) -> Iterator[Part]:
        """The parts that have no parts: they cover every octet once."""
        return (part for part in self.walk() if not part.parts)

    def with_fault(self, fault: Fault) -> Part:
        """The same with a fault at the leaf where its offset is, or here where there is none.

        One of the same kind and offset that is there gives way to it.
        """
        for i, part in enumerate(self.parts):
            if part.at <= fault.offset < part.end:
                return replace(self, parts=(*self.parts[:i], part.with_fault(fault), *self.parts[i + 1 :]))
        others = (other for other in self.faults if (other.kind, other.offset) != (fault.kind, fault.offset))
        return replace(self, faults=(*others, fault))


@dataclass(slots=True)
class PartMaker:
    """Makes parts of `octets`, which begin at the absolute offset `base`; its arguments are positions in `octets`.

    domain: for faults. left: how many more parts may be made before the caller should give up.
    """

    octets: bytes
    base: int
    left: int
    domain: int | None = None

    def part(
        self,
        kind: PartKind,
        start: int,
        end: int,
        name: str,
        text: str = "",
        *,
        value: Any = None,
        field: Field | None = None,
        faults: Iterable[Fault] = (),
        parts: Iterable[Part] = (),
    ) -> Part:
        """Any part."""
        self.left -= 1
        return Part(kind, self.base + start, end - start, name, text, value, field, tuple(faults), tuple(parts))

    def number(self, start: int, width: int, name: str, text: str = "", faults: Iterable[Fault] = ()) -> Part:
        """An unsigned integer of the protocol itself."""
        value = self.integer(start, width)
        return self.part(PartKind.NUMBER, start, start + width, name, text or str(value), value=value, faults=faults)

    def unread(self, start: int, end: int, name: str, faults: Iterable[Fault] = ()) -> list[Part]:
        """Octets that are not taken apart; nothing if there are none."""
        if start >= end:
            return []
        return [self.part(PartKind.UNREAD, start, end, name, count_octets(end - start), faults=faults)]

    def fault(self, kind: FaultKind, at: int, detail: str) -> Fault:
        """A fault at a position."""
        return Fault(kind, self.base + at, self.domain, detail)

    def integer(self, start: int, width: int) -> int:
        """The big-endian integer in `width` octets."""
        return int.from_bytes(self.octets[start : start + width], "big")


def padding(make: PartMaker, start: int, end: int, *, is_short: bool = False) -> Part:
    """What is left of a Set when a record does not fit any more (RFC 7011 §3.3.1)."""
    faults = []
    if is_short:
        faults.append(make.fault(FaultKind.SHORT_SET, start, "too short for a record of its Template"))
    if any(make.octets[start:end]):
        faults.append(make.fault(FaultKind.NONZERO_PADDING, start, "padding is not zero"))
    return make.part(PartKind.PADDING, start, end, "padding", count_octets(end - start), faults=faults)


def filling(make: PartMaker, start: int, end: int) -> Part:
    """Octets that mean nothing and may be anything: not every protocol says that they are zero."""
    text = f"{count_octets(end - start)}{', not zero' if any(make.octets[start:end]) else ''}"
    return make.part(PartKind.PADDING, start, end, "padding", text)


def count_octets(count: int) -> str:
    """`count` octets in words."""
    return counted(count, "octet")


def counted(count: int, noun: str) -> str:
    """A number of things in words."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
