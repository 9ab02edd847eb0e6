"""What nfcapd stores of datagrams, as nfdump shows it: a collector that knows NetFlow v5, v9 and IPFIX."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tests.interop.recorded import DEADLINE_S, running
from tests.peers import require_program

_LOOPBACK = "0100007F"
_POLL_S = 0.02


def stored(folder: Path, datagrams: Iterable[bytes]) -> list[dict[str, Any]]:
    """The flows that nfcapd has stored after these datagrams, in order."""
    require_program("nfpcapd")  # of the same package
    nfcapd, nfdump = shutil.which("nfcapd"), shutil.which("nfdump")
    assert nfcapd is not None
    assert nfdump is not None
    port = free_udp_port()
    with (
        running([nfcapd, "-b", "127.0.0.1", "-p", str(port), "-w", str(folder)]),
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender,
    ):
        wait_for(port, is_bound=True)
        for datagram in datagrams:
            sender.sendto(datagram, ("127.0.0.1", port))
            wait_for(port)  # until it is read, so that none is lost
    flows = []
    for file in sorted(folder.glob("nfcapd.2*")):
        command = [nfdump, "-r", str(file), "-o", "json"]
        text = subprocess.run(command, check=True, capture_output=True, env={**os.environ, "TZ": "UTC"}).stdout
        flows += json.loads(text)
    return flows


def free_udp_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_for(port: int, *, is_bound: bool = False) -> None:
    """Until a program is bound to the port, or has read all that was sent there."""
    end = time.monotonic() + DEADLINE_S
    while not _is_idle(port):
        assert time.monotonic() < end, f"nothing {'listens to' if is_bound else 'reads from'} port {port}"
        time.sleep(_POLL_S)  # the kernel's table of sockets is all that tells, and nothing announces its changes


def _is_idle(port: int) -> bool:
    for line in Path("/proc/net/udp").read_text().splitlines()[1:]:
        columns = line.split()
        if columns[1] == f"{_LOOPBACK}:{port:04X}":
            return columns[4].endswith(":00000000")
    return False
