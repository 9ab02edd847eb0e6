"""NetFlow v1, v5, v7 and v8: records of a layout that never changes, as Templates like any others.

There is no standard. The layouts are Cisco's, as other collectors read them too (nfdump, flow-tools, Wireshark).
"""

from __future__ import annotations

from functools import cache
from typing import Final

import numpy as np
import numpy.typing as npt

from headwater.model import registry as registries
from headwater.model.element import NETFLOW_PADDING, NETFLOW_PEN
from headwater.model.template import Field, Template

_ADDRESSES: Final = "8:4 12:4 15:4"  # source, destination, next hop
_COUNTS: Final = "2:4 1:4 22:4 21:4"  # packets, octets, first, last
_V5_END: Final = "6:1 4:1 5:1 16:2 17:2 9:1 13:1"  # flags, protocol, ToS, AS numbers, masks
_AGGREGATE: Final = f"3:4 {_COUNTS}"
_SHORTCUT: Final = "v3:4 v4:4"  # packets beyond the shortcut, its router

_LAYOUTS: Final = {
    1: f"{_ADDRESSES} 10:2 14:2 {_COUNTS} 7:2 11:2 pad:2 4:1 5:1 6:1 pad:7",
    5: f"{_ADDRESSES} 10:2 14:2 {_COUNTS} 7:2 11:2 pad:1 {_V5_END} pad:2",
    7: f"{_ADDRESSES} 10:2 14:2 {_COUNTS} 7:2 11:2 v1:1 {_V5_END} v2:2 v4:4",
}
"""By version: fields as number:octets; v = an element of our own for what only NetFlow v7 and v8 have."""

_AGGREGATIONS: Final = {
    1: f"{_AGGREGATE} 16:2 17:2 10:2 14:2",  # AS
    2: f"{_AGGREGATE} 4:1 pad:3 7:2 11:2",  # protocol and ports
    3: f"{_AGGREGATE} 44:4 9:1 pad:1 16:2 10:2 pad:2",  # source prefix
    4: f"{_AGGREGATE} 45:4 13:1 pad:1 17:2 14:2 pad:2",  # destination prefix
    5: f"{_AGGREGATE} 44:4 45:4 13:1 9:1 pad:2 16:2 17:2 10:2 14:2",  # prefixes
    6: f"12:4 {_COUNTS} 14:2 5:1 55:1 {_SHORTCUT}",  # destination
    7: f"12:4 8:4 {_COUNTS} 14:2 10:2 5:1 55:1 pad:2 {_SHORTCUT}",  # source and destination
    8: f"12:4 8:4 11:2 7:2 {_COUNTS} 14:2 10:2 5:1 4:1 55:1 pad:1 {_SHORTCUT}",  # full flow
    9: f"{_AGGREGATE} 16:2 17:2 10:2 14:2 5:1 pad:3",  # AS, ToS
    10: f"{_AGGREGATE} 4:1 5:1 pad:2 7:2 11:2 10:2 14:2",  # protocol and ports, ToS
    11: f"{_AGGREGATE} 44:4 9:1 5:1 16:2 10:2 pad:2",  # source prefix, ToS
    12: f"{_AGGREGATE} 45:4 13:1 5:1 17:2 14:2 pad:2",  # destination prefix, ToS
    13: f"{_AGGREGATE} 44:4 45:4 13:1 9:1 5:1 pad:1 16:2 17:2 10:2 14:2",  # prefixes, ToS
    14: f"{_AGGREGATE} 44:4 45:4 13:1 9:1 5:1 4:1 7:2 11:2 10:2 14:2",  # prefixes and ports, ToS
}
"""NetFlow v8 by aggregation. Of two masks the destination's comes first (Cisco, flow-tools); Wireshark reads the
source's first, and no capture decides between them."""

MOST_RECORDS: Final = {1: 30, 5: 30, 7: 28, 8: 51}
"""By version: most records of a packet, for telling NetFlow from other content. Those of v8 that are 28 octets long."""

AGGREGATION_AT: Final = 22
"""Octet of a v8 header that tells the aggregation."""
_FIRST_AGGREGATION: Final = 128


def template_id(version: int, aggregation: int = 0) -> int:
    """The id of a fixed Template, below those that exporters assign: the version; 128 + aggregation for v8."""
    return _FIRST_AGGREGATION + aggregation if version == 8 else version


@cache
def fixed_templates(version: int) -> dict[int, Template]:
    """The Templates of a version, by id."""
    if version == 8:
        return {template_id(8, n): _template(template_id(8, n), layout) for n, layout in _AGGREGATIONS.items()}
    return {version: _template(version, _LAYOUTS[version])}


@cache
def record_sizes() -> npt.NDArray[np.int32]:
    """int32[256]: octets of the records of every version and aggregation, by the id of the Template; 0 = none."""
    sizes = np.zeros(256, np.int32)
    for version in MOST_RECORDS:
        for id, template in fixed_templates(version).items():
            sizes[id] = template.min_length
    return sizes


def _template(id: int, layout: str) -> Template:
    return Template(id, tuple(map(_field, layout.split())))


def _field(spec: str) -> Field:
    name, _, length = spec.partition(":")
    if name == "pad":
        return Field(NETFLOW_PADDING, int(length))
    key = (NETFLOW_PEN, int(name[1:])) if name.startswith("v") else (0, int(name))
    return Field(registries.IANA.get(*key), int(length))
