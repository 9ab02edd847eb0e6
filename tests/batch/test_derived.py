"""Derived columns: where they stand, what they are made of, and that nothing of it shows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from headwater.batch import Decoder, derived
from headwater.batch.derived import DERIVED, Derived, field_of
from headwater.batch.facts import FACTS
from headwater.batch.lists import Values
from headwater.batch.records import Job
from headwater.errors import HeadwaterError, UnknownElement
from headwater.model import registry as registries
from headwater.model.element import NETFLOW_PADDING
from headwater.model.template import Field, Template
from headwater.model.types import DataType
from tests import build
from tests.batch.made import Made, data_sets
from tests.batch.source import batches, field, kinds, message, one

PORTS = [field("sourceTransportPort"), field("destinationTransportPort"), field("octetDeltaCount")]
ROWS = [build.uint(port, 2) + build.uint(port + 1, 2) + build.uint(port * 10, 8) for port in (1, 2, 3)]
CALLS: list[str] = []


def _ports(template: Template) -> tuple[int, ...] | None:
    CALLS.append("sources")
    first, second = field_of(template, 7), field_of(template, 11)
    return None if first is None or second is None else (first, second)


def _sum(job: Job, count: int, template: Template, values: list[Values]) -> Values:
    CALLS.append("make")
    first, second = values
    assert isinstance(first, np.ndarray)
    assert isinstance(second, np.ndarray)
    both: Any = first.astype(np.uint64) + second
    job.memo["sum"] = both
    return both  # type: ignore[no-any-return]


def _twice(job: Job, count: int, template: Template, values: list[Values]) -> Values:
    twice: Any = job.memo["sum"] * 2
    return twice  # type: ignore[no-any-return]


def _number(job: Job, count: int, template: Template, values: list[Values]) -> Values:
    assert values == []
    return np.arange(count, dtype=np.uint64)


@pytest.fixture(autouse=True)
def own(monkeypatch: pytest.MonkeyPatch) -> None:
    CALLS.clear()
    by_name = {
        "portSum": Derived("portSum", DataType.UNSIGNED64, _ports, _sum),
        "portSumTwice": Derived("portSumTwice", DataType.UNSIGNED64, _ports, _twice),
        "number": Derived("number", DataType.UNSIGNED64, lambda template: (), _number),
    }
    monkeypatch.setitem(vars(derived.DERIVED), "_by_name", dict(DERIVED) | by_name)


def test_a_derived_column_comes_after_the_fields_and_before_the_provenance() -> None:
    batch = one(message(PORTS, *ROWS), decoder=Decoder(provenance=["templateId"], derived=["portSum"]))
    assert [column.name for column in batch.schema][-3:] == ["octetDeltaCount", "portSum", "templateId"]
    assert list(batch.tuples()) == [(1, 2, 10, 3, 256), (2, 3, 20, 5, 256), (3, 4, 30, 7, 256)]
    assert batch.schema["portSum"].element is None
    assert batch.schema["portSum"].length is None


def test_what_it_is_made_of_is_read_but_is_no_column() -> None:
    batch = one(message(PORTS, *ROWS), decoder=Decoder(["portSum", "octetDeltaCount"]))
    assert list(batch.rows()) == [
        {"portSum": 3, "octetDeltaCount": 10},
        {"portSum": 5, "octetDeltaCount": 20},
        {"portSum": 7, "octetDeltaCount": 30},
    ]
    assert len(batch.columns) == len(batch.schema) == 2


def test_columns_that_are_there_are_not_read_twice() -> None:
    decoder = Decoder(["portSum", "sourceTransportPort"])
    one(message(PORTS, *ROWS), decoder=decoder)
    plan = next(iter(decoder._plans._by_content.values()))[1]
    assert plan.width == 3
    assert len(plan.rows) == 2


def test_derived_columns_share_a_memo() -> None:
    batch = one(message(PORTS, *ROWS), decoder=Decoder(["portSum", "portSumTwice", "number"]))
    assert list(batch.tuples()) == [(3, 6, 0), (5, 10, 1), (7, 14, 2)]


def test_a_template_without_the_sources_has_nulls_and_the_same_schema() -> None:
    decoder = Decoder(["portSum"])
    batch = one(message([field("octetDeltaCount")], bytes(8)), decoder=decoder)
    assert list(batch.tuples()) == [(None,)]
    assert batch.schema == decoder.schema
    assert "make" not in CALLS


def test_a_source_of_illegal_length_is_none() -> None:
    fields = [field("sourceTransportPort"), field("destinationTransportPort", 3)]
    assert list(one(message(fields, bytes(5)), decoder=Decoder(["portSum"])).tuples()) == [(None,)]


def test_sources_are_asked_for_once_per_template_content() -> None:
    decoder = Decoder(["portSum"])
    for _ in range(3):
        one(message(PORTS, *ROWS), decoder=decoder)
    assert CALLS == ["sources", "make", "make", "make"]


def test_nobody_asks_for_derived_columns_nothing_is_done() -> None:
    decoder = Decoder()
    one(message(PORTS, *ROWS), decoder=decoder)
    plan = next(iter(decoder._plans._by_content.values()))[1]
    assert plan.derived == ()
    assert plan.slots is None
    assert CALLS == []


def test_records_with_variable_fields_have_derived_columns_too() -> None:
    fields = [field("interfaceName"), *PORTS]
    rows = [build.var(b"x" * k) + row for k, row in enumerate(ROWS)]
    batch = one(message(fields, *rows), decoder=Decoder(["interfaceName", "portSum"]))
    assert list(batch.tuples()) == [("", 3), ("x", 5), ("xx", 7)]


def test_a_name_that_is_taken_gets_a_number() -> None:
    decoder = Decoder(["portSum", "templateId"], ["templateId"], derived=["portSum"])
    assert decoder.schema is not None
    assert decoder.schema.names == ("portSum", "templateId", "portSum#2", "templateId#2")
    assert list(one(message(PORTS, ROWS[0]), decoder=decoder).tuples()) == [(3, 256, 3, 256)]


def test_faults_of_hidden_columns_are_told_once() -> None:
    fields = [field("flowStartMilliseconds"), field("octetDeltaCount")]
    octets = message(fields, build.uint(2**63, 8) + bytes(8))
    assert kinds(one(octets, decoder=Decoder(["octetDeltaCount"]))) == {}
    hidden = kinds(one(octets, decoder=Decoder(["flowStart"])))
    assert hidden == kinds(one(octets, decoder=Decoder(derived=["flowStart"])))
    assert sum(hidden.values()) == 1


def test_a_selected_field_of_another_type_is_not_taken_for_the_source() -> None:
    session_names = registries.IANA
    element = session_names.named("sourceTransportPort")
    own = session_names.extend([type(element)(0, 7, "sourceTransportPort", DataType.SIGNED16)])
    batch = one(message(PORTS, ROWS[0]), decoder=Decoder(["sourceTransportPort", "portSum"], registry=own))
    assert list(batch.tuples()) == [(1, 3)]
    assert isinstance(batch["sourceTransportPort"], np.ndarray)
    assert batch["sourceTransportPort"].dtype == np.int16


@pytest.mark.parametrize("names", ["flowStart", ["flowstart"], [7]])
def test_a_derived_name_that_does_not_exist_is_refused(names: Any) -> None:
    with pytest.raises(HeadwaterError) as caught:
        Decoder(derived=names)
    if names == ["flowstart"]:
        assert isinstance(caught.value, UnknownElement)
        assert "flowStart" in caught.value.suggestions


def test_names_of_derived_columns_are_not_those_of_facts() -> None:
    assert not DERIVED.keys() & FACTS.keys()
    assert {"flowStart", "flowEnd", "flowDuration", "timeSource"} <= set(DERIVED)
    assert [one.name for one in DERIVED.values()] == list(DERIVED)


def test_a_field_counts_where_a_derived_column_has_the_name_of_its_element() -> None:
    octets = message([field("applicationName")], build.var(b"web"))
    batch = one(octets, decoder=Decoder(["applicationName"]))
    assert list(batch.tuples()) == [("web",)]
    assert batch.schema["applicationName"].element is not None
    (without,) = batches(message(PORTS, ROWS[0]), decoder=Decoder(["applicationName"]))
    assert list(without.tuples()) == [(None,)]


def test_unused_octets_of_netflow_are_no_columns_and_move_no_source() -> None:
    first, second = Template.of(256, "sourceTransportPort[1]", "destinationTransportPort").fields
    template = Template(256, (Field(NETFLOW_PADDING, 3), first, Field(NETFLOW_PADDING, 2), second))
    sets = data_sets(template, Made((b"pad\x05xx\x01\x00",), version=5))
    assert list(Decoder(["portSum"]).decode(sets).tuples()) == [(5 + 256,)]
    assert list(Decoder(derived=["portSum"]).decode(sets).tuples()) == [(5, 256, 261)]


def test_a_name_nobody_knows_brings_those_most_like_it_derived_ones_too() -> None:
    with pytest.raises(UnknownElement, match="did you mean 'flowStart'"):
        Decoder(select=["flowStar"])
    with pytest.raises(UnknownElement) as caught:
        Decoder(derived=["samplingRat"])
    assert caught.value.suggestions[0] == "samplingRate"
    assert "flowStart" not in caught.value.suggestions
