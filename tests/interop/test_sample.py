"""The bundled export of a real pmacctd, read by headwater and by two readers that share nothing with it."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path

import pytest

import headwater as hw
from tests.peers import require_program

pytestmark = pytest.mark.interop

RECORDS = 4554
TSHARK_FIELDS = {
    "cflow.octets": "octetDeltaCount",
    "cflow.packets": "packetDeltaCount",
    "cflow.srcport": "sourceTransportPort",
    "cflow.dstport": "destinationTransportPort",
    "cflow.protocol": "protocolIdentifier",
    "cflow.srcaddr": "sourceIPv4Address",
    "cflow.srcaddrv6": "sourceIPv6Address",
}


def test_tshark_reads_the_same_values(sample: Path) -> None:
    fields = [argument for name in TSHARK_FIELDS for argument in ("-e", name)]
    lines = run(require_program("tshark"), "-r", str(sample), "-T", "fields", *fields).splitlines()
    theirs: dict[str, list[str]] = {name: [] for name in TSHARK_FIELDS.values()}
    for line in lines:
        for name, values in zip(theirs, line.split("\t"), strict=True):
            theirs[name] += values.split(",") if values else []
    ours = {name: [str(row[name]) for row in hw.records(sample) if name in row] for name in theirs}
    assert len(ours["octetDeltaCount"]) == RECORDS
    assert ours == theirs


def test_ipfixdump_reads_the_same_records(sample: Path) -> None:
    text = run(require_program("ipfixDump"), "--data", "--in", str(sample))
    ours = list(hw.records(sample))
    assert len(ours) == RECORDS
    assert ours == list(dumped(text))


def run(*command: str) -> str:
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout


def dumped(text: str) -> Iterator[dict[str, object]]:
    """Records of ipfixDump, values as hw.records gives them."""
    for part in re.split(r"^--- data record \d+ ---$", text, flags=re.MULTILINE)[1:]:
        yield {name: value(shown) for name, shown in re.findall(r"^\t\(\d+\) +(\w+) : (.*)$", part, re.MULTILINE)}


def value(shown: str) -> object:
    if shown.isdigit():
        return int(shown)
    if re.fullmatch(r"[\d-]{10} [\d:]{8}\.\d{3}", shown):
        return round(datetime.fromisoformat(shown).replace(tzinfo=UTC).timestamp() * 1000)
    return str(ip_address(shown))
