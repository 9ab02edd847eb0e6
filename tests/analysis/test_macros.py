"""SQL macros for addresses."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Network, IPv6Address, IPv6Network
from typing import Any

import duckdb
import pytest

from headwater.analysis.errors import sentence
from headwater.analysis.macros import MACROS, define
from headwater.analysis.querying import query
from headwater.model.text import to_text
from headwater.model.types import DataType
from tests.analysis.stored import segment


@pytest.fixture(scope="module")
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as con:
        define(con)
        yield con


def value(con: duckdb.DuckDBPyConnection, sql: str, *arguments: object) -> Any:
    row = con.execute(f"select {sql}", list(arguments)).fetchall()[0]
    return row[0]


V6 = [
    "::",
    "::1",
    "1::",
    "2001:db8::1",
    "2001:db8:0:1:1:1:1:1",
    "2001:0:0:1::1",
    "2001:db8::1:0:0:1",
    "1:2:3:4:5:6:7:8",
    "1:2:3:4:5:6:7:0",
    "::ffff:192.0.2.1",
    "0:1::",
    "fe80::f00:0:10:100",
]


@pytest.mark.parametrize("text", V6)
def test_ipv6_addresses_are_text_as_rfc_5952_has_it(con: duckdb.DuckDBPyConnection, text: str) -> None:
    octets = IPv6Address(text).packed
    assert value(con, "ip6(?::blob)", octets) == to_text(DataType.IPV6, octets)
    assert value(con, "to_ip6(?)", text) == octets


def test_ipv4_addresses_are_text_and_back(con: duckdb.DuckDBPyConnection) -> None:
    assert value(con, "ip4(3221225985::uinteger)") == "192.0.2.1"
    assert value(con, "to_ip4('255.255.255.255')") == 0xFFFFFFFF
    assert value(con, "ip4(null)") is None


def test_ip_takes_the_address_that_is_there(con: duckdb.DuckDBPyConnection) -> None:
    assert value(con, "ip(1::uinteger, null)") == "0.0.0.1"
    assert value(con, "ip(null, to_ip6('::1'))") == "::1"
    assert value(con, "ip(null, null)") is None


def test_mac_addresses_are_text_and_back(con: duckdb.DuckDBPyConnection) -> None:
    assert value(con, "mac(to_mac('02:00:5E:00:00:ff'))") == "02:00:5e:00:00:ff"


def test_protocols_and_flags_have_names(con: duckdb.DuckDBPyConnection) -> None:
    assert value(con, "proto(6::utinyint)") == "tcp"
    assert value(con, "proto(255::utinyint)") == "255"
    assert value(con, "proto(null)") is None
    assert value(con, "flags(18::usmallint)") == ".A..S."


@pytest.mark.parametrize("prefix", ["10.0.0.0/8", "0.0.0.0/0", "192.0.2.128/25", "192.0.2.1", "192.0.2.1/32"])
def test_in4_holds_for_the_addresses_of_a_prefix(con: duckdb.DuckDBPyConnection, prefix: str) -> None:
    network = IPv4Network(prefix)
    first, last = int(network[0]), int(network[-1])
    for address in {first, last, max(first - 1, 0), min(last + 1, 0xFFFFFFFF)}:
        assert value(con, f"in4({address}::uinteger, '{prefix}')") is (first <= address <= last)


@pytest.mark.parametrize("prefix", ["2001:db8::/32", "::/0", "2001:db8::/29", "2001:db8::1", "fe80::/10"])
def test_in6_holds_for_the_addresses_of_a_prefix(con: duckdb.DuckDBPyConnection, prefix: str) -> None:
    network = IPv6Network(prefix)
    first, last = int(network[0]), int(network[-1])
    for address in {first, last, max(first - 1, 0), min(last + 1, (1 << 128) - 1)}:
        octets = address.to_bytes(16)
        assert value(con, f"in6(?::blob, '{prefix}')", octets) is (first <= address <= last)


def test_a_null_is_in_no_prefix(con: duckdb.DuckDBPyConnection) -> None:
    assert value(con, "in4(null, '10.0.0.0/8')") is None


@pytest.mark.parametrize(
    ("sql", "told"),
    [
        ("in4(1, '10.0.0.0/33')", "'10.0.0.0/33' is no IPv4 prefix"),
        ("in4(1, '2001:db8::/32')", "'2001:db8::/32' is no IPv4 prefix"),
        ("in6(''::blob, '10.0.0.0/8')", "'10.0.0.0/8' is no IPv6 prefix"),
        ("to_ip4('1.2.3')", "'1.2.3' is not the text of a value of type ipv4Address"),
        ("to_ip6('1::2::3')", "'1::2::3' is not the text of a value of type ipv6Address"),
        ("to_mac('02')", "'02' is not the text of a value of type macAddress"),
    ],
)
def test_what_is_no_address_is_told_in_a_sentence(con: duckdb.DuckDBPyConnection, sql: str, told: str) -> None:
    with pytest.raises(duckdb.Error) as caught:
        con.execute(f"select {sql}").fetchall()
    assert sentence(caught.value) == told


def test_prefixes_reach_the_reader_of_parquet_as_bounds(tmp_path: Any) -> None:
    segment(tmp_path, 100)
    for condition, name in (
        ("in4(sourceIPv4Address, '10.0.0.0/30')", "sourceIPv4Address"),
        ("in6(sourceIPv6Address, '2001:db8::/124')", "sourceIPv6Address"),
    ):
        plan = query(f"explain select count(*) from flows where {condition}", tmp_path).to_pylist()[0]["explain_value"]
        reading = plan[plan.index("READ_PARQUET") :].replace("│", "").replace("\n", " ")
        assert f"{name} <= " in reading or f"{name} >= " in reading, plan


def test_every_macro_that_is_told_of_is_there(con: duckdb.DuckDBPyConnection) -> None:
    rows = con.execute("select distinct function_name from duckdb_functions()").fetchall()
    assert set(MACROS) <= {name for (name,) in rows}
