"""The shapes of synthetic traffic: what kinds of records there are, and their columns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Final

import numpy as np

from headwater.batch.lists import ListGroup, Lists, Structs
from headwater.batch.plan import compile_plan
from headwater.batch.strings import Strings
from headwater.model import registry as registries
from headwater.model.template import Template
from headwater.model.types import DataType
from headwater.process.generating_draws import Array, Draws, weighted
from headwater.process.generating_flows import (
    INTERFACES,
    Window,
    biflows,
    flow_template,
    flows,
    ipv4_clients,
    ipv4_servers,
    picked,
    since_1970,
)

if TYPE_CHECKING:
    from headwater.batch.lists import Values

_NAT_CREATE, _NAT_DELETE = 4, 5  # natEvent (RFC 8158 §4.3)
_ORDERED, _ALL_OF = 4, 3  # list semantics (RFC 6313 §4.4)
_UNDEFINED: Final = 255
_A, _NS, _AAAA = 1, 2, 28
_NAMES: Final = ("www", "api", "cdn", "mail", "ns1", "static", "img", "login", "v", "time")
_ZONES: Final = ("example.com", "example.net", "example.org", "test.example", "service.example")
_SAMPLING: Final = 100


@dataclass(frozen=True, slots=True)
class Shape:
    """One kind of records.

    template: by version of the protocol. columns: of `count` records that end in a window; `first` is the number of
    the first of them. versions: of the protocols that have it. inner: the Template of what is in its lists.
    """

    template: Callable[[int], Template]
    columns: Callable[[Draws, int, int, Window], list[Values]]
    versions: tuple[int, ...] = (10,)
    inner: Callable[[], Template] | None = None


# --- structured data (RFC 6313) ---


@cache
def _answer_template() -> Template:
    return Template.of(0, "dnsQName", "dnsQRType", "dnsRRSection", "dnsTTL")


@cache
def _dns_template(_: int) -> Template:
    return Template.of(
        0,
        *("flowStartMilliseconds", "flowEndMilliseconds", "octetDeltaCount", "packetDeltaCount"),
        *("sourceIPv4Address", "destinationIPv4Address", "sourceTransportPort", "destinationTransportPort"),
        *("protocolIdentifier", "dnsID", "basicList", "subTemplateList"),
    )


def _dns(draws: Draws, count: int, first: int, window: Window) -> list[Values]:
    """Queries with their answers: addresses as a basicList, resource records as a subTemplateList."""
    times = since_1970(window.begin_ms + np.arange(count) * (window.end_ms - window.begin_ms) // max(count, 1))
    answers = np.where(draws.below(10, count), draws.heavy(12, count), 0)  # some names do not exist
    octets = (60 + draws.below(60, count) + 30 * answers).astype(np.uint64)
    clients, servers = ipv4_clients(draws, count, window.domain), ipv4_servers(draws, count)
    ports = (32768 + draws.below(28232, count)).astype(np.uint16)
    ones = np.ones(count, np.uint64)
    server_port, protocol = np.full(count, 53, np.uint16), np.full(count, 17, np.uint8)
    id = draws.below(1 << 16, count).astype(np.uint16)
    fixed = [times, times, octets, ones, clients, servers, ports, server_port, protocol, id]
    return [*fixed, _addresses(draws, answers), _answers(draws, answers)]


def _addresses(draws: Draws, counts: Array) -> Lists:
    element = registries.IANA.named("destinationIPv4Address")
    items = ipv4_servers(draws, int(counts.sum()))
    group = ListGroup(element, element.type, _offsets(counts), items, element.type.width)
    return Lists(DataType.BASIC_LIST, (group,), None, _semantics(counts, _ALL_OF))


def _answers(draws: Draws, counts: Array) -> Lists:
    total = int(counts.sum())
    asked = draws.popular(len(_NAMES) * len(_ZONES), len(counts))
    names = _strings(_domain_names(), np.repeat(asked, counts))
    kinds = draws.of(weighted((_A, _AAAA, _NS), (60, 30, 10), np.uint16), total)
    sections = np.ones(total, np.uint8)
    ttl = (30 * draws.heavy(2880, total)).astype(np.uint32)
    template = _answer_template()
    records = Structs(compile_plan(template).schema, (names, kinds, sections, ttl), total)
    group = ListGroup(template, None, _offsets(counts), records)
    return Lists(DataType.SUB_TEMPLATE_LIST, (group,), None, _semantics(counts, _ORDERED))


def _semantics(counts: Array, many: int) -> Array:
    """A list with one item has no relation between its items (RFC 6313 §5.6)."""
    return np.where(counts > 1, many, _UNDEFINED).astype(np.uint8)


def _offsets(counts: Array) -> Array:
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)


@cache
def _domain_names() -> tuple[bytes, ...]:
    return tuple(f"{name}.{zone}".encode() for name in _NAMES for zone in _ZONES)


def _strings(words: tuple[bytes, ...], which: Array) -> Strings:
    """A column of texts that are chosen from a few words."""
    lengths = np.array([len(word) for word in words])
    starts = np.concatenate([[0], np.cumsum(lengths)[:-1]])
    offsets = _offsets(lengths[which])
    at = np.repeat(starts[which] - offsets[:-1], lengths[which]) + np.arange(offsets[-1])
    return Strings(offsets, np.frombuffer(b"".join(words), np.uint8)[at])


# --- address translation (RFC 8158) ---


@cache
def _nat_template(_: int) -> Template:
    return Template.of(
        0,
        *("observationTimeMilliseconds", "natEvent", "protocolIdentifier"),
        *("sourceIPv4Address", "postNATSourceIPv4Address", "sourceTransportPort", "postNAPTSourceTransportPort"),
        *("destinationIPv4Address", "destinationTransportPort", "ingressVRFID"),
    )


def _nat(draws: Draws, count: int, first: int, window: Window) -> list[Values]:
    """Sessions of a NAT44: each is created by one record and deleted by the next."""
    sessions = (first + np.arange(count)) // 2 - first // 2
    number = int(sessions[-1]) + 1 if count else 0
    events = np.where((first + np.arange(count)) % 2 == 0, _NAT_CREATE, _NAT_DELETE).astype(np.uint8)
    times = window.begin_ms + np.arange(count) * (window.end_ms - window.begin_ms) // max(count, 1)
    inside, outside = ipv4_clients(draws, number, window.domain), ipv4_servers(draws, number)
    protocol = draws.of(weighted((6, 17), (70, 30), np.uint8), number)
    ports = (1024 + draws.below(64512, number)).astype(np.uint16)
    pool = (0xCB007101 + draws.popular(64, number)).astype(np.uint32)
    vrf = np.ones(count, np.uint32)
    each = [protocol, inside, pool, ports, ports[::-1], outside, np.full(number, 443, np.uint16)]
    return [since_1970(times), events, *[column[sessions] for column in each], vrf]


# --- options ---


@cache
def _interface_template(_: int) -> Template:
    return Template.of(0, "ingressInterface{scope}", "interfaceName", "interfaceDescription")


def _interfaces(draws: Draws, count: int, first: int, window: Window) -> list[Values]:
    """Names of interfaces, by number."""
    numbers = range(first + 1, first + count + 1)
    names = _strings(tuple(f"xe-0/0/{n - 1}".encode() for n in numbers), np.arange(count))
    roles = _strings(tuple((b"uplink" if n == INTERFACES else b"customer %d" % n) for n in numbers), np.arange(count))
    return [np.array(numbers, np.uint32), names, roles]


@cache
def _sampler_template(_: int) -> Template:
    names = ("selectorId{scope}", "selectorAlgorithm", "samplingPacketInterval", "samplingPacketSpace")
    return Template.of(0, *names)


def _samplers(draws: Draws, count: int, first: int, window: Window) -> list[Values]:
    """Systematic count-based sampling of one packet in a hundred (RFC 5476 §6.5.2.1)."""
    numbers = np.arange(first + 1, first + count + 1).astype(np.uint64)
    one, space = np.ones(count, np.uint32), np.full(count, _SAMPLING - 1, np.uint32)
    return [numbers, np.ones(count, np.uint16), one, space]


def _flows_of(family: int) -> Shape:
    def columns(draws: Draws, count: int, first: int, window: Window) -> list[Values]:
        return [*picked(flows(draws, count, window, family), flow_template(window.version, family))]

    return Shape(lambda version: flow_template(version, family), columns, (10, 9, 5) if family == 4 else (10, 9))


def _biflow_columns(draws: Draws, count: int, first: int, window: Window) -> list[Values]:
    return [*picked(biflows(draws, count, window), flow_template(10, 4, is_biflow=True))]


SHAPES: Final = {
    "flows4": _flows_of(4),
    "flows6": _flows_of(6),
    "biflow": Shape(lambda version: flow_template(version, 4, is_biflow=True), _biflow_columns),
    "dns": Shape(_dns_template, _dns, inner=_answer_template),
    "nat": Shape(_nat_template, _nat, (10, 9)),
    "options": Shape(_interface_template, _interfaces),
}
"""By name; `mixed` has all of them."""

MIXED: Final = {"flows4": 68, "flows6": 20, "biflow": 5, "dns": 4, "nat": 3}
"""Of a hundred records."""

DESCRIPTIONS: Final = ((SHAPES["options"], INTERFACES), (Shape(_sampler_template, _samplers), 1))
"""Option records that exporters of mixed traffic begin with, and how many of each."""
