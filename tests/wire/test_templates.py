"""Template records and withdrawals, read and written."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headwater.errors import DecodeError, FaultKind
from headwater.model.registry import IANA
from headwater.model.template import VARIABLE, Field, Template
from headwater.wire.templates import TemplateRecord, read_templates, write_template, write_template_set
from tests import build as b

FIELDS = st.builds(
    Field,
    st.builds(IANA.get, st.sampled_from([0, b.DOCUMENTATION_PEN, b.REVERSE_PEN, 0xFFFF_FFFF]), st.integers(0, 0x7FFF)),
    st.integers(0, VARIABLE),
)
TEMPLATES = st.builds(Template, st.integers(256, 65535), st.lists(FIELDS, min_size=1, max_size=8).map(tuple))


def read(body: bytes, *, options: bool = False) -> list[TemplateRecord]:
    return list(read_templates(body, options=options))


def refused(body: bytes, *, options: bool = False) -> tuple[FaultKind | None, int]:
    with pytest.raises(DecodeError) as caught:
        read(body, options=options)
    return caught.value.kind, caught.value.offset


@given(st.lists(TEMPLATES, min_size=1, max_size=4))
def test_templates_round_trip(templates: list[Template]) -> None:
    octets = write_template_set(templates, options=False)
    assert octets[:4] == (2).to_bytes(2, "big") + len(octets).to_bytes(2, "big")
    found = read(octets[4:])
    assert [(r.id, r.scope_count, r.specifiers) for r in found] == [
        (t.id, 0, tuple((f.element.pen, f.element.id, f.length) for f in t.fields)) for t in templates
    ]
    assert (
        b"".join(octets[4 + r.at :][: len(write_template(t))] for r, t in zip(found, templates, strict=True))
        == octets[4:]
    )


@given(st.lists(TEMPLATES, min_size=1, max_size=4), st.data())
def test_options_templates_round_trip(templates: list[Template], data: st.DataObject) -> None:
    scoped = [Template(t.id, t.fields, data.draw(st.integers(1, len(t.fields)))) for t in templates]
    octets = write_template_set(scoped, options=True)
    assert octets[:2] == b"\0\3"
    found = read(octets[4:], options=True)
    assert [(r.id, r.scope_count, len(r.specifiers)) for r in found] == [
        (t.id, t.scope_count, len(t.fields)) for t in scoped
    ]


def test_what_is_written_is_what_the_builder_of_the_tests_writes() -> None:
    template = Template.of(
        256, "sourceIPv4Address", "octetDeltaCount[4]", "mine(35566/8)<unsigned64>[8]", "interfaceName"
    )
    fields = (8, 4), (1, 4), (8, 8, 35566), (82, VARIABLE)
    assert write_template(template) == b.template(256, *fields)
    options = Template(256, template.fields, 2)
    assert write_template_set([options], options=True) == b.options_template_set(
        b.options_template(256, *fields, scope=2)
    )


def test_a_record_without_fields_is_a_withdrawal() -> None:
    (record,) = read(b.withdrawal(300))
    assert record.is_withdrawal
    assert (record.id, record.specifiers) == (300, ())
    assert [r.id for r in read(b.withdrawal(2) + b.withdrawal(3))] == [2, 3]
    assert [r.id for r in read(b.withdrawal(300) + b.withdrawal(301), options=True)] == [300, 301]


@pytest.mark.parametrize("padding", [b"", b"\0", b"\0\0", b"\0\0\0", b"\0\0\0\0", bytes(9), b"\1\2\3"])
def test_what_is_too_short_for_a_record_or_zero_is_padding(padding: bytes) -> None:
    assert len(read(b.template(256, (8, 4)) + padding)) == 1
    assert len(read(b.options_template(256, (8, 4)) + padding, options=True)) == 1


@pytest.mark.parametrize("id", [0, 1, 4, 254, 255])
def test_a_reserved_template_id_is_refused(id: int) -> None:
    good = b.template(256, (8, 4))
    assert refused(good + b.template(id, (8, 4))) == (FaultKind.TEMPLATE_ID, len(good))


@pytest.mark.parametrize("id", [1, 4, 255])
def test_a_withdrawal_of_a_reserved_id_is_refused(id: int) -> None:
    assert refused(b.withdrawal(id)) == (FaultKind.TEMPLATE_ID, 0)


@pytest.mark.parametrize("options", [False, True])
def test_a_template_cut_anywhere_is_refused_before_it_is_padding(options: bool) -> None:
    make = b.options_template if options else b.template
    whole = make(256, (8, 4), (1, 8, 35566), (82, VARIABLE))
    for size in range(4, len(whole)):
        assert refused(whole[:size], options=options) == (FaultKind.TEMPLATE_OVERRUN, 0)


def test_a_claimed_count_is_checked_before_anything_is_read() -> None:
    assert refused(b.template(256, (8, 4), count=65535)) == (FaultKind.TEMPLATE_OVERRUN, 0)


@pytest.mark.parametrize(
    ("scope", "kind"), [(0, FaultKind.SCOPE_ZERO), (3, FaultKind.SCOPE_COUNT), (65535, FaultKind.SCOPE_COUNT)]
)
def test_a_scope_is_at_least_one_field_and_at_most_all(scope: int, kind: FaultKind) -> None:
    assert refused(b.options_template(256, (149, 4), (41, 8), scope=scope), options=True) == (kind, 0)


def test_the_records_before_a_broken_one_are_read() -> None:
    records = read_templates(b.template(256, (8, 4)) + b.template(257, (8, 4))[:6], options=False)
    assert next(records).id == 256
    with pytest.raises(DecodeError, match="Template 257 claims 1 fields"):
        next(records)
