from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headwater.model.element import InformationElement, Semantics, is_name
from headwater.model.registry import IANA, Registry
from headwater.model.type_information import is_pair, type_information
from headwater.model.types import DataType, Value
from tests.model.vectors import case_named


def record(**values: Value) -> dict[str, Any]:
    """A type information record of one own element; a value of ... takes the column away."""
    columns = {
        "privateEnterpriseNumber": 35566,
        "informationElementId": 7,
        "informationElementDataType": DataType.UNSIGNED32.code,
        "informationElementSemantics": int(Semantics.DELTA_COUNTER),
        "informationElementName": "myCount",
    }
    return {name: value for name, value in (columns | values).items() if value is not ...}


def test_a_record_describes_an_element() -> None:
    found = type_information(
        record(
            informationElementUnits=2,
            informationElementRangeBegin=1,
            informationElementRangeEnd=9,
            informationElementDescription="octets counted",
        ),
        IANA,
    )
    assert found == InformationElement(35566, 7, "myCount", DataType.UNSIGNED32, 3, 2, (1, 9))


def test_the_enterprise_bit_of_the_number_is_ignored() -> None:
    """RFC 5610 §3.3: "the Enterprise bit … MUST be ignored"."""
    found = type_information(record(informationElementId=0x8007), IANA)
    assert isinstance(found, InformationElement)
    assert found.key == (35566, 7)


def test_no_enterprise_number_means_iana() -> None:
    for pen in (0, ...):
        found = type_information(record(privateEnterpriseNumber=pen, informationElementId=30000), IANA)
        assert isinstance(found, InformationElement)
        assert found.key == (0, 30000)


def test_the_vector_of_the_rfc_is_learned() -> None:
    case = case_named("RFC5610-A")
    records = [dict(e["values"]) for e in case["expect"]["events"] if e["ev"] == "record" and e["tid"] == 257]
    found = [type_information(r, IANA) for r in records]
    assert [
        [e.pen, e.id, e.name, e.type.label, e.semantics_name] for e in found if isinstance(e, InformationElement)
    ] == case["expect"]["learned"]


def test_what_is_known_already_teaches_nothing() -> None:
    own = {"privateEnterpriseNumber": 0, "informationElementId": 1, "informationElementDataType": 4}
    assert type_information(record(**own, informationElementName="whatever"), IANA) is None


def test_the_own_model_is_never_overridden() -> None:
    own = {"privateEnterpriseNumber": 0, "informationElementId": 1, "informationElementDataType": 3}
    found = type_information(record(**own), IANA)
    assert found == "type information for 0/1 says unsigned32, but octetDeltaCount is unsigned64"


def test_a_record_that_contradicts_an_earlier_one_is_refused() -> None:
    first = type_information(record(), IANA)
    assert isinstance(first, InformationElement)
    learned = IANA.extend([first])
    assert type_information(record(), learned) is None
    again = type_information(record(informationElementDataType=DataType.UNSIGNED64.code), learned)
    assert isinstance(again, str)
    assert "myCount is unsigned32" in again


@pytest.mark.parametrize(
    "values",
    [
        {"informationElementId": None},
        {"informationElementId": ...},
        {"informationElementId": b"\0\7"},
        {"informationElementId": 0},
        {"informationElementId": 0x8000},
        {"informationElementDataType": None},
        {"informationElementDataType": ...},
        {"informationElementSemantics": None},
        {"privateEnterpriseNumber": None},
        {"informationElementName": None},
        {"informationElementName": "a\0b"},
        {"informationElementName": b"octets"},
        {"informationElementDescription": None},
        {"informationElementDescription": "a\0b"},
        {"informationElementDataType": DataType.STRING.code},
        {"informationElementDataType": DataType.FLOAT32.code, "informationElementSemantics": 4},
        {"informationElementDataType": DataType.SIGNED8.code, "informationElementSemantics": 5},
        {"informationElementSemantics": 6},
        {"informationElementDataType": DataType.BASIC_LIST.code, "informationElementSemantics": 1},
        {"informationElementDataType": DataType.SECONDS.code, "informationElementSemantics": 1},
    ],
)
def test_what_makes_no_sense_is_refused_in_a_sentence(values: dict[str, Any]) -> None:
    found = type_information(record(**values), IANA)
    assert isinstance(found, str)
    assert found.startswith("type information")


@pytest.mark.parametrize(
    ("name", "stored"),
    [
        ("__class__", "class"),
        ("../x", "x"),
        ("x" * 60_000, "x" * 1024),
        ("octetDeltaCount", "_35566_7"),
        ("reverseOctetDeltaCount", "_35566_7"),
        ("_0_8", "ie_0_8"),
        ("", "_35566_7"),
        ("流量", "_35566_7"),
        (..., "_35566_7"),
        ("Timestamp", "Timestamp"),  # other enterprises use it; a template that has both tells them apart
    ],
)
def test_a_name_is_made_harmless(name: Value, stored: str) -> None:
    found = type_information(record(informationElementName=name), IANA)
    assert isinstance(found, InformationElement)
    assert found.name == stored
    assert IANA.extend([found]).named("octetDeltaCount").key == (0, 1)


def test_an_unknown_type_is_octets_and_its_semantics_are_kept() -> None:
    found = type_information(record(informationElementDataType=99, informationElementSemantics=5), IANA)
    assert found == InformationElement(35566, 7, "myCount", DataType.OCTET_ARRAY, 5)


@pytest.mark.parametrize(("low", "high"), [(0, 0), (9, 1), (1, None), (None, 1), (..., 1), (b"\1", 2)])
def test_a_range_that_says_nothing_is_left_out(low: Value, high: Value) -> None:
    found = type_information(record(informationElementRangeBegin=low, informationElementRangeEnd=high), IANA)
    assert isinstance(found, InformationElement)
    assert found.range is None


def test_every_pair_the_iana_registry_uses_for_numbers_and_lists_is_allowed() -> None:
    """RFC 5610 §3.10; IANA itself says counters and identifiers of a few octet arrays and signed numbers."""
    for element in IANA:
        if element.pen == 0 and (element.type.is_unsigned or element.type.is_list):
            assert is_pair(element.type, element.semantics), element


def test_every_type_may_have_default_semantics_and_numbers_nobody_knows() -> None:
    assert all(is_pair(t, 0) and is_pair(t, 200) for t in DataType)


@given(
    st.dictionaries(
        st.sampled_from(
            [
                "privateEnterpriseNumber",
                "informationElementId",
                "informationElementDataType",
                "informationElementName",
                "informationElementSemantics",
                "informationElementUnits",
                "informationElementRangeBegin",
                "informationElementRangeEnd",
                "informationElementDescription",
            ]
        ),
        st.none() | st.integers(0, 2**16) | st.text(max_size=20) | st.binary(max_size=8),
    )
)
def test_any_record_is_learned_or_refused(values: dict[str, Any]) -> None:
    found = type_information(values, Registry())
    if isinstance(found, InformationElement):
        assert is_name(found.name)
        assert Registry().extend([found]).get(*found.key) == found
