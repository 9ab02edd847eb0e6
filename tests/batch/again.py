"""Batches encoded and decoded again, with the facts of the Messages that they came in."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np

from headwater import kernel
from headwater.batch import Batch, Decoder
from headwater.batch.encode import Encoder
from headwater.model.template import Template
from headwater.session import DataSets, Session
from headwater.session.outgoing import Encoded, Room
from headwater.wire.layout import Layout
from tests import build
from tests.oracle import comparable

HEADER = 20
WHOLE = Room(HEADER, 1 << 30)
"""Room for any records in one Message: the cuts of what came are kept."""


def message_of(encoded: Encoded, *templates: Template) -> bytes:
    """The Messages with headers, and Templates before the first; one for each of `templates` and the records' own."""
    specs = [
        build.template(t.id, *((f.element.id, f.length, f.element.pen) for f in t.fields))
        for t in (*templates, encoded.template)
    ]
    messages = [build.message(build.template_set(*specs))]
    for start, end in pairwise(encoded.begin.tolist()):
        octets = encoded.buffer[start + HEADER : end].tobytes()
        messages.append(build.message(build.data_set(encoded.template.id, octets)))
    return b"".join(messages)


def read_again(encoded: Encoded, *templates: Template, **options: Any) -> Batch:
    """The records of these Messages."""
    events = Session(transport="file", **options).receive(message_of(encoded, *templates))
    (sets,) = [event for event in events if isinstance(event, DataSets)]
    return Decoder().decode(sets)


def each_set(sets: DataSets) -> Iterator[DataSets]:
    """The Data Sets one by one, so that all records have one Export Time."""
    last = np.cumsum(sets.count).tolist()
    for i, (first, end) in enumerate(pairwise([0, *last])):
        one = slice(i, i + 1)
        at, size = sets.at, sets.size
        yield replace(
            sets,
            start=sets.start[one],
            end=sets.end[one],
            count=sets.count[one],
            at=None if at is None else np.ascontiguousarray(at[:, first:end]),
            size=None if size is None else np.ascontiguousarray(size[:, first:end]),
            message=sets.message[one],
            order=sets.order[one],
        )


def sets_again(sets: DataSets, encoded: Encoded) -> DataSets:
    """A Data Set like `sets`, with the records that were encoded."""
    start = encoded.begin[:-1] + np.int32(HEADER)
    end = encoded.begin[1:]
    at = size = None
    count = np.diff(encoded.first)
    if sets.at is not None:
        at, size, count, rest = kernel.scan(encoded.buffer, start, end, Layout.of(sets.template).gaps)
        assert rest.tolist() == end.tolist()
    assert count.tolist() == np.diff(encoded.first).tolist()
    return replace(
        sets,
        buffer=encoded.buffer,
        start=start,
        end=end,
        count=count,
        at=at,
        size=size,
        message=np.repeat(sets.message[:1], len(start)),
        order=np.repeat(sets.order[:1], len(start)),
    )


def columns_of(batch: Batch) -> Sequence[Any]:
    """What an Encoder takes."""
    return list(batch.columns.values())


def shown(batch: Batch) -> Any:
    """All that is in a batch, nulls and what lists are of included."""
    faults: Counter[str] = Counter()
    for fault in batch.faults:
        faults[fault.kind] += fault.count
    return comparable(batch.rows(addresses="raw", lists="full")), faults


def records_of(sets: DataSets) -> bytes:
    """The octets of the records of one Data Set, without padding."""
    (start,) = sets.start.tolist()
    if sets.at is None:
        return sets.buffer[start : start + int(sets.count[0]) * sets.template.min_length].tobytes()
    end = int(sets.at[-1, -1]) + int(Layout.of(sets.template).gaps[-1]) if sets.at.shape[1] else start
    return sets.buffer[start:end].tobytes()


def encoded_again(sets: DataSets, **options: Any) -> Encoded:
    """One Data Set decoded and encoded with the same cuts, and with the same ids of Templates inside."""
    batch = Decoder().decode(sets)
    sent_at = int(sets.messages.export_time[sets.message[0]])
    return Encoder(**options).encode(sets.template, columns_of(batch), batch.num_rows, WHOLE, export_time=sent_at)
