"""`headwater elements`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Run


@pytest.mark.parametrize("text", ["protocolIdentifier", "PROTOCOL", "4", "0/4"])
def test_the_exact_element_is_described_with_the_names_of_its_values(run: Run, text: str) -> None:
    lines = [line.split() for line in run("elements", text).stdout.splitlines()]
    assert lines[0] == ["protocolIdentifier"]
    assert ["number", "4", "(IANA)"] in lines
    assert ["type", "unsigned8,", "1", "octet"] in lines
    assert ["6", "tcp"] in lines


def test_a_part_of_a_name_finds_elements(run: Run) -> None:
    lines = run("elements", "transportport").stdout.splitlines()
    assert lines[0].split() == ["number", "name", "type", "units", "semantics", "also", "called"]
    numbers = [line.split()[0] for line in lines[1:]]
    assert {"7", "11", "227"} <= set(numbers)
    assert "/" not in numbers[0]


def test_enterprise_and_type_narrow_the_search(run: Run) -> None:
    found = json.loads(run("elements", "--pen", 6871, "--type", "STRING", "--json").stdout)
    assert {e["pen"] for e in found} == {6871}
    assert {e["type"] for e in found} == {"string"}


def test_reverse_elements_are_found(run: Run) -> None:
    assert "29305/1" in run("elements", "reverseOctetDeltaCount").stdout


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["protocolIdentifer"], "did you mean 'protocolIdentifier'"),
        (["--type", "integer"], "is not one of octetArray, unsigned8"),
        (["35632/5"], "element 35632/5 is not in the registry; search"),
        (["--pen", 424242], "there are no elements of enterprise 424242"),
        (["--pen", 6871, "protocolIdentifier"], "but none of that enterprise and type"),
    ],
)
def test_nothing_found_is_one_sentence(run: Run, args: list[object], words: str) -> None:
    result = run("elements", *args)
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
    assert words in result.stderr


def test_elements_of_the_users_own_are_found(run: Run, tmp_path: Path) -> None:
    (tmp_path / "own.csv").write_text("pen,id,name,type\n32473,7,myVerySpecialPort,unsigned16\n")
    assert "32473/7" in run("elements", "--registry", tmp_path / "own.csv", "veryspecial").stdout
