"""hw.Writer: records of any form, and what files and Messages say about themselves, come back as they were."""

from __future__ import annotations

import contextlib
import io
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import pyarrow as pa
import pytest

import headwater as hw
from headwater.batch.mapping import ie
from headwater.errors import EncodeError, HeadwaterError, UnknownElement
from headwater.process.writing import Writer
from tests.build import (
    EXPORT_TIME,
    VARIABLE,
    data_set,
    file,
    flows,
    lists,
    message,
    mixed_flows,
    strings,
    template,
    template_set,
    uint,
    var,
)

NOON = 1_700_049_600.0


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> float:
        return self.now


def rows(first: int, last: int) -> list[dict[str, Any]]:
    """Records that tell of their number."""
    return [
        {"sourceIPv4Address": f"192.0.2.{number % 256}", "octetDeltaCount": number} for number in range(first, last)
    ]


def read_whole(path: Any, **options: Any) -> list[dict[str, Any]]:
    """The records of a file in which nothing is wrong."""
    with hw.read(path, **options) as reading:
        found = list(reading.records())
    assert not reading.report.faults
    assert reading.report.lost == 0
    return found


def octets_of(path: Any) -> list[int]:
    return [row["octetDeltaCount"] for row in read_whole(path)]


# --- what can be written ---


@pytest.mark.parametrize(
    "data",
    [
        rows(0, 5),
        iter(rows(0, 5)),
        {name: [row[name] for row in rows(0, 5)] for name in rows(0, 1)[0]},
        pa.Table.from_pylist(rows(0, 5)),
    ],
    ids=["dicts", "generator", "columns", "arrow"],
)
def test_records_of_any_form_come_back(tmp_path: Path, data: Any) -> None:
    path = tmp_path / "flows.ipfix"
    with Writer(path) as writer:
        assert writer.write(data) == 5
    assert read_whole(path) == rows(0, 5)


def test_tuples_come_back_with_the_template_they_were_written_by(tmp_path: Path) -> None:
    path = tmp_path / "flows.ipfix"
    with Writer(path) as writer:
        made = writer.template(["sourceIPv4Address", "octetDeltaCount[4]"], id=300)
        writer.write([("192.0.2.0", 0), ("192.0.2.1", 1)], made)
        writer.add(("192.0.2.2", 2), made)
    (batch, *_) = hw.read(path)
    assert (batch.template.id, batch.template.fields[1].length) == (300, 4)
    assert read_whole(path) == rows(0, 3)


@pytest.mark.parametrize("make", [flows, mixed_flows, strings, lists])
def test_what_was_read_comes_back_the_same(tmp_path: Path, make: Any) -> None:
    path = tmp_path / "flows.ipfix"
    given = file(*make(500))
    with Writer(path) as writer:
        assert writer.write(hw.read(io.BytesIO(given))) == len(read_whole(io.BytesIO(given)))
    before, after = (sorted(map(repr, read_whole(source))) for source in (io.BytesIO(given), path))
    assert after == before


def test_records_keep_their_observation_domain_and_export_time(tmp_path: Path) -> None:
    path = tmp_path / "flows.ipfix"
    octets = template_set(template(256, (1, 4)))
    given = file(
        message(octets, data_set(256, uint(1)), domain=1),
        message(octets, data_set(256, uint(2)), domain=2, export_time=EXPORT_TIME + 9),
    )
    with Writer(path) as writer:
        writer.write(hw.read(given))
    facts = ("observationDomainId", "exportTime")
    assert [tuple(row.values()) for row in read_whole(path, provenance=facts)] == [
        (1, 1, EXPORT_TIME),
        (2, 2, EXPORT_TIME + 9),
    ]


@pytest.mark.parametrize("nulls", ["error", "split"])
def test_what_could_not_be_decoded_goes_out_as_it_came(tmp_path: Path, nulls: Any) -> None:
    path = tmp_path / "flows.ipfix"
    fields = template_set(template(256, (82, VARIABLE), (1, 4)))
    given = message(fields, data_set(256, var(b"eth\xff") + uint(1), var(b"eth0") + uint(2)))
    with Writer(path, nulls=nulls) as writer:
        writer.write(hw.read(given))
    assert path.read_bytes()[-18:] == given[-18:]
    assert list(hw.records(path)) == list(hw.records(given))


