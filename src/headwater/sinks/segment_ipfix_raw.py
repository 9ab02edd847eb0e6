"""IPFIX Messages as they were received, octet for octet, in files of their own for each exporter."""

from __future__ import annotations

import logging
import re
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from itertools import pairwise
from typing import TYPE_CHECKING, ClassVar, Final

import numpy as np

from headwater import kernel
from headwater.errors import FaultKind
from headwater.session.datagram_framing import frame_datagrams
from headwater.session.sets import frame_sets
from headwater.sinks.known_templates import KnownTemplates
from headwater.sinks.segment_file import SegmentFile
from headwater.sinks.segment_sink import SegmentSink
from headwater.wire.dialect import IPFIX, OPTIONS_TEMPLATE_SET, TEMPLATE_SET

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Unpack

    import numpy.typing as npt

    from headwater.session.datagrams import Datagrams
    from headwater.session.framing import Frames
    from headwater.session.key import SessionKey, Transport
    from headwater.sinks.segment_names import SegmentNames
    from headwater.sinks.segment_sink import SegmentOptions
    from headwater.transport.incoming.block import Block

SUFFIX: Final = ".ipfix"
_MOST_OPEN: Final = 4096
_OTHERS_FILES: Final = 256
"""File handles that are left to the rest of the process."""
_MOST_EXPORTERS: Final = 1 << 16
_HOUR: Final = 3600.0
_MOST_FILES: Final = 1 << 13
"""Begun before the next rotation (or in an hour, without), full ones apart: from ports and addresses that are made up
anybody can send as if there were exporters without end.
"""
_MOST_TEMPLATE_OCTETS: Final = 64 << 20
_FOREIGN: Final = frozenset((FaultKind.VERSION, FaultKind.SFLOW, FaultKind.AGGREGATION))
_TIME_AT, _SEQUENCE_AT = 4, 8  # in the Message header
_DOMAIN_PLAN: Final = np.array([(0, 12, 4, 0)], np.int32)

_log = logging.getLogger("headwater.collector")


class RawIpfixSegments(SegmentSink):
    """A sink (BlockSink) of IPFIX files in folders `<address>_<port>`; Messages stand for records in its counters.

    A file begins, in each Observation Domain, with the Templates that the exporter has sent before, so that it can be
    read alone. Sequence numbers stay as they came. NetFlow is not stored, and counted as not_ipfix, as are Messages
    that are not whole (malformed). When more exporters speak than files can be open, the files of those that were
    silent the longest end early; Messages beyond _MOST_FILES are lost. SCTP streams of an exporter are not told apart.
    The options are those of SegmentSink; rotate_size is of each file.
    """

    most_unfinished: ClassVar[int] = _MOST_EXPORTERS

    def __init__(self, folder: Path | str, **options: Unpack[SegmentOptions]) -> None:
        super().__init__(folder, "ipfix-raw", SUFFIX, **options)
        self.counters.others |= {"not_ipfix": 0, "malformed": 0, "templates_left_out": 0}
        self._most_open = 1
        self._exporters: OrderedDict[SessionKey | None, _Exporter] = OrderedDict()  # the one heard of last at the end
        self._open: OrderedDict[SessionKey | None, _Exporter] = OrderedDict()  # those with a file, likewise
        self._template_octets = 0
        self._period = self._num_begun = 0
        self._is_told = False

    @property
    def files_open(self) -> int:
        """Files that are being written."""
        return len(self._open)

    @property
    def records_waiting(self) -> int:
        """Messages whose segment has not got its name yet."""
        return self._finisher.records + sum(file.records for file in self._files())

    def open(self) -> list[str]:
        """Make the folder, set torn files aside; what there is to tell of it. Raises SinkError."""
        self._most_open = _room_for_files()
        return super().open()

    def write_block(self, block: Block, transport: Transport, local: tuple[str, int]) -> int:
        """Take the IPFIX Messages of a block; how many there were. Raises OSError, and has taken them then too."""
        now = self._now()
        if self._is_due(now):
            self._end(now)
        count = 0
        touched: list[_Exporter] = []
        for messages in self._messages(block.datagrams):
            count += len(messages)
            exporter = self._exporter(messages.key, now)
            if exporter is None:
                self.counters.records_lost += len(messages)
                continue
            before = exporter.known.octets, exporter.known.left_out
            assert exporter.file is not None
            exporter.write(messages)
            exporter.file.records += len(messages)
            touched.append(exporter)
            self._template_octets += exporter.known.octets - before[0]
            self.counters.others["templates_left_out"] += exporter.known.left_out - before[1]
            if self._rotate_size and exporter.file.position >= self._rotate_size:
                self._end_file(exporter)
                self._num_begun -= 1
        self.counters.records += count
        for key in block.ended:
            self._forget(key)
        while self._exporters and self._is_too_much():
            self._forget(next(iter(self._exporters)))
        self._settle([one.file for one in touched if one.file is not None])
        return count

    def abandon(self) -> None:
        """Give up what has no name yet."""
        files = self._files()
        self.counters.records_lost += sum(file.records for file in (*files, *self._finisher.give_up()))
        for file in files if not self._finisher.is_hanging else ():
            file.give_up()
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

    def _exporter(self, key: SessionKey | None, now: float) -> _Exporter | None:
        """Whose Messages these are, with a file that is open; None if no more may be begun."""
        found = self._exporters.get(key)
        if found is None or found.file is None:
            if not self._may_begin(now):
                return None
            found = found or _Exporter(key, self._names.within(_name(key)))
            self._begin(found, now)
        self._exporters[key] = self._open[key] = found
        self._exporters.move_to_end(key)
        self._open.move_to_end(key)
        return found

    def _may_begin(self, now: float) -> bool:
        period = int(now // (self._rotate or _HOUR))
        if period != self._period:
            self._period, self._num_begun = period, 0
        if self._num_begun < _MOST_FILES:
            self._num_begun += 1
            self._is_told = False
            return True
        if not self._is_told:
            self._is_told = True
            self.counters.errors += 1
            self.counters.last_error = (
                f"{_MOST_FILES:,} files have begun since the last rotation, with {self._most_open:,} open at once: "
                "Messages of other exporters are not stored until the next; `allow` fewer, or raise ulimit -n"
            )
            _log.warning("%s: %s", self.name, self.counters.last_error)
        return False

    def _files(self) -> list[SegmentFile]:
        return [one.file for one in self._open.values() if one.file is not None]

    def _begin(self, exporter: _Exporter, now: float) -> None:
        while len(self._open) >= self._most_open:
            self._end_file(next(iter(self._open.values())))
        if self._began is None:
            self._began = now
        exporter.begin(now)

    def _end_file(self, exporter: _Exporter) -> None:
        if exporter.file is not None:
            with suppress(OSError):  # the finisher tries again; names are given in the order of time
                exporter.file.put_down()
            self._finisher.add(exporter.file)
            exporter.file = None
            del self._open[exporter.key]

    def _end(self, now: float) -> None:
        for exporter in list(self._open.values()):
            self._end_file(exporter)
        self._began = None
        self._num_begun = 0

    def _forget(self, key: SessionKey | None) -> None:
        exporter = self._exporters.pop(key, None)
        if exporter is not None:
            self._end_file(exporter)
            self._template_octets -= exporter.known.octets

    def _is_too_much(self) -> bool:
        return len(self._exporters) > _MOST_EXPORTERS or self._template_octets > _MOST_TEMPLATE_OCTETS


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
