"""The twin's functions for packet captures."""

from __future__ import annotations

from operator import index
from struct import Struct
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from headwater.kernel.reference_arguments import (
    INT32_MAX,
    KEY,
    Ints,
    Numbers,
    Octets,
    Readable,
    check_spans,
    keys_of,
    numbers_of,
    octets_of,
)

Words: TypeAlias = npt.NDArray[np.uint32]

_SECTION, _INTERFACE, _OLD_PACKET, _SIMPLE_PACKET, _ENHANCED_PACKET = 0x0A0D0D0A, 1, 2, 3, 6
_MAGIC = 0x1A2B3C4D
_NO_IP, _UDP, _TCP, _FRAGMENT, _OTHER_IP, _DAMAGED, _CUT, _FOREIGN_LINK = range(8)
_ETHERNET, _LOOPBACK, _COOKED, _COOKED2, _RAW = 1, (0, 108), 113, 276, (12, 14, 101, 228, 229)
_IP4, _IP6, _VLAN, _MPLS, _PPPOE, _BY_NIBBLE = 0x0800, 0x86DD, (0x8100, 0x88A8, 0x9100), (0x8847, 0x8848), 0x8864, -1
_EXTENSIONS = (0, 43, 44, 51, 60, 135, 139, 140)


def pcap_packets(buf: Readable, at: int, is_big: bool, header: int, most: int) -> tuple[Ints, Ints, Words, Words, int]:
    """Walk the records of a pcap file from `at` on -> start[n], end[n], seconds[n], fraction[n], rest."""
    octets = octets_of(buf)
    _check_position(at, len(octets))
    if header not in (16, 24):
        raise ValueError(f"a record header of {header} octets")
    if not 0 <= most <= INT32_MAX:
        raise ValueError(f"packets of up to {most} octets")
    at, header, most = index(at), index(header), index(most)
    fields, wire, rows = Struct(">IIII" if is_big else "<IIII").unpack_from, octets.data, []
    while at + header <= len(wire):
        seconds, fraction, length, original = fields(wire, at)
        if length > min(most, len(wire) - at - header) or length == original == 0:
            break
        rows.append((at + header, at + header + length, seconds, fraction))
        at += header + length
    start, end, seconds, fraction = np.array(rows, np.int64).reshape(-1, 4).T
    return start.astype(np.int32), end.astype(np.int32), seconds.astype(np.uint32), fraction.astype(np.uint32), at


def pcapng_packets(
    buf: Readable, at: int, is_big: bool, interfaces: int, snap: int, most: int
) -> tuple[
    tuple[Ints, Ints, Ints, Words, Words],
    tuple[Words, Ints, Ints, npt.NDArray[np.bool_]],
    int,
    tuple[bool, int, int],
]:
    """Walk the blocks of a pcapng file from `at` on -> packets, others, rest, (is_big, interfaces, snap)."""
    octets = octets_of(buf)
    _check_position(at, len(octets))
    if not 0 <= interfaces <= INT32_MAX // 2 or not 0 <= snap <= 2**32 - 1 or not 0 <= most <= INT32_MAX:
        raise ValueError(f"{interfaces} interfaces, a snap length of {snap}, blocks of up to {most} octets")
    at, known, snap, most = index(at), index(interfaces), index(snap), index(most)
    is_big, first = bool(is_big), 0
    wire, packets, others = octets.tobytes(), [], []
    while at + 12 <= len(wire):
        order = is_big
        kind, size = _numbers(wire, at, order, 2)
        if kind == _SECTION:
            if _MAGIC not in (*_numbers(wire, at + 8, True, 1), *_numbers(wire, at + 8, False, 1)):
                break
            order = _numbers(wire, at + 8, True, 1)[0] == _MAGIC
            size = _numbers(wire, at + 4, order, 1)[0]
        if size < 12 or size % 4 or size > min(most, len(wire) - at):
            break
        if _numbers(wire, at + size - 4, order, 1)[0] != size:
            break
        is_big, body, stop = order, at + 8, at + size - 4
        at += size
        high = low = number = 0
        if kind == _SECTION:
            first, snap = known, 0
            others.append((kind, body, stop, is_big))
            continue
        if kind == _INTERFACE and stop - body >= 8:
            if known == first:
                (snap,) = _numbers(wire, body + 4, is_big, 1)
            known += 1
            others.append((kind, body, stop, is_big))
            continue
        if kind == _SIMPLE_PACKET and stop - body >= 4:
            (length,) = _numbers(wire, body, is_big, 1)
            body += 4
            length = min(length, stop - body, snap or length)
        elif kind in (_ENHANCED_PACKET, _OLD_PACKET) and stop - body >= 20:
            number, high, low, length = _numbers(wire, body, is_big, 4)
            if kind == _OLD_PACKET:
                number = number >> 16 if is_big else number & 0xFFFF
            body += 20
        else:
            continue
        if length > stop - body:
            length, number = 0, -1
        packets.append((body, body + length, first + number if 0 <= number < known - first else -1, high, low))
    start, end, interface, high_, low_ = np.array(packets, np.int64).reshape(-1, 5).T
    kinds, starts, ends, orders = np.array(others, np.int64).reshape(-1, 4).T
    return (
        (
            start.astype(np.int32),
            end.astype(np.int32),
            interface.astype(np.int32),
            high_.astype(np.uint32),
            low_.astype(np.uint32),
        ),
        (kinds.astype(np.uint32), starts.astype(np.int32), ends.astype(np.int32), orders.astype(np.bool_)),
        at,
        (is_big, known - first, snap),
    )


