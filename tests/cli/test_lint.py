"""`headwater lint`: where messages violate the standards."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests import build as b
from tests import packets
from tests.cli.conftest import Run, Spawn
from tests.process.collectors import DEADLINE_S

TEMPLATE = b.template_set(b.template(256, (9, 1), (82, b.VARIABLE)))


def record(length: int = 24, name: bytes = b"eth0") -> bytes:
    return b.record(b.uint(length, 1), b.var(name))


@pytest.fixture
def bad(tmp_path: Path) -> Path:
    """A file with five values out of range, one ill-formed string and one empty set."""
    path = tmp_path / "bad.ipfix"
    records = [record(40) for _ in range(5)]
    path.write_bytes(
        b.message(TEMPLATE, b.data_set(256, record(), *records))
        + b.message(b.data_set(256, record(name=b"\xff")), b.data_set(256), sequence=6)
    )
    return path


@pytest.fixture
def good(tmp_path: Path) -> Path:
    path = tmp_path / "good.ipfix"
    path.write_bytes(b.message(TEMPLATE, b.data_set(256, record())))
    return path


def test_what_is_right_is_said_in_one_line(run: Run, good: Path) -> None:
    result = run("lint", good)
    assert result.exit_code == 0
    assert result.stdout == f"{good}: 1 message, 1 record: nothing found\n"


def test_violations_are_told_by_rule_with_their_first_places(run: Run, bad: Path) -> None:
    result = run("lint", bad)
    assert result.exit_code == 1
    assert result.stdout.splitlines() == [
        f"{bad}: 2 messages, 7 records: 2 errors, 1 warning",
        "  error element_range, 5 times: Values are within the range that their element declares. (RFC 7012 §2.1)",
        "    octet 42, message 1, domain 1: sourceIPv4PrefixLength: 40 is not from 0 to 32",
        "    octet 48, message 1, domain 1: sourceIPv4PrefixLength: 40 is not from 0 to 32",
        "    octet 54, message 1, domain 1: sourceIPv4PrefixLength: 40 is not from 0 to 32",
        "    and 2 more (--all shows them)",
        "  error utf8: Strings MUST be well-formed UTF-8. (RFC 7011 §6.1.6)",
        "    octet 94, message 2, domain 1: interfaceName",
        "  warning empty_set: A Set has one or more records. (RFC 7011 §3.3)",
        "    octet 95, message 2, domain 1: Set 256 has no records",
    ]


def test_all_places_are_told_if_asked_for(run: Run, bad: Path) -> None:
    result = run("lint", "--all", bad)
    assert result.stdout.count("is not from 0 to 32") == 5
    assert "more (" not in result.stdout


def test_the_severity_decides_on_what_is_shown_and_on_the_exit_code(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "x.ipfix"
    path.write_bytes(b.message(TEMPLATE, b.data_set(256, record(name=b"a\x07"))))
    result = run("lint", path)
    assert (result.exit_code, result.stdout) == (0, f"{path}: 1 message, 1 record: nothing found; 1 note not shown\n")
    result = run("lint", "--severity", "note", path)
    assert result.exit_code == 1
    assert "note control_characters" in result.stdout
    assert "b'a\\x07'" in result.stdout
    assert "\x07" not in result.stdout


def test_rules_can_be_ignored(run: Run, bad: Path) -> None:
    result = run("lint", "--ignore", "utf8,element_range", "--ignore", "empty_set", bad)
    assert (result.exit_code, result.stdout) == (0, f"{bad}: 2 messages, 7 records: nothing found\n")


def test_json_has_everything(run: Run, bad: Path, good: Path) -> None:
    result = run("lint", "--json", bad, good)
    assert result.exit_code == 1
    first, second = json.loads(result.stdout)["sources"]
    assert [one["rule"] for one in first["violations"]] == ["element_range", "utf8", "empty_set"]
    assert first["violations"][1]["places"] == [
        {"offset": 94, "message": 2, "exporter": None, "domain": 1, "detail": "interfaceName", "count": 1}
    ]
    assert second["violations"] == []


def test_explain_finds_the_octet_of_a_place(run: Run, bad: Path) -> None:
    for one in json.loads(run("lint", "--json", "--all", bad).stdout)["sources"][0]["violations"]:
        for place in one["places"]:
            by_offset = run("explain", bad, "--offset", place["offset"]).stdout
            assert by_offset == run("explain", bad, "--message", place["message"]).stdout


def test_captures_tell_the_exporter(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "x.pcap"
    message = b.message(TEMPLATE, b.data_set(256))
    path.write_bytes(packets.pcap([packets.ethernet(packets.udp(message))]))
    assert ", message 1, 10.0.0.1:50000, domain 1: Set 256 has no records" in run("lint", path).stdout
    assert run("lint", "--port", 9, path).stdout.startswith(f"{path}: 0 messages")


def test_all_rules_can_be_listed(run: Run) -> None:
    lines = run("lint", "--rules").stdout.splitlines()
    assert lines[0].split() == ["rule", "severity", "section", "what", "is", "right"]
    assert any(line.startswith("nonzero_padding ") and "RFC 7011 §3.3.1" in line for line in lines)
    rules = json.loads(run("lint", "--rules", "--json").stdout)
    assert len(rules) == len(lines) - 1
    assert {"rule", "severity", "elsewhere", "section", "text"} == rules[0].keys()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "missing argument 'SOURCE...'"),
        (["nonono.ipfix"], "nonono.ipfix does not exist"),
        (["--ignore", "foo", "x"], "there is no rule 'foo'"),
        (["--severity", "fatal", "x"], "'fatal' is not one of"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(run: Run, arguments: list[str], words: str) -> None:
    result = run("lint", *arguments)
    assert result.exit_code == 2
    assert words in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_a_file_that_is_something_else_cannot_be_linted(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "x.txt"
    path.write_text("this is text, and not flow export")
    result = run("lint", path)
    assert result.exit_code == 2
    assert "holds no flow export" in result.stderr


def test_octets_can_come_through_a_pipe(spawn: Spawn, bad: Path) -> None:
    out, errors = spawn("lint", "-").communicate(bad.read_bytes(), timeout=DEADLINE_S)
    assert out.decode().startswith("<stdin>: 2 messages")
    assert errors == b""
