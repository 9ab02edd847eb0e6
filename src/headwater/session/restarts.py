"""Restarts of NetFlow v9 exporters, as sysUpTime shows them (RFC 3954 §5.1, §9)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from headwater.wire.dialect import NETFLOW9

if TYPE_CHECKING:
    from headwater.session.run import Run

_TOLERANCE_MS: Final = 60_000
"""By how much the clock of an exporter may be set without that being a restart; late datagrams are well below."""
_WRAP_MS: Final = 1 << 32


def find_restarts(run: Run) -> dict[int, str]:
    """The first Set (ordinal) of each Message before which its exporter has restarted, and words for it.

    That is where sysUpTime goes back and the moment of the boot, which it tells with the export time, moves on. When
    sysUpTime merely wraps after 49.7 days, the boot seems to move by just that. A clock that was set while sysUpTime
    goes on is no restart: RFC 3954 §9 would have Templates discarded then too, yet the process that sent them goes on.
    """
    messages = run.messages
    mine = np.flatnonzero((messages.version == NETFLOW9.version) & ~run.bad)
    if not len(mine) or messages.uptime is None:
        return {}
    order = np.argsort(run.domain_of[mine], kind="stable")
    which = mine[order]
    domain = run.domain_of[which]
    is_first = np.ones(len(which), np.bool_)
    is_first[1:] = domain[1:] != domain[:-1]
    firsts = np.flatnonzero(is_first)
    uptime = messages.uptime[which].astype(np.int64)
    boot = messages.export_time[which].astype(np.int64) * 1000 - uptime
    uptime_before, boot_before = np.roll(uptime, 1), np.roll(boot, 1)
    lasts = [*(firsts[1:] - 1).tolist(), len(which) - 1]
    for first, last in zip(firsts.tolist(), lasts, strict=True):
        state = run.domains[domain[first]]
        uptime_before[first], boot_before[first] = state.clock or (uptime[first], boot[first])
        state.clock = int(uptime[last]), int(boot[last])
    moved = boot - boot_before
    jumps = (uptime - uptime_before < -_TOLERANCE_MS) & (moved > _TOLERANCE_MS)
    jumps &= np.abs(moved - _WRAP_MS) > _TOLERANCE_MS
    found = {}
    for i in np.flatnonzero(jumps).tolist():
        message = int(which[i])
        ordinal = int(np.searchsorted(run.message, run.message.dtype.type(message)))  # of the same type: no copy
        has_sets = ordinal < len(run.message) and run.message[ordinal] == message
        if has_sets and run.domains[domain[i]].known and run.domains[domain[i]].index >= 0:
            found[ordinal] = f"sysUpTime is {uptime[i]} ms and was {uptime_before[i]}: Templates are forgotten"
    return found
