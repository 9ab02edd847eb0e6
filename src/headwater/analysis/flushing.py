"""Collectors that are asked to put down what they have, so that a question sees it."""

from __future__ import annotations

from glob import has_magic
from pathlib import Path
from typing import TYPE_CHECKING, Final

from headwater.process.collecting.control import ControlError, ask, is_alive, read_pointers
from headwater.process.collecting.outflow import blocked_sinks

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_TIMEOUT_S: Final = 10.0
_STATUS_S: Final = 5.0
_MOST_LEVELS: Final = 8


def flush_collectors(
    named: Sequence[str],
    warn: Callable[[str], None],
    *,
    timeout: float = _TIMEOUT_S,
    status_timeout: float = _STATUS_S,
) -> None:
    """Ask each collector that writes to one of the folders, and wait; one that does not do it becomes a warning.

    timeout, status_timeout: seconds to wait for the flush, and if that fails to be told of a sink that is blocked.
    """
    sockets = dict.fromkeys(path for name in named for path in _controls_of(name))
    for path in sockets:
        if not is_alive(path):  # it has ended, and so put down everything
            continue
        try:
            ask(path, "flush", timeout)
        except ControlError as bad:
            blocked = _blocked(path, status_timeout)
            why = f"the collector at {path}: {'; '.join(blocked)}" if blocked else str(bad)
            warn(f"{why}; the newest records may be missing")


def _blocked(path: str, timeout: float) -> list[str]:
    """What a collector says of its sinks that are blocked; nothing if it says nothing."""
    try:
        return blocked_sinks(ask(path, "status", timeout))
    except ControlError:
        return []


def _controls_of(name: str) -> list[str]:
    """The control sockets of the collectors that write to a folder or, by time, to folders in it."""
    place = Path(name)
    if has_magic(name):
        fixed = []
        for part in place.parts:
            if has_magic(part):
                break
            fixed.append(part)
        place = Path(*fixed)
    elif place.is_file():
        return []
    for folder in [place, *place.absolute().parents][:_MOST_LEVELS]:
        paths = read_pointers(folder)
        if paths:
            return paths
    return []
