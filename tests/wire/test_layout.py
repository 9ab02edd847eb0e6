"""Where fields are inside a record."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from headwater.model.registry import IANA
from headwater.model.template import VARIABLE, Field, Template
from headwater.wire.layout import Layout

LENGTHS = st.lists(st.one_of(st.just(VARIABLE), st.integers(0, 20)), min_size=1, max_size=10)


def layout(*lengths: int) -> Layout:
    return Layout.of(Template(256, tuple(Field(IANA.get(0, 210), length) for length in lengths)))


def test_fixed_fields_stand_at_their_distance_from_the_start() -> None:
    found = layout(4, 2, 8)
    assert found.is_fixed
    assert found.gaps.tolist() == [14]
    assert found.cells == ((0, 0), (0, 4), (0, 6))
    assert found.least == 14


def test_after_a_variable_field_distances_count_from_its_end() -> None:
    found = layout(4, VARIABLE, 2, 1, VARIABLE, VARIABLE, 3)
    assert not found.is_fixed
    assert found.gaps.tolist() == [4, 3, 0, 3]
    assert found.cells == ((0, 0), (1, 0), (1, 0), (1, 2), (2, 0), (3, 0), (3, 0))
    assert found.least == 10 + 3


def test_the_longest_template_there_can_be_has_a_layout() -> None:
    found = layout(*[65534] * 16370)
    assert found.least == 65534 * 16370
    assert found.gaps.dtype == "int32"


@given(LENGTHS, st.data())
def test_cells_are_where_a_walk_over_a_record_finds_them(lengths: list[int], data: st.DataObject) -> None:
    found = layout(*lengths)
    at, anchors = 0, [0]
    for length, (anchor, delta) in zip(lengths, found.cells, strict=True):
        if length == VARIABLE:
            at += 1 + data.draw(st.integers(0, 5))
            anchors.append(at)
            assert (anchor, delta) == (len(anchors) - 1, 0)
        else:
            assert anchors[anchor] + delta == at
            at += length
    assert found.least == sum(1 if length == VARIABLE else length for length in lengths)
    assert int(found.gaps.sum()) == sum(length for length in lengths if length != VARIABLE)
