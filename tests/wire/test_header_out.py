"""Headers of many Messages at once are those that the builder writes one by one."""

from __future__ import annotations

import numpy as np
import pytest

from headwater.wire.dialect import IPFIX, NETFLOW5, NETFLOW7, NETFLOW9, Dialect
from headwater.wire.header_out import align_of, most_records, record_header, write_headers
from tests import build as b

BODIES = [bytes(4), bytes(12), bytes(8)]
SEQUENCE = [0xFFFF_FFFF, 0, 3]


def headers(dialect: Dialect, **facts: int) -> list[bytes]:
    """The Messages with those bodies."""
    sizes = [dialect.header + len(body) for body in BODIES]
    begin = np.array([0, *np.cumsum(sizes)], np.int32)
    buffer = np.zeros(begin[-1], np.uint8)
    write_headers(
        dialect,
        buffer,
        begin,
        export_ms=b.EXPORT_TIME * 1000 + 250,
        sequence=np.array(SEQUENCE, np.uint32),
        count=np.array([1, 2, 3], np.int32),
        **facts,
    )
    return [buffer[start:end].tobytes() for start, end in zip(begin[:-1].tolist(), begin[1:].tolist(), strict=True)]


def test_ipfix() -> None:
    assert headers(IPFIX, domain=0xFFFF_FFFE) == [
        b.message(body, domain=0xFFFF_FFFE, sequence=sequence) for body, sequence in zip(BODIES, SEQUENCE, strict=True)
    ]


def test_ipfix_with_one_set_in_each_message() -> None:
    assert headers(IPFIX, domain=1, set_id=300) == [
        b.message(b.any_set(300, body[4:]), sequence=sequence) for body, sequence in zip(BODIES, SEQUENCE, strict=True)
    ]


def test_netflow9() -> None:
    assert headers(NETFLOW9, domain=7, uptime_ms=(1 << 32) + 5) == [
        b.netflow9(body, count=number, sequence=sequence, source_id=7, uptime_ms=5)
        for number, body, sequence in zip((1, 2, 3), BODIES, SEQUENCE, strict=True)
    ]


def test_netflow5() -> None:
    expected = [
        bytearray(b.netflow5(body, sequence=sequence, engine=0x0203, sampling=0x4064, uptime_ms=9))
        for body, sequence in zip(BODIES, SEQUENCE, strict=True)
    ]
    for number, message in enumerate(expected, 1):
        message[2:4] = b.uint(number, 2)
        message[12:16] = b.uint(250_000_000)
    assert headers(NETFLOW5, domain=0x0203, uptime_ms=9, sampling=0x4064) == expected


@pytest.mark.parametrize(
    ("dialect", "header", "align", "most"),
    [(IPFIX, 20, 1, 0), (NETFLOW9, 24, 4, 0), (NETFLOW5, 24, 1, 30), (NETFLOW7, 24, 1, 28)],
    ids=["ipfix", "netflow9", "netflow5", "netflow7"],
)
def test_what_each_protocol_asks_for(dialect: Dialect, header: int, align: int, most: int) -> None:
    assert (record_header(dialect), align_of(dialect), most_records(dialect)) == (header, align, most)
