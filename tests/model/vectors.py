"""The project's own cases (tests/vectors/vectors.json), by kind."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any


@cache
def _cases() -> list[dict[str, Any]]:
    path = Path(__file__).parents[1] / "vectors" / "vectors.json"
    cases: list[dict[str, Any]] = json.loads(path.read_text("utf-8"))
    return cases


def cases_of_kind(kind: str) -> list[dict[str, Any]]:
    """Cases of one kind, such as text or iespec."""
    found = [case for case in _cases() if case["kind"] == kind]
    assert found
    return found


def case_named(id: str) -> dict[str, Any]:
    """One case."""
    return next(case for case in _cases() if case["id"] == id)
