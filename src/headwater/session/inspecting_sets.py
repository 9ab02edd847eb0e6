"""Messages and Sets as columns, looked at for what reading has no reason to mention."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from headwater.session.key import Transport
from headwater.wire.dialect import FIRST_DATA_SET, IPFIX, NETFLOW9, OPTIONS_TEMPLATE_SET, SET_HEADER, TEMPLATE_SET
from headwater.wire.layout import Layout

if TYPE_CHECKING:
    from headwater.session.events import DataSets
    from headwater.session.inspecting import Findings
    from headwater.session.inspecting_templates import TemplateUse

_UNKNOWN_PATH: Final = 512
_USUAL_PATH: Final = 1500 - 28
_ALIGNMENT: Final = 8


def look_at_messages(found: Findings, use: TemplateUse) -> None:
    """Sizes, and Export Times that go back."""
    run = found.run
    if found.transport is Transport.UDP:
        size = (run.frames.end - run.frames.start) * (run.messages.version == IPFIX.version)
        for rule, over in (
            ("message_over_512", (size > _UNKNOWN_PATH) & (size <= _USUAL_PATH)),
            ("message_over_mtu", size > _USUAL_PATH),
        ):
            found.add_messages(rule, np.flatnonzero(over), lambda m: f"{int(size[m])} octets")
    _look_at_times(found, use)


def _look_at_times(found: Findings, use: TemplateUse) -> None:
    run, messages = found.run, found.run.messages
    good = np.flatnonzero(~run.bad)
    good = good[np.argsort(run.domain_of[good], kind="stable")]
    if not len(good):
        return
    domain, times = run.domain_of[good], messages.export_time[good].astype(np.int64)
    sequence = messages.sequence[good].astype(np.int64)
    begins = np.flatnonzero(np.diff(domain, prepend=-1))
    before, number = np.roll(times, 1), np.roll(sequence, 1)
    for first, last in zip(begins.tolist(), [*begins[1:].tolist(), len(good)], strict=True):
        of = run.domains[int(domain[first])]
        is_new = not use.knows(of)
        one = use.of(of)
        before[first], number[first] = (times[first], sequence[first]) if is_new else (one.time, one.sequence)
        one.time, one.sequence = int(times[last - 1]), int(sequence[last - 1])
    back = times < before
    if found.transport.is_unreliable:  # what comes late was not sent late
        back &= (sequence - number) % (1 << 32) < 1 << 31
        back &= sequence != number
    which = np.flatnonzero(back)
    told = dict(zip(good[which].tolist(), (before - times)[which].tolist(), strict=True))
    found.add_messages("export_time_back", good[which], lambda m: f"{told[m]} s before the Message before it")


def look_at_sets(found: Findings) -> None:
    """Sets without records, and those of NetFlow v9 that are not aligned."""
    run = found.run
    size = run.end - run.start
    is_set = ~run.bad[run.message]
    if not run.is_ipfix:
        version = run.messages.version[run.message]
        is_set &= (version == IPFIX.version) | (version == NETFLOW9.version)
        odd = np.flatnonzero(is_set & (version == NETFLOW9.version) & (size % 4 != 0))
        found.add_sets("flowset_alignment", odd, lambda s: f"FlowSet of {int(size[s]) + SET_HEADER} octets")
    is_template = (run.tag == TEMPLATE_SET) | (run.tag == OPTIONS_TEMPLATE_SET)
    is_read = is_template | (run.tag >= FIRST_DATA_SET)
    empty = is_set & is_read & np.where(is_template, run.defined == 0, size == 0)
    found.add_sets("empty_set", np.flatnonzero(empty), lambda s: f"Set {int(run.tag[s])} has no records")


def look_at_data(found: Findings, sets: DataSets) -> None:
    """Octets behind the last records of Data Sets."""
    least = sets.template.min_length
    if least <= _ALIGNMENT:  # padding is shorter than a record
        return
    rest = _rest(sets)
    for i in np.flatnonzero((rest >= _ALIGNMENT) & (rest < least) & (sets.count > 0))[:64].tolist():
        if sets.messages is found.run.messages:
            at = int(sets.end[i]) - int(rest[i])
            found.add("padding_beyond_alignment", int(sets.message[i]), at, f"{int(rest[i])} octets of padding")


def _rest(sets: DataSets) -> npt.NDArray[np.int32]:
    """int32[s], octets of each Set that are in no record."""
    size = sets.end - sets.start
    if sets.at is None:
        return size - sets.count * np.int32(sets.template.min_length)
    rest = size.copy()
    full = np.flatnonzero(sets.count)
    last = np.cumsum(sets.count)[full] - 1
    rest[full] = sets.end[full] - (sets.at[-1][last] + Layout.of(sets.template).gaps[-1])
    return rest
