from __future__ import annotations

from pathlib import Path

import pytest

import headwater.model
from headwater.errors import EncodeError, UnknownElement
from headwater.model import registry as registry_module
from headwater.model.element import NETFLOW_PEN, NOT_REVERSIBLE, InformationElement, is_name
from headwater.model.registry import IANA, Registry
from headwater.model.types import DataType

DATA = Path(headwater.model.__file__).parent / "data"
OWN = InformationElement(35566, 1, "myElement", DataType.STRING)


def test_the_registry_round_trips_its_tables() -> None:
    for path in DATA.glob("pen_*.csv"):
        pen = int(path.stem[4:])
        lines = ["id,name,type,semantics,units,range,status"]
        for e in IANA:
            if e.pen == pen:
                semantics = e.semantics_name if e.semantics else ""
                units = e.units_name if e.units else ""
                bounds = f"{e.range[0]}-{e.range[1]}" if e.range else ""
                status = "" if e.status == "current" else e.status
                lines.append(f"{e.id},{e.name},{e.type},{semantics},{units},{bounds},{status}")
        assert path.read_text("utf-8").splitlines() == lines, path.name


def test_every_element_is_found_by_its_key_and_has_a_usable_name() -> None:
    assert len(IANA) > 2000
    for element in IANA:
        assert IANA.get(*element.key) is element
        assert is_name(element.name)
        assert IANA.named(element.name).name == element.name
        assert 0 <= element.id < 0x8000 or element.pen == NETFLOW_PEN


def test_iana_names_are_unique_and_win() -> None:
    iana = [e for e in IANA if e.pen == 0]
    assert len({e.name for e in iana}) == len(iana)
    assert all(IANA.named(e.name) is e for e in iana)
    assert IANA.named("flowDirection").pen == 0  # PEN 9789 has one as well
    assert IANA.named("9789/4").name == "flowDirection"


@pytest.mark.parametrize(
    ("id", "name", "data_type"),
    [
        (1, "octetDeltaCount", DataType.UNSIGNED64),
        (6, "tcpControlBits", DataType.UNSIGNED16),
        (89, "forwardingStatus", DataType.UNSIGNED32),
        (302, "selectorId", DataType.UNSIGNED64),
        (301, "selectionSequenceId", DataType.UNSIGNED64),
        (292, "subTemplateList", DataType.SUB_TEMPLATE_LIST),
        (515, "ipv6ExtensionHeadersFull", DataType.UNSIGNED256),
        (533, "pathDelaySumDeltaMicroseconds", DataType.UNSIGNED64),
    ],
)
def test_facts_of_the_registry_that_surprise(id: int, name: str, data_type: DataType) -> None:
    assert (IANA.get(0, id).name, IANA.get(0, id).type) == (name, data_type)


def test_reserved_numbers_are_unknown() -> None:
    assert not IANA.get(0, 0).is_known
    assert not IANA.get(0, 97).is_known


def test_an_unknown_element_has_a_stable_name_and_is_the_same_each_time() -> None:
    element = IANA.get(35566, 77)
    assert (element.name, element.type) == ("_35566_77", DataType.OCTET_ARRAY)
    assert IANA.get(35566, 77) is element
    assert IANA.named("_35566_77") == element
    assert (35566, 77) not in IANA
    assert (0, 1) in IANA


def test_naming_millions_of_unknown_elements_does_not_grow_the_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry_module, "_DERIVED_LIMIT", 100)
    registry = Registry([OWN])
    for id in range(1, 1000):
        registry.get(5, id)
        assert len(registry._derived) <= 100
    assert registry.get(35566, 1) is OWN


def test_reverse_elements_are_made_when_asked_for() -> None:
    reverse = IANA.get(29305, 1)
    assert reverse.name == "reverseOctetDeltaCount"
    assert IANA.named("reverseOctetDeltaCount") == reverse
    assert (29305, 1) in IANA
    assert all(e.pen != 29305 for e in IANA)
    assert IANA.get(6871, 14 | 0x4000).name == "reverseInitialTCPFlags"
    assert IANA.named("reverseInitialTCPFlags").key == (6871, 14 | 0x4000)