def _check_position(at: int, total: int) -> None:
    if not 0 <= at <= total:
        raise IndexError(f"octet {at} of {total}")


def _numbers(wire: bytes, at: int, is_big: bool, count: int) -> tuple[int, ...]:
    order = "big" if is_big else "little"
    return tuple(int.from_bytes(wire[p : p + 4], order) for p in range(at, at + 4 * count, 4))  # type: ignore[arg-type]


class _Found(NamedTuple):
    """What a packet is; header: -1 where there is none."""

    kind: int
    header: int = -1
    start: int = 0
    end: int = 0
    key: bytes = b""


class _Stop(Exception):
    """A packet whose kind was decided before its payload was found."""


def dissect(
    buf: Readable, start: Numbers, end: Numbers, link: Numbers, known: Readable
) -> tuple[npt.NDArray[np.uint8], Ints, Ints, Ints, Ints, Words, Octets]:
    """What is in packets -> kind[n], header[n], start[n], end[n], peer[n], head[n], keys[u, 40]."""
    octets, starts, ends, links, rows = (
        octets_of(buf),
        numbers_of(start),
        numbers_of(end),
        numbers_of(link),
        keys_of(known),
    )
    check_spans(octets, starts, ends)
    if len(links) != len(starts):
        raise ValueError(f"{len(starts)} packets but {len(links)} link types")
    wire, table = octets.tobytes(), list[tuple[int, ...]]()
    peers: dict[bytes, int] = {}
    for peer, row in enumerate(rows):
        peers.setdefault(row.tobytes(), peer)
    new: list[bytes] = []
    for p, q, kind in zip(starts.tolist(), ends.tolist(), links.tolist(), strict=True):
        try:
            found = _packet(wire, p, q, kind)
        except _Stop as decided:
            found = _Found(decided.args[0])
        peer = -1
        if found.key:
            if found.key not in peers:
                peers[found.key] = len(rows) + len(new)
                new.append(found.key)
            peer = peers[found.key]
        head = int.from_bytes(wire[found.start : min(found.start + 4, found.end)].ljust(4, b"\0")) if found.key else 0
        table.append((found.kind, p if found.header < 0 else found.header, found.start, found.end, peer, head))
    columns: Any = np.array(table, np.int64).reshape(-1, 6).T
    kinds, header, begin, stop, peer_, head_ = columns
    return (
        kinds.astype(np.uint8),
        header.astype(np.int32),
        begin.astype(np.int32),
        stop.astype(np.int32),
        peer_.astype(np.int32),
        head_.astype(np.uint32),
        np.frombuffer(b"".join(new), np.uint8).reshape(-1, KEY).copy(),
    )


def _two(wire: bytes, at: int) -> int:
    return wire[at] << 8 | wire[at + 1]


def _need(octets: int, p: int, q: int) -> None:
    if q - p < octets:
        raise _Stop(_CUT)