def test_objects_of_a_mapped_class_come_back(tmp_path: Path) -> None:
    @dataclass
    class Flow:
        sourceIPv4Address: str
        octetDeltaCount: Annotated[int, ie("octetDeltaCount", length=4)]

    path = tmp_path / "flows.ipfix"
    with Writer(path) as writer:
        writer.write([Flow("192.0.2.0", 0)])
        writer.add(Flow("192.0.2.1", 1))
    assert read_whole(path) == rows(0, 2)


def test_elements_of_an_enterprise_are_described_to_readers_and_to_those_who_go_on(tmp_path: Path) -> None:
    path = tmp_path / "flows.ipfix"
    with Writer(path, describe=True) as writer:
        writer.write({"colour(32473/7)<string>": ["red"], "octetDeltaCount": [1]})
    assert read_whole(path, options=False) == [{"colour": "red", "octetDeltaCount": 1}]
    with Writer(path, append=True) as writer:
        writer.write([{"colour": "blue", "octetDeltaCount": 2}])
    assert [row["colour"] for row in read_whole(path, options=False)] == ["red", "blue"]
    assert len({batch.template.id for batch in hw.read(path, options=False)}) == 1


def test_a_batch_of_several_domains_needs_to_be_told_where_it_goes(tmp_path: Path) -> None:
    octets = template_set(template(256, (1, 4))), data_set(256, uint(1))
    (batch,) = hw.read(file(message(*octets, domain=1), message(*octets, domain=2)))
    with Writer(tmp_path / "flows.ipfix") as writer:
        with pytest.raises(EncodeError, match="several Observation Domains; give domain="):
            writer.write(batch)
        writer.write(batch, domain=7)
    (written,) = hw.read(tmp_path / "flows.ipfix")
    assert (written.domain, written.num_rows) == (7, 2)


def test_the_export_time_is_the_one_given_or_that_of_the_clock(tmp_path: Path) -> None:
    path = tmp_path / "flows.ipfix"
    with Writer(path, clock=Clock()) as writer:
        writer.write(rows(0, 1))
        writer.write(rows(1, 2), export_time=datetime(2024, 1, 1, tzinfo=UTC))
        writer.write(rows(2, 3), export_time=NOON + 1.5)
    times = [row["exportTime"] for row in hw.records(path, provenance=["exportTime"], times="int")]
    assert times == [NOON, datetime(2024, 1, 1, tzinfo=UTC).timestamp(), NOON + 1]
    for wrong in (-1, 1 << 32, "now"):
        with Writer(io.BytesIO()) as writer, pytest.raises(HeadwaterError, match="export_time is a datetime"):
            writer.write(rows(0, 1), export_time=wrong)  # type: ignore[arg-type]


def test_records_with_nulls_are_refused_sent_as_zero_or_get_templates_without_them(tmp_path: Path) -> None:
    path = tmp_path / "flows.ipfix"
    data = {"octetDeltaCount": [1, None, 3], "packetDeltaCount": [1, 2, None]}
    with Writer(path) as writer, pytest.raises(EncodeError, match=r"octetDeltaCount.*row 1"):
        writer.write(data)
    with Writer(path, nulls="zero", force=True) as writer:
        writer.write(data)
    assert [row["octetDeltaCount"] for row in read_whole(path)] == [1, 0, 3]
    with Writer(path, nulls="split", force=True) as writer:
        writer.write(data)
    assert read_whole(path) == [
        {"octetDeltaCount": 1, "packetDeltaCount": 1}, {"packetDeltaCount": 2}, {"octetDeltaCount": 3},
    ]  # fmt: skip
    with pytest.raises(HeadwaterError, match="nulls must be"):
        Writer(path, nulls="drop")  # type: ignore[arg-type]


