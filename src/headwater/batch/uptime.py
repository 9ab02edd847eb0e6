"""Uptimes to absolute times: what a NetFlow header or systemInitTimeMilliseconds says of a device's clock."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from headwater.batch.facts import IPFIX, of_messages
from headwater.batch.strings import Bool

if TYPE_CHECKING:
    from headwater.batch.records import Job

I64 = npt.NDArray[np.int64]
Ms = npt.NDArray[np.uint32]

_MS: Final = 1_000_000
_WRAP: Final = 1 << 32
_SET_NS: Final = 1000 * _MS
_HOUR_MS: Final = 3_600_000
_SLACK_MS: Final = 1000
"""Export Times of IPFIX are whole seconds, so a flow can end this much later."""
_MOST_WRAPS: Final = 150
UPTIME_MOST_MS: Final = _MOST_WRAPS * _WRAP
"""An uptime of 20 years: the time of the boot that gives it is wrong, and one that says more is none."""
_FURTHEST_MS: Final = ((1 << 63) - 1) // _MS - _WRAP


@dataclass(frozen=True, slots=True)
class Instants:
    """ns: int64[n] since 1970. bad: where there is none; suspect: where it is not to be believed; None = nowhere."""

    ns: I64
    bad: Bool | None
    suspect: Bool | None


class Uptimes:
    """The clocks of the Messages of one DataSets, spread over its records when they are asked for.

    The methods take one or two columns of uptimes in ms, those of the starts and ends, and give as many results;
    None if no record has a clock of that kind. Zero in all of them is no uptime, except in the first hour.
    """

    def __init__(self, job: Job, count: int) -> None:
        self._job = job
        self._count = count
        self._export: I64 | None = None

    def export_ns(self) -> I64:
        """int64[n], the Export Time of each record's Message."""
        if self._export is None:
            messages = self._job.sets.messages
            ns = messages.export_time.astype(np.int64) * (1000 * _MS)
            if messages.nanoseconds is not None:
                # what is no part of a second is not added (NF5-2)
                ns += np.where(messages.nanoseconds < 1000 * _MS, messages.nanoseconds, 0)
            self._export = of_messages(ns, self._job, self._count)
        return self._export

    def from_header(self, uptimes: Sequence[Ms]) -> list[Instants | None]:
        """Export Time - (sysUpTime - uptime), all of a NetFlow header; the difference is modulo 2^32 (RFC 3954 §8).

        It is taken as signed: what is up to 24 days later than the header is in the future, and suspect, and not
        49 days ago. Suspect, too, is what a device says whose clock was never set: its Export Time is 0.
        """
        messages = self._job.sets.messages
        if messages.uptime is None:
            return [None] * len(uptimes)
        now_ms = of_messages(messages.uptime, self._job, self._count)
        bad = _all_zero(uptimes)
        if bad is not None:
            bad &= now_ms > _HOUR_MS
        of_ipfix = messages.version[self._job.sets.message] == IPFIX
        if of_ipfix.any():
            without = np.repeat(of_ipfix, self._job.sets.count)
            bad = without if bad is None else bad | without
        return [self._ago(now_ms, uptime, bad) for uptime in uptimes]

    def _ago(self, now_ms: Ms, uptime: Ms, bad: Bool | None) -> Instants:
        ago_ms = (now_ms - uptime).view(np.int32)
        export_ns = self.export_ns()
        suspect = None
        if len(ago_ms) and (ago_ms.min() < 0 or export_ns.min() < _SET_NS):
            suspect = (ago_ms < 0) | (export_ns < _SET_NS)
        return Instants(export_ns - ago_ms.astype(np.int64) * _MS, bad, suspect)

    def from_init(self, uptimes: Sequence[Ms], *, record: npt.NDArray[Any] | None) -> list[Instants | None]:
        """Uptimes after a boot: systemInitTimeMilliseconds of the record, else of an option record of the exporter.

        Uptimes have 32 bits: of the times 2^32 ms apart that they can mean, the one nearest the Export Time counts.
        Later than that is suspect, and so is what was before the boot, or 20 years after it.
        """
        boot = self._boots(record)
        if boot is None:
            return [None] * len(uptimes)
        boot_ms = np.ma.getdata(boot)
        export_ms = self.export_ns() // _MS
        unfit = np.ma.getmaskarray(boot) | (boot_ms <= 0) | (boot_ms > _FURTHEST_MS)
        boot_ms = np.where(unfit, 0, boot_ms)
        unset = _all_zero(uptimes)
        bad = unfit if unset is None else unfit | (unset & (export_ms - boot_ms > _HOUR_MS))
        return [self._after(boot_ms, export_ms, uptime, bad) for uptime in uptimes]

    def _after(self, boot_ms: I64, export_ms: I64, uptime: Ms, bad: Bool) -> Instants:
        ago_ms = export_ms - boot_ms - uptime
        wraps = (ago_ms + (_WRAP >> 1)) // _WRAP
        wraps[wraps < -1] = 0  # not even a clock that began just below 2^32 explains that
        suspect = (ago_ms - wraps * _WRAP < -_SLACK_MS) | (wraps < 0) | (wraps > _MOST_WRAPS)
        ns = (boot_ms + uptime + wraps * _WRAP) * _MS
        return Instants(ns, bad if bad.any() else None, suspect if suspect.any() else None)

    def _boots(self, record: npt.NDArray[Any] | None) -> npt.NDArray[Any] | None:
        """int64[n] ms since 1970, masked where unknown; None if nobody says any."""
        said = None if record is None else _milliseconds(record)
        if self._job.options is None or (said is not None and not np.ma.getmaskarray(said).any()):
            return said
        constant = self._job.options.constant(self._job.sets.messages, "systemInitTimeMilliseconds")
        if np.ma.getmaskarray(constant).all():
            return said
        known = np.ma.MaskedArray(
            of_messages(np.ma.getdata(constant), self._job, self._count),
            of_messages(np.ma.getmaskarray(constant), self._job, self._count),
        )
        if said is None:
            return known
        lacks = np.ma.getmaskarray(said)
        values = np.where(lacks, np.ma.getdata(known), np.ma.getdata(said))
        return np.ma.MaskedArray(values, lacks & np.ma.getmaskarray(known))


def _milliseconds(column: npt.NDArray[Any]) -> npt.NDArray[Any]:
    counts = np.ma.getdata(column).view(np.int64)
    return np.ma.MaskedArray(counts, np.ma.getmaskarray(column) | (counts == 0))


def _all_zero(uptimes: Sequence[Ms]) -> Bool | None:
    """Where all uptimes are zero; None = nowhere."""
    if not uptimes or not len(uptimes[0]) or any(uptime.min() > 0 for uptime in uptimes):
        return None
    zero: Bool = uptimes[0] == 0
    for uptime in uptimes[1:]:
        zero = zero & (uptime == 0)
    return zero
