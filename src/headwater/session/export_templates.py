"""The Template IDs of one Observation Domain on the exporting side (RFC 7011 §3.4, §8)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import chain
from typing import TypeAlias

from headwater.errors import EncodeError
from headwater.model.element import InformationElement
from headwater.model.iespec import IESpec
from headwater.model.registry import Registry
from headwater.model.template import Field, Template, parse_template
from headwater.session.export_arguments import whole
from headwater.wire.dialect import FIRST_DATA_SET

Specs: TypeAlias = Template | str | Iterable[str | Field | IESpec | InformationElement]
"""A Template, IESpecs one a line, or IESpecs one by one."""

_LAST_ID = 65535


def template_of(specs: Specs, registry: Registry) -> Template:
    """The Template that they say; what is one has its id, others have none.

    Raises UnknownElement, DecodeError for an IESpec that is none, EncodeError for what is no IESpec at all.
    """
    if isinstance(specs, Template):
        return specs
    if isinstance(specs, str):
        return parse_template(specs, 0, registry)
    given = tuple(specs) if isinstance(specs, Iterable) and not isinstance(specs, bytes | Mapping) else (specs,)
    for spec in given:
        if not isinstance(spec, str | Field | IESpec | InformationElement):
            raise EncodeError(f"a template is a Template or IESpecs such as 'octetDeltaCount[4]', not {specs!r}")
    return Template.of(0, *given, registry=registry)


class ExportedTemplates:
    """Which Template has which id; Templates and Options Templates share one space of ids.

    first_id: the lowest id that is given out. rest_s: seconds that an id stays unused after its Template was given up,
    because collectors cannot be told (§8.4); 0 = they can.
    """

    def __init__(self, first_id: int, rest_s: float = 0.0) -> None:
        self._first_id = self._next = first_id
        self._rest_s = rest_s
        self._known: dict[int, Template] = {}
        self._ids: dict[Template, int] = {}
        self._sent: dict[int, float] = {}
        self._resting: dict[int, tuple[Template, float]] = {}

    def __iter__(self) -> Iterator[Template]:
        return iter(self._known.values())

    def __len__(self) -> int:
        return len(self._known)

    def has(self, template: Template) -> bool:
        """Whether that very Template has its id here."""
        return self._known.get(template.id) == template

    def put(self, template: Template, id: int | None, now: float) -> Template:
        """The Template with the id that its content has, else with `id`, else with one that nobody has.

        Raises EncodeError: the id is another Template's, or was until so recently that it must not be used again.
        """
        if id is None:
            known = self._ids.get(template)
            if known is not None:
                return self._known[known]
            rested = self._resting_id(template)
            id = self._free_id(now) if rested is None else rested
        elif whole(id, "id") in self._known:
            if self._known[id] != template:
                detail = f"Template ID {id} has another content; withdraw that Template first (RFC 7011 §8.1)"
                raise EncodeError(detail)
            return self._known[id]
        else:
            self._check_rested(template, id, now)
        registered = template if template.id == id else replace(template, id=id)
        self._resting.pop(id, None)
        self._known[id] = registered
        self._ids.setdefault(registered, id)
        return registered

    def drop(self, template: Template, now: float) -> bool:
        """Give the Template up; returns whether it has ever been sent.

        Raises EncodeError if it is not known.
        """
        if not self.has(template):
            raise EncodeError(f"Template {template.id} is not in use, so it cannot be withdrawn (RFC 7011 §8.1)")
        known = self._known.pop(template.id)
        del self._ids[known]
        for other in self._known.values():
            if other == known:
                self._ids.setdefault(other, other.id)
        sent = self._sent.pop(known.id, None)
        if sent is not None and self._rest_s:
            self._resting[known.id] = known, max(sent, now) + self._rest_s
        return sent is not None

    def pending(self) -> list[Template]:
        """Templates that have not been sent yet."""
        return [t for id, t in self._known.items() if id not in self._sent]

    def sent(self) -> list[Template]:
        """Templates that have been sent."""
        return [t for id, t in self._known.items() if id in self._sent]

    def mark_sent(self, templates: list[Template], now: float) -> None:
        """Note that they have been sent."""
        self._sent.update((template.id, now) for template in templates)

    def forget_sent(self) -> None:
        """A new transport session begins, in which none of them has been sent."""
        self._sent.clear()

    def _check_rested(self, template: Template, id: int, now: float) -> None:
        if not FIRST_DATA_SET <= id <= _LAST_ID:
            raise EncodeError(f"Template ID {id} is not from {FIRST_DATA_SET} to {_LAST_ID} (RFC 7011 §3.4.1)")
        content, until = self._resting.get(id) or (template, -math.inf)
        if content != template and now < until:
            detail = f"Template ID {id} had another content, and collectors cannot be told that it has not any more"
            raise EncodeError(f"{detail}; it can be used again in {until - now:.0f} seconds (RFC 7011 §8.4)")

    def _resting_id(self, template: Template) -> int | None:
        return next((id for id, (content, _) in self._resting.items() if content == template), None)

    def _free_id(self, now: float) -> int:
        for id in chain(range(self._next, _LAST_ID + 1), range(self._first_id, self._next)):
            if id not in self._known and (id not in self._resting or now >= self._resting[id][1]):
                self._next = id + 1 if id < _LAST_ID else self._first_id
                return id
        raise EncodeError(f"all Template IDs from {self._first_id} to {_LAST_ID} are in use; withdraw some")
