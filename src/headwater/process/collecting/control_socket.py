"""The control socket in the file system: made for its owner only, and taken away again."""

from __future__ import annotations

import contextlib
import os
import socket as sockets
import stat
import struct

from headwater.process.collecting.control import ControlError, is_alive

Inode = tuple[int, int]
"""Device and number: a socket that another process has made in the place of ours has others."""


def bound(path: str) -> tuple[sockets.socket, Inode]:
    """A socket that listens at a path; what a process that died has left there goes. Raises ControlError."""
    socket = sockets.socket(sockets.AF_UNIX)
    try:
        _clear(path)
        os.fchmod(socket.fileno(), 0o600)  # the node gets it when it is made
        socket.bind(path)
        os.chmod(path, 0o600)  # noqa: PTH101  # pathlib costs 5 ms more
        socket.listen(128)
        inode = _inode(path)
    except ControlError:
        socket.close()
        raise
    except OSError as error:
        socket.close()
        raise ControlError(f"the control socket {path} cannot be made: {error.strerror}") from None
    socket.setblocking(False)
    return socket, inode


def remove(path: str, inode: Inode) -> None:
    """Take a socket away, but not that of a process that took over."""
    with contextlib.suppress(OSError):
        if _inode(path) == inode:
            os.unlink(path)  # noqa: PTH108


def is_ours(socket: sockets.socket) -> bool:
    """Whether the peer is the owner of this process, or root."""
    _, uid, _ = struct.unpack("iII", socket.getsockopt(sockets.SOL_SOCKET, sockets.SO_PEERCRED, 12))
    return uid in (0, os.geteuid())


def _inode(path: str) -> Inode:
    found = os.stat(path)  # noqa: PTH116
    return found.st_dev, found.st_ino


def _clear(path: str) -> None:
    """Take a socket away that nobody listens on. Raises ControlError for anything else that is there."""
    try:
        is_socket = stat.S_ISSOCK(os.lstat(path).st_mode)
    except FileNotFoundError:
        return
    if not is_socket:
        raise ControlError(f"{path} is not free for the control socket: it is no socket")
    if is_alive(path):
        raise ControlError(f"a collector answers at {path} already; give another control=PATH")
    os.unlink(path)  # noqa: PTH108
