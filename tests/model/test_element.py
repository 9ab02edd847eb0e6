from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headwater.errors import EncodeError
from headwater.model.element import (
    NAME_LIMIT,
    InformationElement,
    Semantics,
    Units,
    clean_name,
    is_name,
    unknown_element,
    unknown_key,
    unknown_name,
)
from headwater.model.types import DataType

OCTETS = InformationElement(0, 1, "octetDeltaCount", DataType.UNSIGNED64, Semantics.DELTA_COUNTER, Units.OCTETS)


def test_an_element_says_its_semantics_and_units_in_the_words_of_the_registry() -> None:
    assert (OCTETS.semantics_name, OCTETS.units_name) == ("deltaCounter", "octets")
    words = InformationElement(5, 1, "x", DataType.UNSIGNED8, units=Units.FOUR_OCTET_WORDS)
    assert (words.semantics_name, words.units_name) == ("default", "4-octet words")


def test_numbers_nobody_has_registered_are_kept_and_shown_as_numbers() -> None:
    element = InformationElement(5, 1, "x", DataType.UNSIGNED8, semantics=77, units=99)
    assert (element.semantics_name, element.units_name) == ("77", "99")


def test_the_reverse_has_the_same_facts_under_pen_29305() -> None:
    """RFC 5103 §6.1."""
    reverse = OCTETS.reverse()
    assert (reverse.pen, reverse.id, reverse.name) == (29305, 1, "reverseOctetDeltaCount")
    assert (reverse.type, reverse.semantics, reverse.units) == (OCTETS.type, OCTETS.semantics, OCTETS.units)
    assert reverse.forward_key == OCTETS.key
    assert OCTETS.forward_key is None


def test_cert_reverses_its_own_elements_with_a_bit_of_the_id() -> None:
    flags = InformationElement(6871, 14, "initialTCPFlags", DataType.UNSIGNED16)
    assert flags.reverse().key == (6871, 14 | 0x4000)
    assert flags.reverse().name == "reverseInitialTCPFlags"
    assert flags.reverse().forward_key == flags.key


@pytest.mark.parametrize(
    "element",
    [
        InformationElement(0, 145, "templateId", DataType.UNSIGNED16),
        InformationElement(0, 210, "paddingOctets", DataType.OCTET_ARRAY),
        InformationElement(0, 41, "exportedMessageTotalCount", DataType.UNSIGNED64),
        InformationElement(35566, 1, "myElement", DataType.STRING),
        OCTETS.reverse(),
        InformationElement(6871, 21, "reverseFlowDeltaMilliseconds", DataType.UNSIGNED32),
        unknown_element(0, 9999),
        unknown_element(0, 33002),  # a NetFlow v9 number
    ],
)
def test_what_has_no_reverse_refuses_to_be_reversed(element: InformationElement) -> None:
    assert not element.is_reversible
    with pytest.raises(EncodeError, match="has no reverse"):
        element.reverse()


def test_an_unknown_element_is_raw_octets_under_a_stable_name() -> None:
    element = unknown_element(35566, 7)
    assert (element.name, element.type, element.is_known) == ("_35566_7", DataType.OCTET_ARRAY, False)
    assert OCTETS.is_known
    # a type without a name is knowledge, too
    assert InformationElement(35566, 7, "_35566_7", DataType.STRING).is_known


@given(st.integers(0, 2**32 - 1), st.integers(0, 65535))
def test_the_stable_name_tells_the_element(pen: int, id: int) -> None:
    assert unknown_key(unknown_name(pen, id)) == (pen, id)


@pytest.mark.parametrize(
    "name", ["octetDeltaCount", "_1", "_1_", "_01_2", "_4294967296_1", "_1_65536", "_1_2_3", "1_2"]
)
def test_other_names_tell_nothing(name: str) -> None:
    assert unknown_key(name) is None


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("octetDeltaCount", "octetDeltaCount"),
        (" tailed\n", "tailed"),
        ("TLS Server Cert (raw)", "TLS_Server_Cert_raw"),
        ("httpX-Forwarded-For", "httpX_Forwarded_For"),
        ("../../etc/passwd", "etc_passwd"),
        ("__class__", "class"),
        ("_0_8", "ie_0_8"),
        ("3gppType", "ie_3gppType"),
        ("流量", ""),
        ("", ""),
        ("x" * 60_000, "x" * NAME_LIMIT),
    ],
)
def test_any_text_is_made_a_usable_name_or_nothing(text: str, name: str) -> None:
    assert clean_name(text) == name


@given(st.text(max_size=60))
def test_a_cleaned_name_is_a_name_and_stays_as_it_is(text: str) -> None:
    name = clean_name(text)
    assert name == "" or (is_name(name) and unknown_key(name) is None)
    assert clean_name(name) == name


def test_equal_elements_have_equal_hashes() -> None:
    same = InformationElement(0, 1, "octetDeltaCount", DataType.UNSIGNED64, 3, 2)
    assert same == OCTETS
    assert hash(same) == hash(OCTETS)
    assert InformationElement(0, 1, "octetDeltaCount", DataType.STRING) != OCTETS
