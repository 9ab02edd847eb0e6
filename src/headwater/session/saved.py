"""What a session knows in a form that can be written down: for a Collecting Process that starts again."""

from __future__ import annotations

from dataclasses import dataclass

from headwater.session.key import SessionKey


@dataclass(frozen=True, slots=True)
class SavedTemplate:
    """One (Options) Template in force, as `Session.snapshot` gives it and `Session.restore` takes it.

    version: 9 or 10. key: the transport session it came in, None = of a file. domain: Observation Domain or Source ID.
    id: Template ID. scope_count: how many of the first fields are scope.
    specifiers: (pen, element id, length) of each field, at least one. seen: when it was sent last, Unix seconds.
    """

    version: int
    key: SessionKey | None
    domain: int
    id: int
    scope_count: int
    specifiers: tuple[tuple[int, int, int], ...]
    seen: float
