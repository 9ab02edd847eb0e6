"""The test vectors: what they expect, and what a session has told, both as plain lists.

The vectors are our own data: derived by hand from the RFCs, checked by a second decoder and by other implementations.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from headwater.model.element import NETFLOW_PEN, NETFLOW_SCOPE_PEN, InformationElement
from headwater.model.types import DataType
from headwater.session import TemplateLearned, TemplateWithdrawn
from tests.oracle import Account, Record, shown, shown_float

PATH = Path(__file__).parent.parent / "vectors" / "vectors.json"
VECTORS: dict[str, dict[str, Any]] = {vector["id"]: vector for vector in json.loads(PATH.read_text())}

_WITHDRAWN = {2: "all-data", 3: "all-options"}
_SCOPES = {1: "system", 2: "interface", 3: "lineCard", 4: "cache", 5: "template"}


def octets(vector: dict[str, Any]) -> list[bytes]:
    """The datagrams, or pieces of the stream, of a vector."""
    return [bytes.fromhex(text) for text in vector["hex"]]


def expected_events(events: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    """What a vector expects to be told."""
    out: list[tuple[Any, ...]] = []
    for event in events:
        match event["ev"]:
            case "template":
                fields = [tuple(field) for field in event["fields"]]
                out.append(("template", event["tid"], event["scope"], fields))
            case "withdraw":
                out.append(("withdraw", event["tid"]))
            case "record":
                values = [(_unknown_name(name), _expected_value(value)) for name, value in event["values"]]
                out.append(("record", event["tid"], values))
            case other:
                raise AssertionError(f"the vectors have an event {other!r} that this test does not know")
    return out


def told_events(told: Account) -> list[tuple[Any, ...]]:
    """What a session has told, in the words of the vectors."""
    out: list[tuple[Any, ...]] = []
    for item in told.items:
        match item:
            case TemplateLearned(template=template, retyped=False):
                fields = [(*_key(f.element), f.length) for f in template.fields]
                out.append(("template", template.id, template.scope_count, fields))
            case TemplateWithdrawn():
                out.append(("withdraw", _WITHDRAWN.get(item.template_id, item.template_id)))
            case Record():
                out.append(("record", item.template.id, _values(item)))
    return out


def _key(element: InformationElement) -> tuple[int | str, int]:
    """(pen, id); a type of NetFlow v9 is a number without one."""
    if element.pen == NETFLOW_SCOPE_PEN:
        return "scope", element.id
    return 0 if element.pen == NETFLOW_PEN else element.pen, element.id


def _values(record: Record) -> list[tuple[str, Any]]:
    out = []
    for cell in record.cells:
        element = cell.field.element
        value = shown(cell.field, cell.value)
        if element.pen == NETFLOW_SCOPE_PEN:
            out.append((f"scope:{_SCOPES[element.id]}", value))
        elif element.pen == NETFLOW_PEN:
            start = cell.at + cell.prefix  # the vectors have the octets of what has no name in the registries
            raw = record.sets.buffer[start : start + cell.length].tobytes().hex()
            assert element.type is not DataType.OCTET_ARRAY or value == raw
            out.append((f"v9:{element.id}", raw))
        else:
            out.append((cell.field.name, value))
    return out


def _unknown_name(name: str) -> str:
    """Our stable name of an element nobody has described, from that of the vectors."""
    found = re.fullmatch(r"(?:e(\d+)id|ie)(\d+)", name)
    return f"_{found[1] or 0}_{found[2]}" if found else name


def _expected_value(value: Any) -> Any:
    match value:
        case dict():
            # the text form of a time is the model's to check
            plain = {key: _expected_value(item) for key, item in value.items() if key != "text"}
            if "ie" in plain:
                plain["ie"] = _unknown_name(plain["ie"])
            return plain
        case list():
            return [_expected_value(item) for item in value]
        case float():
            return shown_float(value)
    return value
