"""Whatever octets come, a session tells faults and nothing else, and the same however they come."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from itertools import accumulate
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headwater.errors import DecodeError
from headwater.session import Session, TemplateLearned, TemplateWithdrawn, Transport
from tests import build as b
from tests.oracle import Account, Record, cell_of, comparable
from tests.properties.strategies import (
    REGISTRY,
    SEEDS,
    damaged,
    damaged_streams,
    deep,
    pieces,
    quick,
    streams,
)

TRANSPORTS = pytest.mark.parametrize("transport", [str(transport) for transport in Transport])
SALVAGE = pytest.mark.parametrize("salvage", [False, True], ids=["whole", "salvage"])
STREAMS = ("tcp", "file")
GOOD = b.message(b.template_set(b.template(999, (12, 4))), b.data_set(999, b.ipv4("192.0.2.1")), domain=77)
PARTS = [b"\0", b"\0\x0a", b"\0\x0a\0\x10", b.message(), b"\x0a", b"\1", b"\0\x0a\0\x12"]


def account(transport: str, **options: Any) -> Account:
    return Account(Session(REGISTRY, transport, **options))


def comparable_values(record: Record) -> Any:
    return comparable([cell_of(cell.field, cell.value, full=True) for cell in record.cells])


def said(told: Account) -> dict[str, Any]:
    """All that must not depend on how octets were cut: items in order, faults by kind, counters, ledgers."""
    items: list[Any] = []
    for item in told.items:
        match item:
            case Record():
                items.append((item.at, item.domain, item.template.id, comparable_values(item)))
            case TemplateLearned():
                replaced = item.replaced and item.replaced.fields
                items.append((item.offset, item.domain, item.template.id, item.template.fields, replaced, item.retyped))
            case TemplateWithdrawn():
                items.append((item.offset, item.domain, item.template_id))
    session = told.session
    return {
        "items": items,
        "faults": told.kinds,
        "value faults": told.value_kinds,
        "gaps": told.gaps,
        "counters": {name: count for name, count in session.counters.items() if count},
        "ledgers": dict(session.ledger),
        "templates": {id: dict(session.templates(id)) for id in session.ledger if session.templates(id)},
    }


@TRANSPORTS
@SALVAGE
@quick
@given(chunks=st.lists(st.binary(max_size=200), max_size=4))
def test_any_octets_give_only_faults(transport: str, salvage: bool, chunks: list[bytes]) -> None:
    account(transport, salvage=salvage).feed(*chunks).close()


@TRANSPORTS
@SALVAGE
@quick
@given(chunks=damaged_streams())
def test_damaged_messages_give_only_faults(transport: str, salvage: bool, chunks: list[bytes]) -> None:
    told = account(transport, salvage=salvage, resync=salvage).feed(*chunks)
    if not Transport(transport).is_stream:
        told.feed(GOOD)
        assert told.records[-1].values == (0xC0000201,)
    counted = Counter({kind: told.session.counters[kind] for kind in told.kinds})
    assert counted == told.kinds
    told.close()


@quick
@given(chunks=damaged_streams())
def test_strict_raises_decode_errors_only(chunks: list[bytes]) -> None:
    session = Session(REGISTRY, strict=True)
    for chunk in chunks:
        with suppress(DecodeError):
            list(session.receive(chunk))
    list(session.receive(GOOD))


@pytest.mark.parametrize("resync", [False, True], ids=["", "resync"])
@SALVAGE
@quick
@given(chunks=st.one_of(streams(), damaged_streams()), seed=SEEDS)
def test_cutting_a_stream_anywhere_changes_nothing(resync: bool, salvage: bool, chunks: list[bytes], seed: int) -> None:
    octets = b"".join(chunks)
    options = {"salvage": salvage, "resync": resync}
    whole = account("tcp", **options).feed(octets)
    cut = account("tcp", **options).feed(*pieces(octets, seed))
    assert said(cut) == said(whole)
    assert said(cut.close()) == said(whole.close())


@quick
@given(parts=st.lists(st.sampled_from(PARTS), max_size=12), seed=SEEDS)
def test_cutting_a_damaged_stream_anywhere_finds_the_same_messages(parts: list[bytes], seed: int) -> None:
    stream = b"".join(parts)
    for resync in (False, True):
        whole = account("file", resync=resync).feed(stream).close()
        cut = account("file", resync=resync).feed(*pieces(stream, seed)).close()
        assert said(cut) == said(whole)
        assert cut.faults == whole.faults


@quick
@given(octets=st.one_of(streams(), damaged_streams()).map(b"".join))
def test_reading_with_a_final_mark_is_receiving_and_closing(octets: bytes) -> None:
    closed = account("file").feed(octets).close()
    session = Session(REGISTRY, "file")
    events, _ = session.read(octets, final=True)
    told = Account(session).add(events, 0).close()
    assert told.faults == closed.faults
    assert said(told) == said(closed)


@SALVAGE
@quick
@given(datagrams=st.one_of(streams(), damaged_streams()))
def test_many_datagrams_in_one_buffer_are_the_same_as_one_by_one(salvage: bool, datagrams: list[bytes]) -> None:
    single = account("udp", salvage=salvage).feed(*datagrams)
    session = Session(REGISTRY, "udp", salvage=salvage)
    ends = list(accumulate(map(len, datagrams)))
    told = Account(session).add(session.receive(b"".join(datagrams), ends=ends), 0)
    assert said(told) == said(single)


@quick
@given(messages=streams(), seed=SEEDS)
def test_a_malformed_message_changes_nothing_but_counters(messages: list[bytes], seed: int) -> None:
    told = account("udp").feed(*messages[:-1])
    before = said(told)
    head, body = messages[-1][:16], damaged(Random(seed), messages[-1][16:])
    told.feed(head[:2] + b.uint(16 + len(body), 2) + head[4:] + body)
    after = said(told)
    if after["counters"].get("messages_malformed") != before["counters"].get("messages_malformed"):
        assert after["items"] == before["items"]
        assert after["templates"] == before["templates"]
        assert after["gaps"] == before["gaps"]


@pytest.mark.slow
@SALVAGE
@deep
@given(chunks=damaged_streams(), seed=SEEDS)
def test_cutting_damaged_streams_anywhere_in_depth(salvage: bool, chunks: list[bytes], seed: int) -> None:
    octets = b"".join(chunks)
    for resync in (False, True):
        whole = account("tcp", salvage=salvage, resync=resync).feed(octets).close()
        cut = account("tcp", salvage=salvage, resync=resync).feed(*pieces(octets, seed)).close()
        assert said(cut) == said(whole)