def test_each_iana_element_has_a_reverse_except_those_rfc_5103_names() -> None:
    for element in IANA:
        if element.pen == 0:
            assert IANA.get(29305, element.id).is_known == (element.id not in NOT_REVERSIBLE)
    with pytest.raises(UnknownElement):
        IANA.named("reverseTemplateId")


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("collectorProtocolVersion", (0, 214)),
        ("collectorTransportProtocol", (0, 215)),
        ("IN_BYTES", (0, 1)),
        ("L4_DST_PORT", (0, 11)),
        ("5951/128", (5951, 128)),
        ("(5951/128)", (5951, 128)),
        ("8", (0, 8)),
        (" octetDeltaCount ", (0, 1)),
    ],
)
def test_other_ways_to_name_an_element(name: str, key: tuple[int, int]) -> None:
    assert IANA.named(name).key == key


def test_aliases_are_listed_with_the_element() -> None:
    assert "IN_BYTES" in IANA.aliases(IANA.get(0, 1))


@pytest.mark.parametrize(
    ("wrong", "suggestion"),
    [
        ("octetdeltacount", "octetDeltaCount"),
        ("OctetDeltaCount", "octetDeltaCount"),
        ("sourceIPv4Adress", "sourceIPv4Address"),
        ("in_bytes", "IN_BYTES"),
        ("reverseoctetdeltacount", "reverseOctetDeltaCount"),
        ("reversePaketDeltaCount", "reversePacketDeltaCount"),
    ],
)
def test_a_wrong_name_is_answered_with_the_right_one_first(wrong: str, suggestion: str) -> None:
    with pytest.raises(UnknownElement, match=suggestion) as caught:
        IANA.named(wrong)
    assert caught.value.suggestions[0] == suggestion
    assert caught.value.name == wrong


@pytest.mark.parametrize("name", ["", "nothing like it at all", "0", "_1", "4294967296/1", "1/65536", "x" * 100_000])
def test_names_with_nothing_near_are_refused_without_a_suggestion(name: str) -> None:
    with pytest.raises(UnknownElement) as caught:
        IANA.named(name)
    assert caught.value.suggestions == ()


def test_extending_gives_a_new_registry_and_leaves_the_old_one() -> None:
    extended = IANA.extend([OWN])
    assert extended.get(35566, 1) == OWN
    assert extended.named("myElement") == OWN
    assert not IANA.get(35566, 1).is_known
    assert len(extended) == len(IANA) + 1
    assert extended.named("IN_BYTES").key == (0, 1)


def test_an_element_of_the_users_own_replaces_the_one_with_its_number() -> None:
    mine = InformationElement(0, 1, "mine", DataType.UNSIGNED32)
    extended = IANA.extend([mine])
    assert extended.get(0, 1) == mine
    assert extended.find("octetDeltaCount") is None


def test_a_name_stays_with_iana_then_with_the_one_who_had_it_first() -> None:
    thief = InformationElement(35566, 2, "octetDeltaCount", DataType.STRING)
    other = InformationElement(35566, 3, "initialTCPFlags", DataType.STRING)
    extended = IANA.extend([thief, other])
    assert extended.named("octetDeltaCount").key == (0, 1)
    assert extended.named("initialTCPFlags").key == (6871, 14)
    assert extended.named("35566/2") == thief


@pytest.mark.parametrize("name", ["", "two words", "1st", "a#2", "_5_6", "tail\n"])
def test_a_name_that_cannot_be_a_column_is_refused(name: str) -> None:
    with pytest.raises(EncodeError, match="cannot name element"):
        IANA.extend([InformationElement(35566, 1, name, DataType.STRING)])


def test_search_finds_names_aliases_numbers_and_reverse_elements() -> None:
    assert IANA.search("in_bytes")[0].name == "octetDeltaCount"
    assert IANA.search("OCTETDELTACOUNT")[0].name == "octetDeltaCount"
    assert [e.key for e in IANA.search("6871/14")] == [(6871, 14)]
    assert IANA.search("reverseOctetDeltaCount")[0].name == "reverseOctetDeltaCount"
    assert IANA.search("no such thing") == []
    names = [e.name for e in IANA.search("octetDelta")]
    assert names[0] == "octetDeltaCount"
    assert "postOctetDeltaCount" in names
    assert len(names) == len(set(names))


def test_a_registry_can_be_empty() -> None:
    assert len(Registry()) == 0
    assert repr(Registry()) == "<Registry of 0 elements>"
    assert Registry().get(0, 1).name == "_0_1"
    assert Registry().find("octetDeltaCount") is None


def test_the_module_has_no_other_lazy_names() -> None:
    with pytest.raises(AttributeError, match="IAMA"):
        _ = registry_module.IAMA
