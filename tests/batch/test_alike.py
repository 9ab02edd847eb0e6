"""Templates that have the same fields in different orders are decoded as one, and nothing else changes by that."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import numpy as np
import pytest

from headwater.batch import Batch, Decoder, alike
from headwater.errors import Fault
from headwater.session import DataSets, Session
from headwater.session.datagrams import Datagrams
from headwater.session.key import SessionKey
from tests import build as b

FACTS = ("collectionTimeMilliseconds", "exporterIPv4Address", "exporterIPv6Address", "observationDomainId")
FIELDS = [(8, 4), (27, 16), (7, 2), (1, 8), (1, 4), (276, 1), (153, 8), (157, 8), (56, 6), (313, 5), (84, 3)]
EXPORTERS = 40


def received(octets: list[bytes], peers: list[int]) -> list[DataSets]:
    """Runs of Data Sets of Messages of several exporters, one a datagram."""
    end = np.cumsum([len(one) for one in octets], dtype=np.int32)
    start = end - np.array([len(one) for one in octets], np.int32)
    addresses = ["2001:db8::1", *[f"192.0.2.{number}" for number in range(1, EXPORTERS)]]
    datagrams = Datagrams(
        np.frombuffer(b"".join(octets), np.uint8),
        start,
        end,
        np.array(peers, np.int32),
        [SessionKey(address, 5000) for address in addresses],
        start.astype(np.int64),
        np.arange(1, len(octets) + 1) * 1_000_000_000,
    )
    events = list(Session().receive_datagrams(datagrams))
    assert not [event for event in events if isinstance(event, Fault)]
    return [event for event in events if isinstance(event, DataSets)]


def flows(seed: int = 1, fields: list[tuple[int, int]] | None = None, others: int = 0) -> list[DataSets]:
    """Of exporters that have each an order of fields of its own; `others` of them have one field more."""
    chance = random.Random(seed)
    orders = [chance.sample(fields or FIELDS, len(fields or FIELDS)) for _ in range(EXPORTERS)]
    for order in orders[:others]:
        order.append((2, 8))
    octets = [b.message(b.template_set(b.template(256 + i, *order)), domain=i % 3) for i, order in enumerate(orders)]
    peers = list(range(EXPORTERS))
    sent: Counter[int] = Counter()
    for _ in range(3 * EXPORTERS):
        peer = chance.randrange(EXPORTERS)
        length = sum(length for _, length in orders[peer])
        sets = [
            b.data_set(256 + peer, *[chance.randbytes(length) for _ in range(chance.randrange(1, 4))])
            for _ in range(chance.randrange(1, 3))
        ]
        octets.append(b.message(*sets, domain=peer % 3, sequence=sent[peer]))
        sent[peer] += sum((len(one) - 4) // length for one in sets)
        peers.append(peer)
    return received(octets, peers)


def rows(batches: list[Batch]) -> list[str]:
    return sorted(repr(sorted(row.items())) for batch in batches for row in batch.rows())


def faults(batches: list[Batch]) -> Counter[Any]:
    return sum((Counter({(f.kind, f.detail): f.count}) for one in batches for f in one.faults), Counter())


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(
    "select", [None, ["octetDeltaCount#2", "sourceIPv6Address", "octetDeltaCount", "fragmentIdentification"]]
)
def test_joined_records_are_what_each_template_makes_of_them(seed: int, select: list[str] | None) -> None:
    runs = flows(seed)
    decoder = Decoder(select, FACTS)
    alone, joined = [decoder.decode(sets) for sets in runs], list(decoder.decode_all(runs))
    assert len(alone) > 30
    assert len(joined) <= 2  # the two counters change places in some
    assert rows(joined) == rows(alone)
    assert faults(joined) == faults(alone)
    if select is None:
        assert faults(joined)


def test_joined_records_keep_the_order_of_their_arrival() -> None:
    (batch,) = Decoder([], ["collectionTimeMilliseconds"]).decode_all(flows(fields=FIELDS[:4]))
    times = np.asarray(batch["collectionTimeMilliseconds"]).astype(np.int64)
    assert (np.diff(times) >= 0).all()


def test_many_positions_come_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alike, "_POSITIONS", 50 * 4)
    runs, decoder = flows(fields=FIELDS[:4]), Decoder()
    pieces = list(decoder.decode_all(runs))
    assert len(pieces) > 3
    assert max(map(len, pieces)) < 50 + 4
    assert rows(pieces) == rows([decoder.decode(sets) for sets in runs])


def test_those_with_other_fields_stay_apart() -> None:
    runs = flows(fields=FIELDS[:4], others=10)
    decoder = Decoder()
    joined = list(decoder.decode_all(runs))
    assert sorted(len(batch.schema) for batch in joined) == [4, 5]
    assert rows(joined) == rows([decoder.decode(sets) for sets in runs])


@pytest.mark.parametrize(
    "options", [{"provenance": ["templateId"]}, {"derived": ["flowStart"]}, {"select": ["flowStart"]}]
)
def test_what_depends_on_the_template_is_made_of_each_alone(options: dict[str, Any]) -> None:
    runs = flows()
    assert len(list(Decoder(**options).decode_all(runs))) == len(runs)


def test_few_runs_and_large_ones_are_decoded_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    runs = flows(fields=FIELDS[:4])
    assert len(list(Decoder().decode_all(runs[:15]))) == 15
    assert list(Decoder().decode_all([])) == []
    monkeypatch.setattr(alike, "_SMALL", 1)
    assert len(list(Decoder().decode_all(runs))) == len(runs)


def test_what_is_known_of_templates_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alike, "_KEPT", 10)
    runs, decoder = flows(fields=FIELDS[:4]), Decoder()
    assert rows(list(decoder.decode_all(runs))) == rows([decoder.decode(sets) for sets in runs])
    assert len(decoder._alike._known) <= 10


def test_text_lists_options_and_wide_templates_are_not_joined() -> None:
    definitions = [[(82, b.VARIABLE)], [(291, b.VARIABLE)], [(8, 4)] * (alike._MOST_FIELDS + 1)]
    for fields in definitions:
        found = Session().receive(b.message(b.template_set(b.template(256, *fields))))
        (template,) = [event.template for event in found if not isinstance(event, Fault)]  # type: ignore[union-attr]
        assert alike.Alike(lambda *_: None)._of(template)[0] is None  # type: ignore[arg-type]
