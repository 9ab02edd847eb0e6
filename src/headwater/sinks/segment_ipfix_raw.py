"""IPFIX Messages as they were received, octet for octet, in files of their own for each exporter."""

from __future__ import annotations

import logging
import re
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from headwater import kernel
from headwater.errors import FaultKind
from headwater.session.datagram_framing import frame_datagrams
from headwater.session.sets import frame_sets
from headwater.sinks.collecting import SinkCounters
from headwater.sinks.finisher import Finisher
from headwater.sinks.known_templates import KnownTemplates
from headwater.sinks.segment_file import SegmentFile, set_aside
from headwater.sinks.segment_names import SegmentNames
from headwater.sinks.segments import ROTATE, ROTATE_SIZE, make_folder
from headwater.wire.dialect import IPFIX, OPTIONS_TEMPLATE_SET, TEMPLATE_SET

if TYPE_CHECKING:
    import numpy.typing as npt

    from headwater.session.datagrams import Datagrams
    from headwater.session.framing import Frames
    from headwater.session.key import SessionKey, Transport
    from headwater.transport.incoming.block import Block

SUFFIX: Final = ".ipfix"
_MOST_OPEN: Final = 4096
_OTHERS_FILES: Final = 256
"""File handles that are left to the rest of the process."""
_MOST_EXPORTERS: Final = 1 << 16
_MOST_TEMPLATE_OCTETS: Final = 64 << 20
_FOREIGN: Final = frozenset((FaultKind.VERSION, FaultKind.SFLOW, FaultKind.AGGREGATION))
_TIME_AT, _SEQUENCE_AT = 4, 8  # in the Message header
_DOMAIN_PLAN: Final = np.array([(0, 12, 4, 0)], np.int32)

_log = logging.getLogger("headwater.collector")


