"""The parts of an Exporter that need no network."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import headwater as hw
from headwater.batch.encode import Encoder
from headwater.batch.incoming import columns_of, template_for
from headwater.errors import EncodeError
from headwater.process.exporting_outbox import Outbox
from headwater.process.exporting_pace import Pace, Retry
from headwater.process.exporting_pieces import Piece, Pieces, laid_again
from headwater.process.exporting_policies import Hash
from headwater.process.exporting_replay import Tempo, timed_parts
from headwater.process.exporting_report import Amount
from headwater.session.exporting import ExportSession
from headwater.session.outgoing import Encoded, Room
from headwater.transport.outgoing import parse_url
from tests import build, packets
from tests.process.collectors import records_of


def laid_out(rows: list[dict[str, Any]], mtu: int = 100) -> tuple[ExportSession, Encoded]:
    session = ExportSession("tcp", mtu=mtu)
    incoming = columns_of(rows)
    template = session.template(template_for(incoming))
    return session, Encoder().encode(template, incoming.values, incoming.count, session.room(template))


ROWS = [{"octetDeltaCount": number} for number in range(100)]


# --- pieces ---


def test_pieces_are_cut_where_messages_end() -> None:
    session, encoded = laid_out(ROWS)
    first, rest = Piece(encoded, 0).cut(3)
    assert (first.amount, rest.amount) == ((30, 3), (70, 7))
    octets = [bytes(out) for piece in (first, rest) for out in session.send(piece.encoded, now=0)]
    assert records_of(b"".join(octets)) == ROWS


def test_as_many_messages_are_taken_as_have_room_but_never_none() -> None:
    pieces = Pieces()
    pieces.add(Piece(laid_out(ROWS)[1], 0))
    assert pieces.take(octets=250).amount == (20, 2)
    assert pieces.take(octets=1).amount == (10, 1)
    assert pieces.take(records=11).amount == (20, 2)
    assert pieces.take().amount == (50, 5)
    assert not pieces
    assert pieces.octets == 0


def test_what_is_put_back_comes_first() -> None:
    pieces = Pieces()
    pieces.add(Piece(laid_out(ROWS)[1], 0))
    first, second = pieces.take(octets=100), pieces.take(octets=100)
    pieces.add_first([first, second])
    assert list(pieces)[:2] == [first, second]
    assert pieces.octets == 1000


def test_records_are_laid_out_again_for_other_messages() -> None:
    rows = [{"interfaceName": "e" * (number % 50), "octetDeltaCount": number} for number in range(100)]
    _, encoded = laid_out(rows, 1000)
    session = ExportSession("udp", mtu=200)
    template = session.template(encoded.template, 0, encoded.template.id)
    again = laid_again(encoded, template, session.room(template))
    out = b"".join(bytes(one) for one in session.send(again, now=0))
    assert records_of(out) == rows
    assert int(np.diff(again.begin).max()) <= 200


# --- outbox ---


def test_everything_is_accounted_for_whatever_becomes_of_it() -> None:
    outbox = Outbox(parse_url("tcp://192.0.2.1?queue=800&overflow=drop-newest&resend=150"))
    session, encoded = laid_out(ROWS)
    assert outbox.offer(Piece(encoded, 0)) is None
    assert (outbox.waiting, outbox.dropped) == ((80, 8), {"drop-newest": (20, 2)})
    for end in (100, 200, 300):
        outbox.take(octets=100, records=math.inf).end = end
    outbox.confirm(200)
    assert (outbox.sent, outbox.waiting) == ((20, 2), (60, 6))
    outbox.session_lost(None)  # the last 150 octets of what was acknowledged may not have been read
    assert (outbox.sent, outbox.waiting) == ((10, 1), (70, 7))
    again = outbox.take(octets=100, records=math.inf)
    assert records_of(b"".join(bytes(out) for out in session.send(again.encoded, now=0))) == ROWS[10:20]
    assert outbox.resent == (10, 1)
    outbox.session_lost(0)
    assert outbox.waiting == (70, 7)
    outbox.finish()
    assert outbox.dropped["closed"] == (70, 7)
    assert outbox.given == outbox.sent + sum(outbox.dropped.values(), Amount())
    outbox.take_over(Piece(laid_out(ROWS)[1], 0))  # of another collector, which was lost in the same moment
    assert (outbox.waiting, outbox.dropped["closed"]) == ((0, 0), (170, 17))
    assert outbox.given == outbox.sent + sum(outbox.dropped.values(), Amount())


def test_what_the_collector_has_read_is_not_sent_again() -> None:
    outbox = Outbox(parse_url("tcp://192.0.2.1"))
    outbox.offer(Piece(laid_out(ROWS)[1], 0))
    outbox.take(octets=500, records=math.inf).end = 500
    outbox.session_lost(500)
    assert (outbox.sent, outbox.waiting) == ((50, 5), (50, 5))


# --- pace ---


def test_a_pace_is_kept_on_average() -> None:
    pace, now, sent = Pace(1000), 0.0, 0
    while now < 10:
        if pace.allowed(now) > 0:
            pace.spend(7)
            sent += 7
        now += pace.delay_s
    assert sent == pytest.approx(10_000, abs=30)


def test_a_long_rest_is_not_made_up_for() -> None:
    pace = Pace(1000)
    pace.allowed(0)
    assert pace.allowed(3600) == pytest.approx(20)


def test_what_was_too_much_is_waited_for() -> None:
    pace = Pace(10)
    pace.allowed(0)
    pace.spend(101)
    assert pace.allowed(5) <= 0
    assert pace.delay_s == pytest.approx(5.1, abs=0.2)


def test_no_rate_is_no_wait() -> None:
    pace = Pace(math.inf)
    pace.spend(10**9)
    assert (pace.allowed(0), pace.delay_s) == (math.inf, 0)


def delays(retry: Retry, count: int) -> list[float]:
    """Seconds from each attempt, which fails at once, to the next."""
    now, out = 0.0, []
    for _ in range(count):
        retry.attempted(now)
        retry.failed(now)
        out.append(retry.delay_s(now))
        now += out[-1]
    return out


def test_by_default_there_is_one_attempt_a_minute() -> None:
    assert delays(Retry(60, 60), 3) == [60, 60, 60]


def test_quick_attempts_become_slower() -> None:
    assert delays(Retry(0.1, 5), 8) == pytest.approx([0.1, 0.25, 0.5, 1, 2, 4, 5, 5])


def test_after_a_long_connection_the_next_attempt_is_at_once() -> None:
    retry = Retry(60, 60)
    retry.attempted(0)
    retry.failed(3600)
    assert retry.delay_s(3600) == 0


# --- policies ---


class _Destination:
    """Just what a policy asks for."""

    def __init__(self, url: str) -> None:
        self.collector = type("Collector", (), {"url": url})


def shares(count: int, rows: list[dict[str, Any]], *key: str) -> list[list[int]]:
    destinations: Any = [_Destination(f"udp://192.0.2.{number}") for number in range(count)]
    found: dict[int, Any] = {
        id(one): share.values[0] for one, share in Hash(key).shares(columns_of(rows), destinations)
    }
    return [found[id(one)].tolist() if id(one) in found else [] for one in destinations]


def test_if_a_collector_goes_only_its_flows_move() -> None:
    rows = [{"octetDeltaCount": n, "sourceTransportPort": n} for n in range(1000)]
    of_three, of_two = shares(3, rows), shares(2, rows)
    assert all(250 < len(share) < 420 for share in of_three)
    assert all(set(before) <= set(after) for before, after in zip(of_three, of_two, strict=False))


def test_text_and_addresses_can_be_a_key() -> None:
    rows = [{"octetDeltaCount": n, "interfaceName": f"e{n}", "sourceIPv6Address": f"2001:db8::{n}"} for n in range(99)]
    for key in ("interfaceName", "sourceIPv6Address"):
        assert all(share for share in shares(2, rows, key))


def test_a_key_that_no_record_has_is_an_error() -> None:
    with pytest.raises(EncodeError, match="none of the key's columns is there: vlanId"):
        shares(2, ROWS, "vlanId")


# --- replay ---


def test_records_come_in_the_order_of_their_export_times() -> None:
    template = build.template_set(build.template(256, (1, 8)), build.template(257, (2, 8)))
    octets = build.file(
        build.message(template, export_time=100),
        build.message(build.data_set(257, build.uint(1, 8)), export_time=101),
        build.message(build.data_set(256, build.uint(2, 8)), export_time=102, domain=1),
        build.message(build.data_set(257, build.uint(3, 8), build.uint(4, 8)), export_time=103),
    )
    parts = [(part.at, part.domain, part.batch.num_rows) for part in timed_parts(hw.read(octets), "export")]
    assert parts == [(101.0, 1, 1), (102.0, 1, 1), (103.0, 1, 2)]


def test_records_of_captures_come_when_they_arrived() -> None:
    messages = list(build.flows(20))
    sent = [(number * 10**9, packets.ethernet(packets.udp(message))) for number, message in enumerate(messages, 1)]
    octets = packets.pcap(sent)
    assert {part.at for part in timed_parts(hw.read(octets), "export")} == {float(build.EXPORT_TIME)}
    assert [part.at for part in timed_parts(hw.read(octets), "arrival")] == [float(n) for n, _ in enumerate(sent, 1)]


def test_waits_are_those_of_the_first_time_divided_by_the_speed() -> None:
    now, slept = [1000.0], []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        now[0] += seconds

    tempo = Tempo(4, clock=lambda: now[0], sleep=sleep)
    for at in (50.0, 54.0, 54.0, 53.0, 70.0):
        tempo.wait(at)
        now[0] += 0.5  # sending takes time, too
    assert slept == [0.5, 2.5]


def test_room_is_what_pieces_were_laid_out_for() -> None:
    assert laid_out(ROWS)[1].room == Room(20, 80)
