"""The one builder of IPFIX octets for tests: plain `struct`, and nothing of headwater's wire code.

Small functions that nest as the octets do; each returns bytes exactly as on the wire:

    message(
        template_set(template(256, (8, 4), (12, 4), (1, 8, 35566), (82, VARIABLE))),
        data_set(256, record(ipv4("192.0.2.1"), ipv4("192.0.2.2"), uint(7, 8), var(b"eth0"))),
        domain=1,
    )

A field is `(id, length)` or `(id, length, pen)`. Nothing is checked or corrected: `length=` and `padding=` override
what would be right, so the same functions write the wrong octets. Whole streams with known values are at the end:
`flows`, `mixed_flows`, `strings`, `lists`, and the values that they carry.
"""

from __future__ import annotations

import ipaddress
import random
import struct
from collections.abc import Iterable, Iterator, Sequence

VARIABLE = 65535
EXPORT_TIME = 1_700_000_000
REVERSE_PEN = 29305
DOCUMENTATION_PEN = 32473

NONE_OF, EXACTLY_ONE_OF, ONE_OR_MORE_OF, ALL_OF, ORDERED, UNDEFINED = 0, 1, 2, 3, 4, 255

FieldSpec = tuple[int, int] | tuple[int, int, int]


# --- messages and sets (RFC 7011 §3.1-3.3) ---------------------------------------------------------------------------


def message(
    *sets: bytes,
    domain: int = 1,
    sequence: int = 0,
    export_time: int = EXPORT_TIME,
    version: int = 10,
    length: int | None = None,
) -> bytes:
    """A message: 16 octets of header, then the sets."""
    body = b"".join(sets)
    return struct.pack("!HHIII", version, _default(length, 16 + len(body)), export_time, sequence, domain) + body


def file(*messages: bytes) -> bytes:
    """An IPFIX file (RFC 5655) or a TCP stream: the messages, one after the other."""
    return b"".join(messages)


def any_set(set_id: int, body: bytes, *, padding: int = 0, length: int | None = None) -> bytes:
    """A set of any id: 4 octets of header, the body, zero octets of padding."""
    body += bytes(padding)
    return struct.pack("!HH", set_id, _default(length, 4 + len(body))) + body


def template_set(*templates: bytes, padding: int = 0, length: int | None = None) -> bytes:
    """A Template Set (id 2)."""
    return any_set(2, b"".join(templates), padding=padding, length=length)


def options_template_set(*templates: bytes, padding: int = 0, length: int | None = None) -> bytes:
    """An Options Template Set (id 3)."""
    return any_set(3, b"".join(templates), padding=padding, length=length)


def data_set(template_id: int, *records: bytes, padding: int = 0, length: int | None = None) -> bytes:
    """A Data Set: the records of one template."""
    return any_set(template_id, b"".join(records), padding=padding, length=length)


# --- templates (RFC 7011 §3.2, §3.4, §8.1) ---------------------------------------------------------------------------


def field(id: int, length: int, pen: int = 0) -> bytes:
    """A Field Specifier; the enterprise bit is set when there is a `pen`."""
    return struct.pack("!HHI", id | 0x8000, length, pen) if pen else struct.pack("!HH", id, length)


def template(template_id: int, *fields: FieldSpec, count: int | None = None) -> bytes:
    """A Template Record."""
    return struct.pack("!HH", template_id, _default(count, len(fields))) + _fields(fields)


def options_template(template_id: int, *fields: FieldSpec, scope: int = 1, count: int | None = None) -> bytes:
    """An Options Template Record; the first `scope` fields are the scope."""
    return struct.pack("!HHH", template_id, _default(count, len(fields)), scope) + _fields(fields)


def withdrawal(template_id: int) -> bytes:
    """A withdrawal: 256 and up one template, 2 all templates, 3 all options templates of the domain."""
    return struct.pack("!HH", template_id, 0)


# --- records and values (RFC 7011 §6, §7) ----------------------------------------------------------------------------


def record(*values: bytes) -> bytes:
    """A Data Record: its values, one after the other."""
    return b"".join(values)


def uint(value: int, width: int = 4) -> bytes:
    """An unsigned integer of `width` octets: native or reduced, or a time in whole units."""
    return value.to_bytes(width, "big")


def sint(value: int, width: int = 4) -> bytes:
    """A signed integer of `width` octets."""
    return value.to_bytes(width, "big", signed=True)


def float32(value: float) -> bytes:
    """A float32, also a float64 in reduced size."""
    return struct.pack("!f", value)


def float64(value: float) -> bytes:
    """A float64."""
    return struct.pack("!d", value)


def ipv4(text: str) -> bytes:
    """An ipv4Address: 4 octets."""
    return ipaddress.IPv4Address(text).packed


def ipv6(text: str) -> bytes:
    """An ipv6Address: 16 octets."""
    return ipaddress.IPv6Address(text).packed


def mac(text: str) -> bytes:
    """A macAddress from its usual form, aa:bb:cc:dd:ee:ff."""
    return bytes.fromhex(text.replace(":", ""))


