"""Records as Messages: how many fit, what is refused before anything is written, and what is known of a Template."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from headwater.batch import Decoder
from headwater.batch import encode as encode_module
from headwater.batch.encode import EncodePlans, Encoder
from headwater.batch.strings import Strings
from headwater.errors import EncodeError
from headwater.model.element import InformationElement
from headwater.model.template import Field, Template
from headwater.model.types import DataType
from headwater.session import DataSets, Session
from headwater.session.outgoing import Encoded, Room
from headwater.wire.legacy import fixed_templates
from tests import build
from tests.batch.again import columns_of, each_set, read_again, records_of
from tests.batch.source import data_sets, field, message

FLOW = Template.of(256, "sourceIPv4Address", "octetDeltaCount[4]")
NAMED = Template.of(257, "interfaceName", "octetDeltaCount[4]", "interfaceDescription", "protocolIdentifier")
HEADER = 20


def flows(count: int, room: Room, **options: Any) -> Encoded:
    columns = [np.arange(count, dtype="u4"), np.arange(count, dtype="u8") * 10]
    return Encoder(**options).encode(FLOW, columns, count, room)


def text(*values: str) -> Strings:
    data = [value.encode() for value in values]
    return Strings(np.cumsum([0, *map(len, data)]).astype(np.int32), np.frombuffer(b"".join(data), np.uint8))


def bodies(encoded: Encoded) -> list[bytes]:
    return [encoded.buffer[a + encoded.room.header : b].tobytes() for a, b in pairwise(encoded.begin.tolist())]


def flow(row: int) -> bytes:
    return build.record(build.uint(row), build.uint(10 * row))


def test_records_fill_messages_as_far_as_there_is_room() -> None:
    encoded = flows(7, Room(HEADER, 30))
    assert encoded.template is FLOW
    assert len(encoded) == 3
    assert encoded.first.tolist() == [0, 3, 6, 7]
    assert encoded.begin.tolist() == [0, 44, 88, 116]
    assert bodies(encoded) == [b"".join(map(flow, rows)) for rows in ((0, 1, 2), (3, 4, 5), (6,))]
    assert encoded.buffer.flags.writeable


def test_headers_and_padding_are_zero() -> None:
    for _ in range(3):  # in memory that was used before
        encoded = Encoder().encode(NAMED, strings_columns(), 3, Room(HEADER, 19, align=4))
        for start, end in pairwise(encoded.begin.tolist()):
            assert (end - start - HEADER) % 4 == 0
            assert not encoded.buffer[start : start + HEADER].any()
        padded = [record + bytes(-len(record) % 4) for record in string_records()]
        assert bodies(encoded) == padded
        encoded.buffer[:] = 255


def test_a_message_has_at_most_so_many_records() -> None:
    encoded = flows(7, Room(HEADER, 1000, most=3))
    assert encoded.first.tolist() == [0, 3, 6, 7]
    assert bodies(encoded)[2] == flow(6)


def test_no_records_are_no_messages() -> None:
    cases: list[tuple[Template, list[Any]]] = [
        (FLOW, [np.empty(0, "u4"), np.empty(0, "u8")]),
        (NAMED, [text(), np.empty(0, "u8"), text(), np.empty(0, "u1")]),
    ]
    for template, columns in cases:
        encoded = Encoder().encode(template, columns, 0, Room(HEADER, 40))
        assert (len(encoded), len(encoded.buffer)) == (0, 0)
        assert encoded.first.tolist() == encoded.begin.tolist() == [0]


def strings_columns() -> list[Any]:
    return [text("eth0", "", "é"), np.array([1, 2, 3], "u8"), text("", "uplink", "x"), np.array([6, 17, 1], "u1")]


def string_records() -> list[bytes]:
    rows = (("eth0", 1, "", 6), ("", 2, "uplink", 17), ("é", 3, "x", 1))
    return [
        build.record(build.var(a.encode()), build.uint(b), build.var(c.encode()), build.uint(d, 1))
        for a, b, c, d in rows
    ]


def test_fields_of_variable_and_fixed_length_among_each_other() -> None:
    encoded = Encoder().encode(NAMED, strings_columns(), 3, Room(HEADER, 1000))
    assert bodies(encoded) == [b"".join(string_records())]
    batch = read_again(encoded)
    assert list(batch.tuples()) == [("eth0", 1, "", 6), ("", 2, "uplink", 17), ("é", 3, "x", 1)]


def test_a_record_longer_than_any_message_is_refused() -> None:
    with pytest.raises(EncodeError, match="a record of 13 octets, and a Message has room for 12") as refused:
        Encoder().encode(NAMED, strings_columns(), 3, Room(HEADER, 15, align=4))
    assert refused.value.row == 1
    with pytest.raises(EncodeError, match="a record of 8 octets"):
        flows(1, Room(HEADER, 7))


def test_more_messages_than_one_buffer_holds_are_refused() -> None:
    with pytest.raises(EncodeError, match="2 records are more than 2 GiB of messages: encode fewer at a time"):
        flows(2, Room((1 << 31) - 1, 100))


def test_a_value_that_does_not_fit_is_named_with_column_row_and_limit() -> None:
    values = np.array([1, 1 << 32, 2], "u8")
    with pytest.raises(EncodeError) as refused:
        Encoder().encode(FLOW, [np.arange(3, dtype="u4"), values], 3, Room(HEADER, 100))
    assert (refused.value.column, refused.value.row) == ("octetDeltaCount", 1)
    text = "column 'octetDeltaCount', row 1: 4294967296 does not fit 4 octets (0 to 4294967295)"
    assert str(refused.value) == text


def test_a_repeated_element_is_named_with_its_number() -> None:
    template = Template.of(256, "octetDeltaCount[1]", "octetDeltaCount[1]")
    with pytest.raises(EncodeError) as refused:
        Encoder().encode(template, [np.array([1]), np.array([256])], 1, Room(HEADER, 100))
    assert refused.value.column == "octetDeltaCount#2"


def test_columns_must_be_those_of_the_template() -> None:
    one = np.arange(2, dtype="u4")
    with pytest.raises(EncodeError, match="1 columns for a Template of 2 fields"):
        Encoder().encode(FLOW, [one], 2, Room(HEADER, 100))
    with pytest.raises(EncodeError, match="3 values for 2 records") as refused:
        Encoder().encode(FLOW, [one, np.arange(3)], 2, Room(HEADER, 100))
    assert refused.value.column == "octetDeltaCount"
    with pytest.raises(EncodeError, match="2 values for 3 records"):
        Encoder().encode(NAMED, [*strings_columns()[:2], text("a", "b"), one], 3, Room(HEADER, 100))


def test_records_of_no_octets_are_refused() -> None:
    template = Template.of(256, "interfaceName[0]")
    with pytest.raises(EncodeError, match="records of no octets"):
        Encoder().encode(template, [text("", "")], 2, Room(HEADER, 100))


def test_options_mean_something() -> None:
    for options in ({"nulls": "drop"}, {"prefix": "short"}):
        with pytest.raises(EncodeError, match="it is 'error' or 'zero'"):
            Encoder(**options)  # type: ignore[arg-type]


def test_the_paddings_of_netflow_v5_need_no_columns() -> None:
    octets = build.netflow5(*(build.netflow5_record("192.0.2.1", "192.0.2.2", octets=n) for n in (1, 2)))
    (sets,) = [event for event in Session(transport="udp").receive(octets) if isinstance(event, DataSets)]
    batch = Decoder().decode(sets)
    encoded = Encoder().encode(fixed_templates(5)[5], columns_of(batch), batch.num_rows, Room(24, 1440, most=30))
    assert b"".join(bodies(encoded)) == octets[24:]


def test_the_same_octets_of_another_type_are_written_as_that_type() -> None:
    encoder = Encoder()
    for type, column in (
        (DataType.UNSIGNED8, np.array([2], "u1")),
        (DataType.BOOLEAN, np.array([False])),
        (DataType.UNSIGNED8, np.array([2], "u1")),
    ):
        template = Template(256, (Field(InformationElement(32473, 1, "example", type), 1),))
        assert bodies(encoder.encode(template, [column], 1, Room(HEADER, 100))) == [b"\2"]


def test_plans_are_kept_by_content_and_forgotten_when_they_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    plans = EncodePlans()
    plan = plans.of(FLOW)
    assert plans.of(Template(999, FLOW.fields)) is plan
    assert plans.of(NAMED) is not plan
    monkeypatch.setattr(encode_module, "_KEPT_FIELDS", 9)
    plans.of(Template.of(256, "protocolIdentifier"))
    assert plans.of(FLOW) is not plan


# ---------------------------------------------------------------- copies


def test_a_copy_keeps_what_columns_do_not_tell() -> None:
    template = [field("interfaceName"), field("dataRecordsReliability"), field("flowStartMicroseconds")]
    records = [build.var(b"a", long=True) + b"\7" + build.ntp(5, 77), build.var(b"\xff") + b"\1" + build.ntp(6, 78)]
    (sets,) = data_sets(message(template, *records))
    outgoing = Template(999, sets.template.fields)
    for room, expected in ((Room(HEADER, 100), [b"".join(records)]), (Room(HEADER, 16), records)):
        copied = Encoder().copy(outgoing, sets, room)
        assert copied.template is outgoing
        assert bodies(copied) == expected
    padded = Encoder().copy(outgoing, sets, Room(HEADER, 16, align=4))
    assert bodies(padded) == [record + bytes(-len(record) % 4) for record in records]


def test_a_copy_of_several_sets_has_no_padding_of_theirs() -> None:
    records = [build.uint(n) + build.uint(n, 1) for n in range(5)]
    head = build.template_set(build.template(256, field("sourceIPv4Address"), field("protocolIdentifier")))
    octets = build.message(
        head, build.data_set(256, *records[:2], padding=2), build.data_set(256, *records[2:], padding=1)
    )
    (sets,) = data_sets(octets)
    assert bodies(Encoder().copy(sets.template, sets, Room(HEADER, 100))) == [b"".join(records)]
    assert b"".join(map(records_of, each_set(sets))) == b"".join(records)


def test_a_copy_with_another_template_is_refused() -> None:
    (sets,) = data_sets(message([field("protocolIdentifier")], b"\6"))
    with pytest.raises(EncodeError, match="are no records of Template 256"):
        Encoder().copy(FLOW, sets, Room(HEADER, 100))
