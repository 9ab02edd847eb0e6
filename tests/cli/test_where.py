"""Conditions: what columns say together is what each record says alone."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headwater.batch import Batch, Decoder
from headwater.cli.where import parse_where
from headwater.errors import UnknownElement
from headwater.model.registry import IANA
from headwater.session import DataSets, Session
from tests import build

Row = dict[str, Any]


def batches(*messages: bytes) -> list[Batch]:
    session, decoder = Session(transport="file"), Decoder()
    octets = build.file(*messages)
    return [decoder.decode(event) for event in session.receive(octets) if isinstance(event, DataSets)]


FLOWS = batches(*build.mixed_flows(300))
TYPES = batches(
    build.message(
        build.template_set(
            build.template(
                256, (56, 6), (82, build.VARIABLE), (320, 8), (276, 1), (313, 3), (156, 8), (154, 8), (150, 4), (434, 4)
            )
        ),
        *(
            build.data_set(
                256,
                build.mac(f"02:00:5e:10:00:0{i}"),
                build.var(f"eth{i}".encode() * (i % 2)),
                build.float64(i / 2),
                build.uint(1 + i % 3, 1),
                bytes([i, 0, 255]),
                build.ntp(1_700_000_000 + i, 1 << 31),
                build.ntp(1_700_000_000 + i),
                build.uint(1_700_000_000 + i),
                build.sint(i - 3),
            )
            for i in range(6)
        ),
    )
)


HALF_PAST = "2023-11-14T22:13:20.5"


def in_out(row: Row) -> tuple[int, int]:
    return row.get("ingressInterface", 0), row.get("egressInterface", 0)


def picked(where: str, source: list[Batch]) -> list[Row]:
    condition = parse_where([where], IANA)
    assert condition is not None
    rows = []
    for batch in source:
        mask = condition.mask(batch)
        assert mask.dtype == bool
        rows += [row for row, is_in in zip(batch.rows(times="text"), mask.tolist(), strict=True) if is_in]
    return rows


def expected(test: Callable[[Row], bool], source: list[Batch]) -> list[Row]:
    return [row for batch in source for row in batch.rows(times="text") if test(row)]


@pytest.mark.parametrize(
    ("where", "test"),
    [
        ("protocolIdentifier == tcp", lambda r: r.get("protocolIdentifier") == 6),
        ("PROTOCOL = 0x11", lambda r: r.get("protocolIdentifier") == 17),
        ("protocolIdentifier != tcp", lambda r: r.get("protocolIdentifier", 6) != 6),
        ("protocolIdentifier not in (tcp, 1)", lambda r: r.get("protocolIdentifier", 6) != 6),
        ("not protocolIdentifier == tcp", lambda r: r.get("protocolIdentifier") != 6),
        ("protocolIdentifier == 262", lambda r: False),
        ("octetDeltaCount > 100000.5", lambda r: r.get("octetDeltaCount", 0) > 100000),
        ("octetDeltaCount > -1", lambda r: "octetDeltaCount" in r),
        ("octetDeltaCount < 99999999999999999999999", lambda r: "octetDeltaCount" in r),
        ("tcpControlBits == S", lambda r: r.get("tcpControlBits") == 2),
        ("destinationTransportPort in 80, 443", lambda r: r.get("destinationTransportPort") in (80, 443)),
        ("8 == 192.0.2.7", lambda r: r.get("sourceIPv4Address") == "192.0.2.7"),
        ("sourceIPv4Address > 192.0.2.250", lambda r: int(r.get("sourceIPv4Address", "0.0.0.0").split(".")[3]) > 250),
        (
            "sourceIPv4Address in 192.0.2.0/28 or sourceIPv6Address in 2001:db8::c000:200/124",
            lambda r: (
                int(r.get("sourceIPv4Address", "9.9.9.99").split(".")[3]) < 16
                or ("sourceIPv6Address" in r and int(r["sourceIPv6Address"].split(":")[-1], 16) < 0x210)
            ),
        ),
        ("sourceIPv6Address == null", lambda r: "sourceIPv6Address" not in r),
        ("sourceIPv6Address != null", lambda r: "sourceIPv6Address" in r),
        ("flowStartMilliseconds < 2023-11-14T22:13:20.5", lambda r: r.get("flowStartMilliseconds", "x") < HALF_PAST),
        ("flowStartMilliseconds >= 2023-11-14", lambda r: "flowStartMilliseconds" in r),
        ("flowStartMilliseconds <= '2023-11-14 22:13'", lambda r: False),
        ("protocolIdentifier ~ CP", lambda r: r.get("protocolIdentifier") == 6),
        ("sourceIPv4Address !~ 192.0.2.1", lambda r: "192.0.2.1" not in r.get("sourceIPv4Address", "192.0.2.1")),
        ("(10 == 1 or 10 == 2) and 14 == 3", lambda r: in_out(r) in ((1, 3), (2, 3))),
        ("10 == 1 or 10 == 2 && 14 == 3", lambda r: in_out(r)[0] == 1 or in_out(r) == (2, 3)),
    ],
)  # fmt: skip
def test_a_condition_picks_just_the_records_that_fulfil_it(where: str, test: Callable[[Row], bool]) -> None:
    assert picked(where, FLOWS) == expected(test, FLOWS)


@pytest.mark.parametrize(
    ("where", "ordinals"),
    [
        ("sourceMacAddress == 02:00:5e:10:00:03", [3]),
        ("sourceMacAddress != 02-00-5E-10-00-03", [0, 1, 2, 4, 5]),
        ("interfaceName == eth3", [3]),
        ("interfaceName == ''", [0, 2, 4]),
        ("interfaceName ~ ETH", [1, 3, 5]),
        ("interfaceName in eth1, eth5", [1, 5]),
        ("absoluteError >= 1.5", [3, 4, 5]),
        ("absoluteError == 2", [4]),
        ("dataRecordsReliability == true", [0, 3]),
        ("dataRecordsReliability == false", [1, 4]),
        ("dataRecordsReliability == null", [2, 5]),
        ("ipHeaderPacketSection == 0200ff", [2]),
        ("ipHeaderPacketSection ~ 00f", [0, 1, 2, 3, 4, 5]),
        ("flowStartNanoseconds > 2023-11-14T22:13:22.4", [2, 3, 4, 5]),
        ("flowStartMicroseconds == 2023-11-14T22:13:22", [2]),
        ("flowStartSeconds < 2023-11-14T22:13:22.5", [0, 1, 2]),
        ("flowStartSeconds == 2023-11-14T22:13:22.5", []),
        ("mibObjectValueInteger < -1", [0, 1]),
        ("434 == -2", [1]),
    ],
)
def test_values_of_every_type_can_be_compared(where: str, ordinals: list[int]) -> None:
    everything = [row for batch in TYPES for row in batch.rows(times="text")]
    assert picked(where, TYPES) == [everything[i] for i in ordinals]


@given(st.integers(0, 2**32 - 1), st.integers(0, 32))
def test_a_prefix_is_what_the_standard_library_says(address: int, bits: int) -> None:
    from ipaddress import IPv4Address, IPv4Network

    network = IPv4Network((address, bits), strict=False)
    where = f"sourceIPv4Address in {IPv4Address(address)}/{bits}"
    flows = [batch for batch in FLOWS if batch.template.id == 256]
    assert picked(where, flows) == expected(lambda r: IPv4Address(r["sourceIPv4Address"]) in network, flows)


@pytest.mark.parametrize(
    ("where", "words"),
    [
        ("", "the name of an element is missing at the end"),
        ("octetDeltaCount", "comes nothing where one of =="),
        ("octetDeltaCount >", "a value is missing at the end"),
        ("octetDeltaCount 5", "comes '5' where"),
        ("octetDeltaCount == 5 octetDeltaCount == 6", "where 'and' or 'or' is expected"),
        ("(octetDeltaCount == 5", "a bracket is not closed"),
        ("octetDeltaCount == five", "neither a number nor the name of a value of octetDeltaCount"),
        ("protocolIdentifier == tpc", "the name of a value of protocolIdentifier; did you mean 'tcp'?"),
        ("sourceIPv4Address == 300.0.0.1", "is not the text of a value of type ipv4Address"),
        ("sourceIPv4Address in 10.0.0.0/33", "is not a prefix"),
        ("sourceIPv6Address > ::1", "have no order"),
        ("interfaceName < x", "have no order"),
        ("basicList == 1", "lists can only be searched with ~"),
        ("flowStartSeconds > yesterday", "is not the text of a value"),
        ("flowStartMilliseconds >= yesterday", "of a value of type dateTimeMilliseconds; write it as 2026"),
        ("octetDeltaCount == 5 \x00'", "makes no sense"),
        ("(" * 200 + "octetDeltaCount == 5", "too many brackets"),
    ],
)
def test_what_cannot_be_understood_is_refused_with_a_reason(where: str, words: str) -> None:
    with pytest.raises(click.BadParameter, match=re.escape(words)):
        parse_where([where], IANA)


def test_unknown_names_are_refused_with_a_hint() -> None:
    with pytest.raises(UnknownElement, match="did you mean 'octetDeltaCount'"):
        parse_where(["octetDeltacount > 5"], IANA)


@given(st.text(max_size=40))
def test_any_text_is_understood_or_refused(text: str) -> None:
    try:
        condition = parse_where([text], IANA)
    except (click.BadParameter, UnknownElement):
        return
    assert condition is not None
    for batch in FLOWS:
        assert len(condition.mask(batch)) == batch.num_rows
