"""Lint: every violation that octets show, and none where there is none."""

from __future__ import annotations

import contextlib
import io
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from headwater.errors import FaultKind, SourceError
from headwater.process.generating import Traffic
from headwater.process.generating_messages import exports_of, write_exports
from headwater.process.linting import Linted, LintManner, Violation, lint
from headwater.process.report import Skipped
from headwater.session.rules import RULES, Severity
from tests import build as b
from tests import packets
from tests.spec.hostile import CASES, Case
from tests.spec.vectors import VECTORS, octets

PAIR = b.template_set(b.template(256, (8, 4), (1, 4)))
ROW = b.record(b.ipv4("10.0.0.1"), b.uint(5))
TEXT = b.template_set(b.template(256, (82, b.VARIABLE)))


def datagrams(*messages: bytes) -> bytes:
    """A capture of UDP datagrams."""
    return packets.pcap([packets.ethernet(packets.udp(message)) for message in messages])


def connection(*segments: bytes) -> bytes:
    """A capture of a TCP connection."""
    frames, sequence = [packets.tcp(b"", 0, flags=packets.SYN)], 1
    for segment in segments:
        frames.append(packets.tcp(segment, sequence))
        sequence += len(segment)
    return packets.pcap([packets.ethernet(frame) for frame in frames])


def linted(source: bytes, **manner: Any) -> Linted:
    (one,) = lint(source, LintManner(**{"ports": frozenset({2055}), **manner}))
    return one


def found(source: bytes, **manner: Any) -> dict[str, Violation]:
    return {one.rule.id: one for one in linted(source, **manner).violations}


def file_of(*fields: b.FieldSpec, values: bytes, scope: int = 0, domain: int = 1) -> bytes:
    """A file with one record of a Template of these fields."""
    if scope:
        announced = b.options_template_set(b.options_template(256, *fields, scope=scope))
    else:
        announced = b.template_set(b.template(256, *fields))
    return b.message(announced, b.data_set(256, values), domain=domain)


# --- nothing is found where nothing is wrong ---


@pytest.mark.parametrize("stream", [b.flows, b.mixed_flows, b.strings])
def test_good_files_violate_nothing(stream: Any) -> None:
    rules = found(b.file(*stream(100)))
    assert rules.keys() <= {"flow_after_export"}  # their flows do end in the future


@pytest.mark.parametrize(("container", "version"), [("ipfix", 10), ("pcap", 10), ("pcap", 9), ("pcap", 5)])
def test_what_we_generate_violates_nothing(container: Any, version: int) -> None:
    parts: list[bytes] = []
    traffic = Traffic(records=3000, version=version, domains=2, rate=20)
    write_exports(exports_of(traffic, container), container, version, parts.append)
    one = linted(b"".join(parts), ports=frozenset())
    assert one.violations == []
    assert one.records >= 3000


_NOT_VALID = {
    "IPFIX-PAD-NZ": {"nonzero_padding"},
    "IPFIX-TYPE-BOOL": {"boolean"},
    "IPFIX-TYPE-STR-BAD": {"utf8"},
    "IPFIX-WD-UDP": {"withdrawal_ignored"},
    "RFC5655-BADSUM": {"checksum"},
    "RFC5655-RESYNC": {"resync"},
}
"""Vectors about what readers must bear; exporters must not send it."""


@pytest.mark.parametrize(
    "vector", [id for id, v in VECTORS.items() if v["kind"] in ("message", "stream", "file") and v.get("hex")]
)
def test_valid_vectors_have_no_errors(vector: str) -> None:
    parts = octets(VECTORS[vector])
    source = datagrams(*parts) if VECTORS[vector]["transport"] == "udp" else b"".join(parts)
    errors = {rule for rule, one in found(source).items() if one.severity is Severity.ERROR}
    assert errors == _NOT_VALID.get(vector, set())


