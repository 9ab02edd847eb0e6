"""nfdump as a party: `nfdump -r FILE -o null`, which reads a file of its own format and adds the flows up.

That is its reader alone: what it is timed on was decoded before, when nfcapd received the datagrams and stored them
(uncompressed, 124 octets a flow). Debian's nfcapd does not read captures, so the payloads are sent to it over the
loopback interface once; many exporters send from 127.0.1.1, 127.0.1.2 and on. Options records are not stored.
Counted is the CPU time of whole processes, start and end too.
"""

from __future__ import annotations

import re
import resource
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from protocol import datagrams, serve

SOCKETS = Path("/proc/net/udp")  # the addresses and queues of all sockets
ADDED_UP = re.compile(r"total flows: (\d+), total bytes: (\d+)")


def stored(capture: Path) -> Path:
    """The file of nfcapd with the flows of a capture; made on first use."""
    path = capture.with_suffix(".nfcapd")
    if not path.exists():
        with tempfile.TemporaryDirectory(dir=capture.parent) as directory:
            collect(capture, Path(directory))
            next(Path(directory).glob("nfcapd.2*")).rename(path)
    return path


def collect(capture: Path, directory: Path) -> None:
    """Send a capture's payloads to an nfcapd that writes into the directory, never faster than it takes them."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = ["nfcapd", "-4", "-b", "127.0.0.1", "-p", str(port), "-w", str(directory), "-t", "3600"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as collector:
        try:
            drain(port, collector)
            send(capture, port, collector)
        finally:
            collector.terminate()  # it finishes its file


def send(capture: Path, port: int, collector: subprocess.Popen[bytes]) -> None:
    senders: dict[str, socket.socket] = {}
    for number, (sender, payload) in enumerate(datagrams(capture.read_bytes())):
        if sender not in senders:
            senders[sender] = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            senders[sender].bind((f"127.0.1.{len(senders)}", 0))
        senders[sender].sendto(payload, ("127.0.0.1", port))
        if number % 32 == 31:
            drain(port, collector)
    drain(port, collector)
    time.sleep(0.1)  # the last one is out of the queue, but not yet in the file
    for opened in senders.values():
        opened.close()


def drain(port: int, collector: subprocess.Popen[bytes]) -> None:
    """Wait until the collector listens and has taken all that was sent."""
    while queued(port) != 0:
        if collector.poll() is not None:
            raise SystemExit(f"nfcapd ended with exit code {collector.returncode}")
        time.sleep(0.0005)


def queued(port: int) -> int | None:
    """Octets in the receive queue of a UDP port, None if nobody listens."""
    for line in SOCKETS.read_text().splitlines()[1:]:
        _, local, _, _, queues, *_ = line.split()
        if int(local.partition(":")[2], 16) == port:
            return int(queues.partition(":")[2], 16)
    return None


def children() -> float:
    """CPU seconds of the processes that were started and have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def main(file: str) -> None:
    command = ["nfdump", "-N", "-r", str(stored(Path(file))), "-o", "null"]

    def added_up() -> tuple[int, int]:
        output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        found = ADDED_UP.search(output)
        if not found:
            raise SystemExit("nfdump printed no sums")
        return int(found[1]), int(found[2])

    serve(lambda: {"octets": added_up()[1]}, lambda: added_up()[0], children)


main(sys.argv[2])
