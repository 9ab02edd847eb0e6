"""Messages that were received, to be sent on octet for octet under other headers: what a mediator that relabels needs.

    Outgoing = reencoded(buffer, begin, domain=7)

Sets, Templates, records and padding stay what they were, undefined values and odd lengths included. That is lossless
where decoding and encoding again is not; the other way, for records that change, is Encoder and ExportSession.
"""

from __future__ import annotations

from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from headwater import kernel
from headwater.errors import EncodeError
from headwater.session.outgoing import Outgoing
from headwater.wire.dialect import DIALECTS, Dialect

Fact: TypeAlias = int | npt.NDArray[Any] | None
"""One number for all Messages, or one for each; None = as it was."""

_VERSION: Final = 2


def reencoded(
    buffer: npt.NDArray[np.uint8],
    begin: npt.NDArray[np.int32],
    *,
    domain: Fact = None,
    sequence: Fact = None,
    export_time: Fact = None,
) -> Outgoing:
    """The same Messages with these facts in their headers; the buffer that was given stays as it is.

    buffer: Messages of any protocols, back to back. begin: int32[k+1], where each starts, then where the last one ends.
    domain: of NetFlow v9 the Source ID, of v5 and v8 engine type * 256 + engine id. sequence: in the unit of the
    protocol; numbers that were right stay right under another domain as long as no Message is left out.
    export_time: seconds since 1970; NetFlow tells the times of its flows by the difference to it.
    A checksum of a Message (RFC 5655 §8.1.1) is one of its old header, and wrong under another.
    Raises EncodeError: no Messages, or a fact that their protocol has no place for.
    """
    size = np.diff(begin)
    if begin[0] < 0 or begin[-1] > len(buffer) or size.min(initial=_VERSION) < _VERSION:
        raise EncodeError(f"the Messages do not lie back to back in {len(buffer)} octets")
    out = buffer[begin[0] : begin[-1]].copy()
    at = (begin[:-1] - begin[0]).astype(np.int32)
    versions = out[at].astype(np.uint16) << 8 | out[at + 1]
    for version in np.unique(versions).tolist():
        dialect = DIALECTS.get(version)
        rows = np.flatnonzero(versions == version)
        if dialect is None or size[rows].min() < dialect.header:
            raise EncodeError(
                f"Message {int(rows[0])} (version {version}) is none that is known, or has no whole header"
            )
        facts = (
            ("domain", dialect.domain, domain),
            ("sequence", dialect.sequence, sequence),
            ("export_time", dialect.export_time, export_time),
        )
        for name, place, fact in facts:
            if fact is not None:
                _write(out, at, rows, dialect, name, place, fact)
    return Outgoing(out, np.append(at, np.int32(len(out))))


def _write(
    out: npt.NDArray[np.uint8],
    at: npt.NDArray[np.int32],
    rows: npt.NDArray[np.intp],
    dialect: Dialect,
    name: str,
    place: tuple[int, int] | None,
    fact: int | npt.NDArray[Any],
) -> None:
    """One fact into the headers of these Messages."""
    if place is None:
        raise EncodeError(f"{dialect.name} has no place for {name} in its header", column=name)
    given = np.asarray(fact)
    if given.ndim and given.shape != at.shape:
        raise EncodeError(f"{len(given)} values of {name} for {len(at)} Messages", column=name)
    values = np.broadcast_to(given, at.shape)[rows]
    offset, width = place
    bad = (values < 0) | (values >= 1 << 8 * width)
    if bad.any():
        row = int(rows[int(bad.argmax())])
        raise EncodeError(f"{name} {int(values[bad][0])} does not fit {width} octets", column=name, row=row)
    column = values.astype(f"u{width}")
    kernel.scatter(out, at[rows][None], np.array([(0, offset, width, 0)], np.int32), [column])
