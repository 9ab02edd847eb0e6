"""Registry: which element is meant by (pen, id) and by a name. Immutable; a change is a new object."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from headwater.errors import EncodeError, UnknownElement
from headwater.model.element import (
    CERT_PEN,
    CERT_REVERSE,
    REVERSE_PEN,
    SEMANTICS_NAMES,
    UNITS_NAMES,
    InformationElement,
    is_name,
    pen_of,
    unknown_element,
    unknown_key,
)
from headwater.model.netflow import NETFLOW_ELEMENTS, netflow_key
from headwater.model.types import DataType

if TYPE_CHECKING:
    IANA: Registry
    """The registry that ships with this package: IANA's, the enterprise tables, and their reverse elements."""

_DATA: Final = Path(__file__).parent / "data"
_SLASHED: Final = re.compile(r"\(?(?:([0-9]{1,10}|v9|v9scope)/)?([0-9]{1,5})\)?")
_DERIVED_LIMIT: Final = 1 << 14
"""Unknown and reverse elements kept at a time: hostile templates can name 2^47 different ones."""
_NEAREST_LENGTH: Final = 128
"""Characters of a wrong name that are compared: difflib is quadratic."""


class Registry:
    """An immutable set of Information Elements, found by (pen, id) or by name.

    Where two elements have the same name it finds IANA's, or the one that was there first; the other is reached as
    `pen/id`, `name(pen/id)` or `_<pen>_<id>`. Reverse elements (RFC 5103) are made when asked for.
    """

    __slots__ = ("_aliases", "_by_key", "_by_name", "_derived")

    def __init__(
        self, elements: Iterable[InformationElement] = (), aliases: Mapping[str, tuple[int, int]] | None = None
    ) -> None:
        self._by_key = {(e.pen, e.id): e for e in elements}
        self._aliases = dict(aliases or {})
        self._by_name: dict[str, InformationElement] = {}
        self._derived: dict[tuple[int, int], InformationElement] = {}

    def __len__(self) -> int:
        return len(self._by_key)

    def __iter__(self) -> Iterator[InformationElement]:
        """Every described element in the order of (pen, id); reverse elements are not listed."""
        return iter(sorted(self._by_key.values(), key=lambda e: (e.pen, e.id)))

    def __contains__(self, key: object) -> bool:
        """Whether (pen, id) is described, as itself or as the reverse of a described element."""
        return isinstance(key, tuple) and len(key) == 2 and self.get(*key).is_known

    def __repr__(self) -> str:
        return f"<Registry of {len(self)} elements>"

    def get(self, pen: int, id: int) -> InformationElement:
        """The element of that key. Never fails: an unknown one is octetArray and called `_<pen>_<id>`."""
        return self._by_key.get((pen, id)) or self._derived.get((pen, id)) or self._derive(pen, id)

    def find(self, name: str) -> InformationElement | None:
        """The element of that name, alias, `pen/id` or `_<pen>_<id>`; `reverseX` too. None if there is none."""
        names = self._names()
        if name in names:
            return names[name]
        key = self._aliases.get(name) or unknown_key(name) or _slashed_key(name)
        if key is not None:
            return self.get(*key)
        if name.startswith("reverse") and len(name) > len("reverse"):
            forward_name = name.removeprefix("reverse")
            for forward in (names.get(forward_name[0].lower() + forward_name[1:]), names.get(forward_name)):
                if forward is not None and forward.is_reversible:
                    return self.get(*forward.reverse().key)
        return None

    def named(self, name: str) -> InformationElement:
        """What `find` finds. Raises UnknownElement, with the nearest names that exist, where that finds nothing."""
        found = self.find(name.strip())
        if found is None:
            raise UnknownElement(name, self._nearest(name.strip()))
        return found

    def extend(self, elements: Iterable[InformationElement]) -> Registry:
        """A registry that has these elements too; they replace those of the same (pen, id).

        Raises EncodeError if a name is not an identifier, or is the stable name of another unknown element.
        """
        new = {(e.pen, e.id): e for e in elements}
        for element in new.values():
            if not is_name(element.name) or unknown_key(element.name) not in (None, element.key):
                raise EncodeError(
                    f"{element.name!r} cannot name element {element.pen}/{element.id}: use letters, digits and "
                    "underscores, first a letter",
                    column=element.name,
                )
        return Registry((self._by_key | new).values(), self._aliases)

    def aliases(self, element: InformationElement) -> tuple[str, ...]:
        """The element's other names: earlier RFCs', NetFlow v9's."""
        return tuple(alias for alias, key in self._aliases.items() if key == element.key)

    def search(self, text: str) -> list[InformationElement]:
        """Elements whose name, alias or number matches the text, in any case; the closest first.

        A text with `reverse` in it finds reverse elements too, which iteration does not list.
        """
        wanted = text.strip().lower()
        ranks: dict[tuple[int, int], tuple[int, int]] = {}
        for word, key in self._words("reverse" in wanted):
            at = word.find(wanted)
            if at >= 0:
                # the whole word, then its beginning, then its inside; the shorter word first
                rank = (0 if word == wanted else 1 if at == 0 else 2, len(word))
                ranks[key] = min(rank, ranks.get(key, rank))
        exact = self.find(text.strip())
        if exact is not None:
            ranks[exact.key] = (-1, 0)
        return [self.get(*key) for key in sorted(ranks, key=lambda key: (ranks[key], key))]

    def _words(self, reverse: bool) -> Iterator[tuple[str, tuple[int, int]]]:
        """(word, key) of everything an element is called, in lower case."""
        for element in self:
            yield element.name.lower(), element.key
            if reverse and element.is_reversible:
                yield f"reverse{element.name.lower()}", element.reverse().key
        for alias, key in self._aliases.items():
            if key in self._by_key:  # NetFlow v9 has names for numbers that IPFIX has no element for
                yield alias.lower(), key

    def _derive(self, pen: int, id: int) -> InformationElement:
        """A reverse element or the placeholder of an unknown one, kept within a bound."""
        forward = None
        if pen == REVERSE_PEN:
            forward = self._by_key.get((0, id))
        elif pen == CERT_PEN and id & CERT_REVERSE:
            forward = self._by_key.get((CERT_PEN, id ^ CERT_REVERSE))
        element = forward.reverse() if forward is not None and forward.is_reversible else unknown_element(pen, id)
        if len(self._derived) >= _DERIVED_LIMIT:
            self._derived.clear()
        self._derived[(pen, id)] = element
        return element

    def _names(self) -> dict[str, InformationElement]:
        """Name → the element that has it: IANA's before an enterprise's, then the one that was there first."""
        if not self._by_name:
            last_first = list(self._by_key.values())[::-1]
            self._by_name = {e.name: e for e in last_first} | {e.name: e for e in last_first if e.pen == 0}
        return self._by_name

    def _nearest(self, name: str) -> tuple[str, ...]:
        """Up to three names close to this one; one that differs only in case comes alone."""
        from difflib import get_close_matches

        by_lower = {known.lower(): known for known in (*self._aliases, *self._names())}
        if name.lower().startswith("reverse"):
            by_lower |= {(reverse := e.reverse().name).lower(): reverse for e in self if e.is_reversible}
        wanted = name.lower()[:_NEAREST_LENGTH]
        if wanted in by_lower:
            return (by_lower[wanted],)
        return tuple(by_lower[n] for n in get_close_matches(wanted, by_lower, n=3, cutoff=0.7))