class RawIpfixSegments:
    """A sink (BlockSink) of IPFIX files in folders `<address>_<port>`; Messages stand for records in its counters.

    A file begins, in each Observation Domain, with the Templates that the exporter has sent before, so that it can be
    read alone. Sequence numbers stay as they came. NetFlow is not stored, and counted as not_ipfix, as are Messages
    that are not whole (malformed). When more exporters speak than files can be open, the files of those that were
    silent the longest end early. SCTP streams of an exporter are not told apart.
    rotate, rotate_size, partition, worker, now: as for `Segments`; rotate_size is of each file.
    """

    def __init__(
        self,
        folder: Path | str,
        *,
        rotate: float = ROTATE,
        rotate_size: int = ROTATE_SIZE,
        partition: str = "",
        worker: int = 0,
        now: Callable[[], float] = time.time,
        most_open: int | None = None,
    ) -> None:
        self.name = f"ipfix-raw:{folder}"
        self.counters = SinkCounters(others={"not_ipfix": 0, "malformed": 0, "templates_left_out": 0})
        self._folder, self._worker, self._partition, self._now = Path(folder), worker, partition, now
        self._rotate, self._rotate_size = rotate, rotate_size
        SegmentNames(self._folder, SUFFIX, worker=worker, partition=partition)  # what is wrong with them is told now
        self._finisher = Finisher(self._done, self._gone, most=_MOST_EXPORTERS)
        self._most_open = most_open
        self._exporters: OrderedDict[SessionKey | None, _Exporter] = OrderedDict()  # the one heard of last at the end
        self._open: OrderedDict[SessionKey | None, _Exporter] = OrderedDict()  # those with a file, likewise
        self._template_octets = 0
        self._began: float | None = None

    @property
    def files_open(self) -> int:
        """Files that are being written."""
        return len(self._open)

    @property
    def records_waiting(self) -> int:
        """Messages whose segment has not got its name yet."""
        return self._finisher.records + sum(one.file.records for one in self._open.values() if one.file is not None)

    def open(self) -> list[str]:
        """Make the folder, set torn files aside; what there is to tell of it. Raises SinkError."""
        make_folder(self._folder)
        if self._most_open is None:
            self._most_open = _room_for_files()
        torn = set_aside(self._folder, SUFFIX)
        self.counters.torn += len(torn)
        return [str(found) for found in torn]

    def write_block(self, block: Block, transport: Transport, local: tuple[str, int]) -> int:
        """Take the IPFIX Messages of a block; how many there were. Raises OSError, and has taken them then too."""
        now = self._now()
        if self._is_due(now):
            self._end_all()
        count = 0
        touched: list[_Exporter] = []
        for messages in self._messages(block.datagrams):
            exporter = self._exporter(messages.key)
            before = exporter.known.octets, exporter.known.left_out
            self._begin(exporter, now)
            assert exporter.file is not None
            exporter.write(messages)
            exporter.file.records += len(messages)
            count += len(messages)
            touched.append(exporter)
            self._template_octets += exporter.known.octets - before[0]
            self.counters.others["templates_left_out"] += exporter.known.left_out - before[1]
            if self._rotate_size and exporter.file.position >= self._rotate_size:
                self._end(exporter)
        self.counters.records += count
        for key in block.ended:
            self._forget(key)
        while self._exporters and self._is_too_much():
            self._forget(next(iter(self._exporters)))
        self._settle(touched)
        return count

    def tick(self, now: float) -> None:
        """End the segments if it is time. now: seconds since 1970. Raises OSError."""
        if self._is_due(now):
            self._end_all()
        self._settle(self._open.values())

    def retry(self) -> None:
        """After an OSError: put down what waits. Raises OSError."""
        self._settle(self._open.values(), is_again=True)

    def flush(self) -> None:
        """End all segments, and see them on the disk under their names. Raises OSError."""
        self._end_all()
        self._settle((), is_again=True)

    close = flush

    def abandon(self) -> None:
        """Give up what has no name yet."""
        files = [one.file for one in self._open.values() if one.file is not None]
        for file in files:
            file.give_up()
        lost = sum(file.records for file in files) + sum(file.records for file in self._finisher.give_up())
        self.counters.records_lost += lost
        for one in self._open.values():
            one.file = None
        self._open.clear()
        self._began = None

    def _messages(self, datagrams: Datagrams) -> Iterator[_Messages]:
        """The whole IPFIX Messages, those of each exporter together."""
        if not len(datagrams):
            return
        frames = frame_datagrams(datagrams.buffer, datagrams.start, datagrams.end, datagrams.peer)
        assert frames.datagram is not None
        others = self.counters.others
        for trouble in frames.troubles:
            if trouble.kind in _FOREIGN:
                self._leave_out(trouble.number)
            elif trouble.is_message:
                others["malformed"] += trouble.number
        which = np.arange(len(frames.start))
        if frames.version is not None:
            which = np.flatnonzero(frames.version == IPFIX.version)
            self._leave_out(len(frames.start) - len(which))
        if not len(which):
            return
        templates = _template_sets(datagrams.buffer, frames)
        peer = datagrams.peer[frames.datagram]
        which = which[np.argsort(peer[which], kind="stable")]
        cuts = [0, *(np.flatnonzero(np.diff(peer[which])) + 1).tolist(), len(which)]
        octets = memoryview(np.ascontiguousarray(datagrams.buffer))
        start, end, numbers = frames.start[which].tolist(), frames.end[which].tolist(), which.tolist()
        domains = _domains(datagrams.buffer, frames.start[which])
        for first, after in pairwise(cuts):
            mine = slice(first, after)
            key = datagrams.keys[int(peer[numbers[first]])]
            yield _Messages(key, octets, start[mine], end[mine], domains[mine], numbers[mine], templates)

    def _leave_out(self, count: int) -> None:
        """Messages of other protocols."""
        others = self.counters.others
        if count and not others["not_ipfix"]:
            _log.warning("%s: what is no IPFIX, such as NetFlow, is not stored; spool: stores everything", self.name)
        others["not_ipfix"] += count

    def _exporter(self, key: SessionKey | None) -> _Exporter:
        found = self._exporters.get(key)
        if found is None:
            folder = self._folder / _name(key)
            names = SegmentNames(folder, SUFFIX, worker=self._worker, partition=self._partition)
            found = self._exporters[key] = _Exporter(key, names)
        self._exporters.move_to_end(key)
        return found

    def _begin(self, exporter: _Exporter, now: float) -> None:
        """See that the exporter has a file."""
        if exporter.file is None:
            while len(self._open) >= (self._most_open or 1):
                self._end(next(iter(self._open.values())))
            if self._began is None:
                self._began = now
            exporter.begin(now)
            self._open[exporter.key] = exporter
        self._open.move_to_end(exporter.key)

    def _end(self, exporter: _Exporter) -> None:
        if exporter.file is not None:
            with suppress(OSError):  # the finisher tries again; names are given in the order of time
                exporter.file.put_down()
            self._finisher.add(exporter.file)
            exporter.file = None
            del self._open[exporter.key]

    def _end_all(self) -> None:
        for exporter in list(self._open.values()):
            self._end(exporter)
        self._began = None

    def _forget(self, key: SessionKey | None) -> None:
        exporter = self._exporters.pop(key, None)
        if exporter is not None:
            self._end(exporter)
            self._template_octets -= exporter.known.octets

    def _is_too_much(self) -> bool:
        return len(self._exporters) > _MOST_EXPORTERS or self._template_octets > _MOST_TEMPLATE_OCTETS

    def _is_due(self, now: float) -> bool:
        if self._began is None or not self._rotate:
            return False
        return now // self._rotate > self._began // self._rotate or now < self._began - self._rotate

    def _settle(self, exporters: Iterable[_Exporter], *, is_again: bool = False) -> None:
        """Raise what the system had against it."""
        try:
            if is_again:
                self._finisher.finish()
            for exporter in exporters:
                if exporter.file is not None:
                    exporter.file.put_down()
            self._finisher.check()
        except OSError as bad:
            self.counters.errors += 1
            self.counters.last_error = str(bad)
            raise

    def _done(self, file: SegmentFile) -> None:
        self.counters.records_written += file.records
        self.counters.octets += file.position
        self.counters.segments += 1

    def _gone(self, file: SegmentFile, bad: OSError) -> None:
        self.counters.records_lost += file.records
        self.counters.last_error = str(bad)


