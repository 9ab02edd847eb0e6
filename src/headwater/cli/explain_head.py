"""What is told of a message before its parts: which it is, who sent it and when."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from headwater.cli.located import Found, domain_of, number_in
from headwater.cli.screen import safe
from headwater.model.text import to_text
from headwater.model.types import DataType
from headwater.wire.parts import count_octets

if TYPE_CHECKING:
    from collections.abc import Collection

_FEW = 5
"""Ids of Templates that are told in one line."""


def title(found: Found) -> str:
    """Which message it is."""
    what = f"Message {found.number}" if found.number else "Octets that are no message"
    return safe(f"{what} of {found.source}")


def subtitles(found: Found, later: Collection[int]) -> list[str]:
    """Lines below the title. later: ids of the Templates that come behind the message."""
    lines = [_facts(found)] if found.key is None else [_facts(found), _way(found)]
    if later:
        few = ", ".join(map(str, sorted(later)[:_FEW])) + (", …" if len(later) > _FEW else "")
        lines.append(f"taken apart with what comes only behind it: Template {few}")
    return lines


def _facts(found: Found) -> str:
    """What a message is and where."""
    words = [found.protocol] if found.protocol else []
    words.append(f"{count_octets(len(found.octets))} at {found.at}")
    dialect = found.dialect
    if dialect is not None and dialect.domain is not None:
        words.append(f"domain {domain_of(dialect, found.octets)}")
    if dialect is not None:
        words.append(f"exported {to_text(DataType.SECONDS, number_in(found.octets, dialect.export_time))}")
    return ", ".join(words)


def _way(found: Found) -> str:
    """Between whom a message of a capture was sent, and when it arrived."""
    key = found.key
    assert key is not None
    text = f"from {key} to {found.collector}"
    if found.received:
        text += f", arrived {to_text(DataType.MICROSECONDS, found.received // 1000)}"
    if found.pieces > 1:
        text += f", in {found.pieces} segments: offsets count on from the first of them"
    return text


def plain_head(found: Found, later: Collection[int]) -> dict[str, Any]:
    """The same for JSON."""
    out: dict[str, Any] = {"source": found.source, "number": found.number}
    if found.protocol:
        out["protocol"] = found.protocol
    if found.key is not None:
        out["exporter"], out["collector"] = str(found.key), str(found.collector)
    if found.received:
        out["arrived"] = to_text(DataType.MICROSECONDS, found.received // 1000)
    if later:
        out["later_templates"] = sorted(later)
    return out
