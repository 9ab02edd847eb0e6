"""IESpec: the text form of an Information Element in a template (RFC 7013 §10).

`name(number)<type>[size]{context}`, enterprise `name(pen/number)<type>[size]`. White space means nothing; what is
missing comes from the registry. Members of a list follow it on lines that begin with one `+` more than the list's.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from headwater.errors import DecodeError
from headwater.model.element import NETFLOW_PEN, NETFLOW_SCOPE_PEN, InformationElement, is_name, pen_of
from headwater.model.registry import Registry
from headwater.model.types import VARIABLE, DataType

LIST_SEMANTICS: Final = {"noneOf": 0, "exactlyOneOf": 1, "oneOrMoreOf": 2, "allOf": 3, "ordered": 4, "undefined": 255}
"""List semantics (RFC 6313 §4.4) by their names in a context."""

_CONTEXTS: Final = ("key", "scope", *LIST_SEMANTICS)
_SPEC: Final = re.compile(
    r"(?P<name>[^()<>\[\]{}]*)"
    r"(?:\((?:(?P<pen>[0-9]{1,10}|v9|v9scope)/)?(?P<id>[0-9]{1,10})\))?"
    r"(?:<(?P<type>[A-Za-z0-9]+)>)?"
    r"(?:\[(?P<size>v|[0-9]{1,5})\])?"
    r"(?:\{(?P<context>[A-Za-z,]*)\})?"
)
_DEPTH_LIMIT: Final = 32
_SPACE: Final = re.compile(r"\s+")


@dataclass(frozen=True, slots=True)
class IESpec:
    """One parsed IESpec. members: the specs nested in a list. context: of key, scope and the list semantics."""

    element: InformationElement
    length: int
    context: tuple[str, ...] = ()
    members: tuple[IESpec, ...] = ()

    def __str__(self) -> str:
        return "\n".join(_lines(self, ""))


def parse_iespec(text: str, registry: Registry) -> IESpec:
    """The one IESpec (with its members, if it is a list) that the text holds.

    Raises UnknownElement for a name that does not exist, DecodeError for anything else that is wrong.
    """
    specs = parse_iespecs(text, registry)
    if len(specs) != 1:
        raise DecodeError(f"one IESpec expected, {len(specs)} found in {text!r}", section="RFC 7013 §10.1")
    return specs[0]


def parse_iespecs(text: str, registry: Registry) -> tuple[IESpec, ...]:
    """The IESpecs of the text, one per line; empty lines and those that begin with `#` are skipped."""
    lines = [line for raw in text.splitlines() if (line := _SPACE.sub("", raw)) and not line.startswith("#")]
    specs, _ = _parse_members(lines, 0, 0, registry)
    return specs


def _parse_members(lines: list[str], at: int, depth: int, registry: Registry) -> tuple[tuple[IESpec, ...], int]:
    """The specs that begin at line `at` with `depth` plus signs, and the number of the line after their members."""
    specs = []
    while at < len(lines):
        found = _plus_signs(lines[at])
        if found < depth:
            break
        if found > depth:
            raise _refusal(lines[at], "a member follows its list, with just one + more")
        spec = _parse_line(lines[at][depth:], registry)
        at += 1
        if at < len(lines) and _plus_signs(lines[at]) == depth + 1:
            if not spec.element.type.is_list:
                raise _refusal(lines[at], f"{spec.element.name} is {spec.element.type}, only lists have members")
            if depth == _DEPTH_LIMIT:
                raise _refusal(lines[at], f"lists are nested at most {_DEPTH_LIMIT} deep")
            members, at = _parse_members(lines, at, depth + 1, registry)
            spec = IESpec(spec.element, spec.length, spec.context, members)
        specs.append(spec)
    return tuple(specs), at


def _plus_signs(line: str) -> int:
    return len(line) - len(line.lstrip("+"))


def _parse_line(line: str, registry: Registry) -> IESpec:
    found = _SPEC.fullmatch(line)
    if found is None:
        raise _refusal(line, "the form is name(pen/number)<type>[size]{context}")
    label = found["type"]
    if label is not None and DataType.from_label(label).label != label:
        raise _refusal(line, f"{label} is not an abstract data type")
    element = _element(line, found["name"], found["pen"], found["id"], label, registry)
    if label is not None and element.type.label != label:
        raise _refusal(line, f"{element.name} is {element.type} in the registry")
    size = found["size"]
    length = element.type.default_length if size is None else VARIABLE if size == "v" else int(size)
    if not element.type.accepts(length):
        raise _refusal(line, f"{element.type} {_lengths(element.type)}")
    context = tuple(word for word in (found["context"] or "").split(",") if word)
    for word in context:
        if word not in _CONTEXTS:
            raise _refusal(line, f"{word!r} is not a context; there are {', '.join(_CONTEXTS)}")
        if word in LIST_SEMANTICS and not element.type.is_list:
            raise _refusal(line, f"{word} is said of lists, {element.name} is {element.type}")
    return IESpec(element, length, context)


def _element(
    line: str, name: str, pen: str | None, number: str | None, label: str | None, registry: Registry
) -> InformationElement:
    """The element that name and number agree on; a new one if the spec says all there is to say."""
    if number is None:
        if not name:
            raise _refusal(line, "give a name or a number")
        return registry.named(name)
    key = (pen_of(pen), int(number))
    is_netflow = key[0] in (NETFLOW_PEN, NETFLOW_SCOPE_PEN)
    if key[1] > (0xFFFF if is_netflow else 0x7FFF) or (key[0] > 0xFFFFFFFF and (pen or "").isdigit()):
        raise _refusal(line, "numbers are 1 to 32767, enterprise numbers 32 bits")
    known = registry.get(*key)
    if key[1] == 0 and not known.is_known:  # some enterprises do use it
        raise _refusal(line, "the number 0 is reserved")
    if not name or name == known.name or name in registry.aliases(known):
        if known.is_known or label is None:
            return known
        return InformationElement(*key, known.name, DataType.from_label(label))
    if known.is_known:
        raise _refusal(line, f"{number if pen is None else f'{pen}/{number}'} is {known.name} in the registry")
    if label is None:
        raise _refusal(line, "the registry does not have it, so give its type as in name(35566/403)<string>")
    if not is_name(name):
        raise _refusal(line, "a name is made of letters, digits and underscores, first a letter")
    return InformationElement(*key, name, DataType.from_label(label))


def _lines(spec: IESpec, prefix: str) -> Iterator[str]:
    element = spec.element
    size = "v" if spec.length == VARIABLE else str(spec.length)
    context = f"{{{','.join(spec.context)}}}" if spec.context else ""
    yield f"{prefix}{element.name}({element.number})<{element.type}>[{size}]{context}"
    for member in spec.members:
        yield from _lines(member, prefix + "+")


def print_iespecs(specs: Iterable[IESpec]) -> str:
    """The text that `parse_iespecs` reads back as these specs."""
    return "\n".join(map(str, specs))


def _lengths(type: DataType) -> str:
    """What lengths a field of the type may have, in words."""
    if type is DataType.FLOAT64:
        return "takes 8 or 4 octets"
    return f"takes 1 to {type.width} octets" if type.reducible else f"takes {type.width} octets"


def _refusal(line: str, why: str) -> DecodeError:
    return DecodeError(f"not an IESpec: {line!r}: {why}", section="RFC 7013 §10.1")
