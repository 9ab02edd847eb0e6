"""Messages for the tests of collectors and of other programs that read IPFIX: any valid or malformed one in one line.

Small functions that nest as the octets do; each returns bytes exactly as on the wire:

    message(
        template_set(template(256, (8, 4), (12, 4), (1, 8, 35566), (82, VARIABLE))),
        data_set(256, record(ipv4("192.0.2.1"), ipv4("192.0.2.2"), uint(7, 8), var(b"eth0"))),
        domain=1,
    )

A field is `(id, length)` or `(id, length, pen)`. Nothing is checked or corrected: `length=`, `count=`, `version=` and
`padding=` override what would be right, so the same functions write the wrong octets, and `cut` and `patched` spoil
what they wrote. Only what a field has no bits for is a ValueError, with its name. Plain `struct`: nothing of
headwater's own encoder is used, so that these octets can test it, too.
"""

from __future__ import annotations

import ipaddress
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
    return (
        _packed("HHIII", version=version, length=_default(length, 16 + len(body)), export_time=export_time,
                sequence=sequence, domain=domain) + body
    )  # fmt: skip


def file(*messages: bytes) -> bytes:
    """An IPFIX file (RFC 5655) or a TCP stream: the messages, one after the other."""
    return b"".join(messages)


def any_set(set_id: int, body: bytes, *, padding: int = 0, length: int | None = None) -> bytes:
    """A set of any id: 4 octets of header, the body, zero octets of padding."""
    body += bytes(padding)
    return _packed("HH", set_id=set_id, length=_default(length, 4 + len(body))) + body


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
    if not pen:
        return _packed("HH", id=id, length=length)
    return _packed("HHI", id=id | 0x8000, length=length, pen=pen)


def template(template_id: int, *fields: FieldSpec, count: int | None = None) -> bytes:
    """A Template Record."""
    return _packed("HH", template_id=template_id, count=_default(count, len(fields))) + _fields(fields)


def options_template(template_id: int, *fields: FieldSpec, scope: int = 1, count: int | None = None) -> bytes:
    """An Options Template Record; the first `scope` fields are the scope."""
    head = _packed("HHH", template_id=template_id, count=_default(count, len(fields)), scope=scope)
    return head + _fields(fields)


def withdrawal(template_id: int) -> bytes:
    """A withdrawal: 256 and up one template, 2 all templates, 3 all options templates of the domain."""
    return _packed("HH", template_id=template_id, count=0)


# --- records and values (RFC 7011 §6, §7) ----------------------------------------------------------------------------


def record(*values: bytes) -> bytes:
    """A Data Record: its values, one after the other."""
    return b"".join(values)


def uint(value: int, width: int = 4) -> bytes:
    """An unsigned integer of `width` octets: native or reduced, or a time in whole units."""
    try:
        return value.to_bytes(width, "big")
    except OverflowError:
        raise ValueError(f"{value} is no unsigned integer of {width} octets") from None


def sint(value: int, width: int = 4) -> bytes:
    """A signed integer of `width` octets."""
    try:
        return value.to_bytes(width, "big", signed=True)
    except OverflowError:
        raise ValueError(f"{value} is no signed integer of {width} octets") from None


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
    return (_packed("BH", prefix=255, length=length) if long or length >= 255 else uint(length, 1)) + octets


# --- structured data (RFC 6313): the content of the lists; wrap it in var() as a value --------------------------------


def basic_list(element: FieldSpec, *values: bytes, semantic: int = ALL_OF) -> bytes:
    """A basicList; each value is as long as the element's length says, or made with var()."""
    return uint(semantic, 1) + field(*element) + b"".join(values)


def sub_template_list(template_id: int, *records: bytes, semantic: int = ALL_OF) -> bytes:
    """A subTemplateList."""
    return _packed("BH", semantic=semantic, template_id=template_id) + b"".join(records)