_LEGAL = {"H28", "H38"}
"""Hostile cases that violate nothing: a large Template, and IDs that change their kind by a right redefinition."""


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_hostile_input_violates_something(case: Case) -> None:
    chunks = case.chunks()
    make = {"udp": datagrams, "tcp": connection}.get(case.transport, b.file)
    largest = max(map(len, chunks), default=0)
    if make is datagrams and largest > 65000:
        chunks = [chunk for chunk in chunks if len(chunk) <= 65000]
    try:
        rules = {one.rule.id for one in linted(make(*chunks)).violations}
    except SourceError:
        rules = {"unreadable"}
    if case.id not in _LEGAL:
        assert rules
    for kind in case.kinds if case.salvage_kinds is None and rules != {"unreadable"} else ():
        assert (kind.value if kind is not FaultKind.FRAMING_LOST else "resync") in rules


# --- rules, one by one ---

OPTIONS = b.options_template_set(b.options_template(257, (145, 2), (173, 8)))
LONG = b.template(256, (1, 8), (2, 8), (10, 4))

_FILES: dict[str, bytes] = {
    "export_time_back": b.message(PAIR, b.data_set(256, ROW), export_time=200)
    + b.message(b.data_set(256, ROW), export_time=100, sequence=1),
    "empty_set": b.message(PAIR, b.data_set(256)),
    "template_padding": b.message(b.template_set(b.template(256, (8, 4), (1, 4)), padding=4)),
    "padding_beyond_alignment": b.message(b.template_set(LONG), b.data_set(256, bytes(20), padding=9)),
    "template_repeated": b.message(PAIR) + b.message(PAIR, b.data_set(256, ROW)),
    "template_after_data": b.message(b.data_set(256, ROW), PAIR),
    "file_template_late": b.message(PAIR, b.data_set(256, ROW), b.template_set(b.template(257, (8, 4)))),
    "file_withdrawal": b.message(PAIR) + b.message(b.template_set(b.withdrawal(256))),
    "nonzero_padding": b.message(b.any_set(2, b.template(256, (8, 4), (1, 4)) + b"\0\1")),
    "element_unknown": file_of((32000, 4), values=bytes(4)),
    "element_deprecated": file_of((34, 4), values=bytes(4)),
    "enterprise_zero": b.message(b.any_set(2, bytes.fromhex("0100 0001 8008 0004 00000000"))),
    "reverse_impossible": file_of((8, 4), (12, 4), (148, 8, b.REVERSE_PEN), values=bytes(16)),
    "biflow_direction": file_of((1, 8), (1, 8, b.REVERSE_PEN), values=bytes(16)),
    "scope_missing": file_of((144, 4), (41, 8), values=bytes(12), scope=1, domain=0),
    "reliability_times": file_of((149, 4), (164, 8), (322, 4), values=b.uint(1) + bytes(12), scope=1),
    "scope_domain": file_of((149, 4), (41, 8), values=bytes(12), scope=1),
    "flow_keys": file_of((145, 2), (173, 8), values=b.uint(256, 2) + b.uint(4, 8), scope=1),
    "scope_only": file_of((144, 4), (267, 1), values=bytes(5), scope=1),
    "element_range": file_of((9, 1), values=b"\x21"),
    "microseconds": file_of((154, 8), values=b.ntp(1_600_000_000, 1)),
    "long_prefix": file_of((82, b.VARIABLE), values=b.var(b"eth0", long=True)),
    "list_prefix": file_of((291, b.VARIABLE), values=b.var(b.basic_list((7, 2), b"\0\1", b"\0\2"))),
    "list_semantic": file_of(
        (291, b.VARIABLE), values=b.var(b.basic_list((7, 2), b"\0\1", b"\0\2", semantic=77), long=True)
    ),
    "list_single": file_of((291, b.VARIABLE), values=b.var(b.basic_list((7, 2), b"\0\1"), long=True)),
    "flow_end_before_start": file_of((152, 8), (153, 8), values=b.uint(2000, 8) + b.uint(1000, 8)),
    "flow_after_export": file_of((151, 4), values=b.uint(b.EXPORT_TIME + 1)),
    "control_characters": file_of((82, b.VARIABLE), values=b.var(b"a\x1b[31m")),
    "application_id": file_of((95, 4), (8, 4), values=bytes.fromhex("14000000 0a000001")),
    "object_identifier": file_of((445, b.VARIABLE), values=b.var(b"\x80\x80\x80")),
    "element_name": file_of(
        (303, 2), (339, 1), (341, b.VARIABLE), values=b"\x11\x11\x03" + b.var(b"Bad name"), scope=1
    ),
    "common_properties": file_of((137, 8), (137, 8), values=b.uint(1, 8) + b.uint(1, 8), scope=1),
}

