"""Lookups for all records of some Sets at once: distinct values, and many transport sessions in one buffer."""

from __future__ import annotations

import numpy as np
import pytest

from headwater.batch import Decoder
from headwater.batch.lookup import distinct
from headwater.batch.options_tables import OPTIONS_FACTS, OptionsTables
from headwater.session import DataSets, Session, SessionKey
from headwater.session.datagrams import Datagrams
from tests import build
from tests.batch.exporters import interfaces, on_interfaces

T = build.EXPORT_TIME


def datagrams(*sent: tuple[int, bytes], keys: list[SessionKey | None]) -> Datagrams:
    """(peer, payload) of each, in one buffer."""
    payloads = [payload for _, payload in sent]
    end = np.cumsum([len(payload) for payload in payloads])
    start = end - [len(payload) for payload in payloads]
    peer = np.array([one for one, _ in sent], np.int32)
    buffer = np.frombuffer(b"".join(payloads), np.uint8)
    received = np.zeros(len(sent), np.int64)
    return Datagrams(buffer, start.astype("i4"), end.astype("i4"), peer, keys, start.astype("i8"), received)


def test_sessions_that_share_a_buffer_keep_their_names_apart() -> None:
    keys: list[SessionKey | None] = [SessionKey("192.0.2.1", 1), SessionKey("192.0.2.2", 2), SessionKey("192.0.2.1", 3)]
    sent = [(i, interfaces((5, f"of {i}"), (6, "old"), domain=9)) for i in range(3)]
    sent += [(i, interfaces((6, f"new of {i}"), domain=9, export_time=T + 10)) for i in range(2)]
    sent += [(i % 3, on_interfaces(5, 6, 7, domain=9, export_time=T + i)) for i in range(12)]
    tables, flows = OptionsTables(), []
    learner = Decoder(None, provenance=OPTIONS_FACTS)
    for event in Session(transport="udp").receive_datagrams(datagrams(*sent, keys=keys), now=0.0):
        if isinstance(event, DataSets) and event.template.scope_count:
            tables.learn(learner.decode(event))
        elif isinstance(event, DataSets):
            flows.append(event)
    decoder = Decoder(["ingressInterfaceName", "exporterTransportPort", "exportTime"], options=tables)
    found = [tuple(row.values()) for sets in flows for row in decoder.decode(sets).rows()]
    expected = []
    for i in range(12):
        new = i >= 10 and i % 3 < 2
        names = f"of {i % 3}", f"new of {i % 3}" if new else "old", None
        expected += [(name, i % 3 + 1, T + i) for name in names]
    assert sorted(found, key=repr) == sorted(expected, key=repr)
    constants = tables.constant(flows[0].messages, "systemInitTimeMilliseconds")
    assert len(constants) == len(flows[0].messages)
    assert constants.mask.all()


@pytest.mark.parametrize("dtype", ["u1", "u2", "u4", "u8"])
@pytest.mark.parametrize("many", [3, 600, 5000])
def test_distinct_values_are_found_without_a_sort(dtype: str, many: int) -> None:
    rng = np.random.default_rng(many)
    for spread in (1, 1 << 40):
        few = rng.integers(0, 2000, many).astype("u8") * np.uint64(spread)
        values = few.astype(dtype)
        found, at = distinct(values)
        assert (found[at] == values).all()
        assert len(set(found.tolist())) == len(found) == len(set(values.tolist()))
        assert found.dtype == values.dtype