@dataclass(frozen=True, slots=True)
class _Messages:
    """Messages of one exporter in a buffer. domains: of each. numbers: which they are among all of the buffer.

    templates: by number, the (Set ID, body) of the Sets of Templates of a Message.
    """

    key: SessionKey | None
    buffer: memoryview
    start: list[int]
    end: list[int]
    domains: list[int]
    numbers: list[int]
    templates: dict[int, list[tuple[int, bytes]]]

    def __len__(self) -> int:
        return len(self.start)

    @property
    def has_templates(self) -> bool:
        return bool(self.templates) and any(number in self.templates for number in self.numbers)

    def octets(self) -> bytes:
        """All of them."""
        if self.start[1:] == self.end[:-1]:
            return bytes(self.buffer[self.start[0] : self.end[-1]])
        return b"".join([self.buffer[start:end] for start, end in zip(self.start, self.end, strict=True)])

    def one_by_one(self) -> Iterator[tuple[bytes, int, list[tuple[int, bytes]]]]:
        """Each, with its Observation Domain and its Sets of Templates."""
        for start, end, domain, number in zip(self.start, self.end, self.domains, self.numbers, strict=True):
            yield bytes(self.buffer[start:end]), domain, self.templates.get(number, [])


class _Exporter:
    """One transport session, and the file that its Messages go to, if one is open."""

    def __init__(self, key: SessionKey | None, names: SegmentNames) -> None:
        self.key = key
        self.known = KnownTemplates()
        self.file: SegmentFile | None = None
        self._names = names
        self._begun: set[int] = set()

    def begin(self, now: float) -> None:
        """Begin a file."""
        self.file = SegmentFile(self._names.paths(now))
        self._begun = set()

    def write(self, messages: _Messages) -> None:
        """Write Messages; before the first of a domain, the Templates that it may need."""
        assert self.file is not None
        if self._begun.issuperset(messages.domains) and not messages.has_templates:
            self.file.write(messages.octets())
            return
        for message, domain, sets in messages.one_by_one():
            if domain not in self._begun:
                self._begun.add(domain)
                self.file.write(self.known.messages(domain, _u32(message, _TIME_AT), _u32(message, _SEQUENCE_AT)))
            self.file.write(message)
            for set_id, body in sets:
                self.known.learn(domain, set_id, body)


def _domains(buffer: npt.NDArray[np.uint8], start: npt.NDArray[np.int32]) -> list[int]:
    """The Observation Domains in the headers of Messages that begin there."""
    (found,) = kernel.columns(buffer, start[None], _DOMAIN_PLAN, [np.dtype("u4")])
    domains: list[int] = found.tolist()
    return domains


def _template_sets(buffer: npt.NDArray[np.uint8], frames: Frames) -> dict[int, list[tuple[int, bytes]]]:
    """The (Set ID, body) of the Sets of Templates of each Message that has any, by its number."""
    version = frames.version
    if version is None:
        version = np.full(len(frames.start), IPFIX.version, np.uint16)
    sets, _ = frame_sets(buffer, frames, version)
    is_template = (sets.tag == TEMPLATE_SET) | (sets.tag == OPTIONS_TEMPLATE_SET)
    wanted = np.flatnonzero(is_template & (version[sets.message] == IPFIX.version))
    found: dict[int, list[tuple[int, bytes]]] = {}
    for i in wanted.tolist():
        body = buffer[int(sets.start[i]) : int(sets.end[i])].tobytes()
        found.setdefault(int(sets.message[i]), []).append((int(sets.tag[i]), body))
    return found


def _u32(octets: bytes, at: int) -> int:
    return int.from_bytes(octets[at : at + 4], "big")


def _name(key: SessionKey | None) -> str:
    """A folder for a transport session: 192.0.2.1_50001, 2001-db8--1_50001."""
    if key is None:
        return "unknown_0"
    return f"{re.sub(r'[^A-Za-z0-9.-]', '-', key.address)}_{key.port}"


def _room_for_files() -> int:
    """How many files may be open: those that are being finished are open too."""
    with suppress(ImportError, OSError, ValueError):  # not Unix, or not allowed
        resource = import_module("resource")
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = 2 * _MOST_OPEN + _OTHERS_FILES
        if soft != resource.RLIM_INFINITY and soft < wanted:
            soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        return min(_MOST_OPEN, max((soft - _OTHERS_FILES) // 2, 16)) if soft > 0 else _MOST_OPEN
    return _OTHERS_FILES
