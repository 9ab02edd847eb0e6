"""What was decoded is encoded and decoded again: the same values, and the same octets wherever columns tell all."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headwater.batch import Decoder
from headwater.batch.encode import Encoder
from headwater.errors import EncodeError, Fault
from headwater.model.template import Template
from headwater.model.types import DataType
from headwater.session import DataSets, Session
from headwater.session.exporting import ExportSession
from tests import build
from tests.batch.again import WHOLE, columns_of, each_set, encoded_again, records_of, sets_again, shown
from tests.batch.maker import Maker
from tests.corpus.reading import datagrams
from tests.oracle import listen
from tests.spec.vectors import VECTORS, octets

HEADER = WHOLE.header
NTP = (DataType.MICROSECONDS, DataType.NANOSECONDS)
OTHER_OCTETS = {
    "IPFIX-VL-0-3B": "lengths of 3 octets before short values",
    "IPFIX-VL-MIX": "lengths of 3 octets before short values",
    "IPFIX-TIME-US-MASK": "bits of microseconds that are ignored",
    "RFC6313-EMPTY": "lengths of 1 octet before lists, and a group of length 0",
    "RFC6313-NEST-BL": "lengths of 1 octet before lists",
}
"""Vectors whose values have another form on the wire than ours; Encoder.copy keeps it."""
UNDEFINED = {"IPFIX-TYPE-BOOL": "undefined booleans", "IPFIX-TIME-MS": "times that no column can hold"}
"""Vectors with values that a column does not keep; Encoder.copy does."""
CAPTURES = (
    "ls_ipfix", "ls_ipfix_netscaler", "ls_ipfix_yaf_s", "tg_ipfix_options", "gen_libfixbuf_struct_n",
    "gen_libfixbuf_struct_t", "gen_python_ipfix", "ls_netflow9_cisco_asa_1", "ls_netflow9_cisco_wlc", "ls_netflow5",
    "np_v7", "gen_sf_v1",
)  # fmt: skip


def told_by(id: str) -> list[DataSets]:
    """The Data Sets of a vector, one by one."""
    vector = VECTORS[id]
    transport = "udp" if vector["kind"] == "message" or vector["transport"] == "udp" else "file"
    return [one for sets in listen(*octets(vector), transport=transport).sets for one in each_set(sets)]


DECODABLE = [id for id, vector in VECTORS.items() if vector["proto"] != "text"]


@pytest.mark.parametrize("id", [id for id in DECODABLE if id not in UNDEFINED])
def test_every_vector_encodes_to_the_records_that_it_was(id: str) -> None:
    is_same = True
    for sets in told_by(id):
        encoded = encoded_again(sets, lossless=True)
        decoder = Decoder()
        assert shown(decoder.decode(sets_again(sets, encoded))) == shown(decoder.decode(sets))
        is_same = is_same and encoded.buffer[HEADER:].tobytes() == records_of(sets)
    assert is_same is (id not in OTHER_OCTETS)


@pytest.mark.parametrize("id", UNDEFINED)
def test_values_that_no_column_keeps_are_refused(id: str) -> None:
    (sets,) = told_by(id)
    with pytest.raises(EncodeError, match="null"):
        encoded_again(sets, lossless=True)


@pytest.mark.parametrize("id", DECODABLE)
def test_a_copy_of_every_vector_has_its_octets(id: str) -> None:
    for sets in told_by(id):
        copied = Encoder().copy(sets.template, sets, WHOLE)
        assert copied.buffer[HEADER:].tobytes() == records_of(sets)
        assert copied.first[-1] == sets.num_records


@settings(max_examples=150)
@given(st.integers(0, 2**63))
def test_what_any_records_tell_stays_the_same(seed: int) -> None:
    decoder = Decoder()
    for event in Session(transport="file").receive(Maker(random.Random(seed)).octets()):
        for sets in each_set(event) if isinstance(event, DataSets) else ():
            copied = Encoder().copy(sets.template, sets, WHOLE)
            assert copied.buffer[HEADER:].tobytes() == records_of(sets)
            try:
                encoded = encoded_again(sets, lossless=True)
            except EncodeError as refused:
                assert "null" in str(refused)  # noqa: PT017
                continue
            again = sets_again(sets, encoded)
            assert shown(decoder.decode(again)) == shown(decoder.decode(sets))
            assert encoded_again(again, lossless=True).buffer.tobytes() == encoded.buffer.tobytes()


@settings(max_examples=50)
@given(st.integers(0, 2**63))
def test_nulls_sent_as_zero_make_records_without_nulls(seed: int) -> None:
    decoder = Decoder()
    for event in Session(transport="file").receive(Maker(random.Random(seed)).octets()):
        for sets in each_set(event) if isinstance(event, DataSets) else ():
            try:
                encoded = encoded_again(sets, nulls="zero")
            except EncodeError as refused:
                # lists of which nothing is known, fields of no octets inside lists, 0 far from the Export Time
                assert any(words in str(refused) for words in ("nothing tells", "octets", "read as another"))  # noqa: PT017
                continue
            batch = decoder.decode(sets_again(sets, encoded))
            assert batch.num_rows == sets.num_records
            # only a list in a field of no octets has no value then
            assert {fault.kind for fault in batch.faults} <= {"bad_list"}


def test_whole_streams_of_known_values_keep_their_octets() -> None:
    for messages in (build.flows(300), build.mixed_flows(300), build.strings(300)):
        events = list(Session(transport="file").receive(b"".join(messages)))
        for event in events:
            for sets in each_set(event) if isinstance(event, DataSets) else ():
                assert encoded_again(sets).buffer[HEADER:].tobytes() == records_of(sets)


@pytest.mark.corpus
@pytest.mark.parametrize("name", CAPTURES)
def test_captures_of_real_exporters_encode_to_what_they_were(corpus: Path, name: str) -> None:
    decoder = Decoder()
    different: set[Template] = set()
    records = 0
    for sets in listen(*(datagram.payload for datagram in datagrams(corpus, name))).sets:
        for one in each_set(sets):
            encoded = encoded_again(one, lossless=True)
            assert shown(decoder.decode(sets_again(one, encoded))) == shown(decoder.decode(one))
            copied = Encoder().copy(one.template, one, WHOLE)
            assert copied.buffer[HEADER:].tobytes() == records_of(one)
            records += one.num_records
            if encoded.buffer[HEADER:].tobytes() != records_of(one):
                different.add(one.template)
    assert records
    assert not [template for template in different if not has_free_form(template)]


def has_free_form(template: Template) -> bool:
    """Whether the same values can be sent in several ways: with other lengths, or other low bits of a fraction."""
    return any(field.is_variable or field.type in NTP for field in template.fields)


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_lists_go_through_a_session_that_gives_their_templates_ids(transport: str) -> None:
    sending, receiving = ExportSession(transport, first_id=700), Session(transport=transport)
    encoder, decoder = Encoder(), Decoder()
    for sets in Session(transport="file").receive(b"".join(build.lists(300))):
        if not isinstance(sets, DataSets):
            continue
        batch = decoder.decode(sets)
        template = sending.template(sets.template)
        room = sending.room(template)
        encoded = encoder.encode(template, columns_of(batch), batch.num_rows, room, inner=sending.template)
        arrived = [
            event
            for outgoing in sending.send(encoded, now=1.7e9)
            for message in outgoing.messages()
            for event in receiving.receive(message, now=1.7e9)
        ]
        assert not [event for event in arrived if isinstance(event, Fault)]
        again = [decoder.decode(event) for event in arrived if isinstance(event, DataSets)]
        assert not [part for part in again if part.faults]
        assert sum(map(len, again)) == len(batch)
        assert {part.template.id for part in again} == {700}
        ids = {id for part in again for id in columns_of(part)[2].ids.tolist()}
        assert ids == {701, 702}
        assert [values for part in again for values in part["basicList"]] == batch["basicList"].tolist()