_CAPTURES: dict[str, bytes] = {
    "message_over_512": datagrams(b.message(PAIR, b.data_set(256, *[ROW] * 70))),
    "message_over_mtu": datagrams(b.message(PAIR, b.data_set(256, *[ROW] * 200))),
    "flowset_alignment": datagrams(b.netflow9(b.any_set(0, b.template(256, (8, 4), (4, 1))), b.any_set(256, bytes(5)))),
    "flowset_padding": datagrams(
        b.netflow9(b.any_set(0, b.template(256, (8, 4), (4, 1))), b.any_set(256, bytes(5) + b"xyz"))
    ),
    "netflow_variable": datagrams(b.netflow9(b.any_set(0, b.template(256, (96, b.VARIABLE))))),
    "template_refresh": datagrams(
        b.message(PAIR, b.data_set(256, ROW)),
        b.message(b.data_set(256, ROW), sequence=1, export_time=b.EXPORT_TIME + 700),
    ),
    "template_after_data": datagrams(b.message(b.data_set(256, ROW)), b.message(PAIR, sequence=1)),
    "export_time_back": datagrams(
        b.message(PAIR, b.data_set(256, ROW)), b.message(b.data_set(256, ROW), sequence=1, export_time=1)
    ),
}


@pytest.mark.parametrize("rule", _FILES)
def test_violations_are_seen_in_files(rule: str) -> None:
    one = found(_FILES[rule])[rule]
    assert one.count == 1
    assert one.severity is RULES[rule].severity_over(one_transport("file"))
    assert 0 <= one.places[0].offset < len(_FILES[rule])
    assert one.places[0].message is not None or rule == "file_withdrawal"


@pytest.mark.parametrize("rule", _CAPTURES)
def test_violations_are_seen_in_datagrams(rule: str) -> None:
    one = found(_CAPTURES[rule])[rule]
    assert one.count == 1
    assert one.severity is RULES[rule].severity_over(one_transport("udp"))
    assert one.places[0].exporter == "10.0.0.1:50000"


def test_every_rule_is_a_fault_or_has_a_test() -> None:
    faults = {kind.value for kind in FaultKind}
    assert faults <= RULES.keys()
    assert RULES.keys() - faults == (_FILES.keys() | _CAPTURES.keys()) - {"nonzero_padding"}


def one_transport(name: str) -> Any:
    from headwater.session.key import Transport

    return Transport(name)


# --- places ---


def test_a_place_has_the_octet_the_message_and_the_domain() -> None:
    first = b.message(TEXT, b.data_set(256, b.var(b"good")), domain=7)
    second = b.message(b.data_set(256, b.var(b"fine"), b.var(b"bad\xff")), domain=7, sequence=1)
    (place,) = found(first + second)["utf8"].places
    assert (place.message, place.domain, place.exporter, place.count) == (2, 7, None, 1)
    assert (first + second)[place.offset : place.offset + 4] == b"bad\xff"


def test_offsets_in_a_connection_are_those_of_the_capture() -> None:
    octets = b.message(TEXT, b.data_set(256, b.var(b"good"))) + b.message(
        b.data_set(256, b.var(b"a\x1bb"), b.var(b"bad\xff")), b.data_set(256), sequence=1
    )
    capture = connection(octets[:20], octets[20:70], octets[70:])
    rules = found(capture)
    (bad,), (control,), (empty,) = (rules[name].places for name in ("utf8", "control_characters", "empty_set"))
    assert capture[bad.offset : bad.offset + 4] == b"bad\xff"
    assert capture[control.offset : control.offset + 3] == b"a\x1bb"
    assert capture[empty.offset : empty.offset + 4] == b.data_set(256)
    assert bad.exporter == control.exporter == empty.exporter == "10.0.0.1:50000"
    assert bad.message == control.message == empty.message == 2


