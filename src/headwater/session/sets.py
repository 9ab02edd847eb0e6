"""Sets of Messages, and records that are in no Set as if they were (RFC 7011 §3.3, RFC 3954 §5)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from headwater import kernel
from headwater.wire.dialect import (
    DIALECTS,
    FIRST_DATA_SET,
    IPFIX,
    NETFLOW8,
    NETFLOW9,
    OPTIONS_TEMPLATE_SET,
    SET_HEADER,
    TEMPLATE_SET,
)
from headwater.wire.legacy import AGGREGATION_AT, template_id

if TYPE_CHECKING:
    from headwater.session.framing import I32, Frames

U16 = npt.NDArray[np.uint16]

HAS_SETS: Final = np.array([version in DIALECTS and DIALECTS[version].has_sets for version in range(11)])
"""By version."""
BEFORE_SETS: Final = -1
"""Ordinal of events about a Message as a whole: before its first Set."""

_RESERVED: Final = 4
_NETFLOW9_TAGS: Final = np.full(FIRST_DATA_SET, _RESERVED, np.uint16)
_NETFLOW9_TAGS[list(NETFLOW9.template_sets or ())] = TEMPLATE_SET, OPTIONS_TEMPLATE_SET


class Sets(NamedTuple):
    """Columns over s Sets in the order of the wire: message: int32[s]; tag: uint16[s]; start, end: int32[s], bodies.

    tag: the Set ID; of Template FlowSets of NetFlow v9 the one that IPFIX has for the same; the id of the fixed
    Template of records without Sets.
    """

    message: I32
    tag: U16
    start: I32
    end: I32


def frame_sets(buf: npt.NDArray[np.uint8], frames: Frames, version: U16) -> tuple[Sets, list[tuple[int, int, int]]]:
    """(the Sets of all Messages; Message, position and end of octets after which no Set can be walked).

    version: of each Message, as `frames` has it.
    """
    if frames.version is None or (has_sets := HAS_SETS[version]).all():
        return _walked(buf, frames, version, None)
    records = np.flatnonzero(~has_sets).astype(np.int32)
    if len(records) == len(version):
        return _unset(buf, frames, version, records), []
    walked, torn = _walked(buf, frames, version, np.flatnonzero(has_sets).astype(np.int32))
    unset = _unset(buf, frames, version, records)
    message = np.concatenate([walked.message, unset.message])
    order = np.argsort(message, kind="stable")
    tag = np.concatenate([walked.tag, unset.tag])[order]
    start = np.concatenate([walked.start, unset.start])[order]
    return Sets(message[order], tag, start, np.concatenate([walked.end, unset.end])[order]), torn


def _unset(buf: npt.NDArray[np.uint8], frames: Frames, version: U16, which: I32) -> Sets:
    """The records of NetFlow v1, v5, v7 and v8, as if they were one Data Set of a Message."""
    tag = version[which]  # the ids of the fixed Templates
    eighth = np.flatnonzero(tag == NETFLOW8.version)
    if len(eighth):
        aggregation = buf[frames.start[which[eighth]] + AGGREGATION_AT]
        tag[eighth] = template_id(NETFLOW8.version) + aggregation.astype(np.uint16)
    return Sets(which, tag, frames.body[which], frames.end[which])


def _walked(
    buf: npt.NDArray[np.uint8], frames: Frames, version: U16, which: I32 | None
) -> tuple[Sets, list[tuple[int, int, int]]]:
    """The Sets of Messages that have such. which: of these, None = of all."""
    starts, ends = (frames.body, frames.end) if which is None else (frames.body[which], frames.end[which])
    message, tag, start, end, rest = kernel.chain(buf, starts, ends, SET_HEADER)
    if which is not None:
        message = which[message]
    if frames.version is not None:
        low = np.flatnonzero(tag < FIRST_DATA_SET)
        low = low[version[message[low]] != IPFIX.version]
        tag[low] = _NETFLOW9_TAGS[tag[low]]
    torn = [
        (i if which is None else int(which[i]), int(rest[i]), int(ends[i]))
        for i in np.flatnonzero(rest != ends).tolist()
    ]
    return Sets(message, tag, start, end), torn