@pytest.mark.parametrize("wrong", [-1, 1 << 32, "7", 1.5])
def test_a_domain_that_does_not_exist_is_refused(wrong: Any) -> None:
    with pytest.raises(HeadwaterError, match="domain is a number of 32 bits"):
        Writer(io.BytesIO(), domain=wrong)
    with Writer(io.BytesIO()) as writer:
        with pytest.raises(HeadwaterError, match="domain is a number of 32 bits"):
            writer.write(rows(0, 1), domain=wrong)
        with pytest.raises(HeadwaterError, match="domain is a number of 32 bits"):
            writer.add(rows(0, 1)[0], domain=wrong)


@pytest.mark.parametrize("wrong", [None, 5])
def test_what_is_no_template_is_refused(wrong: Any) -> None:
    with Writer(io.BytesIO()) as writer, pytest.raises(EncodeError, match="a template is a Template or IESpecs"):
        writer.template(wrong)


def test_a_file_is_added_to_or_replaced(tmp_path: Path) -> None:
    with pytest.raises(HeadwaterError, match="give one of them"):
        Writer(tmp_path / "flows.ipfix", append=True, force=True)


@pytest.mark.parametrize("wrong", ["1400", 1400.5, None])
def test_an_mtu_that_is_no_number_is_refused(wrong: Any) -> None:
    with pytest.raises(HeadwaterError, match="mtu is a number of octets"):
        Writer(io.BytesIO(), mtu=wrong)


def test_times_are_cut_to_the_unit_of_their_element_if_that_is_allowed(tmp_path: Path) -> None:
    path, when = tmp_path / "flows.ipfix", datetime(2026, 1, 1, 0, 0, 0, 123_456, UTC)
    with Writer(path, allow_rounding=True) as writer:
        writer.write([{"flowStartMilliseconds": when}])
        writer.add({"flowStartMilliseconds": when})
    found = [row["flowStartMilliseconds"] % 1000 for row in read_whole(path)]
    assert found == [123, 123]


def test_messages_are_no_longer_than_the_mtu(tmp_path: Path) -> None:
    path = tmp_path / "flows.ipfix"
    with Writer(path, mtu=512, checksum=True) as writer:
        writer.write(rows(0, 500))
    octets, at, sizes = path.read_bytes(), 0, []
    while at < len(octets):
        sizes.append(int.from_bytes(octets[at + 2 : at + 4], "big"))
        at += sizes[-1]
    assert max(sizes) <= 512
    assert read_whole(path, select=["octetDeltaCount"], options=False) == [{"octetDeltaCount": n} for n in range(500)]


# --- records one at a time ---


def test_single_records_are_kept_until_there_are_some(tmp_path: Path) -> None:
    path = tmp_path / "flows.ipfix"
    with Writer(path) as writer:
        for row in rows(0, 10):
            writer.add(row)
        writer.add({"packetDeltaCount": 5})
        writer.flush()
        assert read_whole(path) == [*rows(0, 10), {"packetDeltaCount": 5}]
        writer.add(rows(10, 11)[0])
    assert read_whole(path)[-1] == rows(10, 11)[0]


def test_a_record_is_taken_when_its_block_ends_and_forgotten_when_that_fails(tmp_path: Path) -> None:
    path = tmp_path / "flows.ipfix"
    with Writer(path) as writer:
        made = writer.template(["sourceIPv4Address", "octetDeltaCount"])
        for number in (0, 2, 3):
            with writer.record(made) as record:
                record["sourceIPv4Address"] = f"192.0.2.{number}"
                record["octetDeltaCount"] = number
            with contextlib.suppress(KeyError), writer.record(made) as record:
                record.update(sourceIPv4Address="192.0.2.9", octetDeltaCount=9)
                raise KeyError
        with pytest.raises(EncodeError, match="octetDeltaCount"), writer.record(made) as record:
            record.update(sourceIPv4Address="192.0.2.9", octetDeltaCount=-1)
        with pytest.raises(EncodeError, match="octetDeltaCount"), writer.record(made) as record:
            record["sourceIPv4Address"] = "192.0.2.9"
    assert octets_of(path) == [0, 2, 3]


