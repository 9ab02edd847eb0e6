"""Message headers on their way out, many at once, and what else each protocol asks of what is written."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from headwater import kernel
from headwater.wire.dialect import IPFIX, NETFLOW9, SET_HEADER, Dialect
from headwater.wire.legacy import MOST_RECORDS

_VERSION: Final = (0, 2)
_LENGTH: Final = (2, 2)
_ALIGN: Final = {NETFLOW9.version: 4}
_UNSIGNED: Final = {2: np.uint16, 4: np.uint32}


def align_of(dialect: Dialect) -> int:
    """Octets that Sets are padded to a multiple of, unless the caller says otherwise (RFC 3954 §5.3)."""
    return _ALIGN.get(dialect.version, 1)


def most_records(dialect: Dialect) -> int:
    """Records that a Message may have, 0 = as many as fit."""
    return 0 if dialect.has_sets else MOST_RECORDS[dialect.version]


def record_header(dialect: Dialect) -> int:
    """Octets in front of the first record of a Message: its header, and that of the Set where there are Sets."""
    return dialect.header + (SET_HEADER if dialect.has_sets else 0)


def write_headers(
    dialect: Dialect,
    buf: npt.NDArray[np.uint8],
    begin: npt.NDArray[np.int32],
    *,
    export_ms: int,
    sequence: npt.NDArray[np.uint32],
    count: npt.NDArray[np.int32],
    domain: int,
    uptime_ms: int = 0,
    sampling: int = 0,
    set_id: int | None = None,
) -> None:
    """Write the headers of k Messages that lie back to back, and of their Sets if each has one and the same.

    begin: int32[k+1], where each Message starts, then where the last one ends. sequence: [k].
    count: [k], records of all kinds in each. export_ms: milliseconds since 1970. set_id: of the Set that is all that is
    in each Message. The facts that are one number are the same for all.
    """
    seconds, rest_ms = divmod(export_ms, 1000)
    length = begin[1:] - begin[:-1]
    set_at = dialect.header
    facts: list[tuple[tuple[int, int] | None, Any]] = [
        (_VERSION, dialect.version),
        (_LENGTH, length) if dialect is IPFIX else (dialect.count, count),
        (dialect.uptime, uptime_ms & 0xFFFF_FFFF),
        (dialect.export_time, seconds & 0xFFFF_FFFF),
        (dialect.nanoseconds, rest_ms * 1_000_000),
        (dialect.sequence, sequence),
        (dialect.domain, domain),
        (dialect.sampling, sampling),
    ]
    if set_id is not None:
        facts += [((set_at, 2), set_id), ((set_at + 2, 2), length - set_at)]
    _write(buf, begin[:-1], [(place, value) for place, value in facts if place is not None])


def _write(buf: npt.NDArray[np.uint8], at: npt.NDArray[np.int32], facts: list[tuple[tuple[int, int], Any]]) -> None:
    """Write numbers, or one for each position, at (offset, width) from every position of `at`."""
    plan = np.array([(0, *place, 0) for place, _ in facts], np.int32)
    columns = []
    for (_, width), value in facts:
        column = np.empty(len(at), _UNSIGNED[width])
        column[:] = value
        columns.append(column)
    kernel.scatter(buf, at[None], plan, columns)
