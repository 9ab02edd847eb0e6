"""Common properties (RFC 5473) that refer to each other in a circle."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from headwater.process.lint_rows import Rows

_COMMON_PROPERTIES: Final = (0, 137)
_MOST_STEPS: Final = 64
_KEPT: Final = 1 << 16


class CommonProperties:
    """Remembers which commonPropertiesId refers to which other, by exporter and Observation Domain."""

    def __init__(self) -> None:
        self._refers: dict[tuple[Any, int], dict[int, int]] = {}

    def check(self, rows: Rows) -> None:
        """Look at option records whose scope is a commonPropertiesId, and that have another one."""
        template = rows.sets.template
        if not template.scope_count:
            return
        found = [i for i, field in enumerate(template.fields) if field.element.key == _COMMON_PROPERTIES]
        if len(found) < 2 or found[0] >= template.scope_count or not template.fields[found[0]].is_legal:
            return
        columns: list[Any] = [rows.column(i) for i in found[:2]]
        defined, used = (np.ma.filled(column, 0).tolist() for column in columns)
        messages = rows.sets.messages
        domains = rows.per_row(messages.domain).tolist()
        key = messages.key(int(rows.sets.message[0])) if len(rows.sets.message) else None
        bad = np.zeros(len(defined), np.bool_)
        for row, (one, other, domain) in enumerate(zip(defined, used, domains, strict=True)):
            refers = self._refers.setdefault((key, domain), {})
            if len(refers) < _KEPT:
                refers[one] = other
            bad[row] = _is_circle(refers, one)
        rows.add("common_properties", found[0], bad, lambda row: f"{defined[row]} refers to itself in the end")


def _is_circle(refers: dict[int, int], start: int) -> bool:
    at: int | None = start
    for _ in range(_MOST_STEPS):
        at = None if at is None else refers.get(at)
        if at == start:
            return True
    return False