def test_a_value_that_does_not_fit_leaves_nothing_of_its_part_and_a_writer_that_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "flows.ipfix"
    with Writer(path) as writer:
        writer.write(rows(0, 2))
        with pytest.raises(EncodeError, match="octetDeltaCount") as caught:
            writer.write([*rows(2, 4), {"sourceIPv4Address": "192.0.2.1", "octetDeltaCount": 1 << 64}])
        assert (caught.value.column, caught.value.row) == ("octetDeltaCount", 2)
        writer.write(rows(2, 3))
    assert octets_of(path) == [0, 1, 2]


def test_a_single_record_that_does_not_fit_is_told_when_all_others_are_written(tmp_path: Path) -> None:
    path = tmp_path / "flows.ipfix"
    with Writer(path) as writer:
        for row in rows(0, 5):
            writer.add(row if row["octetDeltaCount"] not in (1, 3) else row | {"octetDeltaCount": "many"})
        writer.add({"packetDeltaCount": 5})
        with pytest.raises(EncodeError, match="'octetDeltaCount': 'many'") as caught:
            writer.flush()
        assert (caught.value.column, caught.value.row) == ("octetDeltaCount", None)  # a row of what?
        writer.flush()
    assert read_whole(path) == [*rows(0, 1), *rows(2, 3), *rows(4, 5), {"packetDeltaCount": 5}]


@pytest.mark.parametrize("wrong", [None, 5, "text", b"octets", object(), (1, 2)])
def test_what_can_be_no_record_is_refused_at_once_and_costs_no_other(tmp_path: Path, wrong: Any) -> None:
    path = tmp_path / "flows.ipfix"
    with Writer(path) as writer:
        writer.add(rows(0, 1)[0])
        with pytest.raises(EncodeError, match="no record"):
            writer.add(wrong)
        writer.add(rows(1, 2)[0])
    assert octets_of(path) == [0, 1]


def test_a_wrong_list_costs_no_other_record(tmp_path: Path) -> None:
    path = tmp_path / "flows.ipfix"
    good = {"subTemplateList": [{"octetDeltaCount": 1}]}
    with Writer(path) as writer:
        for record in (good, {"subTemplateList": [{"foo": 1}]}, good, {"subTemplateList": [{"bar": 1}]}):
            writer.add(record)
        with pytest.raises(HeadwaterError, match="'foo'") as caught:
            writer.flush()
    assert caught.value.__notes__ == ["2 of the records that were added are left out"]
    assert len(read_whole(path)) == 2


def test_the_row_of_an_error_is_counted_from_the_first_of_all(tmp_path: Path) -> None:
    many = [{"octetDeltaCount": 1}] * 70_000 + [{"octetDeltaCount": -1}]
    with Writer(tmp_path / "flows.ipfix") as writer, pytest.raises(EncodeError, match="row 70000") as caught:
        writer.write(many)
    assert (caught.value.column, caught.value.row) == ("octetDeltaCount", 70_000)


def test_a_name_that_does_not_exist_costs_no_record_of_another_kind(tmp_path: Path) -> None:
    path = tmp_path / "flows.ipfix"
    with Writer(path) as writer:
        writer.add({"octetDeltacount": 1})
        writer.add(rows(0, 1)[0])
        with pytest.raises(UnknownElement, match="did you mean"):
            writer.flush()
    assert octets_of(path) == [0]


def test_single_tuples_take_a_template_in_every_form(tmp_path: Path) -> None:
    path = tmp_path / "flows.ipfix"
    with Writer(path) as writer:
        for number in (0, 1):
            writer.add((number, 5), ["octetDeltaCount", "packetDeltaCount"])
    assert octets_of(path) == [0, 1]


def test_messages_are_written_by_hand_with_templates_of_the_writer(tmp_path: Path) -> None:
    path = tmp_path / "flows.ipfix"
    with Writer(path, checksum=True, clock=Clock()) as writer:
        made = writer.template(["octetDeltaCount"])
        writer.write([{"octetDeltaCount": 0}])
        with writer.messages() as by_hand:
            for number in (1, 2):
                with by_hand.record(made) as record:
                    record.put("octetDeltaCount", number)
            by_hand.begin(export_time=NOON + 5)
            by_hand.new_set(made.id)
            by_hand.add(uint(3, 8))
        with contextlib.suppress(KeyError), writer.messages() as by_hand:
            by_hand.new_set(made.id)
            by_hand.add(uint(4, 8))
            raise KeyError
        writer.write([{"octetDeltaCount": 5}])
        assert writer.records == 5
    assert read_whole(path, options=False) == [{"octetDeltaCount": number} for number in (0, 1, 2, 3, 5)]


