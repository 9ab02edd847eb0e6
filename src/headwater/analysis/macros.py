"""SQL macros for what Information Elements hold: IPv4 addresses are UINTEGER, IPv6 and MAC addresses BLOB.

Conditions (`in4`, `in6`) come down to BETWEEN with constants, which DuckDB hands to the Parquet reader: row groups
whose statistics exclude them are not read.
"""

from __future__ import annotations

from functools import partial
from ipaddress import IPv4Network, IPv6Network
from typing import TYPE_CHECKING, Final, TypeVar

from headwater.analysis.errors import QueryError
from headwater.analysis.sql_text import literal
from headwater.errors import DecodeError
from headwater.model.text import from_text
from headwater.model.types import DataType

if TYPE_CHECKING:
    import duckdb

Network = TypeVar("Network", IPv4Network, IPv6Network)

MACROS: Final[dict[str, str]] = {
    "ip4": "text of an IPv4 address",
    "ip6": "text of an IPv6 address (RFC 5952)",
    "ip": "text of the IPv4 address, or of the IPv6 address where that is null: ip(v4, v6)",
    "mac": "text of a MAC address",
    "in4": "whether an IPv4 address is in a prefix: in4(sourceIPv4Address, '10.0.0.0/8')",
    "in6": "whether an IPv6 address is in a prefix: in6(sourceIPv6Address, '2001:db8::/32')",
    "to_ip4": "the number that the text of an IPv4 address stands for",
    "to_ip6": "the octets that the text of an IPv6 address stands for",
    "to_mac": "the octets that the text of a MAC address stands for",
    "proto": "the name of a protocol: 6 is tcp",
    "flags": "the letters of TCP flags: 18 is .A..S.",
}
"""Macro and what it gives, for people."""


def define(con: duckdb.DuckDBPyConnection) -> None:
    """Make the macros known to a connection."""
    from duckdb.func import FunctionNullHandling

    for name, returns, function in (
        ("to_ip4", "UINTEGER", _to_ip4),
        ("to_ip6", "BLOB", partial(_octets, DataType.IPV6)),
        ("to_mac", "BLOB", partial(_octets, DataType.MAC_ADDRESS)),
        ("_low4", "UINTEGER", lambda text: int(_network(text, IPv4Network)[0])),
        ("_high4", "UINTEGER", lambda text: int(_network(text, IPv4Network)[-1])),
        ("_low6", "BLOB", lambda text: _network(text, IPv6Network)[0].packed),
        ("_high6", "BLOB", lambda text: _network(text, IPv6Network)[-1].packed),
    ):
        con.create_function(name, function, ["VARCHAR"], returns)
    for name, returns, type in (
        ("_ip4_or_null", "UINTEGER", DataType.IPV4),
        ("_ip6_or_null", "BLOB", DataType.IPV6),
        ("_mac_or_null", "BLOB", DataType.MAC_ADDRESS),
    ):
        # DuckDB's own TRY is far slower where much is no address
        con.create_function(
            name, partial(_or_null, type), ["VARCHAR"], returns, null_handling=FunctionNullHandling.SPECIAL
        )
    for head, body in (*_ADDRESSES, *_names()):
        con.execute(f"CREATE OR REPLACE TEMP MACRO {head} AS {body}")


def _ip4() -> str:
    return " || '.' || ".join(f"(a >> {shift} & 255)" for shift in (24, 16, 8, 0))


def _ip6() -> str:
    """As RFC 5952 has it: the first of the longest runs of two or more groups of zeros becomes `::` (§4.2)."""
    groups = [f"coalesce(nullif(ltrim(h[{at}:{at + 3}], '0'), ''), '0')" for at in range(1, 33, 4)]
    runs = [":" + "0:" * count for count in range(8, 1, -1)]
    cases = " ".join(
        f"WHEN contains(p, '{run}') THEN p[2:strpos(p, '{run}') - 1] || '::' || p[strpos(p, '{run}') + {len(run)}:-2]"
        for run in runs
    )
    plain = " || ':' || ".join(("''", *groups, "''"))
    text = f"[CASE {cases} ELSE p[2:-2] END for p in [{plain}]][1]"
    v4 = "'::ffff:' || ip4(('0x' || h[25:32])::UINTEGER)"
    # a list of one item gives an expression a name, so that it is there once, and not once for each use
    either = f"CASE WHEN h IS NULL THEN NULL WHEN h[1:24] = '00000000000000000000ffff' THEN {v4} ELSE {text} END"
    return f"[{either} for h in [lower(hex(a))]][1]"


_ADDRESSES: Final = (
    ("ip4(a)", _ip4()),
    ("ip6(a)", _ip6()),
    ("ip(a, b)", "coalesce(ip4(a), ip6(b))"),
    ("mac(a)", " || ':' || ".join(f"lower(hex(a))[{at}:{at + 1}]" for at in range(1, 13, 2))),
    ("_octets_or_null(a)", "CASE WHEN regexp_full_match(a, '[0-9A-Fa-f]*') THEN unhex(a) END"),
    ("in4(a, prefix)", "a BETWEEN _low4(prefix) AND _high4(prefix)"),
    ("in6(a, prefix)", "a BETWEEN _low6(prefix) AND _high6(prefix)"),
)
"""Macros with their parameters, and what they stand for."""


def _to_ip4(text: str) -> int:
    value = from_text(DataType.IPV4, text)
    assert isinstance(value, int)
    return value


def _octets(type: DataType, text: str) -> bytes:
    value = from_text(type, text)
    assert isinstance(value, bytes)
    return value


def _or_null(type: DataType, text: str | None) -> int | bytes | None:
    try:
        value: int | bytes | None = None if text is None else from_text(type, text)
    except DecodeError:
        return None
    return value


def _network(text: str, kind: type[Network]) -> Network:
    """The prefix; bits behind its length do not matter. Raises QueryError."""
    try:
        return kind(text, strict=False)
    except ValueError:
        version = 4 if kind is IPv4Network else 6
        raise QueryError(f"{text!r} is no IPv{version} prefix") from None


def _names() -> list[tuple[str, str]]:
    from headwater.model.enumerations import names
    from headwater.model.registry import IANA

    known = names(IANA.named("protocolIdentifier"))
    listed = ", ".join(literal(known[number]) if number in known else "NULL" for number in range(256))
    letters = " || ".join(
        f"CASE WHEN a & {1 << bit} = 0 THEN '.' ELSE '{letter}' END"
        for letter, bit in zip("UAPRSF", range(5, -1, -1), strict=True)
    )
    return [
        ("proto(a)", f"coalesce([{listed}][a::INTEGER + 1], a::VARCHAR)"),
        ("flags(a)", letters),
    ]
