"""What the truth says of a capture, and a record of ours in the words of the truth."""

from __future__ import annotations

import ipaddress
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from headwater.model.element import NETFLOW_PEN, NETFLOW_SCOPE_PEN, REVERSE_PEN, InformationElement
from headwater.model.template import Field, Template
from headwater.model.types import DataType
from headwater.wire.records import Cell
from tests.corpus.captures import other_value
from tests.oracle import Record, cell_of, comparable, is_column

LEGACY_KEYS = {1: "flags1", 2: "flags2", 4: "routerSc"}
"""Fields of NetFlow v7 that have no IANA element, by the number of ours."""
SCOPES = {1: "System", 2: "Interface", 3: "LineCard", 4: "Cache", 5: "Template"}
"""Scope types of NetFlow v9 (RFC 3954 §6.1)."""
_EPOCH_1900 = 2_208_988_800

Expected = dict[str, Any]
"""One record of the truth: facts under names with an underscore, and values under the keys of their fields."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One value, or what fields or records there are, where we and the truth differ. index: of the record in a frame.

    octets: of the field in hexadecimal, as far as they are known.
    """

    frame: int
    index: int
    key: str
    expected: Any
    found: Any
    octets: str = ""

    def __str__(self) -> str:
        where = f"frame {self.frame}, record {self.index}, {self.key}"
        shown = f" (octets {self.octets})" if self.octets else ""
        return f"{where}: the truth has {self.expected!r}, we have {self.found!r}{shown}"


def truth(corpus: Path, name: str) -> dict[int, list[Expected]]:
    """Expected records by frame; those of sFlow are not records yet."""
    out: dict[int, list[Expected]] = {}
    for line in (corpus / "data" / f"{name}.expected.jsonl").read_text().splitlines():
        record = json.loads(line)
        if "_set" in record:
            out.setdefault(record["_frame"], []).append(record)
    return out


def values_of(expected: Expected) -> dict[str, Any]:
    """Values of a record of the truth by key."""
    return {key: value for key, value in expected.items() if not key.startswith("_")}


def set_id(expected: Expected) -> int:
    """The Template of a record of the truth; that of v1, v5 and v7 is fixed and known by the version."""
    id = expected["_set"]
    return id if isinstance(id, int) else int(id.removeprefix("v"))


def keys_of(fields: Iterable[Field]) -> list[str]:
    """The truth's keys of fields; repeats are numbered."""
    seen: Counter[str] = Counter()
    out = []
    for key in (_key(field.element) for field in fields):
        seen[key] += 1
        out.append(key if seen[key] == 1 else f"{key}#{seen[key]}")
    return out


def compare(record: Record, expected: Expected, name: str, index: int = 0) -> list[Difference]:
    """Where a record of the scalar oracle is not what is expected: Template, fields, their order, scope, values."""
    frame = expected["_frame"]
    out = compare_template(record.template, expected, index)
    if out:
        return out
    for (key, theirs), cell in zip(values_of(expected).items(), record.cells, strict=True):
        value = other_value(name, frame, key, theirs)
        octets = _octets(record, cell)
        found = f"hex:{octets}" if _is_raw(value, cell.field) else _as_value(cell.field, cell.value, octets)
        if (found, type(found)) != (value, type(value)):
            out.append(Difference(frame, index, key, value, found, octets))
    return out


def compare_template(template: Template, expected: Expected, index: int) -> list[Difference]:
    """Where the Template of a record is not what is expected."""
    frame = expected["_frame"]
    keys = keys_of(filter(is_column, template.fields))
    theirs = [_disguised(key, keys) for key in values_of(expected)]
    pairs = [
        ("(template)", set_id(expected), template.id),
        ("(fields)", theirs, keys),
        ("(scope)", expected.get("_scope", []), keys[: template.scope_count]),
    ]
    return [Difference(frame, index, key, theirs, ours) for key, theirs, ours in pairs if theirs != ours]


class Read(NamedTuple):
    """One record out of columns. values: addresses as text, times as int; lists full, and raw inside."""

    template: Template
    fields: tuple[Field, ...]
    values: tuple[Any, ...]
    export_time: int


