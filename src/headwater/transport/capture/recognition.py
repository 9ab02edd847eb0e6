"""Which datagrams and segments are flow export, told by content and by port."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from headwater.kernel import chain
from headwater.transport.capture.packets import Ints, Rows
from headwater.transport.capture.peers import port_table
from headwater.wire.dialect import (
    DIALECTS,
    FIRST_DATA_SET,
    IPFIX,
    NETFLOW9,
    OPTIONS_TEMPLATE_SET,
    SET_HEADER,
    TEMPLATE_SET,
    Dialect,
)
from headwater.wire.legacy import AGGREGATION_AT, MOST_RECORDS, record_sizes, template_id

WELL_KNOWN_PORTS = (2055, 2056, 4432, 4739, 4740, 6343, 9555, 9995, 9996)
"""Where flow export goes by assignment (IANA: 4739, 4740, 6343) or by custom."""

Flags = npt.NDArray[np.bool_]

_IS_WELL_KNOWN = port_table(WELL_KNOWN_PORTS)
_SFLOW_LEAST = 28
_YEAR_NS = 365 * 86400 * 10**9
_IS_VERSION = np.zeros(16, bool)
_IS_VERSION[list(DIALECTS)] = True


def is_version(head: npt.NDArray[np.uint32]) -> Flags:
    """Whether payloads begin with the version of an export protocol. head: uint32[n], their first four octets."""
    version = head >> np.uint32(16)
    flags: Flags = (_IS_VERSION[version & np.uint32(15)] & (version < 16)) | (head == 5)
    return flags


def find_export(rows: Rows, ports: npt.NDArray[np.uint16]) -> Flags:
    """Which datagrams show that their peer exports flows; of each peer that does, the first one at least.

    They begin with the version of an export protocol, and go to a well-known port or are plausible as a whole.
    ports: uint16[u], the destination ports of peers.
    """
    likely = is_version(rows.head)
    out: Flags = likely & _IS_WELL_KNOWN[ports[rows.peer]]
    rest = np.flatnonzero(likely & ~out)
    if len(rest):
        peers, first = np.unique(rows.peer[rest], return_index=True)
        first = rest[first]
        out[first] = is_export(rows.at(first))
        rest = rest[np.isin(rows.peer[rest], peers[~out[first]])]  # what is found by the first one needs no other
        out[rest] = is_export(rows.at(rest))
    return out


def is_export(rows: Rows) -> Flags:
    """Whether datagrams are plausible as a whole: NetFlow v1, v5, v7, v8, v9, IPFIX or sFlow v5."""
    buffer, start, end, head = rows.buffer, rows.start, rows.end, rows.head
    version, count, size = head >> np.uint32(16), (head & np.uint32(0xFFFF)).astype(np.int64), end - start
    good: Flags = (head == 5) & (size >= _SFLOW_LEAST)
    if good.any():  # sFlow: the address of the agent is of IPv4 or IPv6
        agent = np.minimum(start + 7, len(buffer) - 1)
        good &= (buffer[agent] - np.uint8(1) < 2) & (buffer[agent - 1] == 0)
    for number, most in MOST_RECORDS.items():
        chosen = np.flatnonzero((version == number) & (count >= 1) & (count <= most))
        if len(chosen):
            good[chosen] = _is_filled(buffer, DIALECTS[number], count[chosen], start[chosen], size[chosen])
    for number, check in ((9, _is_v9), (10, _is_v10)):
        chosen = np.flatnonzero(version == number)
        good[chosen] = check(buffer, start[chosen], end[chosen])
    return good


def _is_filled(
    buffer: npt.NDArray[np.uint8], dialect: Dialect, count: npt.NDArray[np.int64], start: Ints, size: Ints
) -> Flags:
    """Whether that many records fill datagrams of NetFlow v1, v5, v7 or v8."""
    aggregation = np.zeros(len(start), np.int64)
    if dialect.version == 8:
        aggregation += buffer[np.minimum(start + AGGREGATION_AT, len(buffer) - 1)]
    record = record_sizes()[np.minimum(template_id(dialect.version) + aggregation, 255)]
    spare = size - dialect.header - count * record
    return (spare >= 0) & (spare < record)


def _is_v9(buffer: npt.NDArray[np.uint8], start: Ints, end: Ints) -> Flags:
    """Whether FlowSets fill datagrams."""
    good: Flags = end - start >= NETFLOW9.header + SET_HEADER
    body = np.minimum(start + np.int32(NETFLOW9.header), end)
    parent, set_id, _, _, rest = chain(buffer, body, end, SET_HEADER)
    good &= end - rest < SET_HEADER
    good[parent[(set_id > 1) & (set_id < FIRST_DATA_SET)]] = False
    return good


def _is_v10(buffer: npt.NDArray[np.uint8], start: Ints, end: Ints) -> Flags:
    """Whether Messages fill datagrams."""
    parent, version, _, _, rest = chain(buffer, start, end, IPFIX.header)
    good: Flags = (end == rest) & (end > start)
    good[parent[version != 10]] = False
    return good


def is_stream_start(octets: bytes) -> bool:
    """Whether IPFIX over TCP can begin so; as long as there are few octets, hope."""
    if octets[:2] != b"\x00\x0a"[: len(octets)]:
        return False
    return len(octets) < 4 or int.from_bytes(octets[2:4]) >= IPFIX.header


def is_message(octets: bytes, received: int) -> bool:
    """Whether a segment in the middle of a connection begins with an IPFIX Message.

    Other traffic begins so once in 2**16 segments, so more is asked for than a version: a Set that can be the first,
    an export time within a year of the arrival, and behind the Message nothing or another one.
    received: ns since 1970, 0 = not known.
    """
    if len(octets) < IPFIX.header + SET_HEADER or octets[:2] != b"\x00\x0a":
        return False
    length, export_time = int.from_bytes(octets[2:4]), int.from_bytes(octets[4:8])
    set_id, set_length = int.from_bytes(octets[16:18]), int.from_bytes(octets[18:20])
    if length < IPFIX.header + SET_HEADER or not SET_HEADER <= set_length <= length - IPFIX.header:
        return False
    if set_id not in (TEMPLATE_SET, OPTIONS_TEMPLATE_SET) and set_id < FIRST_DATA_SET:
        return False
    following = octets[length : length + 2]
    if following != b"\x00\x0a"[: len(following)]:
        return False
    return not received or abs(export_time * 10**9 - received) < _YEAR_NS
