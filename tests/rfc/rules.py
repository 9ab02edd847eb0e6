"""Sentences of RFCs and the tests that show that they are obeyed."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeVar

Test = TypeVar("Test", bound=Callable[..., None])


class Rule(NamedTuple):
    """A sentence, where it stands, and the name of its test."""

    rfc: int
    section: str
    sentence: str
    test: str


RULES: list[Rule] = []
"""All rules of the test modules that were imported."""


def demands(rfc: int, section: str, sentence: str) -> Callable[[Test], Test]:
    """The test shows that this sentence is obeyed."""

    def note(test: Test) -> Test:
        RULES.append(Rule(rfc, section, sentence, test.__name__))
        return test

    return note