def ntp(unix_s: int, fraction: int = 0) -> bytes:
    """A dateTimeMicroseconds or dateTimeNanoseconds: seconds since 1900 (modulo 2^32) and a 32-bit fraction."""
    return struct.pack("!II", (unix_s + 2_208_988_800) & 0xFFFF_FFFF, fraction)


def var(octets: bytes, *, long: bool = False, length: int | None = None) -> bytes:
    """A variable-length value: 1 octet of length below 255 octets, else (or when `long`) 255 and 2 octets of length."""
    length = _default(length, len(octets))
    return (struct.pack("!BH", 255, length) if long or length >= 255 else uint(length, 1)) + octets


# --- structured data (RFC 6313): the content of the lists; wrap it in var() as a value --------------------------------


def basic_list(element: FieldSpec, *values: bytes, semantic: int = ALL_OF) -> bytes:
    """A basicList; each value is as long as the element's length says, or made with var()."""
    return uint(semantic, 1) + field(*element) + b"".join(values)


def sub_template_list(template_id: int, *records: bytes, semantic: int = ALL_OF) -> bytes:
    """A subTemplateList."""
    return struct.pack("!BH", semantic, template_id) + b"".join(records)


def group(template_id: int, *records: bytes, length: int | None = None) -> bytes:
    """One group of a subTemplateMultiList; its length counts its own 4 octets of header."""
    return any_set(template_id, b"".join(records), length=length)


def sub_template_multi_list(*groups: bytes, semantic: int = ALL_OF) -> bytes:
    """A subTemplateMultiList of groups made with group()."""
    return uint(semantic, 1) + b"".join(groups)


# --- whole streams ---------------------------------------------------------------------------------------------------


def messages(
    records: Iterable[tuple[int, bytes]],
    *templates: bytes,
    mtu: int = 1420,
    domain: int = 1,
    sequence: int = 0,
) -> Iterator[bytes]:
    """Messages of at most `mtu` octets that carry the records in order, the sets of `templates` in front of the first.

    records: (template id, octets). Neighbours of one template share a set. Sequence numbers are right and the export
    time grows by one second a message.
    """
    export_time = EXPORT_TIME
    sets: list[tuple[int, list[bytes]]] = []
    head = b"".join(templates)
    size, count = 16 + len(head), 0

    def finish() -> bytes:
        return message(
            head, *(data_set(id, *rows) for id, rows in sets), domain=domain, sequence=sequence, export_time=export_time
        )

    for template_id, octets in records:
        needed = len(octets) + (0 if sets and sets[-1][0] == template_id else 4)
        if size > 16 and size + needed > mtu:
            yield finish()
            sequence, export_time = (sequence + count) & 0xFFFF_FFFF, export_time + 1
            sets, head, size, count, needed = [], b"", 16, 0, len(octets) + 4
        if not sets or sets[-1][0] != template_id:
            sets.append((template_id, []))
        sets[-1][1].append(octets)
        size, count = size + needed, count + 1
    if size > 16:
        yield finish()


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


def netflow5(*records: bytes, sequence: int = 0, uptime_ms: int = 60_000, engine: int = 0, sampling: int = 0) -> bytes:
    """A NetFlow v5 datagram of EXPORT_TIME. engine: type and id; sampling: mode (2 bits) and interval."""
    header = 5, len(records), uptime_ms, EXPORT_TIME, 0, sequence, engine, sampling
    return struct.pack("!HHIIIIHH", *header) + b"".join(records)


def netflow5_record(source: str, destination: str, *, octets: int = 100, first_ms: int = 0, last_ms: int = 0) -> bytes:
    """A TCP flow to port 443 through the interfaces 3 and 4. first_ms, last_ms: sysUpTime."""
    return (
        ipv4(source) + ipv4(destination) + bytes(4)
        + struct.pack("!HHIIIIHHxBBB", 3, 4, 2, octets, first_ms, last_ms, 40000, 443, 0x1B, 6, 0) + bytes(8)
    )  # fmt: skip


def netflow9(*sets: bytes, count: int = 1, sequence: int = 0, source_id: int = 0, uptime_ms: int = 60_000) -> bytes:
    """A NetFlow v9 packet of EXPORT_TIME."""
    return struct.pack("!HHIIII", 9, count, uptime_ms, EXPORT_TIME, sequence, source_id) + b"".join(sets)


def netflow9_template(template_id: int, *fields: FieldSpec) -> bytes:
    """A Template FlowSet with one template."""
    return any_set(0, template(template_id, *fields))


def netflow9_options_template(template_id: int, scope: Sequence[FieldSpec], *fields: FieldSpec) -> bytes:
    """An Options Template FlowSet with one template. scope: scope types (1 = System, 2 = Interface) and lengths."""
    head = struct.pack("!HHH", template_id, 4 * len(scope), 4 * len(fields))
    return any_set(1, head + _fields(scope) + _fields(fields))


def _default(given: int | None, right: int) -> int:
    return right if given is None else given


def _fields(fields: Iterable[FieldSpec]) -> bytes:
    return b"".join(field(*spec) for spec in fields)
