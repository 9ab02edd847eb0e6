"""SCTP in: a message that is given up is waited for no longer. What the kernel says is made by hand here."""

from __future__ import annotations

import time

import pytest

from headwater.session.key import SessionKey
from headwater.transport.incoming.gathering import Gathering
from headwater.transport.incoming.sctp import Association, SctpListener
from headwater.transport.incoming.url import parse_listen_url
from headwater.transport.sctp_constants import PARTIAL, PARTIAL_END, RCV, RCVINFO, SCTP
from tests.transport.receiving import Kept

PART = b"\0\x0a" + bytes(40_000)
IDENTITY = 7
FROM = [(SCTP, RCVINFO, RCV.pack(0, 0, 0, 0, 0, 0, 0, IDENTITY))]


@pytest.fixture
def sctp() -> SctpListener:
    made = SctpListener(parse_listen_url("sctp://127.0.0.1:0?message_timeout=60s"))
    made._gathering = Gathering(Kept(), 1.0)
    made._sessions[IDENTITY] = Association(IDENTITY, SessionKey("192.0.2.1"), 1)
    return made


def test_a_message_that_is_too_long_is_waited_for_until_its_end_only(sctp: SctpListener) -> None:
    sctp._take(PART, FROM, is_whole=False)
    sctp._take(PART, FROM, is_whole=False)
    assert sctp._sessions[IDENTITY].begun
    sctp._take(PART, FROM, is_whole=True)
    sctp._sweep(time.monotonic() + 61)
    assert (sctp.counters["truncated"], sctp.counters["timed_out"]) == (1, 0)


def test_a_message_that_the_kernel_gives_up_is_waited_for_no_longer(sctp: SctpListener) -> None:
    sctp._take(PART, FROM, is_whole=False)
    sctp._noted(PARTIAL_END.pack(PARTIAL, 0, PARTIAL_END.size, 0, IDENTITY), ("192.0.2.1", 4739))
    sctp._sweep(time.monotonic() + 61)
    assert (sctp.counters["truncated"], sctp.counters["timed_out"]) == (1, 0)


def test_a_message_that_does_not_end_is_waited_for_so_long(sctp: SctpListener, monkeypatch: pytest.MonkeyPatch) -> None:
    aborted: list[int] = []
    monkeypatch.setattr(sctp, "_abort", aborted.append)
    sctp._take(PART, FROM, is_whole=False)
    begun = sctp._sessions[IDENTITY].begun
    sctp._sweep(begun + 59)
    assert aborted == []
    sctp._sweep(begun + 61)
    assert aborted == [IDENTITY]
    assert sctp.counters["timed_out"] == 1
