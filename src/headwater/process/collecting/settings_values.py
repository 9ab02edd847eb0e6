"""Values of settings: durations and sizes, and sentences about those that are wrong."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any, Final, TypeVar, get_args

import msgspec

from headwater.errors import HeadwaterError
from headwater.model.quantities import duration, size

_Settings = TypeVar("_Settings", bound=msgspec.Struct)
_UNKNOWN: Final = re.compile(r"Object contains unknown field `(.*)`", re.DOTALL)
_MISSING: Final = re.compile(r"Object missing required field `(.*)`")
_EXPECTED: Final = re.compile(r"Expected (.+), got .*", re.DOTALL)
_WORDS: Final = {
    "array": "a list",
    "object": "a table",
    "str": "text",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "null": "nothing",
}
_SHOWN: Final = 80


class SettingsError(HeadwaterError, ValueError):
    """A setting that cannot be. path: of it, "" = of all. file: it is in, "" = none. reason: a sentence."""

    def __init__(self, reason: str, *, path: str = "", file: str = "") -> None:
        super().__init__(f"{file}: " * bool(file) + f"at `{path}`: " * bool(path) + reason)
        self.reason = reason
        self.path = path
        self.file = file


class Seconds(float):
    """A duration; text such as 5m in a file."""

    def __str__(self) -> str:
        for unit, octets in (("d", 86400), ("h", 3600), ("m", 60)):
            if self >= octets and self % octets == 0:
                return f"{int(self // octets)}{unit}"
        thousandths = self * 1000
        return f"{thousandths:g}ms" if 0 < self < 1 and thousandths == int(thousandths) else f"{float(self):.12g}s"


class Octets(int):
    """A number of octets; text such as 64M in a file."""

    def __str__(self) -> str:
        for power, unit in ((40, "T"), (30, "G"), (20, "M"), (10, "k")):
            if self and self % (1 << power) == 0:
                return f"{self >> power}{unit}"
        return int.__repr__(self)


def spelled(value: Any) -> Any:
    """A quantity as text, anything else as it is."""
    return str(value) if isinstance(value, Seconds | Octets) else value


def convert(given: Mapping[str, Any], type: type[_Settings], file: str) -> _Settings:
    """Settings of builtin values. Raises SettingsError."""
    try:
        return msgspec.convert(given, type, dec_hook=_quantity)
    except msgspec.ValidationError as error:
        reason, path = _sentence(str(error), given, type)
        raise SettingsError(reason, path=path, file=file) from None


def _quantity(type: type[Any], value: Any) -> Any:
    if type not in (Seconds, Octets):
        raise NotImplementedError(type)
    if not isinstance(value, str | int | float):
        raise ValueError(f"{_shown(value)} is no quantity")
    return Seconds(duration(value)) if type is Seconds else Octets(size(value))


def _sentence(message: str, given: Any, type: type[Any]) -> tuple[str, str]:
    """What msgspec found, in words, and the path of it."""
    reason, _, path = message.partition(" - at `$")
    path = path.rstrip("`").removeprefix(".")
    value, owner = _look_up(given, type, path)
    unknown = _UNKNOWN.fullmatch(reason)
    if unknown is not None:
        return _no_such(unknown[1], owner), path
    missing = _MISSING.fullmatch(reason)
    if missing is not None:
        return f"the setting `{missing[1]}` is missing", path
    expected = _EXPECTED.fullmatch(reason)
    if expected is not None:
        reason = f"Expected {_in_words(expected[1])}, got {_shown(value)}"
    elif reason.startswith("Expected "):
        reason = f"{_in_words(reason)}, got {_shown(value)}"
    elif reason.startswith("Invalid enum value"):
        reason = f"{_shown(value)} is none of {', '.join(sorted(get_args(owner)))}"
    return reason, path


def _no_such(name: str, owner: Any) -> str:
    known = getattr(owner, "__struct_fields__", ())
    near = get_close_matches(name[:64], known, n=1)
    hint = f"did you mean `{near[0]}`?" if near else f"there are {', '.join(known)}"
    return f"no setting is called {_shown(name)}; {hint}"


def _look_up(value: Any, type: Any, path: str) -> tuple[Any, Any]:
    """The value at a path, and the type that it is to have."""
    for name, index in re.findall(r"([A-Za-z_]\w*)|\[(\d+|\.\.\.)\]", path):
        if name:
            type = next((f.type for f in msgspec.structs.fields(type) if f.name == name), None)
            value = value.get(name) if isinstance(value, Mapping) else None
        else:
            type = next(iter(get_args(type)), None)
            value = value[int(index)] if index.isdecimal() and isinstance(value, list) else None
    return value, type


def _in_words(expected: str) -> str:
    return re.sub(
        r"`([^`]*)`", lambda found: " or ".join(_WORDS.get(one, one) for one in found[1].split(" | ")), expected
    )


def _shown(value: Any) -> str:
    text = repr(value) if not isinstance(value, bool) else str(value).lower()
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


# ---------------------------------------------------------------- TOML


def as_toml(values: Mapping[str, Any]) -> str:
    """Builtin values as TOML: tables, and lists of tables, behind what is none."""
    plain = {name: value for name, value in values.items() if not _is_table(value)}
    lines = [f"{_key(name)} = {_toml(value)}" for name, value in plain.items()]
    for name, value in values.items():
        if name in plain:
            continue
        for table in value if isinstance(value, list) else [value]:
            lines += ["", f"[[{name}]]" if isinstance(value, list) else f"[{name}]"]
            lines += [f"{_key(key)} = {_toml(one)}" for key, one in table.items()]
    return "\n".join(lines) + "\n"


def _is_table(value: Any) -> bool:
    return isinstance(value, Mapping) or (isinstance(value, list) and bool(value) and isinstance(value[0], Mapping))


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else _toml(name)


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, list):
        return f"[{', '.join(_toml(one) for one in value)}]"
    if isinstance(value, float) and math.isinf(value):
        return "inf"
    return repr(value)


def _text(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(c if c.isprintable() else f"\\U{ord(c):08X}" for c in escaped) + '"'
