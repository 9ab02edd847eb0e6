"""Checksums and details of Messages, which the reader and plain hashlib find right."""

from __future__ import annotations

import hashlib
import io

import headwater as hw
from headwater.model.template import Template
from headwater.sinks.ipfix_message_records import MessageRecord, MessageRecords, checksum_record
from headwater.wire.templates import write_template_set
from tests.build import EXPORT_TIME, FLOW_NAMES, flow_values, flows, message
from tests.sinks.test_ipfix_file import outgoing

CHECKSUM, DETAILS = 300, 301
NOW = EXPORT_TIME + 0.25


def details_record() -> MessageRecord:
    template = Template.of(DETAILS, "messageScope{scope}", "collectionTimeMilliseconds", "exporterIPv4Address")
    return MessageRecord(template, bytes(9) + bytes([192, 0, 2, 1]), time_at=1)


def described(*records: tuple[int, MessageRecord]) -> list[bytes]:
    """The flows of a domain, each Message with the records, the first with their Templates."""
    added = MessageRecords([record for _, record in records], lambda domain: [id for id, _ in records])
    templates = write_template_set(
        [Template(id, record.template.fields, record.template.scope_count) for id, record in records], options=True
    )
    given = outgoing([message(templates, domain=1), *flows(100)], 100)
    out = added.added(given, NOW)
    assert out.records == 100 + len(given) * len(records)
    return [bytes(one) for one in out.messages()]


def test_each_message_has_its_md5_with_the_16_octets_of_it_zero() -> None:
    for octets in described((CHECKSUM, checksum_record())):
        assert octets[-16:] == hashlib.md5(octets[:-16] + bytes(16)).digest()


def test_the_reader_finds_checksums_right_and_misses_nothing_by_the_sequence_numbers() -> None:
    octets = b"".join(described((DETAILS, details_record()), (CHECKSUM, checksum_record())))
    with hw.read(io.BytesIO(octets), select=FLOW_NAMES) as reading:
        assert [row for batch in reading for row in batch.tuples()] == flow_values(100)
        assert not reading.report.faults
    damaged = octets.replace(bytes([192, 0, 2, 1]), bytes([192, 0, 2, 2]), 1)
    with hw.read(io.BytesIO(damaged)) as reading:
        list(reading)
        assert list(reading.report.faults) == ["checksum"]


def test_details_have_the_time_at_which_the_message_was_written() -> None:
    octets = b"".join(described((DETAILS, details_record())))
    rows = [row for row in hw.records(io.BytesIO(octets)) if "messageScope" in row]
    told = {"messageScope": 0, "collectionTimeMilliseconds": EXPORT_TIME * 1000 + 250}
    assert rows == [told | {"exporterIPv4Address": "192.0.2.1"}] * len(described())


def test_they_need_no_more_room_than_they_say() -> None:
    added = MessageRecords([details_record(), checksum_record()], lambda _: [DETAILS, CHECKSUM])
    given = outgoing(flows(100), 100)
    longer = [len(after) - len(before) for after, before in zip(
        added.added(given, NOW).messages(), given.messages(), strict=True
    )]  # fmt: skip
    assert set(longer) == {added.room} == {17 + 21}


def test_messages_are_numbered_from_0_in_the_next_file() -> None:
    added = MessageRecords([checksum_record()], lambda _: [CHECKSUM])
    first = added.added(outgoing([message(sequence=5), message(sequence=5)]), NOW)
    assert [int.from_bytes(one[8:12], "big") for one in first.messages()] == [5, 6]
    added.begin()
    assert bytes(added.added(outgoing([message()]), NOW))[8:12] == bytes(4)
