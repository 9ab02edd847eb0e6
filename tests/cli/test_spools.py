"""Raw spools wherever a capture can be given."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import headwater as hw
from headwater.session.key import Transport
from tests import build as b
from tests.cli.conftest import Run
from tests.transport.spools import EXPORTER, LOCAL, OTHER, block, pieces, spool

MESSAGES = b.flows(100)
TCP = (Transport.TCP, LOCAL)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Two Messages of one exporter over UDP, and the others of another one over TCP, whose connection has ended."""
    head, first = pieces(block(*MESSAGES[:2]))
    second = pieces(block(b"".join(MESSAGES[:3]), b"".join(MESSAGES[3:]), keys=[OTHER], ended=[OTHER]), lane=TCP)[1]
    path = tmp_path / "x.hwspool"
    path.write_bytes(head + first + second)
    return path


def test_info_tells_what_a_spool_holds(run: Run, path: Path) -> None:
    result = run("info", path)
    assert result.exit_code == 0
    assert "content     spool of 4 datagrams in 2 blocks\n" in result.stdout
    assert "1 transport sessions that ended" in result.stdout
    assert f"{EXPORTER}" in result.stdout
    assert f"{OTHER}" in result.stdout
    plain = json.loads(run("info", "--json", path).stdout)
    assert plain["sources"][0]["content"] == "spool"
    assert plain["sources"][0]["capture"]["datagrams"] == 4


def test_info_of_a_damaged_spool_tells_where_it_is(run: Run, path: Path) -> None:
    octets = bytearray(path.read_bytes())
    octets[-1] ^= 1
    path.write_bytes(octets)
    result = run("info", path)
    assert result.exit_code == 1
    assert "1 damaged blocks, 2 datagrams in these" in result.stdout
    assert "capture_damaged at octet" in result.stdout


def test_each_message_is_explained_where_it_stands(run: Run, path: Path) -> None:
    octets = path.read_bytes()
    for number in range(1, 3 + len(MESSAGES)):
        message = MESSAGES[number - 1] if number <= 2 else MESSAGES[number - 3]
        key = EXPORTER if number <= 2 else OTHER
        result = run("explain", path, "--message", number)
        assert result.exit_code == 0, result.stdout
        lines = result.stdout.splitlines()
        at = int(lines[0].split(" octets at ")[1].split(",")[0])
        assert octets[at : at + len(message)] == message
        assert f"from {key} to 192.0.2.9:4739, arrived" in lines[1]
        assert run("explain", path, "--offset", at + 20).stdout == result.stdout


def test_a_template_does_not_outlive_its_connection(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "x.hwspool"
    path.write_bytes(spool(block(MESSAGES[0], ended=[EXPORTER]), block(MESSAGES[1]), lane=TCP))
    assert run("explain", path, "--message", 1).exit_code == 0
    result = run("explain", path, "--message", 2)
    assert result.exit_code == 1
    assert "unknown_template" in result.stdout


def test_streams_of_sctp_are_explained(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "x.hwspool"
    lane = (Transport.SCTP, LOCAL)
    path.write_bytes(spool(block(*MESSAGES[:3], streams=[0, 1, 1]), lane=lane))
    assert run("explain", path, "--message", 2).exit_code == 0


def test_a_message_that_is_not_there_is_said(run: Run, path: Path) -> None:
    result = run("explain", path, "--message", 100)
    assert result.exit_code == 2
    assert f"has {2 + len(MESSAGES)} messages, no message 100" in result.stderr


@pytest.mark.parametrize("suffix", ["ipfix", "pcap", "csv", "ndjson"])
def test_a_spool_is_converted(run: Run, path: Path, tmp_path: Path, suffix: str) -> None:
    target = tmp_path / f"y.{suffix}"
    assert run("convert", path, target).exit_code == 0
    count = sum(batch.num_rows for batch in hw.read(path))
    assert count > 100
    if suffix in ("ipfix", "pcap"):
        assert sum(batch.num_rows for batch in hw.read(target)) == count
    else:
        assert len(target.read_text().splitlines()) == count + (suffix == "csv")


def test_cat_and_lint_take_a_spool(run: Run, path: Path) -> None:
    assert run("cat", path).stdout.startswith("IPFIX from ")
    assert run("lint", path).exit_code in (0, 1)
