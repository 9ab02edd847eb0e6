"""What can be wrong with a Template besides its octets."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from headwater.model.element import NOT_REVERSIBLE, REVERSE_PEN
from headwater.wire.dialect import IPFIX, NETFLOW9

if TYPE_CHECKING:
    from headwater.model.template import Field, Template

Violation = tuple[str, str]
"""(rule, detail)."""

_SHOWN: Final = 4
_DIRECTIONS: Final = (
    (8, 12), (27, 28), (44, 45), (170, 169), (7, 11), (56, 80), (10, 14), (16, 17), (225, 226), (281, 282),
    (180, 181), (182, 183), (414, 415), (252, 253),
)  # fmt: skip
"""Elements of IANA that tell the two ends of a flow apart: of the source, of the destination."""
_OBSERVATION_DOMAIN: Final = 149
_TEMPLATE: Final = 145
_METERING: Final = frozenset((40, 41, 42, 164, 165))
_UNSENT: Final = frozenset((166, 167, 168))
_EXPORTERS: Final = frozenset((130, 131, 144))
_RELIABILITY: Final = frozenset((164, 165, 166, 167, 168))
_TIMES: Final = frozenset((322, 323, 324, 325))
_FLOW_KEYS: Final = 173
_DATA_TYPE: Final = 339
_ELEMENT: Final = 303
_SCOPE_ONLY: Final = {263: "messageScope", 267: "sessionScope"}
_CHECKSUM: Final = 262


def violations_of(template: Template, domain: int, version: int) -> Iterator[Violation]:
    """What a definition violates. domain: of the Message; version: of the protocol."""
    if version == NETFLOW9.version:
        yield from _told("netflow_variable", template, [field for field in template.fields if field.is_variable])
    if version != IPFIX.version:
        return
    ours = [field for field in template.fields if field.element.pen == 0 and field.element.id]
    is_unknown = [
        field
        for field in template.fields
        if field.element.id
        and (field.element.pen == 0 or (field.element.pen == REVERSE_PEN and field.element.id not in NOT_REVERSIBLE))
        and not field.element.is_known
    ]
    yield from _told("element_unknown", template, is_unknown)
    # the registry leaves the status of what is current open
    is_old = [field for field in ours if field.element.status.lower() in ("deprecated", "obsolete")]
    yield from _told("element_deprecated", template, is_old)
    if template.scope_count:
        yield from _of_options(template, domain)
    else:
        yield from _of_biflows(template)
        scoped = [_SCOPE_ONLY[field.element.id] for field in ours if field.element.id in _SCOPE_ONLY]
        if scoped:
            yield "scope_only", f"Template {template.id}: {', '.join(scoped)} in data records"


def _of_biflows(template: Template) -> Iterator[Violation]:
    reverse = [field for field in template.fields if field.element.pen == REVERSE_PEN]
    if not reverse:
        return
    yield from _told("reverse_impossible", template, [f for f in reverse if f.element.id in NOT_REVERSIBLE])
    ids = {field.element.id for field in template.fields if field.element.pen == 0}
    if not any(source in ids and destination in ids for source, destination in _DIRECTIONS):
        detail = f"Template {template.id} has reverse elements, but no pair of source and destination"
        yield "biflow_direction", detail


def _of_options(template: Template, domain: int) -> Iterator[Violation]:
    cut = template.scope_count
    scope = {field.element.id for field in template.fields[:cut] if field.element.pen == 0}
    rest = {field.element.id for field in template.fields[cut:] if field.element.pen == 0}
    if domain == 0 and rest & _METERING and _OBSERVATION_DOMAIN not in scope:
        yield "scope_missing", f"Options Template {template.id}: statistics of domain 0 without observationDomainId"
    if _FLOW_KEYS in rest and _TEMPLATE not in scope:
        yield "scope_missing", f"Options Template {template.id}: flowKeyIndicator without templateId"
    if rest & _UNSENT and not scope & _EXPORTERS:
        yield "scope_missing", f"Options Template {template.id}: what was not sent, without an exporter"
    if _DATA_TYPE in rest and _ELEMENT not in scope:
        yield "scope_missing", f"Options Template {template.id}: type information without informationElementId"
    times = [f for f in template.fields[cut:] if f.element.pen == 0 and f.element.id in _TIMES]
    if rest & _RELIABILITY and len(times) != 2:
        yield "reliability_times", f"Options Template {template.id} has {len(times)} of the 2 times of an interval"
    if _CHECKSUM in rest and 263 not in scope:
        yield "scope_missing", f"Options Template {template.id}: messageMD5Checksum without messageScope"
    misplaced = [name for id, name in _SCOPE_ONLY.items() if id in rest]
    if misplaced:
        yield "scope_only", f"Options Template {template.id}: {', '.join(misplaced)} is no scope field"


def _told(rule: str, template: Template, fields: list[Field]) -> Iterator[Violation]:
    if fields:
        names = dict.fromkeys(f"{field.element.name} ({field.element.number})" for field in fields)
        more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
        yield rule, f"Template {template.id}: {', '.join(list(names)[:_SHOWN])}{more}"
