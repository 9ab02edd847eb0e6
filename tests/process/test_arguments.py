"""Wrong arguments are told where they are given; elements that a file describes can be selected by name."""

from __future__ import annotations

import inspect
import io
from pathlib import Path
from typing import Any

import pytest

import headwater as hw
from headwater.process.reading import ReadOptions
from tests import build
from tests.conftest import ROOT

FLOWS = b"".join(build.flows(5))
STRUCTS = ROOT.parent / "shared/corpus/original/gen_libfixbuf_struct_t/fb_struct_t.ipfix"
needs_structs = pytest.mark.skipif(not STRUCTS.exists(), reason="no corpus")


@needs_structs
@pytest.mark.parametrize("source", [STRUCTS, [str(STRUCTS)], STRUCTS.read_bytes() if STRUCTS.exists() else b""])
def test_elements_described_in_the_file_are_selected_by_name(source: Any) -> None:
    rows = list(hw.records(source, select=["exampleTags"]))
    assert {"exampleTags": [1, 65535, 1]} in rows
    assert all(list(row) == ["exampleTags"] for row in rows)


@needs_structs
def test_a_stream_cannot_be_read_for_names_and_the_error_says_so() -> None:
    with pytest.raises(hw.UnknownElement, match="not from streams"):
        hw.read(io.BytesIO(STRUCTS.read_bytes()), select=["exampleTags"])


def test_a_name_that_nobody_describes_stays_an_error() -> None:
    with pytest.raises(hw.UnknownElement, match="did you mean 'octetDeltaCount'"):
        hw.read(FLOWS, select=["octetDeltaCout"])


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"select": []}, "select names no column"),
        ({"select": "octetDeltaCount"}, "select is a list of names"),
        ({"select": [5]}, "5 is no name"),
        ({"select": 5}, "select is a list of names"),
        ({"provenance": "exportTime"}, "provenance is a list of names"),
        ({"provenance": 5}, "provenance is a list of names"),
        ({"limits": 5}, "limits is a headwater.Limits"),
        ({"registry": "x"}, "registry is a headwater.Registry"),
        ({"progress": 5}, "progress is a function"),
        ({"checksum": "x"}, "checksum is one of 'warn', 'drop', 'ignore'"),
        ({"max_octets": 0}, "max_octets is a positive number"),
    ],
)
@pytest.mark.parametrize("verb", [hw.read, hw.records, hw.read_table])
def test_wrong_options_are_told_at_the_call(verb: Any, how: dict[str, Any], message: str) -> None:
    with pytest.raises(hw.HeadwaterError, match=message):
        verb(FLOWS, **how)


@pytest.mark.parametrize("option", ["addresses", "times", "lists"])
def test_wrong_styles_are_told_at_the_call(option: str) -> None:
    bogus: dict[str, Any] = {option: "bogus"}
    with pytest.raises(hw.HeadwaterError, match=f"{option} is one of .*, not 'bogus'"):
        hw.records(FLOWS, **bogus)


def test_what_is_no_source_is_told_at_the_call(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="cannot read from NoneType"):
        hw.read(None)
    with pytest.raises(hw.SourceError, match="the path is empty"):
        hw.read("")
    file = (tmp_path / "x").open("wb")
    file.close()
    with pytest.raises(hw.SourceError, match="is closed"):
        hw.read(file)


def test_the_repr_of_a_reading_is_short() -> None:
    reading = hw.read(FLOWS, select=["octetDeltaCount"])
    assert repr(reading) == "<Reading of bytes: octetDeltaCount; not begun>"
    list(reading)
    assert "5 records" in repr(reading)


def test_records_and_read_table_take_the_options_of_read() -> None:
    options = set(inspect.signature(hw.read).parameters) - {"source"}
    assert options == set(ReadOptions.__annotations__)
    assert next(hw.records(FLOWS, select=["octetDeltaCount"])).keys() == {"octetDeltaCount"}
    with pytest.raises(TypeError, match="no_such_option"):
        hw.records(FLOWS, no_such_option=1)  # type: ignore[call-arg]
