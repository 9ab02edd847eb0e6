from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headwater.model.enumerations import _tables, describe, names, value_of
from headwater.model.registry import IANA


@pytest.mark.parametrize(
    ("element", "value", "name"),
    [
        ("protocolIdentifier", 6, "tcp"),
        ("protocolIdentifier", 17, "udp"),
        ("protocolIdentifier", 58, "ipv6-icmp"),
        ("protocolIdentifier", 132, "sctp"),
        ("reverseProtocolIdentifier", 47, "gre"),
        ("nextHeaderIPv6", 50, "esp"),
        ("exportTransportProtocol", 17, "udp"),
        ("flowEndReason", 3, "end-of-flow"),
        ("flowDirection", 1, "egress"),
        ("firewallEvent", 3, "flow-denied"),
        ("natEvent", 4, "nat44-session-create"),
        ("natEvent", 18, "threshold-reached"),
        ("biflowDirection", 1, "initiator"),
        ("forwardingStatus", 129, "dropped-acl-deny"),
        ("selectorAlgorithm", 1, "systematic-count"),
        ("mplsTopLabelType", 10, "bgp-prefix-sid"),
        ("anonymizationTechnique", 6, "structured-permutation"),
        ("valueDistributionMethod", 7, "direct"),
        ("natOriginatingAddressRealm", 1, "private"),
        ("ethernetType", 0x86DD, "ipv6"),
        ("ipVersion", 4, "ipv4"),
        ("informationElementDataType", 13, "string"),
        ("informationElementSemantics", 3, "deltaCounter"),
        ("informationElementUnits", 2, "octets"),
    ],
)
def test_values_have_names_both_ways(element: str, value: int, name: str) -> None:
    assert describe(IANA.named(element), value) == name
    assert value_of(IANA.named(element), name) == value
    assert value_of(IANA.named(element), name.upper()) == value


def test_a_second_name_is_understood_but_not_shown() -> None:
    protocol = IANA.named("protocolIdentifier")
    assert value_of(protocol, "icmp6") == 58
    assert describe(protocol, 89) == "ospf"
    assert value_of(protocol, "ospfigp") == 89


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "......"),
        (0x02, "....S."),
        (0x12, ".A..S."),
        (0x3F, "UAPRSF"),
        (0x42, "..E....S."),
        (0x1FF, "NCEUAPRSF"),
        (0xF010, ".A...."),
    ],
)
def test_tcp_flags_are_letters(value: int, text: str) -> None:
    flags = IANA.named("tcpControlBits")
    assert describe(flags, value) == text
    assert value_of(flags, text) == value & 0x1FF


@given(st.integers(0, 0x1FF))
def test_tcp_flags_read_back(value: int) -> None:
    for name in ("tcpControlBits", "initialTCPFlags", "reverseUnionTCPFlags"):
        text = describe(IANA.named(name), value)
        assert text is not None
        assert value_of(IANA.named(name), text) == value


def test_flags_are_typed_in_any_order_and_case() -> None:
    flags = IANA.named("tcpControlBits")
    assert value_of(flags, "as") == value_of(flags, "SA") == 0x12
    assert value_of(flags, "") is None
    assert value_of(flags, "SX") is None


def test_what_has_no_name_has_none() -> None:
    assert describe(IANA.named("protocolIdentifier"), 253) is None
    assert describe(IANA.named("protocolIdentifier"), None) is None
    assert describe(IANA.named("protocolIdentifier"), "6") is None
    assert describe(IANA.named("dataRecordsReliability"), True) is None
    assert describe(IANA.named("octetDeltaCount"), 6) is None
    assert describe(IANA.get(5951, 4), 6) is None
    assert value_of(IANA.named("octetDeltaCount"), "tcp") is None
    assert value_of(IANA.named("protocolIdentifier"), "nosuch") is None
    assert names(IANA.named("octetDeltaCount")) == {}


def test_the_names_of_an_element_are_a_mapping() -> None:
    assert names(IANA.named("flowDirection")) == {0: "ingress", 1: "egress"}


def test_every_table_belongs_to_an_integer_element_of_the_registry_and_reads_back() -> None:
    for id, (shown, values) in _tables().items():
        element = IANA.get(0, id)
        assert element.type.is_unsigned, element
        assert all(value_of(element, name) == value for value, name in shown.items()), element
        assert all(value < 256**element.type.width for value in shown), element
        assert set(values.values()) == set(shown)
