"""Structured data (RFC 6313), well-formed and not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from headwater.batch import Lists, MultiLists
from headwater.session import Limits
from tests import build
from tests.batch.source import TEMPLATE, batches, kinds, message, one

BASIC, SUB, MULTI = (291, 65535), (292, 65535), (293, 65535)
TCP = build.template(300, (184, 4), (6, 1))
NAME = build.template(301, (82, 65535), (10, 4))
TREE = build.template(302, (10, 4), SUB)
EMPTY = build.template(303, (210, 0))
INNER = (TCP, NAME, TREE, EMPTY)


def lists(kind: build.FieldSpec, *values: bytes, **options: Any) -> tuple[Lists, Any]:
    """(column, batch) of records with one list field, followed by protocolIdentifier 6."""
    rows = [build.var(value) + b"\x06" for value in values]
    batch = one(message([kind, (4, 1)], *rows, templates=INNER), **options)
    assert batch.columns["protocolIdentifier"].tolist() == [6] * len(values)
    column = next(iter(batch.columns.values()))
    assert isinstance(column, Lists)
    return column, batch


def full(batch: Any, name: str) -> list[Any]:
    return [row[name] for row in batch.rows(lists="full", addresses="raw")]


# ---------------------------------------------------------------- well-formed


def test_a_basic_list_of_numbers() -> None:
    values = [build.basic_list((14, 4), build.uint(1), build.uint(4)), build.basic_list((14, 4))]
    column, batch = lists(BASIC, *values)
    assert column.tolist() == [[1, 4], []]
    assert column.groups[0].items.dtype == np.uint32  # type: ignore[union-attr]
    assert full(batch, "basicList") == [
        {"semantic": "allOf", "element": "egressInterface", "items": [1, 4]},
        {"semantic": "allOf", "element": "egressInterface", "items": []},
    ]


def test_a_basic_list_of_text_and_one_of_an_enterprise_element() -> None:
    names = [b"FE0/0", b"", "é".encode(), b"x" * 300]
    text = build.basic_list((82, 65535), *map(build.var, names), semantic=build.ORDERED)
    own = build.basic_list((100, 2, 32473), b"ab", b"cd", semantic=build.NONE_OF)
    column, batch = lists(BASIC, text, own, text)
    assert column.tolist() == [[n.decode() for n in names], [b"ab", b"cd"], [n.decode() for n in names]]
    assert [(v["semantic"], v["element"]) for v in full(batch, "basicList")] == [
        ("ordered", "interfaceName"),
        ("noneOf", "_32473_100"),
        ("ordered", "interfaceName"),
    ]


def test_lengths_may_differ_from_row_to_row_without_changing_the_type() -> None:
    rows = [
        build.basic_list((1, 1), b"\x01", b"\x02"),
        build.basic_list((1, 8), build.uint(2**40, 8)),
        build.basic_list((1, 1), b"\x03"),
        build.basic_list((1, 3), build.uint(70000, 3)),
    ]
    column, _ = lists(BASIC, *rows)
    (group,) = column.groups
    assert column.tolist() == [[1, 2], [2**40], [3], [70000]]
    assert group.items.dtype == np.uint64  # type: ignore[union-attr]
    assert group.length.tolist() == [1, 8, 1, 3]  # type: ignore[union-attr]


def test_texts_of_several_lengths_are_one_column() -> None:
    rows = [
        build.basic_list((82, 2), b"ab", b"cd"),
        build.basic_list((82, 65535), build.var(b"long one"), build.var(b"")),
        build.basic_list((82, 2), b"\xff\xff"),
        build.basic_list((82, 0)),
    ]
    column, batch = lists(BASIC, *rows)
    assert column.tolist() == [["ab", "cd"], ["long one", ""], [None], []]
    assert len(column.groups) == 1
    assert kinds(batch) == {"utf8": 1}


def test_booleans_of_one_octet_and_octets_of_an_illegal_length_are_two_groups() -> None:
    rows = [build.basic_list((276, 1), b"\x01", b"\x05"), build.basic_list((276, 2), b"\x01\x02")]
    column, batch = lists(BASIC, *rows)
    assert column.tolist() == [[True, None], [b"\x01\x02"]]
    assert kinds(batch) == {"boolean": 1}


@pytest.mark.parametrize("semantic", [5, 17, 254])
def test_a_semantic_without_a_name_is_kept_as_a_number(semantic: int) -> None:
    column, batch = lists(BASIC, build.basic_list((14, 4), build.uint(1), semantic=semantic))
    assert column.semantics.tolist() == [semantic]
    assert full(batch, "basicList")[0]["semantic"] == semantic


def test_a_sub_template_list_of_records() -> None:
    tcp = [build.uint(n) + build.uint(n, 1) for n in range(3)]
    names = [build.var(b"a") + build.uint(7), build.var(b"") + build.uint(8)]
    column, batch = lists(
        SUB,
        build.sub_template_list(300, *tcp),
        build.sub_template_list(301, *names, semantic=build.UNDEFINED),
        build.sub_template_list(300),
    )
    tcp_rows = [{"tcpSequenceNumber": n, "tcpControlBits": n} for n in range(3)]
    name_rows = [{"interfaceName": "a", "ingressInterface": 7}, {"interfaceName": "", "ingressInterface": 8}]
    assert column.tolist() == [tcp_rows, name_rows, []]
    assert full(batch, "subTemplateList") == [
        {"semantic": "allOf", "template": 300, "items": tcp_rows},
        {"semantic": "undefined", "template": 301, "items": name_rows},
        {"semantic": "allOf", "template": 300, "items": []},
    ]


def test_a_multi_list_keeps_its_groups_in_order() -> None:
    tcp = [build.uint(n) + build.uint(n, 1) for n in range(4)]
    name = build.var(b"a") + build.uint(7)
    value = build.sub_template_multi_list(
        build.group(300, tcp[0]), build.group(301, name), build.group(300, tcp[1], tcp[2]), build.group(301)
    )
    column, batch = lists(
        MULTI, value, build.sub_template_multi_list(), build.sub_template_multi_list(build.group(300, tcp[3]))
    )
    rows = [{"tcpSequenceNumber": n, "tcpControlBits": n} for n in range(4)]
    names = [{"interfaceName": "a", "ingressInterface": 7}]
    assert isinstance(column, MultiLists)
    assert repr(column).startswith("<MultiLists: ")
    assert column.tolist() == [{300: rows[:3], 301: names}, {}, {300: rows[3:]}]
    assert full(batch, "subTemplateMultiList") == [
        {
            "semantic": "allOf",
            "groups": [
                {"template": 300, "items": rows[:1]},
                {"template": 301, "items": names},
                {"template": 300, "items": rows[1:3]},
                {"template": 301, "items": []},
            ],
        },
        {"semantic": "allOf", "groups": []},
        {"semantic": "allOf", "groups": [{"template": 300, "items": rows[3:]}]},
    ]


def test_rows_of_many_chunks_keep_their_lists() -> None:
    count = 5000
    values = [
        build.sub_template_multi_list(
            *(build.group(301, *[build.var(str(n).encode()) + build.uint(n)] * (n % 3)) for _ in range(n % 4))
        )
        for n in range(count)
    ]
    rows = [build.var(value) + b"\x06" for value in values]
    head = message([MULTI, (4, 1)], templates=INNER)
    parts = [build.message(build.data_set(TEMPLATE, *rows[at : at + 500]), sequence=at) for at in range(0, count, 500)]
    batch = one(head, *parts)
    for n, row in enumerate(batch.rows(lists="full")):
        record = {"interfaceName": str(n), "ingressInterface": n}
        group = {"template": 301, "items": [record] * (n % 3)}
        assert row["subTemplateMultiList"]["groups"] == [group] * (n % 4)


def test_a_template_inside_itself_is_a_tree() -> None:
    def node(number: int, *children: bytes) -> bytes:
        return build.uint(number) + build.var(build.sub_template_list(302, *children))

    def shown(number: int, *children: Any) -> dict[str, Any]:
        return {"ingressInterface": number, "subTemplateList": list(children)}

    value = build.sub_template_list(302, node(1, node(2, node(3)), node(4)), node(5))
    column, _ = lists(SUB, value, build.sub_template_list(302), value)
    tree = [shown(1, shown(2, shown(3)), shown(4)), shown(5)]
    assert column.tolist() == [tree, [], tree]


def test_lists_of_lists_of_different_kinds() -> None:
    path = build.basic_list((16, 4), build.uint(10), build.uint(20), semantic=build.ORDERED)
    either = build.basic_list((16, 2), build.uint(50, 2), semantic=build.EXACTLY_ONE_OF)
    column, batch = lists(BASIC, build.basic_list(BASIC, build.var(path), build.var(either)), path)
    assert column.tolist() == [[[10, 20], [50]], [10, 20]]
    outer = full(batch, "basicList")[0]
    assert outer["element"] == "basicList"
    assert [item["semantic"] for item in outer["items"]] == ["ordered", "exactlyOneOf"]


def test_a_list_field_of_fixed_length() -> None:
    value = build.basic_list((14, 4), build.uint(1), build.uint(2))
    batch = one(message([(4, 1), (291, len(value)), (5, 1)], b"\x06" + value + b"\x07", b"\x06" + value + b"\x08"))
    assert list(batch.tuples()) == [(6, [1, 2], 7), (6, [1, 2], 8)]


def test_lists_in_scope_fields_of_options() -> None:
    head = build.options_template_set(build.options_template(256, BASIC, (41, 8), scope=1))
    record = build.var(build.basic_list((14, 4), build.uint(9))) + build.uint(5, 8)
    batch = one(build.message(head, build.data_set(256, record)))
    assert list(batch.rows()) == [{"basicList": [9], "exportedMessageTotalCount": 5}]
    assert batch.template.scope_count == 1


def test_the_definition_in_force_is_the_one_used() -> None:
    def head(first: build.FieldSpec) -> bytes:
        return build.template_set(build.template(300, first), build.template(256, SUB))

    data = build.data_set(256, build.var(build.sub_template_list(300, build.uint(7))))
    found = batches(build.message(head((10, 4)), data, head((14, 4)), data))
    assert [row for batch in found for (row,) in batch.tuples()] == [
        [{"ingressInterface": 7}],
        [{"egressInterface": 7}],
    ]


def test_addresses_inside_lists_follow_the_style() -> None:
    _, batch = lists(BASIC, build.basic_list((8, 4), build.ipv4("192.0.2.1")))
    assert next(batch.rows())["basicList"] == ["192.0.2.1"]
    assert next(batch.rows(addresses="raw"))["basicList"] == [0xC0000201]
    assert next(batch.tuples())[0] == [0xC0000201]


# ---------------------------------------------------------------- empty forms (RFC 6313 §4.5)


def test_an_empty_multi_list_has_one_octet_or_empty_groups() -> None:
    values = [b"\xff", b"\xff\x01\x2c\x00\x04", b"\x01\x01\x2c\x00\x00"]
    column, batch = lists(MULTI, *values)
    assert column.tolist() == [{}, {300: []}, {300: []}]
    assert [len(value["groups"]) for value in full(batch, "subTemplateMultiList")] == [0, 1, 1]
    assert batch.faults == ()


def test_only_empty_multi_lists() -> None:
    column, _ = lists(MULTI, b"\xff", b"\x03")
    assert column.tolist() == [{}, {}]
    assert column.semantics.tolist() == [255, 3]


def test_an_empty_printed_group_stays_in_its_place() -> None:
    tcp = build.group(300, build.uint(1) + b"\x02")
    values = [
        build.sub_template_multi_list(tcp),
        build.sub_template_multi_list(tcp) + b"\x01\x2c\x00\x00",
        build.sub_template_multi_list(tcp),
    ]
    column, batch = lists(MULTI, *values)
    assert column.tolist() == [{300: [{"tcpSequenceNumber": 1, "tcpControlBits": 2}]}] * 3
    assert [len(value["groups"]) for value in full(batch, "subTemplateMultiList")] == [1, 2, 1]


# ---------------------------------------------------------------- malformed

GOOD = {
    BASIC: (build.basic_list((14, 4), build.uint(1)), [1]),
    SUB: (build.sub_template_list(300, build.uint(1) + b"\x02"), [{"tcpSequenceNumber": 1, "tcpControlBits": 2}]),
    MULTI: (
        build.sub_template_multi_list(build.group(300, build.uint(1) + b"\x02")),
        {300: [{"tcpSequenceNumber": 1, "tcpControlBits": 2}]},
    ),
}

MALFORMED = [
    pytest.param(BASIC, b"", "bad_list", id="no header at all"),
    pytest.param(BASIC, b"\x03\x00\x0e", "bad_list", id="header cut short"),
    pytest.param(BASIC, b"\x03\x80\x0e\x00\x04\x00\x00", "bad_list", id="enterprise number cut short"),
    pytest.param(BASIC, b"\x03\x00\x0e\x00\x00abcd", "bad_list", id="elements of no octets"),
    pytest.param(BASIC, b"\x03\x00\x0e\x00\x04" + bytes(7), "bad_list", id="last element cut short"),
    pytest.param(BASIC, b"\x03\x00\x52\xff\xff\x05ab", "bad_list", id="last text cut short"),
    pytest.param(SUB, b"", "bad_list", id="no template id at all"),
    pytest.param(SUB, b"\x03\x01", "bad_list", id="template id cut short"),
    pytest.param(SUB, b"\x03\x01\x2c" + bytes(6), "bad_list", id="last record cut short"),
    pytest.param(SUB, b"\x03\x01\x2d\x03ab", "bad_list", id="last variable record cut short"),
    pytest.param(SUB, b"\x03\x01\x2fabcd", "bad_list", id="records of no octets"),
    pytest.param(SUB, b"\x03\x03\xe7abcd", "list_template", id="unknown template"),
    pytest.param(MULTI, b"", "bad_list", id="no semantic at all"),
    pytest.param(MULTI, b"\x03\x01\x2c\x00\x03c", "bad_list", id="group length 3"),
    pytest.param(MULTI, b"\x03\x01\x2c\x00\x63\x01", "bad_list", id="group beyond the list"),
    pytest.param(MULTI, b"\x03\x01\x2c\x00\x00\x01\x2c\x00\x05\x07", "bad_list", id="group length 0 in the middle"),
    pytest.param(MULTI, b"\x03\x01\x2c\x00\x09\x00\x00\x00\x01\x02\x01", "bad_list", id="octets after the last group"),
    pytest.param(MULTI, b"\x03\x01\x2c\x00\x0a" + bytes(6), "bad_list", id="group with half a record"),
    pytest.param(MULTI, b"\x03\x01\x2f\x00\x06ab", "bad_list", id="group of records of no octets"),
    pytest.param(
        MULTI, b"\x03\x01\x2c\x00\x09\x00\x00\x00\x01\x02\x03\xe7\x00\x04", "list_template", id="one unknown group"
    ),
]


@pytest.mark.parametrize(("kind", "octets", "fault"), MALFORMED)
def test_a_malformed_list_is_null_and_the_others_are_not(kind: build.FieldSpec, octets: bytes, fault: str) -> None:
    good, value = GOOD[kind]  # type: ignore[index]
    column, batch = lists(kind, good, octets, good, octets)
    assert column.tolist() == [value, None, value, None]
    assert kinds(batch) == {fault: 2}
    assert [column.raw(k) for k in range(4)] == [None, octets, None, octets]
    assert column.null_count == 2
    first = batch.faults[0]
    assert first.offset > 0
    assert next(iter(batch.rows(lists="full"))) is not None


@pytest.mark.parametrize(("kind", "octets", "fault"), MALFORMED)
def test_only_malformed_lists_are_all_null(kind: build.FieldSpec, octets: bytes, fault: str) -> None:
    column, batch = lists(kind, octets, octets)
    assert column.tolist() == [None, None]
    assert kinds(batch) == {fault: 2}
    assert [column.raw(k) for k in range(2)] == [octets, octets]


def test_several_ways_to_be_malformed_in_one_batch() -> None:
    good, value = GOOD[MULTI]
    bad = [b"", b"\x03\x01\x2c\x00\x03c", b"\x03\x03\xe7\x00\x04", b"\x03\x01\x2c\x00\x0a" + bytes(6)]
    order = [good, bad[0], good, bad[1], bad[2], bad[3], good]
    column, batch = lists(MULTI, *order)
    assert column.tolist() == [value, None, value, None, None, None, value]
    assert kinds(batch) == {"bad_list": 3, "list_template": 1}
    assert [column.raw(k) for k in (1, 3, 4, 5)] == bad


def test_the_offset_of_a_fault_is_that_of_the_list() -> None:
    good = GOOD[BASIC][0]
    data = build.data_set(256, build.var(good), build.var(b"\x03"))
    head = build.message(build.template_set(build.template(256, BASIC)))
    batch = one(head, build.message(data))
    assert [f.offset for f in batch.faults] == [len(head) + 16 + 4 + 1 + len(good) + 1]


def test_salvage_keeps_the_whole_items() -> None:
    rows = [b"\x03\x00\x0e\x00\x04" + build.uint(7) + bytes(3), GOOD[BASIC][0]]
    column, batch = lists(BASIC, *rows, salvage=True)
    assert column.tolist() == [[7], [1]]
    assert kinds(batch) == {"bad_list": 1}
    column, batch = lists(SUB, b"\x03\x01\x2d" + build.var(b"a") + build.uint(1) + b"\x09ab", salvage=True)
    assert column.tolist() == [[{"interfaceName": "a", "ingressInterface": 1}]]
    assert kinds(batch) == {"bad_list": 1}


def test_salvage_does_not_loop_over_nothing() -> None:
    column, batch = lists(BASIC, b"\x03\x00\x0e\x00\x00abcd", salvage=True)
    assert column.tolist() == [None]
    assert kinds(batch) == {"bad_list": 1}


# ---------------------------------------------------------------- limits


def nested(levels: int) -> bytes:
    value = build.basic_list((14, 4), build.uint(1))
    for _ in range(levels - 1):
        value = build.basic_list(BASIC, build.var(value))
    return value


def depth_of(value: Any) -> int:
    levels = 0
    while isinstance(value, list):
        levels, value = levels + 1, value[0]
    return levels


def test_lists_are_read_to_the_depth_limit() -> None:
    column, batch = lists(BASIC, nested(16))
    assert depth_of(column[0]) == 16
    assert batch.faults == ()


@pytest.mark.parametrize("levels", [17, 200])
def test_what_is_deeper_than_the_limit_is_null(levels: int) -> None:
    column, batch = lists(BASIC, nested(levels))
    assert depth_of(column[0]) == 16
    assert kinds(batch) == {"depth_limit": 1}


def test_a_depth_limit_of_zero_reads_no_lists() -> None:
    column, batch = lists(BASIC, nested(1), limits=Limits(list_depth=0))
    assert column.tolist() == [None]
    assert column.raw(0) == nested(1)
    assert kinds(batch) == {"depth_limit": 1}


def test_a_list_of_more_items_than_the_limit_is_null() -> None:
    rows = [build.basic_list((4, 1), bytes(n)) for n in (3, 4, 2)]
    column, batch = lists(BASIC, *rows, limits=Limits(list_elements=3))
    assert column.tolist() == [[0, 0, 0], None, [0, 0]]
    assert column.raw(1) == rows[1]
    assert kinds(batch) == {"element_limit": 1}


def test_more_kinds_of_content_than_a_batch_may_have_are_null() -> None:
    count = 3000
    rows = [build.var(build.basic_list((1 + n, 1, 32473), b"\x01")) + b"\x06" for n in range(count)]
    batch = one(message([BASIC, (4, 1)], *rows))
    column = batch.columns["basicList"]
    assert isinstance(column, Lists)
    assert kinds(batch) == {"element_limit": column.null_count}
    assert 1000 < column.null_count < 2000
    assert column.raw(count - 1) == build.basic_list((count, 1, 32473), b"\x01")
