"""Application ids: their parts, their text and what makes two spellings the same (RFC 6759 §4)."""

from __future__ import annotations

import random

import numpy as np
import pytest

from headwater.batch import Decoder
from headwater.batch.applications import application_key, application_keys, application_text
from headwater.batch.strings import Strings
from tests.batch.exporters import Exporters
from tests.spec.vectors import VECTORS


def test_vector_rfc6759_application_ids_have_their_texts() -> None:
    exporters = Exporters()
    exporters.send(bytes.fromhex(VECTORS["RFC6759-6"]["hex"][0]))
    expect = VECTORS["RFC6759-6"]["expect"]
    assert exporters.column("applicationIdText") == expect["text"]
    ids = [row["applicationId"] for sets in exporters.flows for row in Decoder().decode(sets).rows()]
    assert application_key(ids[1]) == application_key(ids[6])


@pytest.mark.parametrize("octets", [b"", b"\x0d", b"\x14", b"\x14\0\0\0\x09", bytes(9), b"\x14" + bytes(8)])
def test_malformed_and_over_long_application_ids_are_no_keys(octets: bytes) -> None:
    assert application_key(octets) is None
    assert (application_text(octets) is None) == (len(octets) < 6)


def test_keys_of_many_application_ids_are_those_of_each() -> None:
    rng = random.Random(1)
    for lengths in ((4,), (8,), (1,), (0,), (6,), range(12)):
        ids = [bytes([rng.choice((1, 13, 20))])[:n] + rng.randbytes(max(0, n - 1)) for n in rng.choices(lengths, k=200)]
        offsets = np.cumsum([0, *map(len, ids)]).astype(np.int32)
        values = Strings(offsets, np.frombuffer(b"".join(ids), np.uint8), is_text=False)
        assert application_keys(values).tolist() == [application_key(id) or 0 for id in ids]
