"""When the reverse uniflow of a biflow started and ended."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from headwater import kernel
from headwater.batch.fields import masked
from headwater.batch.strings import Bool, Strings
from headwater.batch.times import UNITS, instants

if TYPE_CHECKING:
    from headwater.batch.lists import Values


def reverse_times(columns: dict[str, Values], own: set[str], delta: Values | None) -> dict[str, Values]:
    """The columns of reverse uniflows, those of their times corrected.

    own: names of the columns that are reverse elements of the biflow. delta: reverseFlowDeltaMilliseconds, which the
    start is later by where there is no reverse start.
    flowStart, flowEnd, flowDuration and timeSource follow from the columns there are; where nothing is said of the
    reverse direction they stay those of the biflow.
    """
    columns = dict(columns)
    before = {name: columns.get(name) for name in ("flowStart", "flowEnd")}
    known = {end: [name for name in (f"{end}{unit}" for unit in UNITS) if name in own] for end in before}
    if delta is not None and not known["flowStart"]:
        for name in ("flowStart", *(f"flowStart{unit}" for unit in UNITS)):
            if name in columns:
                columns[name] = _later(columns[name], delta)
        if "flowStart" in columns and isinstance(delta, np.ndarray):
            _tell(columns, np.ma.filled(delta, 0) != 0, "reverseFlowDeltaMilliseconds")
    for which, names in known.items():
        for name in reversed(names):  # the best one last
            _replace(columns, which, name)
    start, end = columns.get("flowStart"), columns.get("flowEnd")
    is_new = start is not before["flowStart"] or end is not before["flowEnd"]
    if "flowDuration" in columns and is_new and isinstance(start, np.ndarray) and isinstance(end, np.ndarray):
        columns["flowDuration"] = _duration(start, end)
    return columns


def _later(times: Values, delta: Values) -> Values:
    if not isinstance(times, np.ndarray) or times.dtype.kind != "M" or not isinstance(delta, np.ndarray):
        return times
    shift = np.ma.filled(delta, 0).astype("m8[ms]")
    raw = np.ma.getdata(times)
    later = (raw + shift).astype(raw.dtype)
    bad = np.ma.getmaskarray(times) | (later.view(np.int64) < raw.view(np.int64))  # that is: wrapped around
    return masked(later, bad) if bad.any() else later


def _replace(columns: dict[str, Values], end: str, name: str) -> None:
    """Take the instants of a column where it has any."""
    derived, column = columns.get(end), columns[name]
    if not isinstance(derived, np.ndarray) or not isinstance(column, np.ndarray) or column.dtype.kind != "M":
        return
    ns, bad = instants(column)
    good = np.ones(len(ns), np.bool_) if bad is None else ~bad
    times: npt.NDArray[Any] = np.where(good, ns.view("M8[ns]"), np.ma.getdata(derived))
    lost = np.ma.getmaskarray(derived) & ~good
    columns[end] = masked(times, lost) if lost.any() else times
    _tell(columns, good, name)


def _duration(start: npt.NDArray[Any], end: npt.NDArray[Any]) -> Values:
    first, last = np.ma.getdata(start).view(np.int64), np.ma.getdata(end).view(np.int64)
    duration = last - first
    bad = np.ma.getmaskarray(start) | np.ma.getmaskarray(end) | (((last ^ first) & (last ^ duration)) < 0)
    return masked(duration, bad) if bad.any() else duration


def _tell(columns: dict[str, Values], where: Bool, text: str) -> None:
    """Let timeSource name a source for these records."""
    told = columns.get("timeSource")
    if not isinstance(told, Strings):
        return
    octets = np.concatenate([told.data, np.frombuffer(text.encode(), np.uint8)])
    end = np.where(where, np.int32(len(octets)), told.offsets[1:])
    size = np.where(where, np.int32(len(text)), np.diff(told.offsets))
    validity = None if told.validity is None else told.validity | where
    columns["timeSource"] = Strings(*kernel.strings(octets, end, size), validity)
