"""IPFIX segments: records encoded anew, each file with the Templates that its records need (RFC 5655)."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from headwater.batch.encode import Encoder
from headwater.batch.incoming import columns_of, split_nulls, template_for
from headwater.batch.translating import translated
from headwater.errors import EncodeError, HeadwaterError, UnknownElement
from headwater.session.exporting import ExportSession
from headwater.session.key import Transport
from headwater.sinks.left_out import LeftOut
from headwater.sinks.segment_format import WaitingFormat
from headwater.sinks.segments import Segments

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path
    from typing import Unpack

    from headwater.batch import Batch
    from headwater.batch.incoming_columns import Incoming
    from headwater.model.template import Template
    from headwater.session.outgoing import Encoded
    from headwater.sinks.cells import Mask
    from headwater.sinks.output import Writable
    from headwater.sinks.segment_sink import SegmentOptions

_DOMAIN: Final = "observationDomainId"
_MOST_TRIES: Final = 64
"""How often a batch is encoded again to find the records that cannot be; then those that are left are given up."""


class IpfixSegments(Segments):
    """A sink (BatchSink) of IPFIX files in a folder. Records keep their Observation Domain where the batch tells it.

    Export Times are those at which records are written. NetFlow becomes what IPFIX has for it. Records with a value
    that IPFIX cannot say are lost, and counted so. The options are those of SegmentSink.
    """

    def __init__(self, folder: Path | str, **options: Unpack[SegmentOptions]) -> None:
        format = IpfixFormat(self._refused, now=options.get("now", time.time))
        super().__init__(folder, format, **options)

    def _refused(self, records: int, why: HeadwaterError) -> None:
        self.counters.records_lost += records
        self.counters.errors += 1
        self.counters.last_error = str(why)


class IpfixFormat(WaitingFormat[tuple["Batch", int]]):
    """IPFIX files, in the shape that `Segments` wants. refused: is told of records that cannot be encoded."""

    name, suffix = "ipfix", ".ipfix"

    def __init__(
        self, refused: Callable[[int, HeadwaterError], object], *, now: Callable[[], float] = time.time
    ) -> None:
        super().__init__()
        self._refused, self._now = refused, now
        self._session = ExportSession(Transport.FILE)
        self._left_out = LeftOut("IPFIX has no element for it")
        # what a null hides goes out as it came, but the columns of a batch may also be of another's making
        self._again, self._plain = Encoder(nulls="error", lossless=True), Encoder(nulls="error")

    @property
    def others(self) -> Mapping[str, int]:
        return {"columns_left_out": len(self._left_out)}

    def take(self, batch: Batch, mask: Mask | None) -> int:
        parts = list(_by_domain(batch, mask))
        self._waiting += parts
        count = sum(part.num_rows for part, _ in parts)
        self.rows += count
        return count

    def begin(self, file: Writable) -> None:
        self._file, self._session = file, ExportSession(Transport.FILE)

    def put(self) -> int:
        count = sum(self._put(batch, domain) for batch, domain in self._waiting)
        self.forget()
        return count

    def _put(self, batch: Batch, domain: int) -> int:
        """Write records of one domain; how many."""
        now, left = self._now(), _MOST_TRIES
        parts, written = [batch], 0
        while parts:
            part = parts.pop()
            try:
                encoded = list(self._encoded(part, domain, now))
            except HeadwaterError as bad:  # which records it is about is found by halving
                left -= 1
                half = part.num_rows // 2
                if not half or left <= 0 or isinstance(bad, UnknownElement):
                    self._refused(part.num_rows, bad)
                else:
                    rows = np.arange(part.num_rows)
                    parts += [part.take(rows[half:]), part.take(rows[:half])]
                continue
            for one in encoded:
                self._send(one, domain, now)
            written += part.num_rows
        return written

    def _send(self, encoded: Encoded, domain: int, now: float) -> None:
        assert self._file is not None
        for outgoing in self._session.send(encoded, domain, now=now):
            self._file.write(bytes(outgoing))

    def _encoded(self, batch: Batch, domain: int, now: float) -> Iterator[Encoded]:
        """Raises HeadwaterError: EncodeError if a value cannot go on the wire."""
        found = translated(batch, self._session.registry, domain)
        if found is not None:
            for name, why in found.left_out:
                self._left_out.add(f"{name} ({why})")
            incoming = columns_of(found.columns, template=found.template, allow_rounding=True)
            encoder = self._plain
        else:
            nameless = [column.name for column in batch.schema if column.element is None]
            for name in nameless:
                self._left_out.add(name)
            incoming = columns_of(batch, leave_out=nameless, allow_rounding=True)
            encoder = self._again
        try:
            yield self._encode(incoming, domain, now, encoder)
            return
        except EncodeError:
            pass
        for _, part in split_nulls(incoming):  # IPFIX has no nulls: a Template for each set of columns with values
            yield self._encode(part, domain, now, self._plain)

    def _encode(self, incoming: Incoming, domain: int, now: float, encoder: Encoder) -> Encoded:
        session = self._session
        template = session.template(incoming.template or template_for(incoming, lengths="native"), domain)

        def inner(of: Template) -> Template:
            return session.template(of, domain)

        room = session.room(template, domain)
        return encoder.encode(template, incoming.values, incoming.count, room, inner, export_time=now)


def _by_domain(batch: Batch, mask: Mask | None) -> Iterator[tuple[Batch, int]]:
    """The records where the mask is True, those of each Observation Domain apart; 0 where none is told."""
    rows = np.arange(batch.num_rows) if mask is None else np.flatnonzero(mask)
    if not len(rows):
        return
    whole = batch if len(rows) == batch.num_rows else batch.take(rows)
    if batch.domain is not None or _DOMAIN not in batch.schema.names:
        yield whole, batch.domain or 0
        return
    domains: Any = np.ma.filled(np.ma.asarray(whole[_DOMAIN]), 0)
    for domain in np.unique(domains).tolist():
        yield whole.take(np.flatnonzero(domains == domain)), int(domain)
