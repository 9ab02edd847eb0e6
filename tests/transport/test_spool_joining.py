"""Small blocks of a spool put together: nothing changes but how many there are."""

from __future__ import annotations

import pytest

from headwater.errors import Fault, FaultKind
from headwater.session.key import Transport
from headwater.transport import Source, open_source
from headwater.transport.incoming.block import Block
from headwater.transport.spool import Spool, SpoolBlock
from headwater.transport.spool_joining import joined
from tests.transport.spools import EXPORTER, LOCAL, OTHER, RECEIVED, UDP, Lane, block, payloads, pieces

SECOND = 10**9


def parts(*blocks: Block | tuple[Block, Lane]) -> list[SpoolBlock | Fault]:
    octets = pieces()[0]
    for one in blocks:
        given, lane = (one, UDP) if isinstance(one, Block) else one
        octets += pieces(given, lane=lane)[1]
    return list(joined(Spool(open_source(Source("x", given=memoryview(octets))))))


def blocks_of(*blocks: Block | tuple[Block, Lane]) -> list[SpoolBlock]:
    found = parts(*blocks)
    assert not any(isinstance(one, Fault) for one in found)
    return [one for one in found if isinstance(one, SpoolBlock)]


def test_small_blocks_become_one() -> None:
    (one,) = blocks_of(
        block(b"a", b"bb", keys=[EXPORTER, OTHER], dropped={OTHER: 1}),
        block(dropped={OTHER: 2, EXPORTER: 5}),
        block(b"ccc", keys=[OTHER], received=RECEIVED + SECOND),
        block(b"d", keys=[None], received=RECEIVED + 2 * SECOND, ended=[OTHER]),
    )
    datagrams = one.datagrams
    assert payloads(datagrams) == [b"a", b"bb", b"ccc", b"d"]
    assert [datagrams.keys[peer] for peer in datagrams.peer] == [EXPORTER, OTHER, OTHER, None]
    assert [time - RECEIVED for time in datagrams.received.tolist()] == [0, 1000, SECOND, 2 * SECOND]
    assert one.dropped == {OTHER: 3, EXPORTER: 5}
    assert one.ended == [OTHER]
    assert (datagrams.offset[1:] > datagrams.offset[:-1]).all()


@pytest.mark.parametrize(
    "pair",
    [
        (block(b"a", ended=[EXPORTER]), block(b"b")),
        (block(b"a", faults=[Fault(FaultKind.FRAMING_LOST, key=EXPORTER)]), block(b"b")),
        (block(b"a"), (block(b"b"), (Transport.UDP, ("::", 4739)))),
        (block(b"a"), (block(b"b"), (Transport.DTLS, LOCAL))),
        (block(b"a"), block(b"b", received=RECEIVED + 6 * SECOND)),
        (block(b"a" * 600_000), block(b"b" * 600_000)),
        (block(b"a"), block(b"b", streams=[1])),
    ],
)
def test_what_does_not_go_together_stays_apart(pair: tuple[Block, Block]) -> None:
    assert len(blocks_of(*pair)) == 2


def test_streams_of_sctp_are_kept() -> None:
    (one,) = blocks_of(block(b"a", b"b", streams=[0, 3]), block(b"c", streams=[4]))
    assert one.datagrams.stream is not None
    assert one.datagrams.stream.tolist() == [0, 3, 4]


def test_faults_stay_where_they_are() -> None:
    head, first, second = pieces(block(b"a"), block(b"b"))
    octets = head + first + b"garbage" + second
    found = list(joined(Spool(open_source(Source("x", given=memoryview(octets))))))
    assert [type(one) for one in found] == [SpoolBlock, Fault, SpoolBlock]
