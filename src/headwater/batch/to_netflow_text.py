"""Text and octets of variable length as values of a fixed one."""

from __future__ import annotations

from typing import Final

import numpy as np

from headwater import kernel
from headwater.batch.strings import I32, Bool, Strings
from headwater.batch.to_netflow_report import NetflowReport
from headwater.batch.to_netflow_source import Source

TEXT_OCTETS: Final = 32
"""Octets that text of variable length gets: what interface names have on Cisco's devices."""


def common_size(values: Strings) -> int | None:
    """How many octets all values have; None if they differ, or if there are none."""
    sizes = np.diff(values.offsets)[_there(values)]
    return int(sizes[0]) if len(sizes) and (sizes == sizes[0]).all() else None


def fixed_size(values: Strings, octets: int, name: str, report: NetflowReport) -> Strings:
    """The values in so many octets: filled up with zeros, or cut, text between two characters."""
    sizes, there = np.diff(values.offsets), _there(values)
    kept = _cut(values, sizes, octets) if values.is_text else np.minimum(sizes, np.int32(octets))
    kept[~there] = 0
    report.value(name, f"cut to {octets} octets", int(np.count_nonzero((kept < sizes) & there)))
    offsets, data = kernel.strings(values.data, values.offsets[:-1] + kept, kept)
    out = np.zeros((len(values), octets), np.uint8)
    out[np.repeat(np.arange(len(values)), kept), np.arange(len(data)) - np.repeat(offsets[:-1], kept)] = data
    bounds = np.arange(len(values) + 1, dtype=np.int32) * np.int32(octets)
    return Strings(bounds, out.ravel(), values.validity, values.is_text)


def report_ill_formed(source: Source, report: NetflowReport) -> None:
    """Tell of text that is null because its octets are not UTF-8."""
    for name, values in zip(source.incoming.names, source.incoming.values, strict=True):
        if isinstance(values, Strings) and values.validity is not None:
            lost = ~values.validity & (np.diff(values.offsets) > 0)
            report.column(name, "text that is not UTF-8", int(np.count_nonzero(lost)))


def _there(values: Strings) -> Bool:
    return np.ones(len(values), np.bool_) if values.validity is None else values.validity


def _cut(values: Strings, sizes: I32, octets: int) -> I32:
    """Octets that are kept of each value: so many at most, and whole characters."""
    kept = np.minimum(sizes, np.int32(octets))
    for row in np.flatnonzero(sizes > octets).tolist():  # few, or the wrong number was asked for
        value = values.raw(row)
        while kept[row] and value[kept[row]] & 0xC0 == 0x80:  # an octet within a character (RFC 3629 §3)
            kept[row] -= 1
    return kept