def _slashed_key(text: str) -> tuple[int, int] | None:
    """(pen, id) of `pen/id` or `id`, in parentheses or not; None where a number is out of its range."""
    found = _SLASHED.fullmatch(text)
    if found is None:
        return None
    pen, id = pen_of(found[1]), int(found[2])
    is_number = pen <= 0xFFFFFFFF or not found[1].isdigit()
    return (pen, id) if is_number and id <= 0xFFFF and (pen or id) else None


def _read_table(path: Path) -> Iterator[InformationElement]:
    """Elements of one of our own fact tables: seven comma-separated columns, no quotes (the importer sees to that)."""
    pen = _pen_of(path)
    types = {t.label: t for t in DataType}
    semantics: dict[str, int] = {name: int(number) for number, name in SEMANTICS_NAMES.items()} | {"": 0}
    units: dict[str, int] = {name: int(number) for number, name in UNITS_NAMES.items()} | {"": 0}
    for line in path.read_text("utf-8").splitlines()[1:]:
        id, name, label, meaning, unit, bounds, status = line.split(",")
        low, _, high = bounds.partition("-")
        yield InformationElement(
            pen,
            int(id),
            name,
            types[label],
            semantics[meaning],
            units[unit],
            (int(low), int(high)) if bounds else None,
            status or "current",
        )


def _pen_of(path: Path) -> int:
    return int(path.stem.removeprefix("pen_"))


@cache
def _load() -> Registry:
    """The registry of the shipped tables."""
    elements = [e for path in sorted(_DATA.glob("pen_*.csv"), key=_pen_of) for e in _read_table(path)]
    known = Registry([*elements, *NETFLOW_ELEMENTS])
    aliases: dict[str, tuple[int, int]] = {}
    for line in (_DATA / "aliases.csv").read_text("utf-8").splitlines()[1:]:
        id, name = line.split(",")
        aliases[name] = netflow_key(int(id), known)
    return Registry(known, aliases)


def __getattr__(name: str) -> Registry:
    """`IANA`, read from the tables when it is first asked for."""
    if name == "IANA":
        globals()["IANA"] = _load()
        return _load()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
