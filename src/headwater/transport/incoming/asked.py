"""Who waits until all that has arrived is handed over."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from contextlib import suppress


class Asked:
    """Callbacks of those who wait; what a round of the listener takes counts for who had asked before it began.

    `ask` is for any thread, all else for the listener's. rounds: that took what there was for those who wait now.
    """

    def __init__(self) -> None:
        self._new: deque[Callable[[], object]] = deque()
        self._waiting: list[Callable[[], object]] = []
        self._is_over = False
        self.rounds = 0

    def ask(self, done: Callable[[], object]) -> None:
        """Have `done` called, in whatever thread, when all that has arrived by now is handed over."""
        self._new.append(done)
        if self._is_over:
            self._answer_new()

    def begin_round(self) -> bool:
        """Whether anybody waits for what is taken now."""
        if not self._waiting and self._new:
            self._waiting = [self._new.popleft() for _ in range(len(self._new))]
            self.rounds = 0
        return bool(self._waiting)

    def answer(self) -> None:
        """What had arrived when the rounds began is handed over."""
        waiting, self._waiting = self._waiting, []
        for done in waiting:
            done()

    def end(self) -> None:
        """Nothing more will be handed over."""
        self._is_over = True
        self.answer()
        self._answer_new()

    def _answer_new(self) -> None:
        while self._new:
            with suppress(IndexError):  # two threads do this at the end
                self._new.popleft()()
