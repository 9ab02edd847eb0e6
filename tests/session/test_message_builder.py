"""Messages written by hand: where Sets and Messages begin, what is undone, what records have in common."""

from __future__ import annotations

import pytest

from headwater.errors import EncodeError
from headwater.model.template import Template
from headwater.session.common_properties import common_properties
from headwater.session.exporting import ExportSession
from headwater.session.message_builder import MessageBuilder
from tests import build as b
from tests.session.exported import NOW, messages, read, send
from tests.spec.vectors import VECTORS, octets

PORTS = Template.of(256, "sourceTransportPort", "destinationTransportPort")
NAMES = Template.of(257, "interfaceName", "ingressInterface")
OPTIONS = Template.of(300, "lineCardId{scope}", "exportedMessageTotalCount[2]")
PORTS_SET = b.template_set(b.template(256, (7, 2), (11, 2)))


def begun(**options: object) -> MessageBuilder:
    builder = MessageBuilder(**options)  # type: ignore[arg-type]
    builder.begin(1, NOW)
    return builder


def test_the_example_of_rfc_7011_appendix_a_is_built_by_hand() -> None:
    (printed,) = octets(VECTORS["IPFIX-A1"])
    flows = Template.of(256, "sourceIPv4Address", "destinationIPv4Address", "ipNextHopIPv4Address",
                        "packetDeltaCount[4]", "octetDeltaCount[4]")  # fmt: skip
    options = Template.of(258, "lineCardId", "exportedMessageTotalCount[2]", "exportedFlowRecordTotalCount[2]", scope=1)
    builder = MessageBuilder(align=4)
    builder.begin(0x3039, 0x52C35A80)
    builder.template(flows)
    builder.ensure_set(256)
    for at in (48, 68, 88):
        builder.add(printed[at : at + 20])
    builder.template(options)
    for card, messages_, records in ((1, 345, 10201), (2, 690, 20402)):
        with builder.record(options) as record:
            record.put("exportedFlowRecordTotalCount", records)
            record.put("exportedMessageTotalCount", messages_)
            record.put("lineCardId", card)
    assert builder.flush() == printed


def test_records_of_one_template_share_a_set_until_a_new_one_is_asked_for() -> None:
    builder = begun()
    builder.template(PORTS)
    builder.ensure_set(256)
    builder.add(b.uint(1))
    builder.ensure_set(256)
    builder.add(b.uint(2))
    builder.new_set(256)
    builder.add(b.uint(3))
    built = builder.flush()
    assert built == b.message(PORTS_SET, b.data_set(256, b.uint(1), b.uint(2)), b.data_set(256, b.uint(3)))
    assert len(read(built).records) == 3


def test_a_set_without_records_and_a_message_without_sets_disappear() -> None:
    builder = begun()
    assert builder.flush() == b""
    builder.begin(1, NOW)
    builder.new_set(256)
    builder.new_set(257)
    builder.add(b"\0" + b.uint(1))
    assert builder.flush() == b.message(b.data_set(257, b"\0" + b.uint(1)))


def test_a_full_message_is_finished_and_the_next_one_goes_on() -> None:
    given: list[bytes] = []
    builder = begun(mtu=32, on_message=given.append)
    builder.ensure_set(256)
    for number in range(7):
        builder.add(b.uint(number))
    assert given == [
        b.message(b.data_set(256, *map(b.uint, (0, 1, 2)))),
        b.message(b.data_set(256, *map(b.uint, (3, 4, 5))), sequence=3),
    ]
    assert builder.flush() == b""
    assert given[2:] == [b.message(b.data_set(256, b.uint(6)), sequence=6)]


def test_without_a_taker_finished_messages_wait_for_the_flush() -> None:
    builder = begun(mtu=32)
    builder.ensure_set(256)
    for number in range(4):
        builder.add(b.uint(number))
    builder.begin(2, NOW)
    builder.ensure_set(256)
    builder.add(b.uint(9))
    assert builder.flush() == b"".join(
        [
            b.message(b.data_set(256, *map(b.uint, (0, 1, 2)))),
            b.message(b.data_set(256, b.uint(3)), sequence=3),
            b.message(b.data_set(256, b.uint(9)), domain=2),
        ]
    )