def test_the_first_places_are_kept_and_all_are_counted() -> None:
    records = [b.uint(200, 1)] * 100
    source = b.message(b.template_set(b.template(256, (9, 1))), b.data_set(256, *records))
    one = found(source)["element_range"]
    assert one.count == 100
    assert len(one.places) == 3
    every = found(source, all=True)["element_range"]
    assert [place.offset for place in every.places] == list(range(len(source) - 100, len(source)))


def test_numbers_of_messages_go_on_over_windows_of_a_capture() -> None:
    good = b.message(TEXT, b.data_set(256, b.var(b"x")))
    parts = [good] * 3000 + [b.message(b.data_set(256, b.var(b"\xff")))]
    (place,) = found(datagrams(*parts))["utf8"].places
    assert place.message == 3001


# --- what is legal ---


def test_late_datagrams_are_not_sent_back_in_time() -> None:
    late = [
        b.message(PAIR, b.data_set(256, ROW), export_time=100),
        b.message(b.data_set(256, ROW), export_time=102, sequence=2),
        b.message(b.data_set(256, ROW), export_time=101, sequence=1),
    ]
    assert "export_time_back" not in found(datagrams(*late))


def test_other_domains_have_export_times_of_their_own() -> None:
    assert "export_time_back" not in found(b.message(export_time=200) + b.message(export_time=100, domain=2))


def test_templates_that_are_repeated_in_datagrams_are_right() -> None:
    parts = [b.message(PAIR, b.data_set(256, ROW), sequence=n, export_time=b.EXPORT_TIME + 500 * n) for n in range(4)]
    assert found(datagrams(*parts)) == {}


def test_an_id_that_is_withdrawn_may_be_used_again() -> None:
    other = b.template_set(b.template(256, (12, 4)))
    source = b.message(PAIR) + b.message(b.template_set(b.withdrawal(256))) + b.message(other)
    assert found(source) == {}


def test_a_template_without_withdrawal_gets_no_other_meaning() -> None:
    source = b.message(PAIR), b.message(b.template_set(b.template(256, (12, 4))))
    assert found(connection(*source))["template_replaced"].severity is Severity.ERROR
    assert found(datagrams(*source))["template_replaced"].severity is Severity.WARNING


@pytest.mark.parametrize("start", [0xFFFFFF00, 5])
def test_uptimes_wrap_around(start: int) -> None:
    head = b.netflow9(
        b.netflow9_template(256, (22, 4), (21, 4)),
        b.any_set(256, b.uint(start) + b.uint((start + 0x200) % (1 << 32))),
        count=2, uptime_ms=(start + 0x300) % (1 << 32),
    )  # fmt: skip
    assert found(datagrams(head)) == {}


def test_uptimes_after_that_of_the_header_are_told() -> None:
    record = b.netflow5_record("192.0.2.1", "192.0.2.2", first_ms=10, last_ms=70_000)
    rules = found(datagrams(b.netflow5(record, uptime_ms=60_000)))
    assert rules["flow_after_export"].places[0].detail == "flowEndSysUpTime: 10000 ms after sysUpTime"


def test_reverse_elements_of_nothing_are_unknown() -> None:
    source = file_of((8, 4), (12, 4), (32000, 4, b.REVERSE_PEN), (1, 8, b.REVERSE_PEN), values=bytes(20))
    (place,) = found(source)["element_unknown"].places
    assert place.detail == "Template 256: _29305_32000 (29305/32000)"


@pytest.mark.parametrize(("start", "end", "is_right"), [(500, 100, True), (100, 500, False)])
def test_times_before_the_export_count_backwards(start: int, end: int, is_right: bool) -> None:
    rules = found(file_of((158, 4), (159, 4), values=b.uint(start) + b.uint(end)))
    assert ("flow_end_before_start" not in rules) is is_right


@pytest.mark.parametrize("field", [(158, 3), (150, 3), (153, 4), (154, 4), (95, 4), (341, 7), (9, 0), (82, 0)])
def test_any_length_of_a_field_is_borne(field: b.FieldSpec) -> None:
    found(file_of(field, (159, 4), (151, 4), values=bytes(30)))


