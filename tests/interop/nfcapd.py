"""What nfcapd stores of datagrams, as nfdump shows it: a collector that knows NetFlow v5, v9 and IPFIX."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from tests.interop.recorded import DEADLINE_S, running
from tests.peers import require_program

_POLL_S = 0.02
_PORTS = itertools.count(10_000)
"""Below those that the kernel gives to whoever asks for any."""


class Place(NamedTuple):
    """Where a program is to listen. address: of the loopback; only this process uses it, so its ports are free."""

    address: str
    port: int

    @classmethod
    def free(cls) -> Place:
        number = os.getpid()
        return cls(f"127.{64 + (number >> 16 & 63)}.{number >> 8 & 255}.{number & 255}", next(_PORTS))

    @property
    def rows(self) -> list[list[str]]:
        """Of the kernel's tables of sockets: those that are bound there."""
        local = f"{socket.inet_aton(self.address)[::-1].hex().upper()}:{self.port:04X}"
        tables = [Path(f"/proc/net/{kind}").read_text().splitlines()[1:] for kind in ("udp", "tcp")]
        return [row for line in itertools.chain(*tables) if (row := line.split())[1] == local]


def stored(folder: Path, datagrams: Iterable[bytes]) -> list[dict[str, Any]]:
    """The flows that nfcapd has stored after these datagrams, in order."""
    require_program("nfpcapd")  # of the same package
    nfcapd, nfdump = shutil.which("nfcapd"), shutil.which("nfdump")
    assert nfcapd is not None
    assert nfdump is not None
    place = Place.free()
    with (
        running([nfcapd, "-b", place.address, "-p", str(place.port), "-w", str(folder)]),
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender,
    ):
        wait_for(place, is_bound=True)
        for datagram in datagrams:
            sender.sendto(datagram, place)
            wait_for(place)  # until it is read, so that none is lost
    flows = []
    for file in sorted(folder.glob("nfcapd.2*")):
        command = [nfdump, "-r", str(file), "-o", "json"]
        text = subprocess.run(command, check=True, capture_output=True, env={**os.environ, "TZ": "UTC"}).stdout
        flows += json.loads(text)
    return flows


def wait_for(place: Place, *, is_bound: bool = False) -> None:
    """Until a program is bound to the place, or has read all that was sent there."""
    end = time.monotonic() + DEADLINE_S
    while not any(row[4].endswith(":00000000") for row in place.rows):
        assert time.monotonic() < end, f"nothing {'listens to' if is_bound else 'reads from'} {place}"
        time.sleep(_POLL_S)  # the kernel's table of sockets is all that tells, and nothing announces its changes