def compare_row(row: Read, expected: Expected, plain: Sequence[Any], name: str, index: int) -> list[Difference]:
    """Where the cells of a row are not what is expected.

    plain: what the scalar oracle has. Where the truth knows octets only and we know more, these have been compared
    with the oracle's, and the row is compared with the oracle.
    """
    out = []
    frame = expected["_frame"]
    cells = zip(values_of(expected).items(), row.fields, row.values, plain, strict=True)
    for (key, theirs), field, found, oracle in cells:
        value = other_value(name, frame, key, theirs)
        ours = _unified(field, found)
        if field.type.is_list:
            value, ours = comparable(cell_of(field, oracle, full=True)), comparable(found)
        elif _is_raw(value, field):
            value = _as_text(field, oracle)
        elif isinstance(value, str) and value.startswith("ntp:"):
            value = _from_ntp(value, field.type, row.export_time)
        if (ours, type(ours)) != (value, type(value)):
            out.append(Difference(frame, index, key, value, ours))
    return out


def _key(element: InformationElement) -> str:
    if element.pen == NETFLOW_PEN:
        return LEGACY_KEYS.get(element.id, f"v9/{element.id}")
    if element.pen == NETFLOW_SCOPE_PEN:
        return f"v9scope/{SCOPES.get(element.id, element.id)}"
    if element.pen in (0, REVERSE_PEN) and element.id:
        return element.name
    return f"{element.pen}/{element.id}"


def _disguised(key: str, ours: list[str]) -> str:
    """A key of the truth; of ntop's or Cisco's element in the disguise of a NetFlow v9 type, that element."""
    space, _, id = key.partition("/")
    if space == "v9" and key not in ours:
        for pen, base in ((35632, 57472), (9, 32768)):
            if f"{pen}/{int(id) - base}" in ours:
                return f"{pen}/{int(id) - base}"
    return key


def _is_raw(value: Any, field: Field) -> bool:
    """Whether the truth knows octets only; it knows no enterprise elements, and no type information (RFC 5610)."""
    return isinstance(value, str) and value.startswith("hex:") and field.element.pen != 0


def _octets(record: Record, cell: Cell) -> str:
    start = cell.at + cell.prefix
    return record.sets.buffer[start : start + cell.length].tobytes().hex()


def _as_value(field: Field, value: Any, octets: str) -> Any:
    if field.type.is_list:
        return "list:" + octets
    if field.type in (DataType.MICROSECONDS, DataType.NANOSECONDS):
        return "ntp:" + octets
    return _unified(field, _as_text(field, value))


def _as_text(field: Field, value: Any) -> Any:
    """A cell of the oracle as rows show it: addresses as text, octets that the type does not allow as octets."""
    type = field.type
    if type is DataType.IPV4 and isinstance(value, int):
        return str(ipaddress.IPv4Address(value))
    if isinstance(value, bytes):
        if type is DataType.IPV6 and len(value) == 16:
            return str(ipaddress.IPv6Address(value))
        return value.hex(":") if type is DataType.MAC_ADDRESS and len(value) == 6 else f"hex:{value.hex()}"
    return value


def _unified(field: Field, value: Any) -> Any:
    """What a row has, as the truth writes it."""
    if isinstance(value, bytes):
        return f"hex:{value.hex()}"
    if field.type is DataType.IPV6 and isinstance(value, str) and ":" in value and not value.startswith("hex:"):
        return str(ipaddress.IPv6Address(value))  # one spelling of ::ffff:192.0.2.1
    if field.element.key == (NETFLOW_PEN, 4) and isinstance(value, str):  # the truth has a number for this router
        return int(ipaddress.IPv4Address(value))
    return value


def _from_ntp(value: str, type: DataType, export_time: int) -> int:
    """Microseconds or nanoseconds since 1970 of 64 bits of NTP (RFC 7011 §6.1.9-10), in the era nearest the Message."""
    seconds, fraction = divmod(int(value.removeprefix("ntp:"), 16), 1 << 32)
    if type is DataType.MICROSECONDS:
        fraction &= ~0x7FF  # "the 11 lowest bits … SHOULD be ignored"
    eras = [seconds - _EPOCH_1900 + (era << 32) for era in (0, 1)]
    nearest = min(eras, key=lambda instant: abs(instant - export_time))
    return nearest * type.ticks + (fraction * type.ticks + (1 << 31)) // (1 << 32)