# --- what files and Messages say about themselves ---


def test_messages_say_their_checksum_and_time_and_files_their_session(tmp_path: Path) -> None:
    path = tmp_path / "flows.ipfix"
    details = {"exporterIPv4Address": "192.0.2.9", "exporterTransportPort": 4739}
    with Writer(
        path,
        checksum=True,
        message_details=True,
        session_details=details,
        time_window=(datetime(2023, 11, 15, tzinfo=UTC), datetime(2023, 11, 16, tzinfo=UTC)),
        clock=Clock(),
    ) as writer:
        writer.write(rows(0, 3))
        writer.write(rows(3, 6), domain=5)
    found = read_whole(path, options=True)
    assert [row["octetDeltaCount"] for row in found if "octetDeltaCount" in row] == list(range(6))
    told = [list(row)[1] for row in found if "sessionScope" in row]
    assert told == ["minFlowStartMilliseconds", "exporterIPv4Address"]
    times = {row["collectionTimeMilliseconds"] for row in found if "collectionTimeMilliseconds" in row}
    assert times == {int(NOON * 1000)}
    with hw.read(path) as reading:
        list(reading)
    assert reading.report.checksums_ok == reading.report.messages
    assert reading.report.sources[0].details["exporterTransportPort"] == 4739


def test_a_damaged_octet_is_found_by_the_checksum(tmp_path: Path) -> None:
    path = tmp_path / "flows.ipfix"
    with Writer(path, checksum=True) as writer:
        writer.write(rows(0, 3))
    octets = path.read_bytes()
    with hw.read(octets.replace(bytes([192, 0, 2, 1]), bytes([192, 0, 2, 200]))) as reading:
        list(reading)
    assert list(reading.report.faults) == ["checksum"]


def test_export_times_do_not_go_back_where_records_are_put_together_by_template(tmp_path: Path) -> None:
    ports, octets = template(256, (7, 2)), template(257, (1, 4))
    messages = [
        message(template_set(ports, octets), export_time=100),
        message(data_set(256, uint(1, 2)), export_time=101),
        message(data_set(257, uint(2)), export_time=102, sequence=1),
        message(data_set(256, uint(3, 2)), export_time=103, sequence=2),
    ]
    with Writer(tmp_path / "f.ipfix") as writer:
        writer.write(hw.read(b"".join(messages)))
    times = []
    octets_written = (tmp_path / "f.ipfix").read_bytes()
    at = 0
    while at < len(octets_written):
        times.append(int.from_bytes(octets_written[at + 4 : at + 8], "big"))
        at += int.from_bytes(octets_written[at + 2 : at + 4], "big")
    assert times == sorted(times)
    assert times[-1] == 103


def test_a_time_that_readers_would_take_for_another_one_is_refused(tmp_path: Path) -> None:
    with Writer(tmp_path / "f.ipfix", clock=lambda: NOON) as writer:
        with pytest.raises(EncodeError, match="flowStartMicroseconds"):
            writer.write([{"flowStartMicroseconds": "2100-01-01T00:00:00Z"}])
        writer.write([{"flowStartMicroseconds": "1960-01-01T00:00:00Z"}])
    (record,) = hw.records(tmp_path / "f.ipfix", times="text")
    assert record["flowStartMicroseconds"].startswith("1960-01-01T00:00:00")


def test_a_bad_value_among_records_with_nulls_is_told_with_its_own_row(tmp_path: Path) -> None:
    rows = [{"octetDeltaCount": 1}, {"vlanId": 2}, {"octetDeltaCount": 3}, {"octetDeltaCount": 70_000}]
    writer = Writer(tmp_path / "f.ipfix", nulls="split", lengths={"octetDeltaCount": 2})
    with writer, pytest.raises(EncodeError, match="row 3") as caught:
        writer.write(rows)
    assert caught.value.row == 3
