"""Octets for tests: the builder of headwater.testing, and whole streams with known values.

Plain `struct`, and nothing of headwater's wire code. The streams are `flows`, `mixed_flows`, `strings`, `lists`, and
the values that they carry.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

from headwater.testing import (
    ALL_OF as ALL_OF,
)
from headwater.testing import (
    DOCUMENTATION_PEN as DOCUMENTATION_PEN,
)
from headwater.testing import (
    EXACTLY_ONE_OF as EXACTLY_ONE_OF,
)
from headwater.testing import (
    EXPORT_TIME as EXPORT_TIME,
)
from headwater.testing import (
    NONE_OF as NONE_OF,
)
from headwater.testing import (
    ONE_OR_MORE_OF as ONE_OR_MORE_OF,
)
from headwater.testing import (
    ORDERED as ORDERED,
)
from headwater.testing import (
    REVERSE_PEN as REVERSE_PEN,
)
from headwater.testing import (
    UNDEFINED as UNDEFINED,
)
from headwater.testing import (
    VARIABLE as VARIABLE,
)
from headwater.testing import (
    FieldSpec as FieldSpec,
)
from headwater.testing import (
    any_set as any_set,
)
from headwater.testing import (
    basic_list as basic_list,
)
from headwater.testing import (
    cut as cut,
)
from headwater.testing import (
    data_set as data_set,
)
from headwater.testing import (
    field as field,
)
from headwater.testing import (
    file as file,
)
from headwater.testing import (
    float32 as float32,
)
from headwater.testing import (
    float64 as float64,
)
from headwater.testing import (
    group as group,
)
from headwater.testing import (
    ipv4 as ipv4,
)
from headwater.testing import (
    ipv6 as ipv6,
)
from headwater.testing import (
    mac as mac,
)
from headwater.testing import (
    message as message,
)
from headwater.testing import (
    messages as messages,
)
from headwater.testing import (
    netflow5 as netflow5,
)
from headwater.testing import (
    netflow5_record as netflow5_record,
)
from headwater.testing import (
    netflow9 as netflow9,
)
from headwater.testing import (
    netflow9_options_template as netflow9_options_template,
)
from headwater.testing import (
    netflow9_template as netflow9_template,
)
from headwater.testing import (
    ntp as ntp,
)
from headwater.testing import (
    options_template as options_template,
)
from headwater.testing import (
    options_template_set as options_template_set,
)
from headwater.testing import (
    patched as patched,
)
from headwater.testing import (
    record as record,
)
from headwater.testing import (
    sint as sint,
)
from headwater.testing import (
    sub_template_list as sub_template_list,
)
from headwater.testing import (
    sub_template_multi_list as sub_template_multi_list,
)
from headwater.testing import (
    template as template,
)
from headwater.testing import (
    template_set as template_set,
)
from headwater.testing import (
    uint as uint,
)
from headwater.testing import (
    var as var,
)
from headwater.testing import (
    withdrawal as withdrawal,
)

FLOW_TEMPLATE = 256
FLOW_NAMES = (
    "sourceIPv4Address", "destinationIPv4Address", "sourceTransportPort", "destinationTransportPort",
    "protocolIdentifier", "tcpControlBits", "octetDeltaCount", "packetDeltaCount",
    "flowStartMilliseconds", "flowEndMilliseconds", "ingressInterface", "egressInterface",
)  # fmt: skip
FLOW_FIELDS = ((8, 4), (12, 4), (7, 2), (11, 2), (4, 1), (6, 1), (1, 8), (2, 8), (152, 8), (153, 8), (10, 4), (14, 4))
FLOW6_TEMPLATE = 257
FLOW6_NAMES = ("sourceIPv6Address", "destinationIPv6Address", *FLOW_NAMES[2:])
FLOW6_FIELDS = ((27, 16), (28, 16), *FLOW_FIELDS[2:])


def flow_values(count: int, *, seed: int = 1) -> list[tuple[int, ...]]:
    """Values of `count` IPv4 flows in the order of FLOW_NAMES, as the integers that columns and tuples show."""
    pick = random.Random(seed)
    rows: list[tuple[int, ...]] = []
    for number in range(count):
        packets = pick.randrange(1, 1000)
        start_ms = EXPORT_TIME * 1000 + number * 7
        source = 0xC000_0200 + pick.randrange(256)
        destination = 0xC633_6400 + pick.randrange(256)
        ports = pick.randrange(1024, 65536), pick.choice((53, 80, 123, 443))
        rows.append(
            (source, destination, *ports, pick.choice((6, 17)), pick.randrange(64), packets * pick.randrange(40, 1500),
             packets, start_ms, start_ms + pick.randrange(60_000), pick.randrange(1, 9), pick.randrange(1, 9))
        )  # fmt: skip
    return rows


def flow6_values(count: int, *, seed: int = 1) -> list[tuple[bytes | int, ...]]:
    """Values of `count` IPv6 flows in the order of FLOW6_NAMES: those of flow_values, addresses in 2001:db8::/32."""
    prefix = ipv6("2001:db8::")[:12]
    return [(prefix + uint(row[0]), prefix + uint(row[1]), *row[2:]) for row in flow_values(count, seed=seed)]


def flow(values: Sequence[bytes | int], fields: Sequence[FieldSpec] = FLOW_FIELDS) -> bytes:
    """One record of fixed-size fields from its values: octets as they are, integers as wide as their field."""
    return b"".join(
        value if isinstance(value, bytes) else uint(value, spec[1]) for value, spec in zip(values, fields, strict=True)
    )


def flows(count: int, *, mtu: int = 1420, domain: int = 1, sequence: int = 0, seed: int = 1) -> list[bytes]:
    """Messages with `count` IPv4 flows of 12 fields and 54 octets, the records of flow_values."""
    records = ((FLOW_TEMPLATE, flow(row)) for row in flow_values(count, seed=seed))
    head = template_set(template(FLOW_TEMPLATE, *FLOW_FIELDS))
    return list(messages(records, head, mtu=mtu, domain=domain, sequence=sequence))


OPTIONS_TEMPLATE = 258
OPTIONS_NAMES = ("observationDomainId", "exportedMessageTotalCount", "exportedFlowRecordTotalCount")
OPTIONS_FIELDS = ((149, 4), (41, 8), (42, 8))


def mixed_flows(count: int, *, mtu: int = 1420, domain: int = 1, seed: int = 1) -> list[bytes]:
    """Messages with `count` flows, in turn five of IPv4 and three of IPv6, and an options record after every 100."""

    def records() -> Iterator[tuple[int, bytes]]:
        values = zip(flow_values(count, seed=seed), flow6_values(count, seed=seed), strict=True)
        for number, (row, row6) in enumerate(values):
            is_ipv4 = number % 8 < 5
            yield (FLOW_TEMPLATE, flow(row)) if is_ipv4 else (FLOW6_TEMPLATE, flow(row6, FLOW6_FIELDS))
            if number % 100 == 99:
                yield OPTIONS_TEMPLATE, flow((domain, number // 20, number + 1), OPTIONS_FIELDS)

    plain = template_set(template(FLOW_TEMPLATE, *FLOW_FIELDS), template(FLOW6_TEMPLATE, *FLOW6_FIELDS))
    options = options_template_set(options_template(OPTIONS_TEMPLATE, *OPTIONS_FIELDS, scope=1))
    return list(messages(records(), plain, options, mtu=mtu, domain=domain))


STRING_TEMPLATE = 259
STRING_NAMES = ("sourceIPv4Address", "httpRequestHost", "octetDeltaCount", "httpRequestTarget")
STRING_FIELDS = ((8, 4), (460, VARIABLE), (1, 4), (461, VARIABLE))


def string_values(count: int, *, seed: int = 1) -> list[tuple[int, str, int, str]]:
    """Values of `count` records with two strings: empty, not ASCII and of 255 octets and more among them."""
    pick = random.Random(seed)
    rows = []
    for number in range(count):
        host = pick.choice(("www.example.com", "", "bücher.example", f"host-{number}.example.net"))
        target = "/" + "a" * pick.choice((0, 3, 40, 253, 254, 255, 300))
        rows.append((0xC000_0200 + number % 256, host, pick.randrange(2**32), target))
    return rows


def strings(count: int, *, mtu: int = 1420, domain: int = 1, seed: int = 1) -> list[bytes]:
    """Messages with the records of string_values, two variable-length fields among fixed ones."""
    records = (
        (STRING_TEMPLATE, record(uint(source), var(host.encode()), uint(octets), var(target.encode())))
        for source, host, octets, target in string_values(count, seed=seed)
    )
    return list(messages(records, template_set(template(STRING_TEMPLATE, *STRING_FIELDS)), mtu=mtu, domain=domain))


LIST_TEMPLATE, TCP_TEMPLATE, DNS_TEMPLATE = 260, 261, 262
LIST_NAMES = ("octetDeltaCount", "basicList", "subTemplateMultiList")
LIST_FIELDS = ((1, 8), (291, VARIABLE), (293, VARIABLE))
TCP_FIELDS = ((184, 4), (6, 1))
DNS_FIELDS = ((83, VARIABLE), (243, 2))


def list_values(
    count: int, *, seed: int = 1
) -> list[tuple[int, list[int], list[tuple[int, int]], list[tuple[str, int]]]]:
    """Values of `count` records with lists: octets, the ports of the basicList, the TCP group, the DNS group."""
    pick = random.Random(seed)
    rows = []
    for number in range(count):
        ports = [pick.randrange(65536) for _ in range(pick.randrange(4))]
        tcp = [(pick.randrange(2**32), pick.randrange(256))] if pick.random() < 0.7 else []
        dns = [(f"if{number}.{part}", pick.randrange(4096)) for part in range(pick.randrange(3))]
        rows.append((number, ports, tcp, dns))
    return rows


def lists(count: int, *, mtu: int = 1420, domain: int = 1, seed: int = 1) -> list[bytes]:
    """Messages with the records of list_values: a basicList of ports and a subTemplateMultiList of up to two groups."""

    def records() -> Iterator[tuple[int, bytes]]:
        for octets, ports, tcp, dns in list_values(count, seed=seed):
            groups = []
            if tcp:
                groups.append(group(TCP_TEMPLATE, *(flow(row, TCP_FIELDS) for row in tcp)))
            if dns:
                groups.append(group(DNS_TEMPLATE, *(var(name.encode()) + uint(vlan, 2) for name, vlan in dns)))
            basic = basic_list((11, 2), *(uint(port, 2) for port in ports))
            yield LIST_TEMPLATE, record(uint(octets, 8), var(basic), var(sub_template_multi_list(*groups), long=True))

    templates = template_set(
        template(LIST_TEMPLATE, *LIST_FIELDS), template(TCP_TEMPLATE, *TCP_FIELDS), template(DNS_TEMPLATE, *DNS_FIELDS)
    )
    return list(messages(records(), templates, mtu=mtu, domain=domain))


# --- NetFlow (RFC 3954; Cisco's v5) ----------------------------------------------------------------------------------
