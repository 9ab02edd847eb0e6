"""Plans are made once per Template content, and are forgotten before they are too many."""

from __future__ import annotations

import pytest

from headwater.batch import Decoder, plan
from headwater.batch.plan import Plans
from headwater.model import registry as registries
from headwater.model.element import InformationElement
from headwater.model.template import Template
from headwater.model.types import DataType
from headwater.session import DataSets, Session
from tests import build


def test_equal_templates_share_a_plan() -> None:
    plans = Plans()
    names = ("octetDeltaCount", "sourceIPv4Address")
    first, second = Template.of(256, *names), Template.of(300, *names)
    assert plans.of(first) is plans.of(first) is plans.of(second)
    assert plans.of(Template.of(256, "octetDeltaCount[4]")) is not plans.of(first)


def test_the_same_octets_with_another_meaning_have_another_plan() -> None:
    own = registries.IANA.extend([InformationElement(32473, 7, "myCounter", DataType.UNSIGNED32)])
    before, after = (Template.of(256, registry.get(32473, 7)) for registry in (registries.IANA, own))
    assert [type.label for type in (before.fields[0].type, after.fields[0].type)] == ["octetArray", "unsigned32"]
    plans = Plans()
    assert plans.of(before).schema.names == ("_32473_7",)
    assert plans.of(after).schema.names == ("myCounter",)


def test_plans_are_forgotten_before_they_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "_KEPT_FIELDS", 10)
    made: list[Template] = []

    def compile(template: Template) -> plan.Plan:
        made.append(template)
        return plan.compile_plan(template)

    plans = Plans(compile)
    templates = [Template.of(256, f"_32473_{n}") for n in range(1, 9)]
    for template in templates:
        plans.of(template)
    assert len(made) == 8
    plans.of(templates[-1])
    assert len(made) == 8
    plans.of(templates[0])
    assert len(made) == 9


def test_one_decoder_serves_many_sessions() -> None:
    decoder = Decoder()
    octets = b"".join(build.flows(10))
    for _ in range(3):
        (sets,) = [e for e in Session(transport="file").receive(octets) if isinstance(e, DataSets)]
        assert list(decoder.decode(sets).tuples()) == build.flow_values(10)


def test_metadata_tell_how_to_export_a_column_again() -> None:
    columns = plan.field_targets(Template.of(256, "octetDeltaCount[4]", "interfaceName", "_32473_7[3]"))
    assert columns[0].column.metadata == {
        "ipfix.type": "unsigned64",
        "ipfix.pen": "0",
        "ipfix.id": "1",
        "ipfix.name": "octetDeltaCount",
        "ipfix.semantics": "deltaCounter",
        "ipfix.units": "octets",
        "ipfix.length": "4",
    }
    assert columns[1].column.metadata["ipfix.length"] == "variable"
    assert columns[2].column.metadata["ipfix.pen"] == "32473"
