"""Every test vector and every hostile case, decoded and encoded again (COD-16): nothing is lost in any form."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from headwater.batch.encode import Encoder
from headwater.errors import FaultKind
from headwater.model.template import Template
from headwater.session.outgoing import Encoded
from headwater.session.reencoding import reencoded
from headwater.wire.dialect import DIALECTS
from tests import build as b
from tests.oracle import comparable, listen
from tests.round_trip import messages_in, round_trip
from tests.spec.hostile import CASES, Case, numbered
from tests.spec.hostile_netflow import NETFLOW_CASES
from tests.spec.vectors import VECTORS, octets

DECODABLE = {id: vector for id, vector in VECTORS.items() if vector["proto"] != "text"}
OTHER_FORM = {
    "IPFIX-VL-0-3B": ("lengths before values", 1),
    "IPFIX-VL-MIX": ("lengths before values", 2),
    "IPFIX-TYPE-BOOL": ("values that mean nothing", 5),
    "IPFIX-TIME-MS": ("values that mean nothing", 5),
    "IPFIX-TIME-US-MASK": ("low bits of times", 3),
    "RFC6313-EMPTY": ("lengths before values", 3),
    "RFC6313-NEST-BL": ("lengths before values", 1),
}
"""Vectors with values in a form that columns do not keep, and how many records that are; a copy keeps it."""
ILLEGAL = {
    "H20": "claims 2 fields",
    "H21": "claims 2 fields",
    "H23": "is reserved",
    "H24": "claims 65535 fields",
    "H25": "ends before a PEN",
    "H26": "records of none cannot be told apart",
    "H30": "Scope Field Count 0",
    "H31": "Scope Field Count 2 of 1 fields",
    "H34": "has no number in IPFIX|was refused",
    "H57": "records of none cannot be told apart",
    "H71": "octets of scope fields|claims 16384 fields",
    "H73": "has no fields",
    "H74": "variable length, which NetFlow v9 does not have|was refused",  # RFC 3954 has none; Cisco sends it
}
"""Hostile cases whose Templates are illegal: their octets stay as they are, and a session refuses to send them."""
MARK = 0x4000
"""What tells relabelled domains from those that they were."""
SLOW = ("H28",)
"""Thousands of Templates, which take a second."""


def chunks(vector: dict[str, Any]) -> tuple[list[bytes], str]:
    """(datagrams or one stream, transport) of a vector."""
    pieces = octets(vector)
    match vector["kind"]:
        case "transform":  # what comes in, and what it becomes
            return pieces[:1], "udp"
        case "message":
            return pieces, "udp"
    return (pieces, "udp") if vector["transport"] == "udp" else ([b"".join(pieces)], "file")


@pytest.mark.parametrize("id", DECODABLE)
def test_every_vector_is_made_again_octet_for_octet_and_sent_as_the_same_records(id: str) -> None:
    given, transport = chunks(DECODABLE[id])
    trip = round_trip(*given, transport=transport)
    assert trip.differences == []
    assert trip.unsendable == {}
    assert trip.identical == trip.messages > 0
    assert trip.undecoded == 0
    assert dict(trip.copied) == dict([OTHER_FORM[id]] if id in OTHER_FORM else [])


@pytest.mark.parametrize("id", [id for id in DECODABLE if id not in ("NFV1-1", "NFV7-1")])
def test_every_vector_can_be_relabelled_and_says_the_same_of_another_domain(id: str) -> None:
    given, transport = chunks(DECODABLE[id])
    relabelled = []
    for chunk in given:
        bounds = list(messages_in(chunk))
        begin = np.array([0, *(end for _, end in bounds)], np.int32)
        domains = np.array([domain_of(chunk[start:end]) ^ MARK for start, end in bounds])
        relabelled.append(bytes(reencoded(np.frombuffer(chunk, np.uint8), begin, domain=domains)))
        assert len(relabelled[-1]) == begin[-1]
    before, after = listen(*given, transport=transport), listen(*relabelled, transport=transport)
    assert comparable(after.rows) == comparable(before.rows)
    assert after.kinds[FaultKind.CHECKSUM] == before.session.counters["checksums_ok"] + before.kinds[FaultKind.CHECKSUM]
    assert [record.domain for record in after.records] == [record.domain ^ MARK for record in before.records]


def domain_of(message: bytes) -> int:
    at, width = DIALECTS[message[1]].domain or (0, 0)
    return int.from_bytes(message[at : at + width], "big")


def test_values_in_the_wrong_place_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    def turned(self: Encoder, template: Template, columns: Any, count: int, *rest: Any) -> Encoded:
        return encode(self, template, [column[::-1].copy() for column in columns], count, *rest)

    encode = Encoder.encode
    monkeypatch.setattr(Encoder, "encode", turned)
    trip = round_trip(*b.flows(3))
    assert [text.split(":")[0] for text in trip.differences] == [
        "records of Template 256 differ",
        "records of (1, 256) went out as others",
    ]


@pytest.mark.parametrize(
    "case",
    [pytest.param(case, id=id) for id, case in numbered([*CASES, *NETFLOW_CASES]) if case.id not in SLOW],
)
def test_what_can_be_decoded_of_hostile_octets_is_not_lost_either(case: Case) -> None:
    trip = round_trip(*case.chunks(), transport=case.transport)
    assert trip.differences == []
    assert trip.identical == trip.messages
    if case.id not in ILLEGAL:
        assert trip.unsendable == {}
    assert all(any(text in why for text in ILLEGAL[case.id].split("|")) for why in trip.unsendable)
