"""A capture read in both ways, record by record and as columns, and compared with its truth."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path
from typing import Any, NamedTuple

import headwater as hw
from headwater.errors import DecodeError, FaultKind
from headwater.session import Limits, Session
from tests.corpus.captures import DISPUTED, GRADES, MORE_RECORDS, OTHER_VALUES, TRUSTED, VERSIONS, pcap
from tests.corpus.truth import Difference, Expected, Read, compare, compare_row, compare_template, set_id, truth
from tests.oracle import Account, Record, cell_of, comparable, is_column
from tests.pcap import Datagram, read_pcap

AS_IT_COMES = Limits(held_sets=0)
"""The truth has no records that came before their template."""
MODES: dict[str, dict[str, Any]] = {"whole": {}, "salvage": {"salvage": True}, "strict": {"strict": True}}
SECONDS_A_DATAGRAM = 0.05

_PROVENANCE = (
    "exporterIPv4Address",
    "exporterIPv6Address",
    "exporterTransportPort",
    "observationDomainId",
    "exportTime",
    "sequence",
)
_SFLOW5 = b"\0\0\0\5"
# (offset, octets) of Export Time, sequence number and domain in the header of each version
_HEADERS: dict[int, tuple[tuple[int, int], ...]] = {
    1: ((8, 4), (0, 0), (0, 0)),
    5: ((8, 4), (16, 4), (20, 2)),
    7: ((8, 4), (16, 4), (0, 0)),
    8: ((8, 4), (16, 4), (20, 2)),
    9: ((8, 4), (12, 4), (16, 4)),
    10: ((4, 4), (8, 4), (12, 4)),
}


class MessageId(NamedTuple):
    """Which Message a record came in, as far as its exporter tells."""

    address: str
    port: int
    domain: int
    export_time: int
    sequence: int


@dataclass(slots=True)
class Outcome:
    """What became of one capture.

    expected, decoded: records of the truth, and of hw.read. fields: values compared in columns; the same ones are
    compared record by record. differences: those that nothing explains. explained: how many the captures' list does.
    sflow: datagrams of sFlow, which are counted. faults: of hw.read.
    """

    name: str
    expected: int = 0
    decoded: int = 0
    fields: int = 0
    differences: list[Difference] = field(default_factory=list)
    explained: int = 0
    sflow: int = 0
    faults: Counter[FaultKind] = field(default_factory=Counter)
    remark: str = ""

    @property
    def versions(self) -> tuple[str, ...]:
        return VERSIONS[self.name]

    @property
    def grade(self) -> str:
        return GRADES[self.name]


def datagrams(corpus: Path, name: str) -> list[Datagram]:
    """UDP datagrams of a capture."""
    return read_pcap(pcap(corpus, name))


def listen_to(
    found: list[Datagram], limits: Limits = AS_IT_COMES, **options: Any
) -> tuple[dict[tuple[str, int, str, int], Account], dict[int, list[Record]]]:
    """(account of each transport session, records of each frame)."""
    accounts: dict[tuple[str, int, str, int], Account] = {}
    frames = {}
    for datagram in found:
        told = accounts.setdefault(datagram.session, Account(Session(limits=limits, **options)))
        before = len(told.items)
        told.feed(datagram.payload)
        frames[datagram.frame] = [item for item in told.items[before:] if isinstance(item, Record)]
    return accounts, frames


def compare_capture(corpus: Path, name: str) -> Outcome:
    """Read a capture in both ways and compare every record with its truth; disputed ones in all modes with nothing."""
    outcome = Outcome(name)
    found = datagrams(corpus, name)
    outcome.sflow = sum(d.payload[:4] == _SFLOW5 for d in found)
    with hw.read(pcap(corpus, name), limits=AS_IT_COMES, provenance=_PROVENANCE) as reading:
        rows = rows_by_message(reading)
        outcome.faults = reading.report.faults
    outcome.decoded = sum(map(len, rows.values()))
    if name in DISPUTED:
        outcome.expected = sum(map(len, truth(corpus, name).values()))
        outcome.differences += robust(corpus, name)
    else:
        _compare(outcome, corpus, found, rows)
    if outcome.sflow != outcome.faults[FaultKind.SFLOW]:
        told = outcome.faults[FaultKind.SFLOW]
        outcome.differences.append(Difference(0, 0, "(sFlow datagrams)", outcome.sflow, told))
    outcome.remark = _remark(outcome)
    return outcome


def compare_records(
    frames: dict[int, list[Record]], expected: dict[int, list[Expected]], name: str
) -> list[Difference]:
    """Where the records of the scalar oracle are not those of the truth."""
    out = []
    for frame in sorted(frames.keys() | expected.keys()):
        records, wanted = frames.get(frame, []), expected.get(frame, [])
        out += _compare_count(frame, len(wanted), len(records), name)
        for index, (record, values) in enumerate(zip(records, wanted, strict=False)):
            out += compare(record, values, name, index)
    return out


def compare_order(capture: Path, frames: dict[int, list[Record]]) -> list[Difference]:
    """Whether hw.records gives the records of the scalar oracle, in the order of the wire."""
    wanted = [_as_dict(record) for records in frames.values() for record in records]
    ours = hw.records(capture, limits=AS_IT_COMES, addresses="raw", lists="full")
    for index, (theirs, mine) in enumerate(zip_longest(comparable(wanted), comparable(list(ours)))):
        if theirs != mine:
            return [Difference(0, index, "(order)", theirs, mine)]
    return []


def rows_by_message(reading: hw.Reading) -> dict[tuple[MessageId, int], list[Read]]:
    """Records of a reading by Message and Template id, in the order in which they come."""
    out: dict[tuple[MessageId, int], list[Read]] = {}
    for batch in reading:
        fields = tuple(filter(is_column, batch.template.fields))
        names = batch.schema.names
        facts = names[len(fields) :]
        assert len(facts) == len(_PROVENANCE)
        full = batch.rows(addresses="raw", lists="full")
        for row, raw in zip(batch.rows(), full, strict=True):
            address, address6, port, domain, export_time, sequence = (row[fact] for fact in facts)
            message = MessageId(address or address6, port, domain, export_time, sequence)
            values = tuple((raw if f.type.is_list else row)[n] for n, f in zip(names, fields, strict=False))
            out.setdefault((message, batch.template.id), []).append(Read(batch.template, fields, values, export_time))
    return out


def robust(corpus: Path, name: str) -> list[Difference]:
    """What goes wrong when a capture is read in every mode: exceptions, time; columns are compared with the oracle."""
    out = []
    found = datagrams(corpus, name)
    for mode, options in MODES.items():
        if mode != "strict":
            listen_to(found, Limits(), **options)  # every Account compares the two
        start = time.process_time()
        try:
            for _ in hw.read(pcap(corpus, name), **options):
                pass
        except DecodeError as bad:
            if mode != "strict":
                out.append(Difference(0, 0, f"({mode})", "no exception", repr(bad)))
        took = (time.process_time() - start) / len(found)
        if took > SECONDS_A_DATAGRAM:
            out.append(Difference(0, 0, f"({mode})", f"at most {SECONDS_A_DATAGRAM} s a datagram", took))
    return out


def message_id(datagram: Datagram) -> MessageId:
    """What the (first) Message of a datagram is known by."""
    octets = datagram.payload
    fields = _HEADERS.get(int.from_bytes(octets[:2], "big"), ((0, 0),) * 3)
    export_time, sequence, domain = (int.from_bytes(octets[at : at + width], "big") for at, width in fields)
    return MessageId(datagram.source, datagram.source_port, domain, export_time, sequence)


def _compare(
    outcome: Outcome, corpus: Path, found: list[Datagram], rows: dict[tuple[MessageId, int], list[Read]]
) -> None:
    name = outcome.name
    expected = truth(corpus, name)
    outcome.expected = sum(map(len, expected.values()))
    _, frames = listen_to(found)
    outcome.differences += compare_records(frames, expected, name)
    outcome.differences += compare_order(pcap(corpus, name), frames)
    wanted: dict[tuple[MessageId, int], list[tuple[int, Expected, Sequence[Any]]]] = {}
    for datagram in found:
        for index, record in enumerate(expected.get(datagram.frame, [])):
            oracle = frames[datagram.frame][index : index + 1]
            values = [cell.value for r in oracle for cell in r.cells]
            wanted.setdefault((message_id(datagram), set_id(record)), []).append((index, record, values))
    for key, records in wanted.items():
        frame = records[0][1]["_frame"]
        mine = rows.pop(key, [])
        if len(mine) != len(records):
            outcome.differences.append(Difference(frame, 0, "(rows)", len(records), len(mine)))
        for row, (index, record, plain) in zip(mine, records, strict=False):
            outcome.fields += len(row.values)
            outcome.differences += compare_template(row.template, record, index) or compare_row(
                row, record, plain or row.values, name, index
            )
    left = sum(map(len, rows.values()))
    more = sum(MORE_RECORDS[key] - len(expected[key[1]]) for key in MORE_RECORDS if key[0] == name)
    if left != more:
        outcome.differences.append(Difference(0, 0, "(rows of other Messages)", more, left))
    outcome.explained += more + sum(key[0] == name for key in OTHER_VALUES)


def _as_dict(record: Record) -> dict[str, Any]:
    template = record.template
    names = [name for name, field in zip(template.column_names, template.fields, strict=True) if is_column(field)]
    return {n: cell_of(c.field, c.value, full=True) for n, c in zip(names, record.cells, strict=True)}


def _compare_count(frame: int, wanted: int, found: int, name: str) -> list[Difference]:
    expected = MORE_RECORDS.get((name, frame), wanted)
    return [Difference(frame, 0, "(records)", expected, found)] if expected != found else []


def _remark(outcome: Outcome) -> str:
    parts = []
    if outcome.sflow:
        parts.append(f"{outcome.sflow} sFlow datagrams counted")
    if outcome.name in DISPUTED:
        parts.append("disputed: robust in all modes")
    elif outcome.name not in TRUSTED:
        parts.append("nothing to decode; " + ", ".join(f"{k}: {n}" for k, n in sorted(outcome.faults.items())))
    return "; ".join(parts)
