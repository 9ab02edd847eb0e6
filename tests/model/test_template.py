from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headwater.errors import DecodeError, UnknownElement
from headwater.model.element import InformationElement
from headwater.model.iespec import parse_iespec
from headwater.model.registry import IANA, Registry
from headwater.model.template import Field, Template, parse_template
from headwater.model.types import VARIABLE, DataType


def test_a_template_is_written_as_iespecs() -> None:
    template = Template.of(256, "sourceIPv4Address", "octetDeltaCount[4]", "myElement(35566/1)<string>")
    assert [(f.element.key, f.length) for f in template.fields] == [((0, 8), 4), ((0, 1), 4), ((35566, 1), VARIABLE)]
    assert template.id == 256
    assert template.scope_count == 0
    assert template.min_length == 9
    assert template.has_variable
    assert not template.has_lists


def test_fields_elements_and_specs_are_taken_too() -> None:
    element = IANA.get(0, 8)
    field = Field(element, 4)
    assert Template.of(256, element) == Template.of(256, field) == Template.of(256, parse_iespec("(8)", IANA))


def test_scope_is_given_as_a_count_or_in_the_specs() -> None:
    counted = Template.of(257, "templateId", "octetDeltaCount", scope=1)
    marked = Template.of(257, "templateId{scope}", "octetDeltaCount")
    assert counted.scope_count == marked.scope_count == 1
    assert counted == marked
    assert Template.of(257, "templateId{scope}", "octetDeltaCount", scope=1) == marked


@pytest.mark.parametrize(
    ("specs", "scope"),
    [
        (["octetDeltaCount", "templateId{scope}"], 0),
        (["templateId{scope}", "octetDeltaCount"], 2),
        (["templateId"], 2),
        (["templateId"], -1),
    ],
)
def test_scope_fields_that_are_not_the_first_ones_are_refused(specs: list[str], scope: int) -> None:
    with pytest.raises(DecodeError, match="scope"):
        Template.of(257, *specs, scope=scope)


def test_a_wrong_name_is_answered_with_the_right_one() -> None:
    with pytest.raises(UnknownElement, match="did you mean 'octetDeltaCount'"):
        Template.of(256, "octetDeltacount")


def test_names_come_from_the_registry_that_is_given() -> None:
    registry = Registry([InformationElement(35566, 1, "mine", DataType.STRING)])
    assert Template.of(256, "mine", registry=registry).fields[0].element.pen == 35566
    with pytest.raises(UnknownElement):
        Template.of(256, "octetDeltaCount", registry=registry)


def test_equality_is_wire_meaning() -> None:
    known = Template.of(256, "octetDeltaCount[4]", "myElement(35566/1)<string>")
    unknown = Template(999, (Field(Registry().get(0, 1), 4), Field(IANA.get(35566, 1), VARIABLE)))
    assert known == unknown
    assert hash(known) == hash(unknown)
    assert known != Template.of(256, "octetDeltaCount[8]", "myElement(35566/1)<string>")
    assert known != dataclasses.replace(known, scope_count=1)
    assert known != "octetDeltaCount"
    assert Field(IANA.get(0, 1), 4) == Field(Registry().get(0, 1), 4)
    assert hash(Field(IANA.get(0, 1), 4)) == hash(Field(Registry().get(0, 1), 4))
    assert Field(IANA.get(0, 1), 4) != Field(IANA.get(0, 1), 8)
    assert Field(IANA.get(0, 1), 4) != 4


def test_fields_and_templates_do_not_change() -> None:
    template = Template.of(256, "octetDeltaCount")
    with pytest.raises(dataclasses.FrozenInstanceError):
        template.id = 1  # type: ignore[misc]
    with pytest.raises(dataclasses.FrozenInstanceError):
        template.fields[0].length = 1  # type: ignore[misc]


def test_a_field_knows_whether_its_length_is_legal() -> None:
    assert Field(IANA.get(0, 1), 3).is_legal
    assert not Field(IANA.get(0, 8), 3).is_legal
    field = Field(IANA.get(0, 82), VARIABLE)
    assert field.is_variable
    assert (field.name, field.type) == ("interfaceName", DataType.STRING)
    assert str(field) == "interfaceName(82)<string>[v]"


def test_lists_are_seen() -> None:
    assert Template.of(256, "octetDeltaCount", "basicList").has_lists
    assert not Template.of(256, "octetDeltaCount").has_variable


def test_a_template_without_fields_is_empty() -> None:
    withdrawal = Template(256, ())
    assert (withdrawal.column_names, withdrawal.min_length, str(withdrawal)) == ((), 0, "")


def test_repeated_elements_are_numbered_in_order() -> None:
    """RFC 7011 §8: the same Information Element may occur several times, and the order matters."""
    template = Template.of(256, "octetDeltaCount", "interfaceName", "octetDeltaCount[4]", "octetDeltaCount")
    assert template.column_names == ("octetDeltaCount", "interfaceName", "octetDeltaCount#2", "octetDeltaCount#3")


def test_another_element_with_the_same_name_gets_its_stable_name() -> None:
    template = Template.of(256, "(0/61)", "(9789/4)", "(0/61)", "(9789/4)")
    assert template.column_names == ("flowDirection", "_9789_4", "flowDirection#2", "_9789_4#2")


def test_column_names_differ_even_if_elements_are_named_by_malice() -> None:
    elements = [(1, "x"), (2, "_5_3"), (3, "x"), (4, "__5_3"), (3, "x")]
    fields = tuple(Field(InformationElement(5, id, name, DataType.STRING), 1) for id, name in elements)
    names = Template(256, fields).column_names
    assert len(set(names)) == len(names)
    assert names[0] == "x"


@given(st.lists(st.tuples(st.sampled_from([0, 5, 29305]), st.integers(1, 6)), max_size=30))
def test_column_names_are_as_many_as_fields_and_all_different(keys: list[tuple[int, int]]) -> None:
    registry = IANA.extend([InformationElement(5, i, "octetDeltaCount", DataType.STRING) for i in (1, 2)])
    template = Template(256, tuple(Field(registry.get(*key), 1) for key in keys))
    assert len(template.column_names) == len(set(template.column_names)) == len(keys)


def test_a_template_of_the_most_fields_a_message_can_hold_is_named() -> None:
    element = IANA.get(0, 1)
    names = Template(256, tuple(Field(element, 8) for _ in range(16370))).column_names
    assert names[-1] == "octetDeltaCount#16370"


def test_the_text_of_a_template_is_read_back() -> None:
    template = Template.of(300, "observationDomainId{scope}", "interfaceName", "mine(35566/1)<float64>[4]")
    text = str(template)
    assert text.splitlines()[0] == "observationDomainId(149)<unsigned32>[4]{scope}"
    again = parse_template(text, 300)
    assert again == template
    assert again.id == 300
    assert again.column_names == template.column_names


def test_a_template_file_may_have_comments() -> None:
    assert parse_template("# flows\noctetDeltaCount\n\npacketDeltaCount[4]\n").min_length == 12
