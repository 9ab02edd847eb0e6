"""`headwater info`: exporters with their Observation Domains, and the sampling they said."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from headwater.cli.layout import protocol
from headwater.cli.outcome import counted
from headwater.cli.table import aligned
from headwater.session.key import SessionKey

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from headwater.cli.sampling_use import SamplingTally
    from headwater.cli.screen import Painter
    from headwater.process import SourceReport
    from headwater.session.sequence import DomainLedger

LISTED = 10
"""Rows of a table that could have thousands; --json has them all."""

_OTHERS = {
    "late": "late",
    "duplicates": "duplicates",
    "resets": "restarts",
    "unknown_gaps": "unknown gaps",
    "undecodable_sets": "undecodable sets",
    "malformed": "malformed",
}
"""Counts of a ledger that are zero as a rule, and what they are called."""


def more(count: int, indent: str = "  ") -> str:
    """The line for rows that were left out."""
    return f"{indent}… {count:,} more, --json has all"


def exporters(source: SourceReport, paint: Painter) -> Iterator[str]:
    """A row for each Observation Domain of each exporter, the busiest first; of a file, of each domain."""
    ledgers = source.ledgers
    if not ledgers:
        return
    yield ""
    if all(ledger.key is None for ledger in ledgers):
        rows = [(str(one.domain), *_counts(one, ledgers)) for one in ledgers]
        headings: tuple[str, ...] = ("domain", *_names(ledgers))
        yield from aligned(rows, headings, right=range(len(headings)), indent="  ", paint=paint)
        return
    busiest = sorted(ledgers, key=lambda one: (-one.records, -one.messages))
    count = len({ledger.key for ledger in ledgers})
    words = counted(count, "exporter") + (f", {len(ledgers):,} domains" if len(ledgers) > count else "")
    yield f"  {paint('name', words)}" + (", the busiest" if len(ledgers) > LISTED else "")
    rows = [
        (str(one.key), _collector(one), protocol(one.version), str(one.domain), *_counts(one, ledgers))
        for one in busiest[:LISTED]
    ]
    headings = ("exporter", "collector", "protocol", "domain", *_names(ledgers))
    yield from aligned(rows, headings, right=range(3, len(headings)), indent="    ", paint=paint)
    if len(ledgers) > LISTED:
        yield more(len(ledgers) - LISTED, "    ")


def _names(ledgers: list[DomainLedger]) -> list[str]:
    return ["messages", "records", "lost", *(_OTHERS[name] for name in _others(ledgers))]


def _others(ledgers: list[DomainLedger]) -> list[str]:
    return [name for name in _OTHERS if any(getattr(ledger, name) for ledger in ledgers)]


def _counts(one: DomainLedger, ledgers: list[DomainLedger]) -> list[str]:
    lost = f"{one.lost:,}"
    if one.lost and (one.key is not None or one.unit != "records"):
        lost += f" {one.unit}"
    return [f"{one.messages:,}", f"{one.records:,}", lost, *(f"{getattr(one, name):,}" for name in _others(ledgers))]


def _collector(ledger: DomainLedger) -> str:
    key = ledger.key
    if key is None or not key.local_address:
        return "-"
    return str(SessionKey(key.local_address, key.local_port))


def exporter_in(source: SourceReport) -> Callable[[SessionKey | None], SessionKey | None]:
    """Makes of a transport session the exporter that `exporters` lists: where ports do not count, one of an address."""
    listed = {ledger.key for ledger in source.ledgers if ledger.key is not None}
    by_address = {key.address: key for key in listed}
    return lambda key: key if key is None or key in listed else by_address.get(key.address, key)


_SAID_BY = {
    "record": "by the records",
    "header": "by the message headers",
    "sampler": "by options of their sampler",
    "selectionSequence": "by options of their selection sequence",
    "ingressInterface": "by options of the ingress interface",
    "egressInterface": "by options of the egress interface",
    "exporter": "by options of the exporter",
}


def sampling(tally: SamplingTally, source: SourceReport, paint: Painter) -> Iterator[str]:
    """The sampling rates that records came under, and who said so; nothing if nobody said anything."""
    if not any(use.rate is not None for use in tally.records):
        return
    yield f"\n  {paint('name', 'sampling')}"
    exporter = exporter_in(source)
    found: Counter[tuple[str, str, str]] = Counter()
    for use, count in tally.records.items():
        rate = "unknown" if use.rate is None else "not sampled" if use.rate == 1 else f"1 in {use.rate:.10g}"
        found[str(exporter(use.exporter)), rate, "" if use.source is None else _SAID_BY[use.source]] += count
    start = 0 if len({who for who, _, _ in found}) > 1 else 1
    rows = [(who, rate, counted(count, "record"), told)[start:] for (who, rate, told), count in found.most_common()]
    yield from aligned(rows[:LISTED], right={2 - start}, indent="    ", paint=paint)
    if len(rows) > LISTED:
        yield more(len(rows) - LISTED, "    ")
