"""Records in parts that can share Messages, and Messages in parts that go into one file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from headwater.batch.batch import Batch
from headwater.batch.incoming import template_for
from headwater.errors import EncodeError
from headwater.process.reading import Reading
from headwater.session.outgoing import Encoded

if TYPE_CHECKING:
    from headwater.batch.incoming_columns import Incoming
    from headwater.batch.incoming_template import Lengths
    from headwater.model.template import Template
    from headwater.session.events import DataSets

_RELATIVE: Final = frozenset({(0, 158), (0, 159)})
"""flowStartDeltaMicroseconds and flowEndDeltaMicroseconds: "relative to the Export Time" of their Message."""


class Part(NamedTuple):
    """Records of one Observation Domain. export_time: of their Messages, seconds since 1970; the latest of several.

    None = they come from no Messages.
    """

    data: Any
    domain: int
    export_time: float | None = None


def parts_of(data: Any, domain: int | None) -> Iterator[Part]:
    """What a Writer is given, in parts. domain: of all; None = that of each record, 0 where there is none.

    Raises EncodeError for a Batch of several domains, which nothing tells apart.
    """
    if isinstance(data, Reading):
        for window in data.windows():
            parts = (part for sets, batch in window for part in by_domain(batch, sets))
            yield from ascending(parts if domain is None else (part._replace(domain=domain) for part in parts))
    elif domain is None and isinstance(data, Batch):
        if data.domain is None and data.num_rows:
            what = "the batch has records of several Observation Domains"
            raise EncodeError(f"{what}; give domain=, or write what hw.read returns")
        yield Part(data, data.domain or 0)
    else:
        yield Part(data, domain or 0)


def by_domain(
    batch: Batch, sets: DataSets, mask: npt.NDArray[np.bool_] | None = None, *, by_time: bool = False
) -> Iterator[Part]:
    """The records of a batch where the mask is True; sets: what it was made of.

    Those that are told apart by their Export Time only go together, unless `by_time` says otherwise, or they have
    values that are relative to it.
    """
    domain = sets.messages.domain[sets.message]
    time = sets.messages.export_time[sets.message]
    kind = domain.astype(np.int64)
    if by_time or _is_relative(batch.template):
        kind = kind << 32 | time
    if not len(kind):
        return
    if mask is None and (kind == kind[0]).all():
        yield Part(batch, int(domain[0]), float(time.max()))
        return
    set_of = np.repeat(np.arange(len(kind)), sets.count)
    picked = np.arange(len(set_of)) if mask is None else np.flatnonzero(mask)
    set_of = set_of[picked]
    for number in np.unique(kind[set_of]).tolist():
        rows = picked[kind[set_of] == number]
        mine = np.flatnonzero(kind == number)
        yield Part(batch.take(rows), int(domain[mine[0]]), float(time[mine].max()))


def described(incoming: Incoming, lengths: Lengths) -> Template:
    """The Template of columns: the one they have, or else what they need. lengths: also for columns of others."""
    if incoming.template is not None:
        return incoming.template
    if not isinstance(lengths, str):
        lengths = {name: octets for name, octets in lengths.items() if name in incoming.names}
    return template_for(incoming, lengths=lengths)


def ascending(parts: Iterable[Part]) -> Iterator[Part]:
    """Parts of one window with Export Times that do not go back within a domain (RFC 5655 §7.2).

    Records are put together by Template, so those of one come before earlier ones of the next. Values that are relative
    to the Export Time keep theirs.
    """
    latest: dict[int, float] = {}
    for part in parts:
        time = part.export_time
        if time is not None and not _is_relative(part.data.template):
            time = latest[part.domain] = max(time, latest.get(part.domain, time))
        yield part._replace(export_time=time)


def messages_of(encoded: Encoded, *, one_by_one: bool) -> Iterator[Encoded]:
    """The Messages all together, or each by itself."""
    if not one_by_one:
        if len(encoded):
            yield encoded
        return
    for number in range(len(encoded)):
        at, end = encoded.begin[number : number + 2].tolist()
        yield Encoded(
            encoded.template,
            encoded.buffer[at:end],
            encoded.first[number : number + 2] - encoded.first[number],
            np.array([0, end - at], np.int32),
            encoded.room,
        )


def _is_relative(template: Template) -> bool:
    return any(field.element.key in _RELATIVE for field in template.fields)
