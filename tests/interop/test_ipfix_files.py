"""Files that hw.Writer has written, read by libfixbuf and tshark, which share nothing with it."""

from __future__ import annotations

import io
import re
import subprocess
from collections.abc import Callable, Iterator
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest

import headwater as hw
from headwater.process.writing import Writer
from headwater.sinks.ipfix_rotation import Rotation
from tests.build import file, flows, lists, mixed_flows, strings
from tests.peers import require_program

pytestmark = pytest.mark.interop

RECORDS = 500
MAKERS = pytest.mark.parametrize("make", [flows, mixed_flows, strings, lists])
_VALUE = re.compile(r"^\t+(?:\(\d+\) (?:\(S\))? *\w+ |\d+  ): (?:\(len: \d+\) ?)?(.*)$", re.MULTILINE)
_DETAILS = {"exporterIPv4Address": "192.0.2.9", "exporterTransportPort": 4739}


def written(path: Path, make: Callable[[int], list[bytes]], **options: Any) -> list[dict[str, Any]]:
    """Write made records with the options; the records, options records too, in the order of the file."""
    with Writer(path, **options) as writer:
        writer.write(hw.read(io.BytesIO(file(*make(RECORDS)))))
    return list(hw.records(path))


def run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def dumped(path: Path) -> list[str]:
    """All values that ipfixDump finds, those of lists too, in the order of the file."""
    text = run(require_program("ipfixDump"), "--data", "--in", str(path))
    return [str(ip_address(shown)) if "::" in shown else shown for shown in _VALUE.findall(text) if shown]


def flat(values: Any) -> Iterator[str]:
    """All values inside of records, as ipfixDump shows them; it shows nothing for empty text."""
    if isinstance(values, dict):
        for inner in values.values():
            yield from flat(inner)
    elif isinstance(values, list):
        for inner in values:
            yield from flat(inner)
    elif values != "":
        yield str(values)


def without_times(values: list[str]) -> list[str]:
    """Milliseconds since 1970 are a date in ipfixDump."""
    return [value for value in values if not re.fullmatch(r"\d{13}|[\d-]{10} [\d:]{8}\.\d{3}", value)]


@MAKERS
def test_libfixbuf_reads_the_same_values(tmp_path: Path, make: Any) -> None:
    path = tmp_path / "flows.ipfix"
    ours = list(flat(written(path, make)))
    assert without_times(dumped(path)) == without_times(ours)
    assert len(dumped(path)) == len(ours) > RECORDS


@MAKERS
def test_libfixbuf_takes_files_and_messages_that_tell_about_themselves(tmp_path: Path, make: Any) -> None:
    path = tmp_path / "flows.ipfix"
    found = written(
        path, make, checksum=True, message_details=True, session_details=_DETAILS, time_window=(0, 2 * 10**12)
    )
    text = run(require_program("ipfixDump"), "--stats", "--in", str(path))
    counted = re.search(r"(\d+) Messages, (\d+) Data Records", text)
    assert counted is not None
    assert int(counted[2]) == len(found)


@MAKERS
def test_tshark_finds_no_fault_and_all_records(tmp_path: Path, make: Any) -> None:
    path = tmp_path / "flows.ipfix"
    written(path, make, mtu=1420, checksum=True, session_details=_DETAILS)
    tshark = require_program("tshark")
    assert run(tshark, "-r", str(path), "-Y", "_ws.malformed || _ws.expert.severity >= 0x600000") == ""
    shown = run(tshark, "-r", str(path), "-T", "fields", "-e", "cflow.octets")
    theirs = [int(value) for line in shown.splitlines() for value in line.split(",") if value]
    assert theirs == [row["octetDeltaCount"] for row in hw.records(path) if "octetDeltaCount" in row]
    assert len(theirs) == RECORDS


def test_tshark_and_libfixbuf_read_each_file_of_a_series(tmp_path: Path) -> None:
    with Writer(tmp_path / "flows.ipfix", rotate=Rotation(records=100), mtu=1420) as writer:
        writer.write(hw.read(io.BytesIO(file(*mixed_flows(RECORDS)))))
    paths = sorted(tmp_path.iterdir())
    assert len(paths) >= RECORDS // 100
    for path in paths:
        ours = list(flat(list(hw.records(path))))
        assert without_times(dumped(path)) == without_times(ours)
        assert run(require_program("tshark"), "-r", str(path), "-Y", "_ws.malformed") == ""