@pytest.mark.parametrize("align", [1, 4])
def test_no_message_is_longer_than_the_mtu(align: int) -> None:
    given: list[bytes] = []
    builder = begun(mtu=61, on_message=given.append, align=align)
    builder.template(PORTS)
    builder.template(NAMES)
    for number in range(40):
        with builder.record(NAMES if number % 3 else PORTS) as record:
            if number % 3:
                record.put("interfaceName", "x" * (number % 30))
                record.put("ingressInterface", number)
            else:
                record.put("sourceTransportPort", number)
                record.put("destinationTransportPort", 0)
    builder.flush()
    assert max(map(len, given)) <= 61
    told = read(*given)
    assert [record.values[0 if number % 3 == 0 else 1] for number, record in enumerate(told.records)] == [*range(40)]


def test_a_record_that_fits_no_message_is_refused_and_nothing_is_lost() -> None:
    builder = begun(mtu=32)
    builder.ensure_set(256)
    builder.add(b.uint(1))
    with pytest.raises(
        EncodeError, match=r"a record of Template 256 has 13 octets; .* at most 32 octets has room for 12"
    ):
        builder.add(bytes(13))
    with pytest.raises(EncodeError, match="a Template has 16 octets"):
        builder.template(Template.of(258, *["octetDeltaCount"] * 3))
    assert builder.flush() == b.message(b.data_set(256, b.uint(1)))


# --- the way back ----------------------------------------------------------------------------------------------------


def test_an_exception_undoes_the_record_and_what_its_block_added() -> None:
    builder = begun()
    builder.template(PORTS)
    with builder.record(PORTS) as record:
        record.put("sourceTransportPort", 1)
        record.put("destinationTransportPort", 2)

    def interrupted() -> None:
        with builder.record(PORTS) as record:
            record.put("sourceTransportPort", 3)
            builder.template(NAMES)
            raise KeyError

    with pytest.raises(KeyError):
        interrupted()
    with pytest.raises(EncodeError, match="70000 does not fit unsigned16"), builder.record(PORTS) as record:
        record.put("sourceTransportPort", 70000)
    with (
        pytest.raises(EncodeError, match="the record has no destinationTransportPort"),
        builder.record(PORTS) as record,
    ):
        record.put("sourceTransportPort", 1)
    assert builder.flush() == b.message(PORTS_SET, b.data_set(256, b.uint(1, 2) + b.uint(2, 2)))


def test_an_exception_after_the_message_was_finished_undoes_what_is_in_the_next_one() -> None:
    builder = begun(mtu=36)

    def interrupted() -> None:
        with builder.record(PORTS):
            builder.template(PORTS)
            builder.template(NAMES)
            raise KeyError

    with pytest.raises(KeyError):
        interrupted()
    builder.ensure_set(256)
    builder.add(b.uint(1))
    assert builder.flush() == b.message(PORTS_SET) + b.message(b.data_set(256, b.uint(1)))


def test_a_mark_is_come_back_to() -> None:
    builder = begun()
    builder.ensure_set(256)
    builder.add(b.uint(1))
    mark = builder.mark()
    builder.add(b.uint(2))
    builder.ensure_set(257)
    builder.add(b"\0" + b.uint(1))
    builder.template(PORTS)
    builder.rollback(mark)
    builder.add(b.uint(3))
    assert builder.flush() == b.message(b.data_set(256, b.uint(1), b.uint(3)))
    builder.begin(1, NOW)
    with pytest.raises(EncodeError, match="the Message of the mark is finished"):
        builder.rollback(mark)


