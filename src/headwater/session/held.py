"""Data Sets that came before their Template, kept within bounds until it arrives (RFC 7011 §8, §9.3)."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from headwater.session.events import Messages

if TYPE_CHECKING:
    from headwater.session.limits import Limits
    from headwater.session.sequence import DomainLedger, Waiting


_OPTIONAL: Final = ("peer", "received", "uptime", "nanoseconds", "sampling")


@dataclass(frozen=True, slots=True)
class HeldSet:
    """One Data Set. messages: its Message, as a table of one. at: absolute offset of the Set's body.

    now: when it came, by the clock that ages Templates. ledger: in which its Message is counted. waiting: that Message.
    """

    body: bytes
    at: int
    messages: Messages
    now: float
    ledger: DomainLedger
    waiting: Waiting


class HeldSets:
    """A first-in first-out store of Data Sets by (Observation Domain index, Template ID)."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._by_key: dict[tuple[int, int], deque[HeldSet]] = {}
        self._arrival: deque[tuple[int, int]] = deque()
        self._octets = 0

    def __len__(self) -> int:
        return len(self._arrival)

    @property
    def oldest_at(self) -> int:
        """Absolute offset of the body of the oldest Set; there must be one."""
        return self._by_key[self._arrival[0]][0].at

    def add(self, key: tuple[int, int], held: HeldSet) -> int:
        """Keep one Data Set; returns how many were dropped to make room, itself included."""
        if len(held.body) > self._limits.held_octets:
            return 1
        held.waiting.sets += 1
        self._by_key.setdefault(key, deque()).append(held)
        self._arrival.append(key)
        self._octets += len(held.body)
        dropped = 0
        while self._octets > self._limits.held_octets or len(self._arrival) > self._limits.held_sets:
            self._drop_oldest()
            dropped += 1
        return dropped

    def expire(self, now: float) -> int:
        """Drop what is older than the limit; returns how many."""
        dropped = 0
        while self._arrival and self._by_key[self._arrival[0]][0].now < now - self._limits.held_s:
            self._drop_oldest()
            dropped += 1
        return dropped

    def take(self, key: tuple[int, int], *, before: int) -> list[HeldSet]:
        """Data Sets kept for that Template that came before that offset, oldest first; they are kept no longer."""
        sets = self._by_key.pop(key, None)
        if sets is None:
            return []
        taken = [sets.popleft() for _ in range(sum(held.at < before for held in sets))]
        self._octets -= sum(len(held.body) for held in taken)
        self._arrival = deque(k for k in self._arrival if k != key)
        if sets:
            self._by_key[key] = sets
            self._arrival.extend([key] * len(sets))
        return taken

    def drop(self, domains: Collection[int]) -> int:
        """Forget the Data Sets of Observation Domains, by index; returns how many."""
        gone = [key for key in self._by_key if key[0] in domains]
        sets = [held for key in gone for held in self._by_key.pop(key)]
        if sets:
            self._octets -= sum(len(held.body) for held in sets)
            self._arrival = deque(key for key in self._arrival if key[0] not in domains)
        return len(sets)

    def move(self, octets: int) -> None:
        """Offsets are counted anew from `octets` on."""
        for key, sets in self._by_key.items():
            self._by_key[key] = deque(
                replace(
                    held, at=held.at - octets, messages=replace(held.messages, offset=held.messages.offset - octets)
                )
                for held in sets
            )

    def clear(self) -> int:
        """Forget everything; returns how many Data Sets that were."""
        count = len(self._arrival)
        self._by_key.clear()
        self._arrival.clear()
        self._octets = 0
        return count

    def _drop_oldest(self) -> None:
        key = self._arrival.popleft()
        sets = self._by_key[key]
        held = sets.popleft()
        held.ledger.give_up(held.waiting)
        self._octets -= len(held.body)
        if not sets:
            del self._by_key[key]


def joined(sets: list[HeldSet]) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    """(octets, start, end) of held Sets, back to back."""
    end = np.cumsum([len(held.body) for held in sets], dtype=np.int32)
    start = np.concatenate([np.zeros(1, np.int32), end[:-1]])
    return np.frombuffer(b"".join(held.body for held in sets), np.uint8), start, end


def messages_of(sets: list[HeldSet], start: npt.NDArray[np.int32]) -> Messages:
    """Message facts, one row per held Set, whose body begins at `start` in the octets of all."""
    tables = [held.messages for held in sets]
    # a position in the body and one in the Message are the same distance from their offsets
    shift = np.array([held.at - int(held.messages.offset[0]) for held in sets], np.int64)
    return replace(joined_messages(tables), start=(start - shift).astype(np.int32))


def joined_messages(tables: list[Messages]) -> Messages:
    """The rows of several tables."""
    columns: dict[str, Any] = {}
    for name in ("offset", "start", "export_time", "sequence", "domain", "version", *_OPTIONAL):
        parts = [getattr(table, name) for table in tables]
        given = next((part for part in parts if part is not None), None)
        if given is not None:
            columns[name] = np.concatenate([np.zeros(1, given.dtype) if part is None else part for part in parts])
    keys = tables[-1].keys
    if any(table.keys is not keys for table in tables):
        keys = [table.key(message) for table in tables for message in range(len(table))]
        columns["peer"] = np.arange(len(keys), dtype=np.int32)
    return Messages(keys=keys, **columns)


def one_message(messages: Messages, message: int) -> Messages:
    """A table of one of them, which keeps nothing of the others."""
    only = slice(message, message + 1)
    columns: dict[str, Any] = {
        field.name: None if (column := getattr(messages, field.name)) is None else column[only].copy()
        for field in fields(messages)
        if field.name not in ("keys", "peer")
    }
    return Messages(keys=(messages.key(message),), **columns)
