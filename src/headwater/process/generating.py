"""Generating: synthetic traffic that looks like a network's, the same octets for the same arguments."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from headwater.batch.batch import Batch
from headwater.batch.plan import compile_plan
from headwater.errors import HeadwaterError
from headwater.process.generating_draws import Draws
from headwater.process.generating_flows import Window
from headwater.process.generating_shapes import DESCRIPTIONS, MIXED, SHAPES, Shape
from headwater.session.events import Messages
from headwater.wire.dialect import IPFIX

if TYPE_CHECKING:
    from headwater.batch.lists import Values
    from headwater.batch.schema import Schema
    from headwater.model.template import Template

START: Final = 1_767_225_600.0
"""2026-01-01T00:00:00Z: without a start of its own all traffic begins then, for the clock would make it differ."""
DOMAINS: Final = 1 << 16
EXPORTERS: Final = 250
_UPTIME_S: Final = 864_000  # of exporters at the start
_CHUNK: Final = 8192  # records of a domain between exports, if the rate is high enough
_MOST: Final = 1 << 17  # and never more
_LONGEST_S: Final = 10


@dataclass(frozen=True, slots=True)
class Generated:
    """Records that one exporter sends at one time, in seconds since 1970; exporters are numbered from 0."""

    exporter: int
    export_time: float
    batch: Batch


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """What is generated: see `generate`. exporters: each has all the domains. version: 10 (IPFIX), 9 or 5 (NetFlow).

    longest: seconds between exports at most, if there is a record in them.

    Raises HeadwaterError for what cannot be generated.
    """

    records: int = 10_000
    rate: float = 1000.0
    shape: str = "mixed"
    domains: int = 1
    exporters: int = 1
    version: int = 10
    start: float = START
    seed: int = 0
    longest: int = _LONGEST_S

    def __post_init__(self) -> None:
        for name, low, high in (
            ("records", 0, 1 << 40),
            ("rate", 0.001, 1 << 30),
            ("domains", 1, DOMAINS),
            ("exporters", 1, EXPORTERS),
            ("start", _UPTIME_S, 0xF0000000),
            ("seed", 0, 1 << 64),
        ):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
                raise HeadwaterError(f"{name} must be from {low:,} to {high:,}, not {value!r}")
        if self.version not in (5, 9, 10):
            raise HeadwaterError(f"version must be 10 (IPFIX), 9 or 5 (NetFlow), not {self.version!r}")
        self.names()

    @property
    def booted(self) -> float:
        """When the exporters' sysUpTime was 0, in seconds."""
        return self.start - _UPTIME_S

    @property
    def describes(self) -> bool:
        """Whether there are option records of what exporters say about themselves."""
        return self.version == IPFIX.version and ("mixed" in self.shape or "options" in self.shape)

    def descriptions(self) -> list[tuple[Shape, int]]:
        """Option records that exporters begin with, and how many of each."""
        if not self.describes:
            return []
        own = [shape for shape, _ in self.shares()]  # records that come anyway need not come before
        return [(shape, number) for shape, number in DESCRIPTIONS if shape not in own]

    def names(self) -> dict[str, int]:
        """Which shapes there are, and the share of each."""
        shares: dict[str, int] = {}
        for name in (each.strip() for each in self.shape.split(",")):
            if name == "mixed":
                shares |= {each: share for each, share in MIXED.items() if self.version in SHAPES[each].versions}
            elif name in SHAPES:
                shares[name] = 20
            else:
                raise HeadwaterError(f"there is no shape {name!r}; there are mixed, {', '.join(SHAPES)}")
        for name in shares:
            if self.version not in SHAPES[name].versions:
                able = [each for each, shape in SHAPES.items() if self.version in shape.versions]
                raise HeadwaterError(f"NetFlow v{self.version} has no records of shape {name}; try {', '.join(able)}")
        return shares

    def shares(self) -> list[tuple[Shape, int]]:
        """The shapes, and the share of each."""
        return [(SHAPES[name], share) for name, share in self.names().items()]

    def templates(self) -> Iterator[Template]:
        """What all records consist of, and those in their lists."""
        for shape, _ in (*self.descriptions(), *self.shares()):
            yield shape.template(self.version)
            if shape.inner is not None:
                yield shape.inner()

    def __iter__(self) -> Iterator[Generated]:
        """All records, in the order in which they are exported."""
        exporting = [_Source(self, e, d) for e in range(self.exporters) for d in range(1, self.domains + 1)]
        for source in exporting:
            yield from source.descriptions()
        chunk = self._chunk
        for done in range(0, self.records, chunk):
            begin, end = (self.start + number / self.rate for number in (done, done + chunk))
            until = min(done + chunk, self.records)
            for k, source in enumerate(exporting):
                # each has its part of all records so far, so that none is lost in rounding
                yield from source.take(self._part(k, until) - self._part(k, done), begin, end)

    @property
    def interval(self) -> float:
        """Seconds from one export to the next."""
        return self._chunk / self.rate

    @property
    def _chunk(self) -> int:
        """Records between exports, of all sources."""
        sources = self.exporters * self.domains
        seconds = min(max(-(-_CHUNK * sources // self.rate), 1), self.longest)
        return min(math.ceil(seconds * self.rate), _MOST * sources)

    def _part(self, k: int, records: int) -> int:
        sources = self.exporters * self.domains
        return (records + k) // sources


class _Source:
    """One Observation Domain of one exporter."""

    def __init__(self, traffic: Traffic, exporter: int, domain: int) -> None:
        self._traffic, self._exporter, self._domain = traffic, exporter, domain
        self._draws = Draws(traffic.seed, exporter, domain)
        self._shares = traffic.shares()
        self._ends = [0, *accumulate(share for _, share in self._shares)]
        self._done = 0

    def take(self, records: int, begin: float, end: float) -> Iterator[Generated]:
        """The next records, which end between `begin` and `end`."""
        before, self._done = self._done, self._done + records
        for (shape, _), (low, high) in zip(self._shares, pairwise(self._ends), strict=True):
            first, last = (self._share(low, high, number) for number in (before, self._done))
            if last > first:
                yield self._made(shape, last - first, first, begin, end)

    def descriptions(self) -> Iterator[Generated]:
        """What the exporter says about itself."""
        start = self._traffic.start
        for shape, number in self._traffic.descriptions():
            yield self._made(shape, number, 0, start, start)

    def _share(self, low: int, high: int, records: int) -> int:
        """How many of so many records are of the shape with these bounds of all shares."""
        whole = self._ends[-1]
        return records * high // whole - records * low // whole

    def _made(self, shape: Shape, records: int, first: int, begin: float, end: float) -> Generated:
        traffic = self._traffic
        begin_ms, end_ms, booted_ms = (round(time * 1000) for time in (begin, end, traffic.booted))
        window = Window(begin_ms, end_ms, self._domain, traffic.version, booted_ms)
        columns = shape.columns(self._draws, records, first, window)
        template = shape.template(traffic.version)
        return Generated(self._exporter, end, _batch(template, columns, records, self._domain, end))


def generate(
    records: int = 10_000,
    *,
    shape: str = "mixed",
    rate: float = 1000.0,
    domains: int = 1,
    start: float = START,
    seed: int = 0,
) -> Iterator[Batch]:
    """Batches of synthetic records; the same arguments give the same records, with the same release of numpy.

        with hw.Writer("test.ipfix") as w:
            for batch in hw.generate(100_000, shape="flows4,dns"):
                w.write(batch)

    Few hosts have most of the flows, most flows are short and a few have most of the octets, ports, TCP flags,
    durations and interfaces go together. Addresses are those for tests and documentation.

    records: how many; those of options that come with "mixed" and "options" are not counted. rate: records per second.
    shape: "flows4", "flows6", "biflow", "dns" (with lists), "nat", "options", several with commas between, or "mixed".
    domains: Observation Domains, from 1 on. start: seconds since 1970; by default 2026 begins then.
    Raises HeadwaterError for what cannot be generated.
    """
    traffic = Traffic(records=records, shape=shape, rate=rate, domains=domains, start=start, seed=seed)
    return (part.batch for part in traffic)


@lru_cache(64)
def _schema(template: Template) -> Schema:
    return compile_plan(template).schema


def _batch(template: Template, columns: list[Values], records: int, domain: int, export_time: float) -> Batch:
    u32: Any = np.uint32
    messages = Messages(
        offset=np.zeros(1, np.int64),
        start=np.zeros(1, np.int32),
        export_time=np.array([export_time], u32),
        sequence=np.zeros(1, u32),
        domain=np.array([domain], u32),
        version=np.array([10], np.uint16),
    )
    return Batch(template, _schema(template), columns, records, (), messages, np.zeros(1, np.int32))
