"""A Collecting Process as a service of systemd: notifications, watchdog, sockets that were opened for it.

sd_notify(3), sd_watchdog_enabled(3), sd_listen_fds(3); nothing of it does anything elsewhere.
"""

from __future__ import annotations

import contextlib
import os
import socket as sockets
import time
from collections.abc import Callable
from typing import Final

from headwater.errors import HeadwaterError

_FIRST: Final = 3
"""The first of the descriptors that are passed (SD_LISTEN_FDS_START)."""
_MOST: Final = 1024
_STATUS: Final = 200


class Service:
    """Tells the service manager how it goes.

    progress: when the thread that decodes last did something, by time.monotonic(); while that does not move, the
    watchdog is not told that all is well, and the manager ends the process and starts it again.
    """

    def __init__(self, progress: Callable[[], float] = time.monotonic) -> None:
        self._progress = progress
        self._address = os.environ.get("NOTIFY_SOCKET", "")
        self._watchdog_s = _watchdog_s()
        self._next = 0.0
        self._seen = -1.0

    @property
    def is_on(self) -> bool:
        """Whether there is a service manager that wants to be told."""
        return self._address[:1] in ("/", "@") and len(self._address) > 1

    def ready(self, status: str = "") -> None:
        """It has begun, or goes on after a reload."""
        self._notify("READY=1", *_status(status))

    def reloading(self) -> None:
        """It reads its settings again; `ready` follows."""
        self._notify("RELOADING=1", f"MONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}")

    def stopping(self, drain_s: float = 0.0) -> None:
        """It takes what has come and ends."""
        extend = [f"EXTEND_TIMEOUT_USEC={int((drain_s + 5) * 1e6)}"] if drain_s else []
        self._notify("STOPPING=1", *extend)

    def tick(self, status: str = "") -> None:
        """Say how it goes, and pet the watchdog if there was progress; call it every second."""
        now = time.monotonic()
        lines = list(_status(status))
        if self._watchdog_s and now >= self._next:
            seen = self._progress()
            if seen > self._seen:
                self._seen = seen
                self._next = now + self._watchdog_s / 3
                lines.append("WATCHDOG=1")
        if lines:
            self._notify(*lines)

    def _notify(self, *lines: str) -> None:
        if not self.is_on:
            return
        address = f"\0{self._address[1:]}" if self._address[0] == "@" else self._address
        with contextlib.suppress(OSError), sockets.socket(sockets.AF_UNIX, sockets.SOCK_DGRAM) as socket:
            socket.settimeout(1.0)
            socket.sendto("\n".join(lines).encode(), address)


def _status(text: str) -> list[str]:
    return [f"STATUS={' '.join(text.split())[:_STATUS]}"] if text else []


def _watchdog_s() -> float:
    """Seconds within which the manager wants to hear of us, 0 = it does not."""
    usec, pid = os.environ.get("WATCHDOG_USEC", ""), os.environ.get("WATCHDOG_PID", "")
    if not usec.isdecimal() or (pid.isdecimal() and int(pid) != os.getpid()):
        return 0.0
    return int(usec) / 1e6


def inherited_sockets() -> list[sockets.socket]:
    """The sockets that a service manager opened for this process, which are its own from now on.

    Raises HeadwaterError for descriptors that are no sockets of IPv4 or IPv6.
    """
    count, pid = os.environ.get("LISTEN_FDS", ""), os.environ.get("LISTEN_PID", "")
    if not count.isdecimal() or not pid.isdecimal() or int(pid) != os.getpid():
        return []
    names = os.environ.get("LISTEN_FDNAMES", "").split(":")
    found: list[sockets.socket] = []
    for number in range(min(int(count), _MOST)):
        name = names[number] if number < len(names) and names[number] else str(number)
        try:
            socket = sockets.socket(fileno=_FIRST + number)
        except OSError:
            raise HeadwaterError(f"descriptor {name!r} of the service manager is no socket") from None
        found.append(socket)
        if socket.family not in (sockets.AF_INET, sockets.AF_INET6):
            raise HeadwaterError(f"socket {name!r} of the service manager is of neither IPv4 nor IPv6")
        socket.set_inheritable(False)
    for variable in ("LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES"):  # a child is not to take them for its own
        os.environ.pop(variable, None)
    return found
