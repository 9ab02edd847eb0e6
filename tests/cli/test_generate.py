"""`headwater generate`: synthetic traffic as files."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

import headwater as hw
from tests.cli.conftest import Run, Spawn
from tests.process.collectors import DEADLINE_S


@pytest.mark.parametrize("name", ["x.ipfix", "x.ipfix.gz", "x.ipfix.bz2", "x.pcap", "x.PCAP.xz"])
def test_the_suffix_decides_on_the_format_and_the_compression(run: Run, tmp_path: Path, name: str) -> None:
    result = run("generate", "-n", 500, "--shape", "flows4", tmp_path / name)
    assert result.exit_code == 0
    assert f"{name}: 500 records, " in result.stderr
    assert sum(batch.num_rows for batch in hw.read(tmp_path / name)) == 500


def test_the_same_arguments_give_the_same_file(run: Run, tmp_path: Path) -> None:
    for name in ("a.pcap", "b.pcap"):
        run("generate", "-n", 300, "--seed", 5, "--exporters", 2, tmp_path / name)
    assert (tmp_path / "a.pcap").read_bytes() == (tmp_path / "b.pcap").read_bytes()


def test_seconds_times_the_rate_are_the_records(run: Run, tmp_path: Path) -> None:
    result = run("generate", "--seconds", 3, "--rate", 50, "--shape", "nat", tmp_path / "x.ipfix")
    assert "150 records, 2 messages, 1 template, " in result.stderr


def test_a_start_is_a_time_or_seconds(run: Run, tmp_path: Path) -> None:
    for start in ("2024-05-01T00:00:00", "2024-05-01T02:00:00+02:00", "1714521600"):
        run("generate", "-f", "-n", 5, "--shape", "flows4", "--start", start, tmp_path / "x.ipfix")
        reading = hw.read(tmp_path / "x.ipfix")
        assert sum(batch.num_rows for batch in reading) == 5
        assert reading.report.sources[0].first_export == 1714521600 + 9


def test_octets_for_stdout_can_be_piped(spawn: Spawn) -> None:
    process = spawn("generate", "--shape", "dns", "-n", 20)
    octets, errors = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 0
    assert errors == b""
    assert sum(batch.num_rows for batch in hw.read(octets)) == 20


def test_netflow_for_stdout_is_a_capture(spawn: Spawn) -> None:
    octets, _ = spawn("generate", "--version", 5, "-n", 40).communicate(timeout=DEADLINE_S)
    assert sum(batch.num_rows for batch in hw.read(octets)) == 40


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["x.foo"], "say --to, or use a suffix of .ipfix, .pcap"),
        (["--exporters", 2, "udp://127.0.0.1:4739"], "whoever sends is one exporter"),
        (["foo://127.0.0.1:4739"], "foo"),
        (["--seconds", 1, "-n", 1, "x.ipfix"], "exclude each other"),
        (["--shape", "foo", "x.ipfix"], "no shape 'foo'"),
        (["--version", "9", "x.ipfix"], "no files of NetFlow v9; write a capture"),
        (["--exporters", 2, "x.ipfix"], "an IPFIX file is of one exporter"),
        (["--mtu", 65530, "x.pcap"], "a datagram has at most 65507 octets"),
        (["--mtu", 20, "x.ipfix"], "mtu is 20"),
        (["--start", "yesterday", "x.ipfix"], "'yesterday' is no time"),
    ],
)
def test_what_cannot_be_written_is_one_sentence(run: Run, tmp_path: Path, arguments: list[object], words: str) -> None:
    target = arguments[-1] if "://" in str(arguments[-1]) else tmp_path / str(arguments[-1])
    result = run("generate", *arguments[:-1], target)
    assert result.exit_code == 2
    assert words in result.stderr
    assert not list(tmp_path.iterdir())


def test_a_file_that_exists_is_not_replaced_without_force(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "x.ipfix"
    path.write_text("mine")
    assert run("generate", path).exit_code == 2
    assert path.read_text() == "mine"
    assert run("generate", "-q", "-f", path).stderr == ""
    assert path.read_bytes()[:2] == b"\0\x0a"


@pytest.mark.parametrize(("version", "shape"), [("ipfix", "mixed"), ("9", "flows4"), ("5", "flows4")])
def test_a_collector_gets_the_records(run: Run, version: str, shape: str) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as collector:
        collector.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        collector.bind(("127.0.0.1", 0))
        collector.settimeout(DEADLINE_S)
        url = f"udp://127.0.0.1:{collector.getsockname()[1]}"
        result = run("generate", "-n", 200, "--rate", 1e5, "--shape", shape, "--version", version, url)
        assert result.exit_code == 0
        assert url.removeprefix("udp://") in result.stderr
        session = hw.Session()
        while session.counters["records"] < 200:
            list(session.receive(collector.recv(65535)))
    assert not session.counters["sequence_gap"]
    assert not session.counters["unknown_template"]