def test_lists_inside_lists_are_looked_at() -> None:
    inner = b.template(257, (291, b.VARIABLE))
    item = b.var(b.basic_list((7, 2), b"\0\1", b"\0\2", semantic=99))
    outer = b.var(b.sub_template_list(257, item, item), long=True)
    source = b.message(b.template_set(inner, b.template(256, (292, b.VARIABLE))), b.data_set(256, outer))
    assert found(source)["list_semantic"].count == 1


@pytest.mark.parametrize(
    ("fields", "scope"),
    [
        (((144, 4), (41, 8)), "without observationDomainId"),
        (((149, 4), (173, 8)), "without templateId"),
        (((149, 4), (262, 16)), "without messageScope"),
        (((149, 4), (166, 8)), "without an exporter"),
        (((341, b.VARIABLE), (339, 1)), "without informationElementId"),
    ],
)
def test_options_with_a_meaning_have_their_scope(fields: tuple[b.FieldSpec, ...], scope: str) -> None:
    source = b.message(b.options_template_set(b.options_template(256, *fields)), domain=0)
    assert scope in found(source)["scope_missing"].places[0].detail


@pytest.mark.parametrize(("id", "keys", "is_right"), [(256, 3, True), (256, 4, False), (999, 1, False)])
def test_flow_keys_are_those_of_a_template(id: int, keys: int, is_right: bool) -> None:
    record = b.uint(id, 2) + b.uint(keys, 8)
    rules = found(b.message(PAIR, OPTIONS, b.data_set(257, record)))
    assert ("flow_keys" not in rules) is is_right


def test_zeros_that_fill_up_a_fixed_string_are_no_control_characters() -> None:
    assert found(file_of((82, 8), values=b"eth0\0\0\0\0")) == {}


def test_elements_of_a_registry_of_ones_own_are_known(tmp_path: Path) -> None:
    from headwater.model.element import InformationElement
    from headwater.model.registry import IANA
    from headwater.model.types import DataType

    mine = IANA.extend([InformationElement(0, 32000, "mine", DataType.UNSIGNED32)])
    assert found(_FILES["element_unknown"], registry=mine) == {}


def test_any_octets_are_linted_without_an_exception() -> None:
    chance = random.Random(4)
    seeds = [*_FILES.values(), b.file(*b.mixed_flows(20)), b.file(*b.lists(5))]
    for _ in range(300):
        octets = bytearray(chance.choice(seeds) + chance.choice(seeds))
        for _ in range(chance.randrange(8)):
            octets[chance.randrange(len(octets))] = chance.choice((0, 1, 3, 255, chance.randrange(256)))
        make = chance.choice((datagrams, connection, b.file))
        with contextlib.suppress(SourceError):
            for violation in linted(make(bytes(octets))).violations:
                assert violation.count >= len(violation.places) > 0


# --- sources ---


def test_each_source_is_linted_alone() -> None:
    names = [one.messages for one in lint([_FILES["empty_set"], _FILES["template_repeated"]])]
    assert names == [1, 2]


def test_streams_can_be_linted() -> None:
    (one,) = lint(io.BytesIO(_FILES["empty_set"]))
    assert [violation.rule.id for violation in one.violations] == ["empty_set"]


def test_a_directory_without_flow_export_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_text("nothing")
    skipped: Sequence[Skipped] = []
    with pytest.raises(SourceError, match="no flow export among 1 files"):
        list(lint(tmp_path, None, list(skipped)))


def test_octets_after_the_loss_of_framing_are_looked_at() -> None:
    source = b.message(PAIR) + b"garbage!" * 3 + b.message(b.data_set(256)) + b.message(b.data_set(256))
    rules = found(source)
    assert "resync" in rules
    assert rules["empty_set"].count == 2


def test_as_json_it_has_everything() -> None:
    one = linted(_FILES["element_range"])
    (violation,) = one.to_dict()["violations"]
    assert violation["rule"] == "element_range"
    assert violation["severity"] == "error"
    assert violation["places"][0]["detail"] == "sourceIPv4PrefixLength: 33 is not from 0 to 32"
    assert one.to_dict(Severity.ERROR)["violations"]
