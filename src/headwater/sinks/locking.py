"""Locks on files that are being written."""

from __future__ import annotations

import importlib


def lock(handle: int) -> bool | None:
    """Whether the file is ours alone now; None where there are no locks."""
    try:
        fcntl = importlib.import_module("fcntl")
    except ImportError:  # not Unix
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks
        return None
    return True
