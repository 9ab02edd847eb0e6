"""`headwater explain`."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from tests import build
from tests.cli.conftest import STRANGE, STRANGE_TEMPLATE, Run

ROW = re.compile(r"\s*(\d+)  ((?:[0-9a-f]{2} )*[0-9a-f]{2})(?:\s|$)")


def octets_of(text: str) -> dict[int, int]:
    """Offset → octet, as the rows show them."""
    found: dict[int, int] = {}
    for line in text.splitlines():
        row = ROW.match(line)
        if row:
            for i, octet in enumerate(bytes.fromhex(row[2])):
                assert found.setdefault(int(row[1]) + i, octet) == octet
    return found


@pytest.mark.parametrize("width", [None, 60, 200])
def test_every_octet_of_the_message_is_shown(run: Run, lists: Path, width: int | None) -> None:
    messages = build.lists(40)
    text = run("explain", lists, "--message", 2, "--all", width=width).stdout
    start = len(messages[0])
    assert octets_of(text) == dict(enumerate(messages[1], start))


def test_templates_come_from_the_messages_before(run: Run, flows: Path) -> None:
    out = run("explain", flows, "-m", 3).stdout
    assert "records of Template 256" in out
    assert re.search(r"sourceIPv4Address\s+192\.0\.2\.", out)
    assert re.search(r"protocolIdentifier\s+\d+ \((tcp|udp)\)", out)


def test_records_beyond_the_tenth_are_left_out_unless_all_are_asked_for(run: Run, flows: Path) -> None:
    assert "records more in" in run("explain", flows, "-m", 2).stdout
    assert "records more in" not in run("explain", flows, "-m", 2, "--all").stdout


def test_a_message_is_found_by_an_octet_in_it(run: Run, flows: Path) -> None:
    first, second, *_ = build.flows(100)
    by_offset = run("explain", flows, "--offset", hex(len(first) + len(second) - 1)).stdout
    assert by_offset == run("explain", flows, "--message", 2).stdout
    assert by_offset.startswith(
        f"Message 2 of {flows}: IPFIX, {len(second)} octets at {len(first)}, domain 1, exported 2023-"
    )


def test_octets_between_messages_can_be_looked_at(run: Run, tmp_path: Path) -> None:
    first, second, *_ = build.flows(100)
    path = tmp_path / "damaged.ipfix"
    path.write_bytes(first + b"rubbish!" * 4 + second)
    result = run("explain", path, "--offset", len(first) + 3)
    assert result.exit_code == 1
    assert result.stdout.startswith("Octets that are no message")
    assert "records of Template 256" in run("explain", path, "--message", 2).stdout


def test_a_torn_message_is_a_message(run: Run, torn: Path) -> None:
    result = run("explain", torn, "-m", len(build.flows(100)))
    assert result.exit_code == 1
    assert "truncated: Message length" in result.stdout
    assert result.stderr == "headwater: 2 faults in this message\n"


@pytest.mark.parametrize(
    ("message", "words"),
    [
        (build.message(build.any_set(2, b"", length=3)), r"18  00 03 .*\n +\^\^ \^\^ +set_length: Set length 3"),
        (build.message(build.data_set(999, b"xyz")), r"16  03 e7 .*\n +\^\^ \^\^ +unknown_template: no Template 999"),
        (
            build.message(build.template_set(build.template(256, (8, 3)))),
            r"24  00 08 00 03 .*\n +\^\^ \^\^ \^\^ \^\^ +template_bad_length: sourceIPv4Address",
        ),
        (build.message(version=11), r"0  00 0b .*\n +\^\^ \^\^ +version: version 11 \(no export protocol known here\)"),
    ],
)
def test_faults_stand_under_their_octets(run: Run, message: bytes, words: str) -> None:
    result = run("explain", "--hex", message.hex(" "))
    assert result.exit_code == 1
    assert re.search(words, result.stdout)


def test_what_only_a_session_can_tell_is_shown_in_place(run: Run, tmp_path: Path) -> None:
    first, *_, last = build.flows(100)
    path = tmp_path / "gap.ipfix"
    path.write_bytes(first + last)
    out = run("explain", path, "-m", 2).stdout
    assert re.search(r"Sequence Number +99\n +\^\^ .* sequence_gap: 99 where 24 was expected, 75 records lost", out)


def test_hexadecimal_octets_may_be_written_in_many_ways(run: Run) -> None:
    message = build.message()
    expected = run("explain", "--hex", message.hex()).stdout
    for text in (
        message.hex(":"),
        message.hex(" ", 2).upper(),
        "0x" + message.hex(),
        "\n".join(message.hex(" ").split()),
    ):
        assert run("explain", "--hex", text).stdout == expected


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["--hex", "0g"], "'g' is no hexadecimal digit"),
        (["--hex", "123"], "odd number"),
        (["--hex", " "], "no octets"),
        ([], "give a SOURCE or --hex"),
        (["x", "--hex", "00"], "give a SOURCE or --hex"),
        (["x", "-m", 1, "-o", 2], "not both"),
        (["x", "-o", "here"], "'here' is no offset"),
        (["/nowhere/x"], "does not exist"),
    ],
)
def test_wrong_usage_is_one_sentence(run: Run, args: list[object], words: str) -> None:
    result = run("explain", *args)
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
    assert words in result.stderr


def test_messages_that_are_not_there(run: Run, flows: Path) -> None:
    assert f"has {len(build.flows(100))} messages, no message 999" in run("explain", flows, "-m", 999).stderr
    assert "none at offset 99999999" in run("explain", flows, "-o", 99999999).stderr


def test_json_is_a_tree_of_parts(run: Run, lists: Path) -> None:
    tree = json.loads(run("explain", "--json", lists).stdout)

    def leaves(part: dict[str, Any]) -> Iterator[dict[str, Any]]:
        if "parts" not in part:
            yield part
        for inner in part.get("parts", ()):
            yield from leaves(inner)

    assert bytes.fromhex("".join(leaf["octets"] for leaf in leaves(tree))) == build.lists(40)[0]
    assert tree["kind"] == "message"


def test_the_picture_is_svg_with_every_octet(run: Run, strange: Path, tmp_path: Path) -> None:
    result = run("explain", strange, "--all", "--svg", tmp_path / "picture.svg")
    assert (result.exit_code, result.stdout) == (0, "")
    picture = ET.fromstring((tmp_path / "picture.svg").read_text())
    texts = [(e.get("class"), "".join(e.itertext())) for e in picture.iter("{http://www.w3.org/2000/svg}text")]
    assert "".join(text for style, text in texts if style == "hex") == strange.read_bytes().hex()
    assert any("\\x1b[31m\\u202e" in text for _, text in texts)
    assert run("explain", strange, "--all", "--svg", "-").stdout == (tmp_path / "picture.svg").read_text()


def test_control_characters_are_escaped(run: Run, strange: Path) -> None:
    out = run("explain", strange).stdout
    assert "\x1b" not in out
    assert STRANGE_TEMPLATE  # the string is in a template of its own
    assert STRANGE not in out
    assert "\\x1b[31m\\u202e" in out


def test_stdin_is_a_source(run: Run, flows: Path) -> None:
    assert "192.0.2." in run("explain", "-", data=flows.read_bytes()).stdout


def test_a_picture_replaces_nothing_unless_forced(run: Run, flows: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.svg"
    target.write_text("mine")
    result = run("explain", flows, "--svg", target)
    assert (result.exit_code, target.read_text()) == (2, "mine")
    assert result.stderr == f"headwater: {target} exists; --force replaces it\n"
    assert run("explain", flows, "--svg", target, "-f").exit_code == 0
    assert "<svg" in target.read_text()
    assert run("explain", flows, "--svg", flows, "-f").exit_code == 2
