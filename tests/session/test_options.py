"""Checksums and session details (RFC 5655 §8)."""

from __future__ import annotations

import hashlib

import pytest

from headwater.errors import FaultKind
from headwater.session import Session
from tests import build as b
from tests.oracle import Account, listen

CHECKED = b.options_template_set(b.options_template(400, (263, 1), (262, 16)))
FLOWS = b.template_set(b.template(256, (8, 4), (82, b.VARIABLE)))
ROW = b.data_set(256, b.ipv4("10.0.0.1") + b.var(b"eth0"))


def checked(*sets: bytes, sequence: int = 0, wrong: bool = False) -> bytes:
    """A Message that ends with its MD5, right or wrong."""
    message = b.message(*sets, b.data_set(400, bytes(17)), sequence=sequence)
    digest = hashlib.md5(message).digest()
    return message[:-16] + (bytes(16) if wrong else digest)


GOOD, BAD = checked(CHECKED, FLOWS, ROW), checked(ROW, sequence=2, wrong=True)


def test_a_right_checksum_is_counted() -> None:
    told = listen(GOOD, checked(ROW, sequence=2), transport="file")
    assert told.session.counters["checksums_ok"] == 2
    assert told.faults == []


def test_a_wrong_checksum_is_told_and_the_message_is_kept() -> None:
    for told in (listen(GOOD, BAD, transport="file"), listen(GOOD + BAD, transport="file")):
        assert [(f.kind, f.offset) for f in told.faults] == [(FaultKind.CHECKSUM, len(GOOD + BAD) - 16)]
        assert "Message 1 " in told.faults[0].detail
        assert len(told.records) == 4
        assert told.session.counters["checksums_ok"] == 1


def test_a_wrong_checksum_can_drop_the_message() -> None:
    for chunks in ([GOOD, BAD], [GOOD + BAD]):
        told = listen(*chunks, transport="file", checksum="drop")
        assert told.kinds == {FaultKind.CHECKSUM: 1}
        assert len(told.records) == 2
        assert told.session.ledger[1].expected == 2


def test_a_message_dropped_for_its_checksum_teaches_no_templates() -> None:
    other = checked(
        CHECKED, b.template_set(b.template(256, (1, 8))), b.template_set(b.template(257, (1, 8))), wrong=True
    )
    for chunks in ([GOOD, other], [GOOD + other], [other]):
        for salvage in (False, True):
            told = listen(*chunks, transport="file", checksum="drop", salvage=salvage)
            assert set(told.session.templates(1)) == ({256, 400} if chunks[0] != other else set())
            assert told.kinds == {FaultKind.CHECKSUM: 1}


def test_checksums_can_be_ignored() -> None:
    told = listen(GOOD, BAD, transport="file", checksum="ignore")
    assert told.faults == []
    assert told.session.counters["checksums_ok"] == 0


@pytest.mark.parametrize(
    "message",
    [
        b.message(CHECKED, b.data_set(400, bytes(17), bytes(17))),
        b.message(b.options_template_set(b.options_template(400, (263, 1), (262, 15))), b.data_set(400, bytes(16))),
    ],
)
def test_checksums_that_cannot_be_told_are_not_verified(message: bytes) -> None:
    told = listen(message, checksum="drop")
    assert told.kinds == {FaultKind.CHECKSUM_UNVERIFIED: 1}
    assert told.session.counters["checksums_ok"] == 0
    assert told.records


def test_a_checksum_after_a_variable_field_is_found() -> None:
    template = b.options_template_set(b.options_template(400, (263, 1), (82, b.VARIABLE), (262, 16)))
    head = b.message(template, b.data_set(400, b"\0" + b.var(b"eth0") + bytes(16)))
    told = listen(head[:-16] + hashlib.md5(head).digest())
    assert told.session.counters["checksums_ok"] == 1


def test_session_details_are_kept_by_name() -> None:
    options = b.options_template_set(b.options_template(500, (267, 1), (130, 4), (217, 2), (264, 4)))
    session = Session(transport="file")
    list(
        session.receive(b.message(options, b.data_set(500, b"\0" + b.ipv4("192.0.2.9") + b.uint(4739, 2) + b.uint(99))))
    )
    assert session.details == {
        "sessionScope": 0,
        "exporterIPv4Address": 0xC0000209,
        "exporterTransportPort": 4739,
        "minExportSeconds": 99,
    }


def test_details_of_very_many_names_are_kept_up_to_a_bound() -> None:
    told = Account(Session(transport="file"))
    for first in range(1000, 2000, 100):
        fields = [(id, 2, b.DOCUMENTATION_PEN) for id in range(first, first + 100)]
        told.feed(
            b.message(b.options_template_set(b.options_template(400, (267, 1), *fields)), b.data_set(400, bytes(201)))
        )
    assert len(told.session.details) == 256
