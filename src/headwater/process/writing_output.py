"""Laid out records on their way into files: Templates first, what files and Messages say about themselves, rotation."""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from headwater.errors import EncodeError
from headwater.process.writing_options import encoded_record
from headwater.process.writing_parts import messages_of
from headwater.session.outgoing import Encoded, Outgoing, Room
from headwater.sinks.ipfix_message_records import MessageRecord, MessageRecords
from headwater.wire.dialect import FIRST_DATA_SET, IPFIX

if TYPE_CHECKING:
    from headwater.model.template import Template
    from headwater.process.appending import Existing
    from headwater.process.writing_files import Target
    from headwater.session.exporting import ExportSession
    from headwater.sinks.ipfix import IpfixFile

_HEADER: Final = struct.Struct("!HHIII")


class Output:
    """The files of a Writer, one at a time. names: of those that were begun. records: Data Records in all of them.

    own: what Messages say about themselves. described: what each new file says about itself, as option records of
    the domain `domain`: (Options Template, values by name).
    """

    def __init__(
        self,
        target: Target,
        session: ExportSession,
        own: Sequence[MessageRecord],
        described: Sequence[tuple[Template, dict[str, Any]]],
        domain: int,
        clock: Callable[[], float],
    ) -> None:
        self.names: list[str] = []
        self.records = 0
        self._target, self._rotation, self._session = target, target.rotation, session
        self._own_templates = [record.template for record in own]
        self._own = MessageRecords(own, self._own_ids)
        self._described, self._domain, self._clock = described, domain, clock
        self._entered: set[int] = set()
        self._file: IpfixFile | None = None
        self._began = 0.0
        self._before = 0  # records in all files but this one
        self._is_grown = False

    def open(self, found: Existing | None) -> None:
        """Open the file, but of a series none before there is something to write. found: what is to be added to."""
        if found is not None:
            self._is_grown = True
            self._file = self._target.open(0, found)
            self.names.append(self._file.name)
        elif self._rotation is None:
            self._begin(self._clock())

    def template(self, template: Template, domain: int, id: int | None = None) -> Template:
        """The Template with its id: `id`, or the one it has if no other has that, for records may name it.

        Such a record is what keys flows have (RFC 7011 §4.4). Raises EncodeError if `id` is another's.
        """
        self._own_ids(domain)
        if id is None and template.id >= FIRST_DATA_SET:
            with contextlib.suppress(EncodeError):
                return self._session.template(template, domain, template.id)
        return self._session.template(template, domain, id)

    def room(self, template: Template, domain: int) -> Room:
        """What a Message has room for."""
        room = self._session.room(template, domain)
        if self._rotation is not None and self._rotation.records:
            return replace(room, most=self._rotation.records)
        return room

    def send(self, encoded: Encoded, domain: int, now: float) -> None:
        """Write records. Raises SourceError."""
        by_size = self._rotation is not None and bool(self._rotation.octets or self._rotation.records)
        for part in messages_of(encoded, one_by_one=by_size):
            records = int(part.first[-1])
            self.turn(now, octets=len(part.buffer) + self._own.room, records=records)
            self._enter(domain, now)
            self.put(self._session.send(part, domain, now=now))
            self.records += records

    def turn(self, now: float, *, octets: int = 0, records: int = 0) -> None:
        """Begin the next file if so much does not belong into this one."""
        rotation = self._rotation
        if rotation is None:
            return
        within = self.records - self._before
        if self._file is not None and within:
            octets += self._file.octets
            if not rotation.is_due(octets=octets, records=within + records, began=self._began, now=now):
                return
            self.close()
        if self._file is None:
            self._begin(now)

    def announce(self, domain: int, now: float) -> None:
        """Write the Templates of a domain that are new."""
        self._enter(domain, now)
        self.put(self._session.announce(domain, now=now))

    def put(self, outgoing: list[Outgoing]) -> None:
        """Write Messages as they are. Raises SourceError."""
        assert self._file is not None
        for one in outgoing:
            self._file.write(self._own.added(one, self._clock()))

    def flush(self) -> None:
        """See Writer.flush."""
        if self._file is not None:
            self._file.flush()

    def close(self) -> None:
        """Let go of the file; into one without anything goes a Message without Sets, for readers to know what it is."""
        file, self._file = self._file, None
        if file is None:
            return
        try:
            if not (file.octets or file.has_failed or self._is_grown):
                octets = _HEADER.pack(IPFIX.version, IPFIX.header, int(self._clock()), 0, self._domain)
                file.write(Outgoing(np.frombuffer(octets, np.uint8), np.array([0, len(octets)], np.int32)))
        finally:
            file.close()

    def abandon(self) -> None:
        """See Writer.abandon."""
        if self._file is not None:
            self._file.abandon()

    def _begin(self, now: float) -> None:
        is_first = not self.names
        self._file, self._began, self._before = self._target.open(now), now, self.records
        self.names.append(self._file.name)
        if not is_first:
            self._own.begin()
            self.put(self._session.reconnected(now))
        for described, values in self._described:
            template = self.template(described, self._domain)
            self._enter(self._domain, now)
            encoded = encoded_record(template, values, self.room(template, self._domain), self._session.registry)
            self.put(self._session.send(encoded, self._domain, now=now))

    def _enter(self, domain: int, now: float) -> None:
        """Templates of what Messages say about themselves come first in each domain."""
        if domain not in self._entered and self._own_templates:
            self._entered.add(domain)
            self._own_ids(domain)
            self.put(self._session.announce(domain, now=now))

    def _own_ids(self, domain: int) -> list[int]:
        return [self._session.template(template, domain).id for template in self._own_templates]