def group(template_id: int, *records: bytes, length: int | None = None) -> bytes:
    """One group of a subTemplateMultiList; its length counts its own 4 octets of header."""
    return any_set(template_id, b"".join(records), length=length)


def sub_template_multi_list(*groups: bytes, semantic: int = ALL_OF) -> bytes:
    """A subTemplateMultiList of groups made with group()."""
    return uint(semantic, 1) + b"".join(groups)


# --- many records -----------------------------------------------------------------------------------------------------


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


# --- NetFlow (RFC 3954; Cisco's v5) ----------------------------------------------------------------------------------


def netflow5(
    *records: bytes,
    sequence: int = 0,
    uptime_ms: int = 60_000,
    engine: int = 0,
    sampling: int = 0,
    export_time: int = EXPORT_TIME,
    nanoseconds: int = 0,
    count: int | None = None,
) -> bytes:
    """A NetFlow v5 datagram. engine: type and id; sampling: mode (2 bits) and interval."""
    header = _packed(
        "HHIIIIHH", version=5, count=_default(count, len(records)), uptime_ms=uptime_ms, export_time=export_time,
        nanoseconds=nanoseconds, sequence=sequence, engine=engine, sampling=sampling,
    )  # fmt: skip
    return header + b"".join(records)


def netflow5_record(source: str, destination: str, *, octets: int = 100, first_ms: int = 0, last_ms: int = 0) -> bytes:
    """A TCP flow to port 443 through the interfaces 3 and 4. first_ms, last_ms: sysUpTime."""
    return (
        ipv4(source) + ipv4(destination) + bytes(4)
        + struct.pack("!HHIIIIHHxBBB", 3, 4, 2, octets, first_ms, last_ms, 40000, 443, 0x1B, 6, 0) + bytes(8)
    )  # fmt: skip


def netflow9(
    *sets: bytes,
    count: int = 1,
    sequence: int = 0,
    source_id: int = 0,
    uptime_ms: int = 60_000,
    export_time: int = EXPORT_TIME,
) -> bytes:
    """A NetFlow v9 packet. count: records of all kinds in it."""
    header = _packed(
        "HHIIII", version=9, count=count, uptime_ms=uptime_ms, export_time=export_time, sequence=sequence,
        source_id=source_id,
    )  # fmt: skip
    return header + b"".join(sets)


def netflow9_template(template_id: int, *fields: FieldSpec) -> bytes:
    """A Template FlowSet with one template."""
    return any_set(0, template(template_id, *fields))


def netflow9_options_template(template_id: int, scope: Sequence[FieldSpec], *fields: FieldSpec) -> bytes:
    """An Options Template FlowSet with one template. scope: scope types (1 = System, 2 = Interface) and lengths."""
    head = _packed("HHH", template_id=template_id, scope=4 * len(scope), options=4 * len(fields))
    return any_set(1, head + _fields(scope) + _fields(fields))


# --- damage ----------------------------------------------------------------------------------------------------------


def cut(octets: bytes, size: int) -> bytes:
    """The first `size` octets, or all but the last `-size`."""
    return octets[:size]


def patched(octets: bytes, at: int, other: bytes) -> bytes:
    """The same with `other` in the place of what is at octet `at`."""
    return octets[:at] + other + octets[at + len(other) :]


def _packed(form: str, **numbers: int) -> bytes:
    """Unsigned numbers, one after the other. form: as `struct` has it, a letter for each."""
    for letter, (name, number) in zip(form, numbers.items(), strict=True):
        bits = 8 * struct.calcsize(f"!{letter}")
        if not 0 <= number < 1 << bits:
            raise ValueError(f"{name} is {number}, which does not fit its {bits} bits")
    return struct.pack(f"!{form}", *numbers.values())


def _default(given: int | None, right: int) -> int:
    return right if given is None else given


def _fields(fields: Iterable[FieldSpec]) -> bytes:
    return b"".join(field(*spec) for spec in fields)