def test_sequence_numbers_and_counts_know_nothing_of_what_was_undone() -> None:
    builder = begun()
    builder.ensure_set(256)
    builder.add(b.uint(1))
    builder.add(b.uint(2))
    builder.cancel_message()
    builder.ensure_set(256)
    builder.add(b.uint(3))
    builder.begin(1, NOW)
    builder.ensure_set(256)
    builder.add(b.uint(4))
    first, second = b.message(b.data_set(256, b.uint(3))), b.message(b.data_set(256, b.uint(4)), sequence=1)
    assert builder.flush() == first + second


def test_a_set_is_cancelled_with_its_records_and_the_one_before_stays() -> None:
    builder = begun()
    builder.template(PORTS)
    builder.ensure_set(256)
    builder.add(b.uint(1))
    builder.new_set(256)
    builder.add(b.uint(2))
    builder.add(b.uint(3))
    builder.cancel_set()
    with pytest.raises(EncodeError, match="no Data Set is open"):
        builder.add(b.uint(4))
    with pytest.raises(EncodeError, match="no Set is open"):
        builder.cancel_set()
    builder.ensure_set(256)
    builder.add(b.uint(5))
    assert builder.flush() == b.message(PORTS_SET, b.data_set(256, b.uint(1)), b.data_set(256, b.uint(5)))


def test_without_a_message_there_is_nothing_to_write_to() -> None:
    builder = MessageBuilder()
    for write in (builder.mark, builder.cancel_message, lambda: builder.add(b""), lambda: builder.new_set(256)):
        with pytest.raises(EncodeError, match="no Message is open; begin opens one"):
            write()
    with pytest.raises(EncodeError, match="mtu is 20"):
        MessageBuilder(mtu=20)


# --- values ----------------------------------------------------------------------------------------------------------


def test_an_element_that_comes_twice_is_put_twice() -> None:
    twice = Template.of(256, "protocolIdentifier", "protocolIdentifier", "interfaceName")
    builder = begun()
    builder.template(twice)
    with builder.record(twice) as record:
        record.put("interfaceName", "é" * 200)
        record.put("protocolIdentifier", 6)
        record.put("protocolIdentifier", 17)
        with pytest.raises(EncodeError, match="protocolIdentifier#2 has its value already"):
            record.put("protocolIdentifier", 1)
        with pytest.raises(EncodeError, match="the Template has no octetDeltaCount; it has protocolIdentifier, "):
            record.put("octetDeltaCount", 1)
    (told,) = read(builder.flush()).records
    assert told.values == (6, 17, "é" * 200)


def test_a_list_is_put_as_its_octets_behind_a_length_of_three() -> None:
    template = Template.of(256, "basicList")
    builder = begun()
    builder.template(template)
    with builder.record(template) as record:
        record.put("basicList", b.basic_list((14, 4), b.uint(1), b.uint(2)))
    built = builder.flush()
    assert built[28:] == b.data_set(256, b.var(b.basic_list((14, 4), b.uint(1), b.uint(2)), long=True))
    assert len(read(built).records) == 1


def test_withdrawals_are_written_as_they_are_asked_for() -> None:
    builder = begun()
    builder.withdraw(300)
    builder.withdraw(2)
    builder.withdraw(3)
    builder.withdraw(301, options=True)
    assert builder.flush() == b.message(
        b.template_set(b.withdrawal(300), b.withdrawal(2)), b.options_template_set(b.withdrawal(3), b.withdrawal(301))
    )


# --- what records have in common -------------------------------------------------------------------------------------


def test_fixed_values_are_repeated_in_each_record() -> None:
    builder = begun()
    builder.template(PORTS)
    builder.fix(PORTS, {"destinationTransportPort": 443})
    for number in (1, 2):
        with builder.record(PORTS) as record:
            record.put("sourceTransportPort", number)
    with builder.record(PORTS) as record:
        record.put("sourceTransportPort", 3)
        record.put("destinationTransportPort", 80)
    assert [record.values for record in read(builder.flush()).records] == [(1, 443), (2, 443), (3, 80)]
    with pytest.raises(EncodeError, match="the Template has no octetDeltaCount"):
        builder.fix(PORTS, {"octetDeltaCount": 1})


