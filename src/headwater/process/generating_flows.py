"""Flow records of synthetic traffic as columns: uniflows, biflows, and the fields that all of them share."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np

from headwater.model.template import Template
from headwater.process.generating_draws import Array, Draws, weighted
from headwater.wire.legacy import fixed_templates

Columns = dict[str, Array]

INTERFACES: Final = 8
_TCP, _UDP, _ICMP, _ICMP6 = 6, 17, 1, 58
_ACTIVE_TIMEOUT_MS: Final = 60_000

_SERVICES: Final = (
    # protocol, port, weight, most packets, octets above 40 of a request's and of a reply's packets
    (_TCP, 443, 40, 1_000_000, 180, 1460),
    (_UDP, 443, 16, 1_000_000, 120, 1240),
    (_UDP, 53, 16, 2, 60, 400),
    (_TCP, 80, 8, 200_000, 200, 1460),
    (_TCP, 22, 3, 20_000, 120, 300),
    (_TCP, 25, 2, 2_000, 1200, 60),
    (_TCP, 993, 2, 20_000, 100, 1200),
    (_TCP, 3389, 2, 50_000, 100, 900),
    (_UDP, 123, 3, 1, 40, 40),
    (_UDP, 5060, 1, 40, 500, 500),
    (_UDP, 16384, 2, 30_000, 160, 160),
    (_TCP, 445, 2, 100_000, 1000, 1400),
    (_ICMP, 0, 3, 20, 44, 44),
)
_PROTOCOL, _PORT, _WEIGHT, _MOST, _REQUEST, _REPLY = (np.array(part) for part in zip(*_SERVICES, strict=True))
_SERVICE: Final = weighted(range(len(_SERVICES)), _WEIGHT.tolist(), np.uint8)
_TOS: Final = weighted((0, 0x28, 0x48, 0xB8), (90, 5, 3, 2), np.uint8)
_AS: Final = np.array([64496, 64500, 64501, 64502, 64510, 64511], np.uint32)

# SYN, RST, PSH, ACK and FIN as routers have seen them when a flow is over
_FIN, _SYN, _RST, _PSH, _ACK = 0x01, 0x02, 0x04, 0x08, 0x10
_ONE_PACKET: Final = weighted((_SYN, _RST | _ACK, _ACK), (60, 30, 10), np.uint16)
_SOME_PACKETS: Final = weighted(
    (_SYN | _ACK | _PSH | _FIN, _SYN | _ACK | _PSH | _RST, _ACK | _PSH), (80, 12, 8), np.uint16
)
_IDLE, _ACTIVE, _END = 1, 2, 3  # flowEndReason

_MILLISECONDS: Final = ("flowStartMilliseconds", "flowEndMilliseconds")
_UPTIMES: Final = ("flowStartSysUpTime", "flowEndSysUpTime")


@dataclass(frozen=True, slots=True)
class Window:
    """From when to when records end, in milliseconds since 1970; booted_ms: when sysUpTime was 0 (NetFlow)."""

    begin_ms: int
    end_ms: int
    domain: int
    version: int
    booted_ms: int


@cache
def flow_template(version: int, family: int, *, is_biflow: bool = False) -> Template:
    """What flow records consist of."""
    if version == 5:
        return fixed_templates(5)[5]
    times = _UPTIMES if version == 9 else _MILLISECONDS
    fields = [
        *times,
        *("octetDeltaCount", "packetDeltaCount"),
        *(f"sourceIPv{family}Address", f"destinationIPv{family}Address"),
        *("sourceTransportPort", "destinationTransportPort", "protocolIdentifier"),
        "tcpControlBits[1]" if version == 9 else "tcpControlBits",
        *("ipClassOfService", "ingressInterface", "egressInterface", "bgpSourceAsNumber", "bgpDestinationAsNumber"),
        "flowEndReason",
    ]
    if is_biflow:
        reverse = ("reverseOctetDeltaCount", "reversePacketDeltaCount", "reverseTcpControlBits")
        fields += [*reverse, "biflowDirection"]
    return Template.of(0, *fields)


def flows(draws: Draws, count: int, window: Window, family: int) -> Columns:
    """Columns of uniflows, more than any one Template has; half of them are replies."""
    service = draws.of(_SERVICE, count)
    is_reply = draws.below(2, count).astype(np.bool_)
    columns, duration = _measures(draws, count, service, is_reply)
    protocol = _PROTOCOL[service]
    columns["protocolIdentifier"] = np.where((protocol == _ICMP) & (family == 6), _ICMP6, protocol).astype(np.uint8)
    columns["ipClassOfService"] = draws.of(_TOS, count)
    client_port = np.where(_PORT[service] == 0, 0, 32768 + draws.below(28232, count))
    client, server = _addresses(draws, count, window.domain, family)
    inside = 1 + draws.below(INTERFACES - 1, count)
    own, other = np.full(count, _AS[0]), _AS[1:][draws.popular(len(_AS) - 1, count)]
    turned = (
        ("sourceTransportPort", "destinationTransportPort", client_port, _PORT[service], np.uint16),
        (f"sourceIPv{family}Address", f"destinationIPv{family}Address", client, server, client.dtype),
        # clients are behind the first interfaces, the rest of the world behind the last one
        ("ingressInterface", "egressInterface", inside, np.full(count, INTERFACES), np.uint32),
        ("bgpSourceAsNumber", "bgpDestinationAsNumber", own, other, np.uint32),
    )
    for source, destination, mine, theirs, dtype in turned:
        columns[source] = np.where(is_reply, theirs, mine).astype(dtype)
        columns[destination] = np.where(is_reply, mine, theirs).astype(dtype)
    end = window.begin_ms + np.arange(count) * (window.end_ms - window.begin_ms) // max(count, 1)
    columns |= _times(end - duration, end, window)
    return columns | _netflow5(count) if window.version == 5 else columns


def _measures(draws: Draws, count: int, service: Array, is_reply: Array) -> tuple[Columns, Array]:
    """(what was counted and seen of each flow, its duration in milliseconds)."""
    packets = np.minimum(draws.heavy(1_000_000, count), _MOST[service])
    room = np.where(is_reply, _REPLY[service], _REQUEST[service])
    octets = packets * (40 + draws.below(1 << 16, count) * room // (1 << 16))
    duration = np.minimum((packets - 1) * (1 + draws.popular(3000, count)), _ACTIVE_TIMEOUT_MS)
    flags = np.where(packets == 1, draws.of(_ONE_PACKET, count), draws.of(_SOME_PACKETS, count))
    flags = np.where(_PROTOCOL[service] == _TCP, flags, 0).astype(np.uint16)
    reason = np.where(flags & (_FIN | _RST), _END, np.where(duration == _ACTIVE_TIMEOUT_MS, _ACTIVE, _IDLE))
    columns = {
        "octetDeltaCount": octets.astype(np.uint64),
        "packetDeltaCount": packets.astype(np.uint64),
        "tcpControlBits": flags,
        "flowEndReason": reason.astype(np.uint8),
    }
    return columns, duration


def biflows(draws: Draws, count: int, window: Window) -> Columns:
    """Columns of biflows (RFC 5103): what clients asked for, and what came back; all are told by initiators."""
    columns = flows(draws, count, window, 4)
    packets = columns["packetDeltaCount"]
    back = packets * (50 + draws.below(100, count)).astype(np.uint64) // np.uint64(100)
    columns["reversePacketDeltaCount"] = back
    columns["reverseOctetDeltaCount"] = back * (40 + draws.below(1460, count)).astype(np.uint64)
    columns["reverseTcpControlBits"] = np.where(back > 0, columns["tcpControlBits"], 0).astype(np.uint16)
    columns["biflowDirection"] = np.ones(count, np.uint8)
    return columns


def picked(columns: Columns, template: Template) -> list[Array]:
    """The columns of a Template, in its order."""
    return [columns[name] for name in template.column_names if name in columns]


def ipv4_clients(draws: Draws, count: int, domain: int) -> Array:
    """Hosts behind the exporter, of 10.0.0.0/8; each domain has its own."""
    return (0x0A000001 + (domain % 256 << 16) + draws.popular(1 << 13, count)).astype(np.uint32)


def ipv4_servers(draws: Draws, count: int) -> Array:
    """Hosts elsewhere, of 198.18.0.0/15, which no one in the Internet has (RFC 2544)."""
    return (0xC6120001 + draws.popular(1 << 16, count)).astype(np.uint32)


def since_1970(milliseconds: Array) -> Array:
    """A column of dateTimeMilliseconds."""
    return milliseconds.astype(np.int64).view("M8[ms]")


def _addresses(draws: Draws, count: int, domain: int, family: int) -> tuple[Array, Array]:
    if family == 4:
        return ipv4_clients(draws, count, domain), ipv4_servers(draws, count)
    # 2001:db8::/32 is for documentation (RFC 3849)
    return (
        _ipv6(0x2001_0DB8_0000_0000 | (domain % 65536 << 16), 1 + draws.popular(1 << 13, count)),
        _ipv6(0x2001_0DB8_FFFF_0000, 1 + draws.popular(1 << 16, count)),
    )


def _ipv6(prefix: int, host: Array) -> Array:
    words = np.empty((len(host), 2), ">u8")
    words[:, 0], words[:, 1] = prefix, host
    return words.view("V16")[:, 0]


def _times(start: Array, end: Array, window: Window) -> Columns:
    if window.version == 10:
        return dict(zip(_MILLISECONDS, (since_1970(start), since_1970(end)), strict=True))
    uptimes = [((time - window.booted_ms) % (1 << 32)).astype(np.uint32) for time in (start, end)]
    return dict(zip(_UPTIMES, uptimes, strict=True))


def _netflow5(count: int) -> Columns:
    """What only records of NetFlow v5 have here."""
    lengths = np.full(count, 16, np.uint8)
    next_hop = np.full(count, 0xC0000201, np.uint32)
    return {"ipNextHopIPv4Address": next_hop, "sourceIPv4PrefixLength": lengths, "destinationIPv4PrefixLength": lengths}
