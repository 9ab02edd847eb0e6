"""Numbers and addresses in NDJSON and CSV that their elements cannot have: null in the answer, and told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from headwater.analysis.querying import connect, query

HIGHEST = (1 << 64) - 1
ADDRESSES = {
    "sourceIPv4Address": ("192.0.2.1", "192.0.2.256"),
    "sourceIPv6Address": ("2001:db8::1:2:3:4", "2001:db8::1::2"),
    "sourceMacAddress": ("02:00:00:00:00:01", "02:00:00:00:00"),
    "mplsTopLabelStackSection": ("001230", "0x"),
}
"""Element, the text of a value, and one that is none."""


def write(path: Path, name: str, *texts: str, quote: str = "") -> Path:
    """A column of texts as they are, with these marks around them in NDJSON."""
    if path.suffix == ".csv":
        path.write_text("".join(f"{text}\n" for text in (name, *texts)))
    else:
        path.write_text("".join(f'{{"{name}": {quote}{text}{quote}}}\n' for text in texts))
    return path


def ask(folder: Path, name: str) -> tuple[str, list[Any], list[str]]:
    """The type of a column, its values as texts, and what was warned of."""
    warnings: list[str] = []
    with connect(folder, warn=warnings.append) as con:
        rows = con.execute(f"select typeof({name}), {name}::VARCHAR from flows order by 2 nulls last").fetchall()
    assert len({type for type, _ in rows}) == 1
    return rows[0][0], [value for _, value in rows], warnings


@pytest.mark.parametrize("suffix", [".ndjson", ".csv"])
@pytest.mark.parametrize("forged", [str(1 << 64), "9" * 60, "9" * 400])
def test_an_integer_beyond_its_type_is_null_and_told(tmp_path: Path, suffix: str, forged: str) -> None:
    write(tmp_path / f"a{suffix}", "octetDeltaCount", forged, "5")
    write(tmp_path / f"b{suffix}", "octetDeltaCount", str(HIGHEST))
    type, values, warnings = ask(tmp_path, "octetDeltaCount")
    assert (type, values) == ("UBIGINT", [str(HIGHEST), "5", None])
    assert len(warnings) == 1
    assert f"a{suffix}: " in warnings[0]
    assert "left out of octetDeltaCount" in warnings[0]


@pytest.mark.parametrize("suffix", [".ndjson", ".csv"])
def test_a_signed_integer_beyond_its_type_is_null_and_told(tmp_path: Path, suffix: str) -> None:
    write(tmp_path / f"a{suffix}", "mibObjectValueInteger", str(HIGHEST), "-5")
    type, values, warnings = ask(tmp_path, "mibObjectValueInteger")
    assert (type, values, len(warnings)) == ("BIGINT", ["-5", None], 1)


@pytest.mark.parametrize("suffix", [".ndjson", ".csv"])
def test_whole_numbers_with_a_point_are_integers_and_fractions_make_the_column_text(
    tmp_path: Path, suffix: str
) -> None:
    write(tmp_path / f"a{suffix}", "octetDeltaCount", "1.0", "5")
    assert ask(tmp_path, "octetDeltaCount") == ("UBIGINT", ["1", "5"], [])
    write(tmp_path / f"a{suffix}", "octetDeltaCount", "1.5", "5")
    assert ask(tmp_path, "octetDeltaCount") == ("VARCHAR", ["1.5", "5"], [])


@pytest.mark.parametrize("name", ["tcpOptionsFull", "notOfIana"])
def test_large_numbers_that_no_integer_of_sql_holds_are_text(tmp_path: Path, name: str) -> None:
    write(tmp_path / "a.csv", name, str(1 << 250), "5")
    assert ask(tmp_path, name) == ("VARCHAR", [str(1 << 250), "5"], [])


@pytest.mark.parametrize("forged", ["9" * 60, "1e9"])
def test_a_float_of_many_digits_is_a_float(tmp_path: Path, forged: str) -> None:
    write(tmp_path / "a.csv", "samplingProbability", forged, "0")
    assert ask(tmp_path, "samplingProbability")[::2] == ("DOUBLE", [])


@pytest.mark.parametrize("suffix", [".ndjson", ".csv"])
@pytest.mark.parametrize("name", ADDRESSES)
def test_a_text_that_is_no_address_is_null_and_told(tmp_path: Path, suffix: str, name: str) -> None:
    good, bad = ADDRESSES[name]
    write(tmp_path / f"a{suffix}", name, good, quote='"')
    write(tmp_path / f"b{suffix}", name, good, bad, "zz", quote='"')
    warnings: list[str] = []
    found = query(f"select {name} as a from flows", tmp_path, warn=warnings.append)["a"]
    assert (len(found), found.null_count, len(found.drop_null().unique())) == (4, 2, 1)
    assert len(warnings) == 1
    assert f"b{suffix}: " in warnings[0]
    assert f"left out of {name}" in warnings[0]


@pytest.mark.parametrize("text", ["::", "::1", "1::", "2001:DB8::1", "::ffff:192.0.2.1", "1:2:3:4:5:6:7:8", "1:2::3"])
def test_addresses_in_all_forms_are_taken_without_a_warning(tmp_path: Path, text: str) -> None:
    write(tmp_path / "a.csv", "sourceIPv6Address", text)
    type, values, warnings = ask(tmp_path, "sourceIPv6Address")
    assert (type, values != [None], warnings) == ("BLOB", True, [])


def test_null_addresses_are_no_reason_to_warn(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("sourceIPv4Address,octetDeltaCount\n192.0.2.1,1\n,2\n")
    assert ask(tmp_path, "sourceIPv4Address")[1:] == (["3221225985", None], [])