def test_common_properties_are_said_once_as_in_rfc_5473() -> None:
    (printed,) = octets(VECTORS["RFC5473-A1"])
    whole = Template.of(
        0, "destinationIPv6Address", "destinationTransportPort", "packetDeltaCount[4]", "octetDeltaCount[4]"
    )
    session = ExportSession("tcp", first_id=257, align=4)
    properties, flows = common_properties(whole, ["destinationIPv6Address", "destinationTransportPort"])
    properties, flows = session.template(properties), session.template(flows)
    common = [
        {"commonPropertiesId": number, "destinationIPv6Address": address, "destinationTransportPort": port}
        for number, address, port in (
            (101, b.ipv6("2001:db8:80ad:5800:58:800:2023:1d71"), 80),
            (102, b.ipv6("2001:db8:80ad:5800:58:00aa:00b7:af2b"), 1932),
        )
    ]
    announced, data = messages(session.send_records(properties, common, now=NOW))
    assert announced[16:] == printed[40:60] + printed[16:40]
    assert data[20:] == printed[64:116]
    sent = send(session, flows, *(printed[at : at + 16] for at in range(124, 220, 16)))
    assert sent[0][16:] == printed[120:220]
    assert len(read(announced, data, *sent).records) == 8


@pytest.mark.parametrize("names", [[], PORTS.column_names, ["octetDeltaCount"]])
def test_common_properties_are_some_of_the_fields(names: list[str]) -> None:
    with pytest.raises(EncodeError):
        common_properties(PORTS, names)


# --- together with a session -----------------------------------------------------------------------------------------


def test_a_builder_shares_sequence_numbers_and_counters_with_a_session() -> None:
    session = ExportSession("tcp")
    template = session.template(["sourceTransportPort", "destinationTransportPort"], domain=1)
    sent = send(session, template, b.uint(1), b.uint(2), domain=1)
    builder = begun(tally=session.tally)
    with builder.record(template) as record:
        record.put("sourceTransportPort", 0)
        record.put("destinationTransportPort", 3)
    builder.template(OPTIONS)
    with builder.record(OPTIONS) as record:
        record.put("lineCardId", 1)
        record.put("exportedMessageTotalCount", 2)
    builder.ensure_set(300)
    builder.add(bytes(6))
    sent.append(builder.flush())
    sent += send(session, template, b.uint(4), domain=1)
    told = read(*sent)
    assert told.session.ledger[1].expected == 6
    assert session.counters == {
        "messages": 4, "records": 6, "flow_records": 4, "octets": sum(map(len, sent)), "templates": 2,
    }  # fmt: skip


def test_what_no_header_can_say_is_refused() -> None:
    builder = MessageBuilder()
    for domain in (-1, 1 << 32, "7", None):
        with pytest.raises(EncodeError, match="domain is"):
            builder.begin(domain)  # type: ignore[arg-type]
    for export_time in (-1, 1 << 32, "7", None, float("nan")):
        with pytest.raises(EncodeError, match="export_time is in seconds since 1970"):
            builder.begin(0, export_time)  # type: ignore[arg-type]
    builder.begin()
    for call in (builder.withdraw, builder.ensure_set, builder.new_set):
        for number in (-1, 65536, "256"):
            with pytest.raises(EncodeError, match="_id is"):
                call(number)  # type: ignore[arg-type]
    assert builder.flush() == b""
    with pytest.raises(EncodeError, match="mtu is a whole number, not '1400'"):
        MessageBuilder(mtu="1400")  # type: ignore[arg-type]
    with pytest.raises(EncodeError, match="align is 0"):
        MessageBuilder(align=0)


def test_a_time_that_readers_of_the_message_would_take_for_another_is_refused() -> None:
    template = Template.of(256, "flowStartMicroseconds")
    builder = MessageBuilder()
    builder.begin(0, 1_780_000_000)
    with pytest.raises(EncodeError, match="sent at 2026-05-28"), builder.record(template) as record:
        record.put("flowStartMicroseconds", "2100-01-01T00:00:00")
