"""What option records are about: their table, what tells them apart, and by what numbers flows find them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from headwater.batch.applications import application_key
from headwater.model.element import Semantics
from headwater.model.template import Field, Template

MESSAGE_SCOPE: Final = "messageScope"
"""Records of this scope are about one Message (checksums, RFC 5655 §8.1.1): there is nothing to remember."""

SYSTEM: Final = frozenset(
    {
        "v9System", "observationDomainId", "observationDomainName", "exportingProcessId", "meteringProcessId",
        "intermediateProcessId", "exporterIPv4Address", "exporterIPv6Address",
    }
)  # fmt: skip
"""Scopes that mean the exporter, one of its domains or one of its processes as a whole (RFC 3954 §6.1, RFC 7011 §4)."""

STATISTICS: Final = frozenset(
    {
        "exportedOctetTotalCount", "exportedMessageTotalCount", "exportedFlowRecordTotalCount",
        "observedFlowTotalCount", "ignoredPacketTotalCount", "ignoredOctetTotalCount", "notSentFlowTotalCount",
        "notSentPacketTotalCount", "notSentOctetTotalCount", "ignoredDataRecordTotalCount",
    }
)  # fmt: skip
"""Counters of exporting and metering processes (RFC 7011 §4.1-3, RFC 7119 §10)."""

INTERFACES: Final = ("v9Interface", "ingressInterface", "egressInterface")
VRFS: Final = ("ingressVRFID", "egressVRFID")
SAMPLERS: Final = ("samplerId", "selectorId")
_INTERFACE_TEXTS: Final = frozenset({"interfaceName", "interfaceDescription"})
_KEYS: Final = frozenset({*INTERFACES, *VRFS, *SAMPLERS, "applicationId"})
_COUNTERS: Final = (Semantics.TOTAL_COUNTER, Semantics.DELTA_COUNTER, Semantics.SNMP_COUNTER)
_PADDING: Final = "paddingOctets"
_LONGEST_NAME: Final = 128

KEYS_LIMIT: Final = 16
"""By how many numbers one record can be found; real ones need six at most."""


class Kind(StrEnum):
    """By what a flow finds what option records say of it."""

    EXPORTER = "exporter"
    INTERFACE = "interface"
    INGRESS = "ingressInterface"
    EGRESS = "egressInterface"
    SAMPLER = "samplerId"
    SELECTOR = "selectorId"
    SEQUENCE = "selectionSequenceId"
    VRF = "vrf"
    APPLICATION = "applicationId"


Key = tuple[Kind, int]
"""What a record is found by; of Kind.EXPORTER the number is 0."""

_INTERFACE_KINDS: Final = {
    "v9Interface": (Kind.INTERFACE, Kind.INGRESS, Kind.EGRESS),
    "ingressInterface": (Kind.INTERFACE, Kind.INGRESS),
    "egressInterface": (Kind.INTERFACE, Kind.EGRESS),
}


@dataclass(frozen=True, slots=True, eq=False)
class Shape:
    """What the records of one Options Template are about.

    table: its name, "" for records that are not remembered. names: of the columns.
    identity: indices of the columns that tell its records apart; values: of the others, without padding.
    has_lists: whether there are structured data among them. overlong: columns of numbers in more octets than they have.
    """

    table: str
    names: tuple[str, ...]
    identity: tuple[int, ...]
    values: tuple[int, ...]
    has_lists: bool
    overlong: frozenset[int]
    _scope_count: int

    @classmethod
    def of(cls, template: Template) -> Shape:
        """The shape of the records of an Options Template."""
        names, fields, count = template.column_names, template.fields, template.scope_count
        bases = [_base(name) for name in names]
        scope = {base for base, field in zip(bases[:count], fields, strict=False) if _identifies(field)}
        table = _table(scope, frozenset(bases), bases[:count])
        identity = {i for i in range(count) if _identifies(fields[i])}
        if scope <= SYSTEM:
            identity |= {i for i, base in enumerate(bases) if base in _KEYS}
        elif table == "samplers":
            identity |= {i for i, base in enumerate(bases) if base in SAMPLERS}
        if table == "exporters" and not any(_is_known(field) for field in fields[count:]) and count < len(fields):
            identity.add(count)  # a table of the vendor's own: most likely its first column is the key
        values = [i for i, base in enumerate(bases) if i not in identity and base != _PADDING]
        overlong = frozenset(i for i, field in enumerate(fields) if field.type.is_unsigned and not field.is_legal)
        return cls(table, names, tuple(sorted(identity)), tuple(values), template.has_lists, overlong, count)

    def keys(self, cells: Sequence[Any]) -> tuple[Key, ...]:
        """By what a record with these cells is found."""
        match self.table:
            case "interfaces":
                found = self._interfaces(cells)
            case "samplers":
                found = [key for key in self._interfaces(cells) if key[0] is not Kind.EXPORTER]
                found += self._numbers(cells, (Kind.SAMPLER, Kind.SELECTOR), SAMPLERS)
            case "vrfs":
                vrfs = self._scoped(cells, VRFS)
                # two VRFs and one name: of the egress one nothing is known
                found = [(Kind.VRF, number) for _, number in (vrfs[:1] if self._is_scoped(VRFS) else vrfs)]
            case "applications":
                found = self._applications(cells)
            case "selection_sequences":
                found = self._numbers(cells, (Kind.SEQUENCE,), (Kind.SEQUENCE,))
            case "exporters" | "exporter_statistics":
                found = [(Kind.EXPORTER, 0)]
            case _:
                found = []
        return tuple(dict.fromkeys(found))[:KEYS_LIMIT]

    def domain(self, cells: Sequence[Any]) -> int | None:
        """The Observation Domain that the scope names, if it names one (RFC 7011 §4.1)."""
        for name, cell in zip(self.names[: self._scope_count], cells, strict=False):
            if name == "observationDomainId" and isinstance(cell, int):
                return cell if 0 < cell < 1 << 32 else None
        return None

    def _scoped(self, cells: Sequence[Any], wanted: Sequence[str]) -> list[tuple[str, int]]:
        """(element, number) of the columns of these elements: those in the scope if there are any, else all."""
        stop = self._scope_count if self._is_scoped(wanted) else len(self.names)
        pairs = ((_base(name), number_of(cell)) for name, cell in zip(self.names[:stop], cells, strict=False))
        return [(base, number) for base, number in pairs if base in wanted and number is not None]

    def _is_scoped(self, wanted: Sequence[str]) -> bool:
        return any(_base(name) in wanted for name in self.names[: self._scope_count])

    def _interfaces(self, cells: Sequence[Any]) -> list[Key]:
        found: list[Key] = []
        for base, number in self._scoped(cells, INTERFACES):
            if number == 0:  # no interface has the index 0 (RFC 2863 §3.1.5): softflowd says by it "all of them"
                found += [(Kind.INTERFACE, 0), (Kind.EXPORTER, 0)]
            else:
                found += [(kind, number) for kind in _INTERFACE_KINDS[base]]
        return found

    def _numbers(self, cells: Sequence[Any], kinds: Sequence[Kind], wanted: Sequence[str]) -> list[Key]:
        found = []
        for kind, name in zip(kinds, wanted, strict=True):
            number = number_of(cells[self.names.index(name)]) if name in self.names else None
            if number is not None:
                found.append((kind, number))
        return found

    def _applications(self, cells: Sequence[Any]) -> list[Key]:
        octets = cells[self.names.index("applicationId")]
        key = application_key(octets) if isinstance(octets, bytes) else None
        return [] if key is None else [(Kind.APPLICATION, key)]


def number_of(cell: Any) -> int | None:
    """A cell as the number it is, also where it was sent as octets (NetFlow v9 scopes); None if it is none."""
    if isinstance(cell, bytes):
        return int.from_bytes(cell, "big") if len(cell) <= 8 else None
    return cell if isinstance(cell, int) and 0 <= cell < 1 << 64 else None


def _table(scope: set[str], names: frozenset[str], in_order: Sequence[str]) -> str:
    """The table for records with this scope (its identifying elements) and these elements in all."""
    if MESSAGE_SCOPE in scope:
        return ""
    if "sessionScope" in scope:
        return "session"
    if "informationElementId" in scope:
        return "types" if "informationElementDataType" in names else "elements"
    if "commonPropertiesId" in scope:
        return "common_properties"
    if Kind.SEQUENCE in scope:
        return "selection_sequences"
    if "applicationId" in names:
        return "applications"
    if "VRFname" in names and not names.isdisjoint(VRFS):
        return "vrfs"
    if not names.isdisjoint(SAMPLERS):
        return "samplers"
    if not scope.isdisjoint(INTERFACES):
        return "interfaces"
    if scope <= SYSTEM:
        if not (names.isdisjoint(INTERFACES) or names.isdisjoint(_INTERFACE_TEXTS)):
            return "interfaces"
        return "exporters" if names.isdisjoint(STATISTICS) else "exporter_statistics"
    if not scope.isdisjoint(("templateId", "v9Template")):
        return "flow_keys" if "flowKeyIndicator" in names else "templates"
    if not scope.isdisjoint(("lineCardId", "v9LineCard")):
        return "line_cards"
    return "+".join(name for name in dict.fromkeys(in_order) if name in scope)[:_LONGEST_NAME]


def _identifies(field: Field) -> bool:
    """Whether a scope field says which thing it is; counters and times, which some exporters put there, do not."""
    return not (field.type.is_time or field.element.semantics in _COUNTERS)


def _is_known(field: Field) -> bool:
    return field.element.pen == 0 and field.element.is_known


def _base(name: str) -> str:
    return name.partition("#")[0]
