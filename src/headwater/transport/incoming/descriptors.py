"""Descriptors of this process: connections shall leave some for files, and for whatever else must be opened."""

from __future__ import annotations

import errno
import sys
from contextlib import suppress
from importlib import import_module
from typing import Final

EXHAUSTED: Final = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
"""Errors of `accept` that leave the connection where it is, until the system has room for it."""
_SPARE: Final = 128


def highest_for_connections(wanted: int) -> int:
    """Have the system allow `wanted` descriptors more, if it does; the number that none of a connection may reach.

    A new descriptor gets the lowest number that is free, so its number tells how many are in use.
    """
    with suppress(ImportError, OSError, ValueError):  # not Unix, or not allowed
        resource = import_module("resource")
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if soft == resource.RLIM_INFINITY:
            return sys.maxsize
        most: int = soft + wanted if hard == resource.RLIM_INFINITY else min(soft + wanted, hard)
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
        most = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        return most - min(_SPARE, most // 4)
    return sys.maxsize
