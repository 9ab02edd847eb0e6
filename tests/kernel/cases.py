"""Random calls of the kernel, most of them sensible and some hostile, and the comparison of its two backends.

Used with hypothesis by test_twin.py and with plain `random` by fuzz/kernel.py.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator, Mapping
from random import Random
from types import MappingProxyType, ModuleType
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from tests import packets

INT32 = np.iinfo(np.int32)
REFUSALS = (IndexError, ValueError, TypeError)
DTYPES = ("u1", "u2", "u4", "u8", "i1", "i2", "i4", "i8", "f4", "f8", "M8[ms]", "M8[s]", "m8[ns]")
ODD_DTYPES = (">u4", "O", "?", "c8", "S4", "U1", "g", "V0", "i4,i4", "nonsense", ">M8[s]")


class Call(NamedTuple):
    """One call. A bytearray among the arguments is written to by it."""

    name: str
    arguments: tuple[Any, ...]
    options: Mapping[str, Any] = MappingProxyType({})


def i32(values: Iterable[int]) -> npt.NDArray[np.int32]:
    return np.fromiter(values, np.int32)


# --- octets ----------------------------------------------------------------------------------------------------------


def octets(r: Random, most: int = 200) -> bytes:
    return bytes(r.choices(range(256), k=r.randrange(most)))


def structures(r: Random, header: int) -> bytes:
    """(tag, length) structures, some of a length that is wrong."""
    out = b""
    for _ in range(r.randrange(8)):
        body = octets(r, 30)
        length = header + len(body)
        if r.random() < 0.05:
            length = r.choice((0, 3, header - 1, length + 1, 65535))
        out += struct.pack("!HH", r.randrange(65536), length & 0xFFFF) + bytes(max(0, header - 4)) + body
    return out * (r.choice((50, 700)) if r.random() < 0.05 else 1)


def variable(r: Random) -> bytes:
    """A variable-length value: short or long form, and now and then longer than what is there."""
    length = r.choice((0, 1, 2, 5, 20, 254, 255, 256, 300))
    if r.random() < 0.1:
        return b"\xff" + struct.pack("!H", r.choice((0, 3, 65535))) + bytes(3)
    body = bytes(r.choices(range(256), k=length))
    return (bytes((length,)) if length < 255 else b"\xff" + struct.pack("!H", length)) + body


def mutated(r: Random, data: bytes) -> bytes:
    """A few octets changed, cut out or put in."""
    for _ in range(r.choice((0, 0, 1, 3))):
        at = r.randrange(len(data) + 1)
        data = (
            data[:at] + bytes(r.choices((0, 1, 4, 16, 127, 254, 255), k=r.randrange(3))) + data[at + r.randrange(3) :]
        )
    return data


GOOD_TEXT = ("", "a", "plain text " * 4, "é", "€", "𝄞", "\U0010ffff", "\ud7ff")
BAD_TEXT = (
    *("80", "c080", "c1bf", "e09fbf", "eda080", "f08fbfbf", "f4908080", "f5808080", "ff"),  # never well-formed
    *("c3", "e282", "f09d84"),  # cut short
)


def text(r: Random) -> bytes:
    """A few pieces of text, one in ten ill-formed."""
    return b"".join(
        r.choice(GOOD_TEXT).encode() if r.random() < 0.9 else bytes.fromhex(r.choice(BAD_TEXT))
        for _ in range(r.randrange(4))
    )


# --- arguments -------------------------------------------------------------------------------------------------------


def position(r: Random, total: int) -> int:
    if r.random() < 0.02:
        return r.choice((-1, total + 1, INT32.max, INT32.min, INT32.max - 7))
    return r.randrange(total + 1)


def spans(r: Random, total: int) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    if r.random() < 0.4:
        return i32([0]), i32([total])
    pairs = [sorted((position(r, total), position(r, total))) for _ in range(r.randrange(5))]
    if pairs and r.random() < 0.02:
        pairs[0].reverse()
    return i32(a for a, _ in pairs), i32(b for _, b in pairs)


def hostile(r: Random, array: npt.NDArray[np.int32]) -> Any:
    """The array, or rarely something that is not what the function takes."""
    if r.random() > 0.03:
        return array
    unaligned = np.frombuffer(b"\0" + array.tobytes(), np.uint8)[1:].view(np.int32)
    return r.choice(
        (
            None,
            "text",
            array.tolist(),
            array.astype(np.int64),
            array.astype(np.uint32),
            array.astype(">i4"),
            array.astype(np.float32),
            np.repeat(array, 2, axis=-1)[..., ::2],
            array[::-1],
            array[:-1],
            array[..., None],
            array.ravel(),
            unaligned,
            np.asfortranarray(array),
            np.int32(3),
            array.tobytes(),
            array.data,
        )
    )


def buffer(r: Random, data: bytes, *, written: bool = False) -> Any:
    if r.random() < 0.02:
        every_other = memoryview(data + data)[::2]
        return r.choice((None, [1, 2], "text", every_other, np.zeros(8, np.int8), np.zeros((2, 2), np.uint8)))
    if written:
        return bytearray(data) if r.random() < 0.98 else data
    return r.choice((bytes, bytearray, memoryview, lambda b: np.frombuffer(b, np.uint8)))(data)


def number(r: Random, value: int) -> Any:
    return value if r.random() < 0.97 else r.choice((0, -1, 2**31 - 1, 2**31, 2**70, 4.5, None, "4"))


def width_and_dtype(r: Random) -> tuple[int, Any]:
    if r.random() < 0.02:
        return r.choice((0, -1, 1, 4, 9, 65536)), r.choice(ODD_DTYPES)
    if r.random() < 0.3:
        width = r.choice((1, 2, 3, 6, 7, 16, 17, 32))
        return width, np.dtype(f"V{width}")
    dtype = np.dtype(r.choice(DTYPES))
    width = dtype.itemsize if r.random() < 0.6 else r.randrange(1, dtype.itemsize + 1)
    return width, dtype if r.random() < 0.9 else dtype.str


# --- calls -----------------------------------------------------------------------------------------------------------


def chain(r: Random) -> Call:
    header = r.choice((4, 4, 16, 5, 20))
    data = mutated(r, structures(r, header))
    start, end = spans(r, len(data))
    return Call("chain", (buffer(r, data), hostile(r, start), hostile(r, end), number(r, header)))


def scan(r: Random) -> Call:
    gaps = [r.choice((0, 0, 1, 2, 7)) for _ in range(r.randrange(1, 5))]
    if r.random() < 0.05:
        gaps[r.randrange(len(gaps))] = r.choice((-1, INT32.max, INT32.min, 65534))
    data = b""
    for _ in range(r.randrange(6)):
        for gap in gaps[:-1]:
            data += bytes(r.choices(range(256), k=min(max(gap, 0), 9))) + variable(r)
        data += bytes(min(max(gaps[-1], 0), 9))
    data = mutated(r, data * (40 if r.random() < 0.05 else 1) + bytes(r.choice((0, 1, 2, 500))))
    start, end = spans(r, len(data))
    return Call("scan", (buffer(r, data), hostile(r, start), hostile(r, end), hostile(r, i32(gaps))))


def plan(r: Random, rows: int, most: int) -> tuple[npt.NDArray[np.int32], list[Any]]:
    fields, dtypes = [], []
    for _ in range(r.randrange(6)):
        width, dtype = width_and_dtype(r)
        row = r.randrange(rows) if rows and r.random() < 0.99 else r.choice((-1, rows, INT32.max))
        delta = r.randrange(-most, most + 1) if r.random() < 0.98 else r.choice((INT32.min, INT32.max))
        fields.append((row, delta, width, r.randrange(2)))
        dtypes.append(dtype)
    table = np.array(fields, np.int32).reshape(-1, 4)
    if r.random() < 0.02:
        dtypes = dtypes[1:]
    return table, dtypes


def columns(r: Random) -> Call:
    data = octets(r)
    rows, n = r.randrange(4), 3000 if r.random() < 0.02 else r.choice((0, 1, 2, 15, 16, 17, 40))
    margin = r.choice((0, 8, 40))
    middle = range(min(margin, len(data) // 2), max(len(data) - margin, len(data) // 2 + 1))
    at = np.array([[r.choice(middle) for _ in range(n)] for _ in range(rows)], np.int32).reshape(rows, n)
    if at.size and r.random() < 0.05:
        at[r.randrange(rows), r.randrange(n)] = position(r, len(data) + 3)
    table, dtypes = plan(r, rows, max(margin // 2, 1))
    return Call("columns", (buffer(r, data), hostile(r, at), hostile(r, table), dtypes))


def runs(r: Random) -> Call:
    data = octets(r, 400)
    stride = r.randrange(1, 40)
    start, count = [], []
    for _ in range(r.randrange(5)):
        at = position(r, len(data))
        start.append(at)
        most = (len(data) - at) // stride if at <= len(data) else -1
        count.append(r.randrange(most + 1) if most >= 0 and r.random() < 0.97 else r.choice((-1, INT32.max)))
    table, dtypes = plan(r, 1, 2)
    table[:, 1] = np.abs(table[:, 1].astype(np.int64)) % max(stride, 2) if r.random() < 0.9 else table[:, 1]
    spans = hostile(r, i32(start)), hostile(r, i32(count))
    return Call("runs", (buffer(r, data), *spans, number(r, stride), hostile(r, table), dtypes))


def strings(r: Random) -> Call:
    data = octets(r, 400)
    scale = r.choice((4, 20, 60, 400))
    ends = [position(r, len(data)) for _ in range(r.randrange(30))]
    sizes = [min(end, r.randrange(scale)) if r.random() < 0.99 else position(r, len(data)) for end in ends]
    if r.random() < 0.5:  # no mistake at all
        ends = [min(max(end, 0), len(data)) for end in ends]
        sizes = [min(max(size, 0), end) for size, end in zip(sizes, ends, strict=True)]
    return Call("strings", (buffer(r, data), hostile(r, i32(ends)), hostile(r, i32(sizes))))


def utf8(r: Random) -> Call:
    values = [text(r) for _ in range(r.randrange(12))]
    offsets = np.cumsum([0, *map(len, values)]).astype(np.int32)
    if r.random() < 0.3:  # values cut elsewhere
        offsets = np.sort(np.clip(offsets + r.randrange(-2, 3), 0, offsets[-1])).astype(np.int32)
    if r.random() < 0.03:
        offsets[r.randrange(len(offsets))] = position(r, len(offsets))
    return Call("utf8", (hostile(r, offsets), buffer(r, b"".join(values) + bytes(r.randrange(3)))))


def pack(r: Random) -> Call:
    budget = r.choice((1, 10, 100, 65515, INT32.max))
    sizes = [r.randrange(1, min(budget, 60) + 1) for _ in range(r.randrange(30))]
    if sizes and r.random() < 0.1:
        sizes[r.randrange(len(sizes))] = r.choice((0, -1, budget, INT32.max))
    header = r.choice((0, 16, 20, INT32.max))
    options = {}
    if r.random() < 0.5:
        options = {"align": number(r, r.choice((1, 2, 4, 7))), "most": number(r, r.choice((0, 1, 3, 30)))}
    return Call("pack", (hostile(r, i32(sizes)), number(r, budget), number(r, header)), options)


def scatter(r: Random) -> Call:
    fields, dtypes, stride = [], [], 0
    for _ in range(r.randrange(6)):
        width, dtype = width_and_dtype(r)
        fields.append((0, stride, width, r.randrange(2)))
        dtypes.append(dtype)
        stride += max(width, 0)
    n = r.choice((0, 1, 2, 16, 35))
    at = np.array([r.sample([k * stride for k in range(n)], n)], np.int32).reshape(1, n)
    if n and r.random() < 0.05:
        at[0, r.randrange(n)] = r.choice((-1, n * stride + 1, INT32.max, INT32.min))
    arrays: list[Any] = []
    for dtype in dtypes:
        try:
            size = np.dtype(dtype).itemsize * n
            arrays.append(np.frombuffer(bytes(r.choices(range(256), k=size)), dtype) if size else np.empty(n, dtype))
        except (TypeError, ValueError):
            arrays.append(np.zeros(n, object))
    if arrays and r.random() < 0.05:
        arrays[0] = r.choice((arrays[0][1:], arrays[0][:, None], [1] * n, None))
    table = np.array(fields, np.int32).reshape(-1, 4)
    return Call("scatter", (buffer(r, bytes(n * stride), written=True), hostile(r, at), hostile(r, table), arrays))


def scatter_strings(r: Random) -> Call:
    values = [bytes(r.choices(range(256), k=r.choice((0, 1, 9, 254, 255, 300)))) for _ in range(r.randrange(6))]
    shortest = r.choice((0, 2, 254, 255))
    ends, total = [], 0
    for value in values:
        total += (1 if len(value) < shortest else 3) + len(value) + r.randrange(3)
        ends.append(total)
    offsets = np.cumsum([0, *map(len, values)]).astype(np.int32)
    if r.random() < 0.05:
        ends = [position(r, total) for _ in ends]
        values, offsets, ends = values[:1], offsets[:2], ends[:1]  # one value cannot overlap another
    if r.random() < 0.03:
        offsets[r.randrange(len(offsets))] = position(r, 4)
        ends, offsets = ends[:1], offsets[:2]
    data = buffer(r, b"".join(values))
    octets = buffer(r, bytes(total), written=True)
    options = {"shortest": number(r, shortest)}
    return Call("scatter_strings", (octets, hostile(r, i32(ends)), hostile(r, offsets), data), options)


def dicts(r: Random) -> Call:
    n = r.choice((0, 1, 3, 40))
    columns: list[Any] = []
    dotted = []
    for _ in range(r.randrange(6)):
        dtype = np.dtype(r.choice(("u1", "u2", "u4", "u4", "u8", "i1", "i2", "i4", "i8")))
        array = np.frombuffer(bytes(r.choices((0, 1, 99, 127, 128, 255), k=n * dtype.itemsize)), dtype)
        dotted.append(dtype == "u4" and r.random() < 0.5)
        columns.append(array.tolist() if r.random() < 0.3 else array)
        if r.random() < 0.03:
            unaligned = np.frombuffer(b"\0" + array.tobytes(), np.uint8)[1:].view(dtype)
            masked = np.ma.masked_array(array)
            columns[-1] = r.choice((None, tuple(array), array[1:], array[::-1], array[:, None], unaligned, masked))
            columns[-1] = array.astype(r.choice(("f8", "M8[s]", "?", ">i4"))) if r.random() < 0.3 else columns[-1]
    names = tuple(f"column {k}" for k in range(len(columns) + (r.random() < 0.02)))
    return Call("dicts", (names, columns, dotted[1:] if r.random() < 0.02 else dotted))


def gather_rows(r: Random) -> Call:
    n = r.choice((0, 1, 3, 63, 64, 65, 200))
    dtypes = r.choices(("u1", "u2", "u4", "u8", "i1", "i2", "i4", "i8", "f4", "f8", None), k=r.randrange(6))
    if dtypes and r.random() < 0.03:
        dtypes[0] = r.choice(("?", "f2", "V4", ">u4", "M8[s]", "O"))
    names = tuple(f"column {k}" for k in range(len(dtypes) + (r.random() < 0.02)))
    rows: list[Any] = [tuple(row_cell(r, dtype) for dtype in dtypes) for _ in range(n)]
    if r.random() < 0.5:
        keep = r.choice((1, 1, 0.99))
        rows = [{k: v for k, v in zip(names, row, strict=False) if r.random() <= keep} for row in rows]
    if rows and r.random() < 0.03:
        rows[r.randrange(n)] = r.choice(((), (1, 2, 3), {}, [], None, {1: 2}))
    keys = names if rows and isinstance(rows[0], dict) else None
    return Call("gather_rows", (rows, keys, dtypes))


def row_cell(r: Random, dtype: str | None) -> Any:
    """Mostly a number that fits the dtype, often the least or the greatest one."""
    if r.random() < 0.001:
        return r.choice((None, "text", True, -1, 2**64, 2**63, -(2**63) - 1, 1e300, float("inf"), 0.1, b"", 1.0))
    if dtype not in DTYPES:
        return "anything"
    if dtype[0] == "f":
        return r.choice((0.0, -2.5, 1.0, float("inf")))
    bits = int(dtype[1]) * 8
    least, most = (0, 2**bits - 1) if dtype[0] == "u" else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    return r.choice((least, most, r.randint(least, most)))


def cut(r: Random, data: bytes) -> bytes:
    return data[: r.randrange(len(data) + 1)] if r.random() < 0.1 else data


def packet(r: Random) -> tuple[int, bytes]:
    """A link type and a packet, many of them damaged a little."""
    body = octets(r, 40)
    family = r.random() < 0.5
    peer = ("10.0.0.1", r.randrange(3), "10.0.0.2", 2055) if family else ("2001:db8::1", r.randrange(3), "::2", 2055)
    match r.randrange(6):
        case 0:
            inside = packets.tcp(body, r.randrange(2**32), peer, options=bytes(4 * r.randrange(11)))
        case 1:
            inside = r.choice(packets.fragments(packets.udp_datagram(body + bytes(9), peer), 8, peer=peer))
        case 2 if not family:
            kinds = [r.choice((0, 43, 44, 51, 60, 135)) for _ in range(r.randrange(4))]
            inside = packets.ip6(17, packets.udp_datagram(body), peer, extensions=[(k, bytes(7)) for k in kinds])
        case 3:
            inside = packets.ip(r.choice((1, 17, 132)), body, peer)
        case _:
            inside = packets.udp(body, peer, length=None if r.random() < 0.9 else r.randrange(70))
    match r.randrange(8):
        case 0:
            link, whole = 1, packets.ethernet(inside, tags=r.choices((0x8100, 0x88A8, 0x9100), k=r.randrange(4)))
        case 1:
            link, whole = 1, packets.mpls(inside, r.randrange(1, 4))
        case 2:
            link, whole = 1, packets.pppoe(inside)
        case 3:
            link, whole = 113, packets.cooked(inside)
        case 4:
            link, whole = 276, packets.cooked2(inside)
        case 5:
            link, whole = r.choice((0, 108)), packets.loopback(inside, r.choice("<>"), r.choice((10, 24, 28, 30, 99)))
        case 6:
            link, whole = r.choice((12, 14, 101, 228, 229, 147)), inside
        case _:
            link, whole = 1, packets.ethernet(inside, trailer=bytes(r.randrange(9)))
    return link, mutated(r, cut(r, whole))


def pcap_packets(r: Random) -> Call:
    order, header = r.choice("<>"), r.choice((16, 16, 24))
    data = packets.pcap(
        [(r.randrange(2**40), octets(r, 30)) for _ in range(r.randrange(6))],
        order=order,
        magic=0xA1B2CD34 if header == 24 else 0xA1B2C3D4,
        snap=r.choice((0, 5, 262144)),
    )
    data = cut(r, mutated(r, data * (r.choice((20, 200)) if r.random() < 0.05 else 1)))
    at = 24 if r.random() < 0.9 else position(r, len(data))
    return Call("pcap_packets", (buffer(r, data), at, order == ">", number(r, header), number(r, 1000)))


def pcapng_packets(r: Random) -> Call:
    data = b""
    for _ in range(r.randrange(4)):
        order = r.choice("<>")
        data += packets.section(order) if r.random() < 0.9 else b""
        for _ in range(r.randrange(6)):
            data += pcapng_block(r, order)
    data = cut(r, mutated(r, data * (r.choice((20, 200)) if r.random() < 0.05 else 1)))
    at = 0 if r.random() < 0.9 else position(r, len(data))
    interfaces = number(r, r.choice((0, 0, 1, 2**30)))
    numbers_ = interfaces, number(r, r.choice((0, 9, 2**32 - 1))), number(r, 2000)
    return Call("pcapng_packets", (buffer(r, data), at, r.random() < 0.5, *numbers_))


def pcapng_block(r: Random, order: str) -> bytes:
    body, which, ticks = octets(r, 30), r.randrange(3), r.getrandbits(64)
    match r.randrange(5):
        case 0:
            return packets.interface(1, order, snap=r.choice((0, 4, 2**32 - 1)))
        case 1:
            return packets.enhanced(body, order, number=which, ticks=ticks)
        case 2:
            return packets.obsolete(body, order, number=which, ticks=ticks)
        case 3:
            return packets.simple(body, order)
        case _:
            return packets.block(r.randrange(12), body, order)


def dissect(r: Random) -> Call:
    found = [packet(r) for _ in range(r.choice((0, 1, 3, 20, 60)))]
    if r.random() < 0.02:  # more peers than the first table holds
        found += [(101, packets.udp(b"", ("10.0.0.1", k & 1023, "10.0.0.2", k >> 10))) for k in range(3000)]
    data, start = b"", []
    for _, one in found:
        start.append(len(data))
        data += one
    end = [*start[1:], len(data)] if start else []
    if start and r.random() < 0.05:
        start[r.randrange(len(start))] = position(r, len(data))
    known: Any = np.frombuffer(octets(r, 200), np.uint8)
    known = known[: len(known) // 40 * 40].reshape(-1, 40)
    if r.random() < 0.5:
        known = np.frombuffer(b"".join(peer_key(r.randrange(3)) for _ in range(r.randrange(4))), np.uint8).reshape(
            -1, 40
        )
    if r.random() < 0.03:
        known = r.choice((None, [1], known[:, ::2], known[:, 1:], known.astype(np.int8), known.ravel(), known.T))
    arrays = hostile(r, i32(start)), hostile(r, i32(end)), hostile(r, i32(link for link, _ in found))
    return Call("dissect", (buffer(r, data), *arrays, known))


def peer_key(port: int) -> bytes:
    addresses = bytes((10, 0, 0, 1)).ljust(16, b"\0") + bytes((10, 0, 0, 2)).ljust(16, b"\0")
    return struct.pack("!BBHHH", 17, 4, port, 2055, 0) + addresses


CALLS: tuple[Callable[[Random], Call], ...] = (
    pcap_packets,
    pcapng_packets,
    dissect,
    chain,
    scan,
    columns,
    runs,
    strings,
    utf8,
    pack,
    scatter,
    scatter_strings,
    dicts,
    gather_rows,
)


# --- comparison ------------------------------------------------------------------------------------------------------


def outcome(backend: ModuleType, call: Call) -> tuple[Any, ...]:
    """What a call returns, or the kind of refusal; and what it wrote."""
    target = call.arguments[0] if call.name.startswith("scatter") else None
    fresh = bytearray(target) if isinstance(target, bytearray) else target
    arguments = call.arguments if target is None else (fresh, *call.arguments[1:])
    try:
        result: Any = getattr(backend, call.name)(*arguments, **call.options)
        result = list(result) if isinstance(result, Iterator) else result
    except REFUSALS as error:
        result = next(kind for kind in REFUSALS if isinstance(error, kind))
    return plain(result), bytes(fresh) if isinstance(fresh, bytearray) else None


def plain(result: Any) -> Any:
    """Arrays as (dtype, shape, octets), so that results can be compared bit for bit."""
    if isinstance(result, np.ndarray):
        return result.dtype.str, result.shape, result.tobytes()
    if isinstance(result, list | tuple):
        return type(result).__name__, *map(plain, result)
    return result
