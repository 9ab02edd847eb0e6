"""Structured data (RFC 6313): list values and the headers in front of their content."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from headwater.model.template import Field, Template

SEMANTICS = {0: "noneOf", 1: "exactlyOneOf", 2: "oneOrMoreOf", 3: "allOf", 4: "ordered", 255: "undefined"}
"""Names of the semantic octet (RFC 6313 §4.4); other numbers are kept as numbers."""

BASIC_HEADER = 5
"""Octets before a basicList's elements: semantic, field id, element length; 4 more with an enterprise number."""
SUB_TEMPLATE_HEADER = 3
"""Octets before a subTemplateList's records: semantic, Template ID."""
MULTI_HEADER = 1
"""Octets before a subTemplateMultiList's groups: semantic."""
GROUP_HEADER = 4
"""Octets of a group's header: Template ID, length including these 4."""


def semantic_name(semantic: int) -> str | int:
    """The name of a list semantic, or its number where none is assigned."""
    return SEMANTICS.get(semantic, semantic)


@dataclass(frozen=True, slots=True)
class BasicList:
    """A basicList: `items` are values of the one element that `field` names (RFC 6313 §4.5.1)."""

    semantic: int
    field: Field
    items: tuple[Any, ...]

    def plain(self) -> list[Any]:
        """Values only."""
        return [plain(item) for item in self.items]


@dataclass(frozen=True, slots=True)
class SubTemplateList:
    """A subTemplateList: `items` are records of one Template, each a tuple of values (RFC 6313 §4.5.2)."""

    semantic: int
    template_id: int
    template: Template
    items: tuple[tuple[Any, ...], ...]

    def plain(self) -> list[dict[str, Any]]:
        """Records as dicts."""
        return records(self.template, self.items)


@dataclass(frozen=True, slots=True)
class SubTemplateMultiList:
    """A subTemplateMultiList: `groups` are (template id, template, records) in order (RFC 6313 §4.5.3)."""

    semantic: int
    groups: tuple[tuple[int, Template, tuple[tuple[Any, ...], ...]], ...]

    def plain(self) -> dict[int, list[dict[str, Any]]]:
        """Records as dicts, under the id of their Template."""
        out: dict[int, list[dict[str, Any]]] = {}
        for id, template, items in self.groups:
            out.setdefault(id, []).extend(records(template, items))
        return out


def records(template: Template, items: tuple[tuple[Any, ...], ...]) -> list[dict[str, Any]]:
    """Tuples of one Template as dicts with plain lists."""
    names = template.column_names
    return [dict(zip(names, map(plain, item), strict=True)) for item in items]


def plain(value: Any) -> Any:
    """A value with its lists, if any, as plain Python lists and dicts."""
    return value.plain() if isinstance(value, BasicList | SubTemplateList | SubTemplateMultiList) else value
