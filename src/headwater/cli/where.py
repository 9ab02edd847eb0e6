"""Conditions on records, as people type them after --where: `protocolIdentifier == tcp and octetDeltaCount > 1000`.

    condition  = comparison | condition and condition | condition or condition | not condition | ( condition )
    comparison = name operator value | name in value, value, … | name not in ( value, value, … )
    operator   = == != < <= > >= in ~ and !~ (contains, contains not)

`and` binds before `or`. A value with blanks, brackets or commas in it stands in quotes. What a value may be depends on
the element: see comparing.py. A field that a record does not have, or whose value is null,
is neither equal to nor different from anything but `null`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import click
import numpy as np
import numpy.typing as npt

from headwater.cli.comparing import Comparison

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from headwater.batch import Batch
    from headwater.model.registry import Registry

Mask = npt.NDArray[np.bool_]

_TOKEN = re.compile(
    r"""\s*(?: (?P<quoted>'[^']*'|"[^"]*") | (?P<sign>==|!=|<=|>=|!~|[=<>~(),]) | (?P<word>[^\s'"=<>~!(),]+) )""", re.X
)
_SIGNS = ("==", "=", "!=", "<", "<=", ">", ">=", "~", "!~")
_KEYWORDS = ("and", "or", "not", "in", "&&", "||")


class Condition(Protocol):
    """What decides about the records of a batch."""

    def mask(self, batch: Batch) -> Mask:
        """bool[n]: which records fulfil it."""

    def comparisons(self) -> Iterator[Comparison]:
        """The comparisons in it."""


@dataclass(frozen=True, slots=True)
class All:
    """Every part is fulfilled."""

    parts: tuple[Condition, ...]

    def mask(self, batch: Batch) -> Mask:
        """bool[n]: which records fulfil all parts."""
        return np.asarray(np.logical_and.reduce([part.mask(batch) for part in self.parts]))

    def comparisons(self) -> Iterator[Comparison]:
        """Those of all parts."""
        return (c for part in self.parts for c in part.comparisons())


@dataclass(frozen=True, slots=True)
class Any:
    """Some part is fulfilled."""

    parts: tuple[Condition, ...]

    def mask(self, batch: Batch) -> Mask:
        """bool[n]: which records fulfil a part."""
        return np.asarray(np.logical_or.reduce([part.mask(batch) for part in self.parts]))

    def comparisons(self) -> Iterator[Comparison]:
        """Those of all parts."""
        return (c for part in self.parts for c in part.comparisons())


@dataclass(frozen=True, slots=True)
class Not:
    """The part is not fulfilled."""

    part: Condition

    def mask(self, batch: Batch) -> Mask:
        """bool[n]: which records do not fulfil it."""
        return ~self.part.mask(batch)

    def comparisons(self) -> Iterator[Comparison]:
        """Those of the part."""
        return self.part.comparisons()


def parse_where(texts: Sequence[str], registry: Registry) -> Condition | None:
    """The condition that all the texts together make; None for no text.

    Raises click.BadParameter for what cannot be understood, UnknownElement for a name that does not exist.
    """
    parts = tuple(_Parser(text, registry).whole() for text in texts)
    return All(parts) if parts else None


class _Parser:
    """A recursive descent parser; a token is (kind, text)."""

    def __init__(self, text: str, registry: Registry) -> None:
        self.text, self.registry = text, registry
        self.tokens: list[tuple[str, str]] = []
        at = 0
        while text[at:].strip():
            found = _TOKEN.match(text, at)
            if found is None:
                raise self.refuse(f"{text[at:].strip()[:20]!r} makes no sense")
            kind = found.lastgroup or ""
            value = found[kind]
            self.tokens.append(("word", value[1:-1]) if kind == "quoted" else (kind, value))
            if kind == "word" and value.lower() in _KEYWORDS:
                self.tokens[-1] = ("key", {"&&": "and", "||": "or"}.get(value, value.lower()))
            at = found.end()
        self.tokens.append(("end", ""))
        self.tokens.reverse()
        self.depth = 0

    def refuse(self, why: str) -> click.BadParameter:
        return click.BadParameter(f"{self.text!r}: {why}", param_hint="--where")

    def whole(self) -> Condition:
        condition = self.any()
        if self.tokens[-1][0] != "end":
            raise self.refuse(f"{self.tokens[-1][1]!r} where 'and' or 'or' is expected")
        return condition

    def takes(self, kind: str, *texts: str) -> bool:
        if self.tokens[-1][0] == kind and self.tokens[-1][1] in texts:
            self.tokens.pop()
            return True
        return False

    def any(self) -> Condition:
        parts = [self.all()]
        while self.takes("key", "or"):
            parts.append(self.all())
        return parts[0] if len(parts) == 1 else Any(tuple(parts))

    def all(self) -> Condition:
        parts = [self.one()]
        while self.takes("key", "and"):
            parts.append(self.one())
        return parts[0] if len(parts) == 1 else All(tuple(parts))

    def one(self) -> Condition:
        self.depth += 1
        if self.depth > 100:
            raise self.refuse("too many brackets")
        if self.takes("key", "not"):
            condition: Condition = Not(self.one())
        elif self.takes("sign", "("):
            condition = self.any()
            if not self.takes("sign", ")"):
                raise self.refuse("a bracket is not closed")
        else:
            condition = self.comparison()
        self.depth -= 1
        return condition

    def comparison(self) -> Condition:
        name = self.word("the name of an element")
        kind, sign = self.tokens.pop()
        negated = kind == "key" and sign == "not"
        if negated:
            kind, sign = self.tokens.pop()
        if kind == "key" and sign == "in":
            return Comparison(name, "not in" if negated else "in", tuple(self.values()), self.registry)
        if negated or kind != "sign" or sign not in _SIGNS:
            there = f"{sign!r}" if sign else "nothing"
            raise self.refuse(f"after {name!r} comes {there} where one of {' '.join(_SIGNS)} in is expected")
        return Comparison(name, "==" if sign == "=" else sign, (self.word("a value"),), self.registry)

    def values(self) -> Iterator[str]:
        is_open = self.takes("sign", "(")
        yield self.word("a value")
        while self.takes("sign", ","):
            yield self.word("a value")
        if is_open and not self.takes("sign", ")"):
            raise self.refuse("a bracket is not closed")

    def word(self, what: str) -> str:
        kind, text = self.tokens.pop()
        if kind != "word":
            raise self.refuse(f"{text!r} where {what} is expected" if text else f"{what} is missing at the end")
        return text
