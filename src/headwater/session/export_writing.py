"""Headers for Messages that are laid out: one pass over all of them, whatever their number."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
import numpy.typing as npt

from headwater.session.export_clock import Moment
from headwater.session.export_domain import ExportDomain, Laid
from headwater.session.outgoing import Encoded, Outgoing
from headwater.wire.dialect import Dialect
from headwater.wire.header_out import write_headers

_WRAP: Final = 0xFFFF_FFFF


@dataclass(frozen=True, slots=True)
class Writing:
    """Writes the headers of Messages that go out at one moment, in one domain and stream.

    sampling: of NetFlow v5 headers.
    """

    dialect: Dialect
    place: ExportDomain
    moment: Moment
    stream: int
    sampling: int = 0

    def laid(self, laid: Laid) -> Outgoing:
        """Messages with any mixture of Sets."""
        steps = self._steps(np.append(0, np.cumsum(laid.records)))
        first = self.place.tally.advance(self.stream, int(steps[-1]))
        self._write(laid.buffer, laid.begin, first + steps[:-1], laid.records + laid.templates)
        self._count(laid)
        return Outgoing(laid.buffer, laid.begin, int(laid.records.sum()), bool(laid.templates.any()))

    def data(self, encoded: Encoded, announcement: Laid | None, cuts: npt.NDArray[np.int64]) -> list[Outgoing]:
        """Messages of one Set each, and the announcement once more in front of those that `cuts` are the indices of."""
        count, begin = len(encoded), encoded.begin
        steps = self._steps(encoded.first)
        ahead = 0 if announcement is None else self._units(announcement)
        first = self.place.tally.advance(self.stream, int(steps[-1]) + len(cuts) * ahead)
        passed = np.searchsorted(cuts, np.arange(count), side="right") * ahead if len(cuts) else 0
        set_id = encoded.template.id if self.dialect.has_sets else None
        self._write(encoded.buffer, begin, first + steps[:-1] + passed, encoded.first[1:] - encoded.first[:-1], set_id)
        records = int(encoded.first[-1])
        flow_records = 0 if encoded.template.scope_count else records
        octets = int(begin[-1] - begin[0])
        self.place.tally.count(messages=count, records=records, flow_records=flow_records, octets=octets)
        if announcement is None or not len(cuts):
            return [Outgoing(encoded.buffer, begin, records)]
        repeats = self._repeats(announcement, first + steps[cuts] + np.arange(len(cuts)) * ahead)
        return _interleaved(encoded, repeats, [0, *cuts.tolist(), count])

    def _repeats(self, announcement: Laid, starts: npt.NDArray[np.int64]) -> list[Outgoing]:
        """The announcement at each of these sequence numbers."""
        laid = announcement.repeated(len(starts))
        steps = self._steps(np.append(0, np.cumsum(announcement.records)))[:-1]
        sequence = (starts[:, None] + steps).ravel()
        self._write(laid.buffer, laid.begin, sequence, laid.records + laid.templates)
        self._count(laid)
        size, records = len(announcement), int(announcement.records.sum())
        return [
            Outgoing(laid.buffer, laid.begin[at : at + size + 1], records, has_templates=True)
            for at in range(0, size * len(starts), size)
        ]

    def _steps(self, records: npt.NDArray[np.signedinteger]) -> npt.NDArray[np.int64]:
        """By how much the sequence number has grown before each Message, and after the last."""
        if self.dialect.sequence_unit == "messages":
            return np.arange(len(records), dtype=np.int64)
        return records.astype(np.int64)

    def _units(self, laid: Laid) -> int:
        return len(laid) if self.dialect.sequence_unit == "messages" else int(laid.records.sum())

    def _write(
        self,
        buffer: npt.NDArray[np.uint8],
        begin: npt.NDArray[np.int32],
        sequence: npt.NDArray[np.int64],
        count: npt.NDArray[np.int32],
        set_id: int | None = None,
    ) -> None:
        write_headers(
            self.dialect,
            buffer,
            begin,
            export_ms=self.moment.export_ms,
            sequence=(sequence & _WRAP).astype(np.uint32),
            count=count,
            domain=self.place.id,
            uptime_ms=self.moment.uptime_ms,
            sampling=self.sampling,
            set_id=set_id,
        )

    def _count(self, laid: Laid) -> None:
        self.place.tally.count(
            messages=len(laid),
            records=int(laid.records.sum()),
            flow_records=laid.flows,
            octets=len(laid.buffer),
            templates=int(laid.templates.sum()),
        )


def _interleaved(encoded: Encoded, repeats: list[Outgoing], bounds: list[int]) -> list[Outgoing]:
    """The data cut at the bounds, one of the repeats in front of every piece but the first."""
    out: list[Outgoing] = []
    first = encoded.first[bounds].tolist()
    for number, (start, stop) in enumerate(pairwise(bounds)):
        if number:
            out.append(repeats[number - 1])
        out.append(Outgoing(encoded.buffer, encoded.begin[start : stop + 1], first[number + 1] - first[number]))
    return out
