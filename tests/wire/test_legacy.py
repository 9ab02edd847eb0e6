"""The fixed records of NetFlow v1, v5, v7 and v8."""

from __future__ import annotations

import pytest

from headwater.model.element import NETFLOW_PADDING
from headwater.wire.dialect import DIALECTS
from headwater.wire.legacy import MOST_RECORDS, fixed_templates, record_sizes, template_id

AGGREGATION_OCTETS = (28, 28, 32, 32, 40, 32, 40, 44, 32, 32, 32, 32, 40, 40)


def test_every_version_without_sets_has_fixed_records() -> None:
    assert sorted(MOST_RECORDS) == sorted(version for version, dialect in DIALECTS.items() if not dialect.has_sets)


@pytest.mark.parametrize(("version", "octets"), [(1, 48), (5, 48), (7, 52)])
def test_records_have_the_octets_that_cisco_gives_them(version: int, octets: int) -> None:
    (template,) = fixed_templates(version).values()
    assert (template.id, template.min_length, record_sizes()[version]) == (template_id(version), octets, octets)


def test_aggregations_of_netflow8_have_records_of_their_own() -> None:
    templates = fixed_templates(8)
    assert tuple(templates[template_id(8, n)].min_length for n in range(1, 15)) == AGGREGATION_OCTETS
    assert tuple(record_sizes()[template_id(8, 1) : template_id(8, 15)].tolist()) == AGGREGATION_OCTETS
    assert record_sizes()[template_id(8, 0)] == record_sizes()[template_id(8, 15)] == 0


@pytest.mark.parametrize(
    ("version", "name", "at"),
    [
        (1, "protocolIdentifier", 38), (1, "tcpControlBits", 40), (5, "tcpControlBits", 37),
        (5, "bgpSourceAsNumber", 40), (5, "destinationIPv4PrefixLength", 45), (7, "v7Flags1", 36),
        (7, "shortcutRouterIPv4Address", 48),
    ],
)  # fmt: skip
def test_fields_stand_where_cisco_puts_them(version: int, name: str, at: int) -> None:
    (template,) = fixed_templates(version).values()
    before = template.fields[: [field.name for field in template.fields].index(name)]
    assert sum(field.length for field in before) == at


@pytest.mark.parametrize("version", sorted(MOST_RECORDS))
def test_every_field_is_known_legal_and_unique_but_for_padding(version: int) -> None:
    for template in fixed_templates(version).values():
        named = [field for field in template.fields if field.element is not NETFLOW_PADDING]
        assert all(field.element.is_known and field.is_legal for field in named)
        assert len({field.element.key for field in named}) == len(named)
