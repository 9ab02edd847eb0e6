"""(Options) Template FlowSets of NetFlow v9."""

from __future__ import annotations

import struct

import pytest

from headwater.errors import DecodeError, FaultKind
from headwater.model.element import NETFLOW_SCOPE_PEN
from headwater.wire.netflow import read_netflow_templates
from headwater.wire.templates import TemplateRecord
from tests import build as b

SCOPE = NETFLOW_SCOPE_PEN
TEMPLATE = b.template(256, (8, 4), (40001, 65535))


def options(id: int, scope: list[tuple[int, int]], *fields: tuple[int, int]) -> bytes:
    body = b"".join(struct.pack("!HH", *pair) for pair in (*scope, *fields))
    return struct.pack("!HHH", id, 4 * len(scope), 4 * len(fields)) + body


def read(body: bytes, *, options: bool = False) -> list[TemplateRecord]:
    return list(read_netflow_templates(body, options=options))


def refused(body: bytes, *, options: bool = False) -> tuple[FaultKind | None, int]:
    with pytest.raises(DecodeError) as caught:
        read(body, options=options)
    return caught.value.kind, caught.value.offset


def test_a_type_has_16_bits_and_no_enterprise_number_follows() -> None:
    assert read(TEMPLATE) == [TemplateRecord(256, 0, ((0, 8, 4), (0, 40001, 65535)), 0)]


def test_several_records_stand_in_one_flowset_at_their_offsets() -> None:
    assert [(record.id, record.at) for record in read(TEMPLATE + b.template(257, (1, 8)))] == [(256, 0), (257, 12)]
    both = options(300, [(1, 4)], (34, 4)) + options(301, [(2, 2), (5, 2)], (82, 9))
    assert [(record.id, record.scope_count, record.at) for record in read(both, options=True)] == [
        (300, 1, 0),
        (301, 2, 14),
    ]


def test_scope_types_have_a_name_space_of_their_own() -> None:
    (record,) = read(options(300, [(2, 4)], (82, 32)), options=True)
    assert record.specifiers == ((SCOPE, 2, 4), (0, 82, 32))


def test_options_without_a_scope_are_about_the_whole_exporter() -> None:
    (record,) = read(options(300, [], (34, 4)), options=True)
    assert (record.scope_count, record.specifiers) == (1, ((SCOPE, 1, 0), (0, 34, 4)))


@pytest.mark.parametrize("padding", [b"\0", bytes(3), bytes(4), bytes(7), b"\1", b"\1\0\0"])
def test_what_is_too_short_for_a_record_or_zero_is_padding(padding: bytes) -> None:
    assert len(read(TEMPLATE + padding)) == 1
    assert len(read(options(300, [(1, 4)], (34, 4)) + padding, options=True)) == 1


def test_a_record_without_fields_is_left_to_the_session() -> None:
    assert read(b.template(256))[0].is_withdrawal
    assert read(options(256, []), options=True)[0].is_withdrawal


@pytest.mark.parametrize("id", [0, 2, 255])
def test_a_reserved_template_id_is_refused(id: int) -> None:
    assert refused(TEMPLATE + b.template(id, (8, 4))) == (FaultKind.TEMPLATE_ID, 12)
    assert refused(options(id, [(1, 4)], (8, 4)), options=True) == (FaultKind.TEMPLATE_ID, 0)


@pytest.mark.parametrize(("scope", "others"), [(3, 4), (4, 5), (1, 1), (65535, 4)])
def test_octets_of_options_that_are_no_field_lists_are_refused(scope: int, others: int) -> None:
    body = struct.pack("!HHH", 300, scope, others) + bytes(64)
    assert refused(body, options=True) == (FaultKind.OPTIONS_LENGTH, 0)


@pytest.mark.parametrize("body", [b.template(256, (8, 4), count=3), b.template(256, (8, 4), count=65535)])
def test_a_claimed_count_is_checked_before_anything_is_read(body: bytes) -> None:
    assert refused(body) == (FaultKind.TEMPLATE_OVERRUN, 0)
    assert refused(struct.pack("!HHH", 300, 65532, 65532) + bytes(64), options=True) == (FaultKind.TEMPLATE_OVERRUN, 0)


def test_the_records_before_a_broken_one_are_read() -> None:
    records = read_netflow_templates(TEMPLATE + b.template(257, (8, 4), count=9), options=False)
    assert next(records).id == 256
    with pytest.raises(DecodeError):
        next(records)
