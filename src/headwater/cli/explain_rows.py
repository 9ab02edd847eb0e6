"""A dissected Message as rows: what its text and its picture have in common."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from headwater.wire.parts import Part, PartKind, count_octets, counted

if TYPE_CHECKING:
    from collections.abc import Iterator

RECORDS = 10
"""Records of a Set that are shown unless all are asked for; those with faults always are."""
OCTETS = 64
"""Octets of one value that are shown unless all are asked for."""


class RowKind(Enum):
    """Heading: of what follows, indented more. Octets: a leaf. Note: what is left out."""

    HEADING = 1
    OCTETS = 2
    NOTE = 3


@dataclass(frozen=True, slots=True)
class Row:
    """One row. part: what it is about. octets: those shown. text: of a note."""

    kind: RowKind
    depth: int
    part: Part
    octets: bytes = b""
    text: str = ""


def rows(message: Part, octets: bytes, *, is_all: bool) -> Iterator[Row]:
    """Rows of a Message, whose octets are given too, in the order of the wire."""
    if not message.parts:
        yield Row(RowKind.OCTETS, 0, message, octets)
    for part in message.parts:
        yield from _rows(part, octets, message.at, 0, is_all=is_all)


def _rows(part: Part, octets: bytes, base: int, depth: int, *, is_all: bool) -> Iterator[Row]:
    if not part.parts:
        shown = octets[part.at - base : part.end - base]
        if is_all or len(shown) <= OCTETS:
            yield Row(RowKind.OCTETS, depth, part, shown)
            return
        yield Row(RowKind.OCTETS, depth, part, shown[:OCTETS])
        yield Row(RowKind.NOTE, depth, part, text=f"{count_octets(len(shown) - OCTETS)} more")
        return
    if part.kind is not PartKind.FIELD:  # a value with its length prefix needs no heading
        yield Row(RowKind.HEADING, depth, part)
        depth += 1
    ordinal = 0
    hidden: list[Part] = []
    for inner in part.parts:
        ordinal += inner.kind is PartKind.RECORD
        if inner.kind is PartKind.RECORD and not is_all and ordinal > RECORDS and not _has_faults(inner):
            hidden.append(inner)
            continue
        yield from _note(hidden, depth)
        hidden.clear()
        yield from _rows(inner, octets, base, depth, is_all=is_all)
    yield from _note(hidden, depth)


def _note(hidden: list[Part], depth: int) -> Iterator[Row]:
    if hidden:
        size = hidden[-1].end - hidden[0].at
        yield Row(RowKind.NOTE, depth, hidden[0], text=f"{counted(len(hidden), 'record')} more in {count_octets(size)}")


def _has_faults(part: Part) -> bool:
    return any(inner.faults for inner in part.walk())
