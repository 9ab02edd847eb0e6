"""The line protocol of a party written in Python; worker.h is its twin for C.

usage: WORKER SHAPE FILE MODE
Commands on standard input, one JSON object on standard output for each:
  check        one pass that also adds things up          -> totals, some or all of those of shapes.py
  run SECONDS  passes over the data until SECONDS of CPU  -> {"cpu": seconds, "records": all records of all passes}
"""

from __future__ import annotations

import json
import socket
import struct
import sys
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PCAP, PCAP_HEAD, RECORD_HEAD = b"\xd4\xc3\xb2\xa1", 24, 16
ADDRESS, PAYLOAD = 26, 42  # positions in an Ethernet frame with an IPv4 header without options and a UDP header


def serve(
    check: Callable[[], dict[str, int]], one_pass: Callable[[], int], clock: Callable[[], float] = time.process_time
) -> None:
    """Answer commands until standard input ends.

    one_pass: decodes all of the data, returns the number of records. clock: CPU seconds spent so far.
    """
    for line in sys.stdin:
        command, _, argument = line.partition(" ")
        answer = check() if command == "check\n" else run(float(argument), one_pass, clock)
        print(json.dumps(answer), flush=True)


def run(seconds: float, one_pass: Callable[[], int], clock: Callable[[], float]) -> dict[str, float]:
    records, begin = 0, clock()
    while True:
        records += one_pass()
        spent = clock() - begin
        if spent >= seconds:
            return {"cpu": spent, "records": records}


def datagrams(data: bytes) -> Iterator[tuple[str, bytes]]:
    """(sender, payload) of each message of a file, for a party that takes datagrams.

    A capture is read as captures.py writes it, nothing is checked; no party is charged for that.
    """
    if not data.startswith(PCAP):
        yield from messages(data)
        return
    at = PCAP_HEAD
    while at < len(data):
        frame, length = at + RECORD_HEAD, struct.unpack_from("<I", data, at + 8)[0]
        at = frame + length
        yield socket.inet_ntoa(data[frame + ADDRESS : frame + ADDRESS + 4]), data[frame + PAYLOAD : at]


def messages(data: bytes) -> Iterator[tuple[str, bytes]]:
    at = 0
    while at < len(data):
        length = int.from_bytes(data[at + 2 : at + 4], "big")
        yield "192.0.2.1", data[at : at + length]
        at += length
