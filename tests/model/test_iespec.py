from __future__ import annotations

from typing import Any

import pytest

from headwater.errors import DecodeError, HeadwaterError, UnknownElement
from headwater.model.element import InformationElement
from headwater.model.iespec import IESpec, parse_iespec, parse_iespecs, print_iespecs
from headwater.model.registry import IANA
from headwater.model.types import VARIABLE, DataType
from tests.model.vectors import cases_of_kind

CASES = cases_of_kind("iespec")


def tree(spec: IESpec) -> object:
    """A spec in the form the vectors write trees."""
    if not spec.element.type.is_list:
        return spec.element.name
    members = [tree(member) for member in spec.members]
    return [spec.element.name, {"semantic": spec.context[0]}, members]


@pytest.mark.parametrize("case", CASES, ids=[c["id"] for c in CASES])
def test_vector(case: dict[str, Any]) -> None:
    text, expect = case["expect"]["text"], case["expect"]
    if expect.get("error"):
        with pytest.raises(HeadwaterError):
            parse_iespec(text, IANA)
        return
    spec = parse_iespec(text, IANA)
    if "tree" in expect["parsed"]:
        assert tree(spec) == expect["parsed"]["tree"]
        return
    element = spec.element
    parsed = {"name": element.name, "pen": element.pen, "id": element.id, "type": element.type.label}
    parsed |= {"length": spec.length} | ({"context": list(spec.context)} if spec.context else {})
    assert parsed == expect["parsed"]


def test_printing_and_parsing_is_the_identity_for_the_whole_registry() -> None:
    for element in [*IANA, *(e.reverse() for e in IANA if e.is_reversible)]:
        spec = IESpec(element, element.type.default_length)
        assert parse_iespec(str(spec), IANA) == spec


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("octetDeltaCount", "octetDeltaCount(1)<unsigned64>[8]"),
        ("(1)", "octetDeltaCount(1)<unsigned64>[8]"),
        ("IN_BYTES(1)", "octetDeltaCount(1)<unsigned64>[8]"),
        ("  source IPv4 Address ( 8 ) [ 4 ]\t", "sourceIPv4Address(8)<ipv4Address>[4]"),
        ("interfaceName", "interfaceName(82)<string>[v]"),
        ("interfaceName[16]{key,scope}", "interfaceName(82)<string>[16]{key,scope}"),
        ("interfaceName[65535]", "interfaceName(82)<string>[v]"),
        ("(35566/7)", "_35566_7(35566/7)<octetArray>[v]"),
        ("(35566/7)<string>", "_35566_7(35566/7)<string>[v]"),
        ("_35566_7(35566/7)<octetArray>[v]", "_35566_7(35566/7)<octetArray>[v]"),
        ("mine(35566/7)<float64>[4]", "mine(35566/7)<float64>[4]"),
        ("reverseOctetDeltaCount", "reverseOctetDeltaCount(29305/1)<unsigned64>[8]"),
        ("(16982/0)", "sourceGeo(16982/0)<unsigned8>[1]"),
        ("flowDirection(9789/4)", "flowDirection(9789/4)<unsigned8>[1]"),
    ],
)
def test_what_is_missing_comes_from_the_registry(text: str, printed: str) -> None:
    spec = parse_iespec(text, IANA)
    assert str(spec) == printed
    assert parse_iespec(printed, IANA) == spec


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "one IESpec expected, 0 found"),
        ("octetDeltaCount\npacketDeltaCount", "one IESpec expected, 2 found"),
        ("<unsigned64>[8]", "give a name or a number"),
        ("octetDeltaCount(2)", "2 is packetDeltaCount in the registry"),
        ("octetDeltaCount(0)", "the number 0 is reserved"),
        ("(35566/0)", "the number 0 is reserved"),
        ("x(32768)<string>", "numbers are 1 to 32767"),
        ("x(4294967296/1)<string>", "enterprise numbers 32 bits"),
        ("mine(35566/7)", "give its type"),
        ("1st(35566/7)<string>", "a name is made of"),
        ("octetDeltaCount<unsigned128>", "unsigned128 is not an abstract data type"),
        ("octetDeltaCount[0]", "unsigned64 takes 1 to 8 octets"),
        ("octetDeltaCount[v]", "unsigned64 takes 1 to 8 octets"),
        ("sourceIPv4Address[3]", "ipv4Address takes 4 octets"),
        ("mine(35566/7)<float64>[5]", "float64 takes 8 or 4 octets"),
        ("octetDeltaCount{kee}", "'kee' is not a context; there are key, scope"),
        ("octetDeltaCount{allOf}", "allOf is said of lists"),
        ("octetDeltaCount{key", "the form is name"),
        ("+octetDeltaCount", "a member follows its list"),
        ("basicList\n++octetDeltaCount", "just one \\+ more"),
        ("octetDeltaCount\n+octetDeltaCount", "only lists have members"),
        ("\n".join("+" * depth + "basicList" for depth in range(40)), "at most 32 deep"),
    ],
)
def test_what_is_wrong_is_refused_with_a_reason(text: str, why: str) -> None:
    with pytest.raises(DecodeError, match=why):
        parse_iespec(text, IANA)


def test_a_name_that_does_not_exist_is_answered_with_one_that_does() -> None:
    with pytest.raises(UnknownElement, match="did you mean 'octetDeltaCount'"):
        parse_iespec("octetdeltacount[4]", IANA)


def test_trees_are_printed_as_they_are_read() -> None:
    text = (
        "subTemplateMultiList(293)<subTemplateMultiList>[v]{allOf}\n"
        "+basicList(291)<basicList>[v]{oneOrMoreOf}\n"
        "++sourceIPv4Address(8)<ipv4Address>[4]\n"
        "+subTemplateList(292)<subTemplateList>[v]\n"
        "++octetDeltaCount(1)<unsigned64>[8]\n"
        "++packetDeltaCount(2)<unsigned64>[4]\n"
        "flowEndReason(136)<unsigned8>[1]"
    )
    specs = parse_iespecs(text, IANA)
    assert print_iespecs(specs) == text
    assert [len(spec.members) for spec in specs] == [2, 0]
    assert [len(member.members) for member in specs[0].members] == [1, 2]


def test_empty_lines_and_comments_are_skipped() -> None:
    assert len(parse_iespecs("# a comment\n\noctetDeltaCount\n  # another\n  packetDeltaCount\n", IANA)) == 2


def test_a_spec_that_says_all_there_is_to_say_needs_no_registry() -> None:
    spec = parse_iespec("sipRequestURI(35566/403)<string>[v]", IANA)
    assert spec == IESpec(InformationElement(35566, 403, "sipRequestURI", DataType.STRING), VARIABLE)