def _network(wire: bytes, p: int, q: int, link: int) -> tuple[int, int]:
    """Where the IP header is, and its EtherType."""
    if link == _ETHERNET:
        _need(14, p, q)
        kind, p = _two(wire, p + 12), p + 14
    elif link == _COOKED:
        _need(16, p, q)
        kind, p = _two(wire, p + 14), p + 16
    elif link == _COOKED2:
        _need(20, p, q)
        kind, p = _two(wire, p), p + 20
    elif link in _LOOPBACK:
        _need(4, p, q)
        family = int.from_bytes(wire[p : p + 4], "big")
        if family > 0xFFFF:
            family = int.from_bytes(wire[p : p + 4], "little")
        kind, p = _IP4 if family == 2 else _IP6 if family in (10, 23, 24, 28, 30) else 0, p + 4
    elif link in _RAW:
        kind = _BY_NIBBLE
    else:
        raise _Stop(_FOREIGN_LINK)
    while kind in (*_VLAN, *_MPLS, _PPPOE):
        _need(8 if kind == _PPPOE else 4, p, q)
        if kind in _VLAN:
            kind, p = _two(wire, p + 2), p + 4
        elif kind in _MPLS:
            kind, p = _BY_NIBBLE if wire[p + 2] & 1 else kind, p + 4
        else:
            kind, p = {0x21: _IP4, 0x57: _IP6}.get(_two(wire, p + 6), 0), p + 8
    if kind == _BY_NIBBLE:
        _need(1, p, q)
        kind = {4: _IP4, 6: _IP6}.get(wire[p] >> 4, 0)
    return p, kind


def _packet(wire: bytes, p: int, q: int, link: int) -> _Found:
    p, kind = _network(wire, p, q, link)
    if kind == _IP4:
        return _ip4(wire, p, q)
    return _ip6(wire, p, q) if kind == _IP6 else _Found(_NO_IP)


def _ip4(wire: bytes, p: int, q: int) -> _Found:
    _need(20, p, q)
    length, header = _two(wire, p + 2), (wire[p] & 15) * 4
    if wire[p] >> 4 != 4 or header < 20 or 0 < length < header:
        raise _Stop(_DAMAGED)
    _need(header, p, q)
    stop = p + length if length else q
    if _two(wire, p + 6) & 0x3FFF:
        return _fragment(p, p + header, stop, q)
    addresses = wire[p + 12 : p + 16].ljust(16, b"\0") + wire[p + 16 : p + 20].ljust(16, b"\0")
    return _transport(wire, p + header, stop, q, wire[p + 9], 4, addresses)


def _ip6(wire: bytes, p: int, q: int) -> _Found:
    _need(40, p, q)
    if wire[p] >> 4 != 6:
        raise _Stop(_DAMAGED)
    length, following, x = _two(wire, p + 4), wire[p + 6], p + 40
    stop = x + length if length else q
    while following in _EXTENSIONS:
        if stop - x < 8:
            raise _Stop(_DAMAGED)
        _need(8, x, q)
        size = 8 if following == 44 else (wire[x + 1] + 2) * 4 if following == 51 else (wire[x + 1] + 1) * 8
        if following == 44 and _two(wire, x + 2) & 0xFFF9:
            return _fragment(p, x + 8, stop, q)
        following, x = wire[x], x + size
    return _transport(wire, x, stop, q, following, 6, wire[p + 8 : p + 40])


def _fragment(p: int, x: int, stop: int, q: int) -> _Found:
    return _Found(_CUT) if stop > q else _Found(_FRAGMENT, p, x, stop)


def _transport(wire: bytes, x: int, stop: int, q: int, protocol: int, version: int, addresses: bytes) -> _Found:
    if x > stop:
        raise _Stop(_DAMAGED)
    if protocol not in (6, 17):
        return _Found(_OTHER_IP)
    least = 8 if protocol == 17 else 20
    if stop - x < least:
        raise _Stop(_DAMAGED)
    _need(least, x, q)
    end, header = (x + _two(wire, x + 4), 8) if protocol == 17 else (stop, (wire[x + 12] >> 4) * 4)
    if header < least or end - x < header or end > stop:
        raise _Stop(_DAMAGED)
    key = bytes((protocol, version)) + wire[x : x + 4] + b"\0\0" + addresses
    kind = _CUT if end > q else _UDP if protocol == 17 else _TCP
    return _Found(kind, x, min(x + header, q), min(end, q), key)
