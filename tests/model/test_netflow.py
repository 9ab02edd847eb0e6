"""What the numbers of NetFlow v9 mean."""

from __future__ import annotations

import pytest

from headwater.model.element import NETFLOW_PEN, NETFLOW_SCOPE_PEN, InformationElement
from headwater.model.netflow import NETFLOW_ELEMENTS, netflow_key, widened
from headwater.model.registry import IANA
from headwater.model.types import DataType


@pytest.mark.parametrize("id", [0, 1, 127, 128, 500, 32767])
def test_a_number_without_the_top_bit_is_that_of_iana(id: int) -> None:
    assert netflow_key(id, IANA) == (0, id)


@pytest.mark.parametrize(("id", "name"), [(33002, "firewallEventExtended"), (40000, "aaaUserName")])
def test_what_vendors_took_for_themselves_has_its_own_name_space(id: int, name: str) -> None:
    assert netflow_key(id, IANA) == (NETFLOW_PEN, id)
    assert IANA.get(NETFLOW_PEN, id).name == name


def test_a_number_that_nobody_knows_stays_apart_from_all_enterprises() -> None:
    assert netflow_key(65000, IANA) == (NETFLOW_PEN, 65000)
    assert IANA.get(NETFLOW_PEN, 65000).name == "_v9_65000"


@pytest.mark.parametrize(("pen", "base"), [(9, 32768), (35632, 57472)])
def test_elements_of_cisco_and_ntop_in_disguise_are_recognised(pen: int, base: int) -> None:
    mine = InformationElement(pen, 4321, "mine", DataType.UNSIGNED32)
    assert netflow_key(base + 4321, IANA.extend([mine])) == (pen, 4321)
    assert netflow_key(base + 4321, IANA) == (NETFLOW_PEN, base + 4321)


@pytest.mark.parametrize(
    ("type", "length", "wider"),
    [
        (DataType.UNSIGNED8, 1, DataType.UNSIGNED8), (DataType.UNSIGNED8, 2, DataType.UNSIGNED16),
        (DataType.UNSIGNED16, 3, DataType.UNSIGNED32), (DataType.UNSIGNED32, 5, DataType.UNSIGNED64),
        (DataType.UNSIGNED32, 2, DataType.UNSIGNED32), (DataType.UNSIGNED32, 9, DataType.UNSIGNED32),
        (DataType.SIGNED32, 8, DataType.SIGNED64), (DataType.IPV4, 8, DataType.IPV4),
        (DataType.UNSIGNED8, 65535, DataType.UNSIGNED8),
    ],
)  # fmt: skip
def test_an_integer_longer_than_native_is_a_wider_one(type: DataType, length: int, wider: DataType) -> None:
    element = InformationElement(0, 48, "samplerId", type)
    assert widened(element, length).type is wider
    assert widened(element, length).key == element.key


def test_the_five_scopes_have_names() -> None:
    names = [element.name for element in NETFLOW_ELEMENTS if element.pen == NETFLOW_SCOPE_PEN]
    assert names == ["v9System", "v9Interface", "v9LineCard", "v9Cache", "v9Template"]
