"""The line protocol of a party written in Python; worker.h is its twin for C.

usage: WORKER SHAPE FILE MODE
Commands on standard input, one JSON object on standard output for each:
  check        one pass that also adds things up          -> totals, some or all of those of shapes.py
  run SECONDS  passes over the data until SECONDS of CPU  -> {"cpu": seconds, "records": all records of all passes}
"""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def serve(check: Callable[[], dict[str, int]], one_pass: Callable[[], int]) -> None:
    """Answer commands until standard input ends. one_pass: decodes all of the data, returns the number of records."""
    for line in sys.stdin:
        command, _, argument = line.partition(" ")
        answer = check() if command == "check\n" else run(float(argument), one_pass)
        print(json.dumps(answer), flush=True)


def run(seconds: float, one_pass: Callable[[], int]) -> dict[str, float]:
    records, begin = 0, time.process_time()
    while True:
        records += one_pass()
        spent = time.process_time() - begin
        if spent >= seconds:
            return {"cpu": spent, "records": records}


def messages(data: bytes) -> Iterator[bytes]:
    """The messages of a file, for a party that takes datagrams."""
    at = 0
    while at < len(data):
        length = int.from_bytes(data[at + 2 : at + 4], "big")
        yield data[at : at + length]
        at += length
