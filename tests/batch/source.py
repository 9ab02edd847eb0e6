"""Octets to batches for the tests of this layer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from headwater.batch import Batch, Decoder
from headwater.model import registry as registries
from headwater.session import DataSets, Session
from tests import build

TEMPLATE = 256


def data_sets(*messages: bytes, **options: Any) -> list[DataSets]:
    """The DataSets events of one session that reads the messages as a file."""
    options = {"transport": "file"} | options
    events = Session(**options).receive(b"".join(messages))
    return [event for event in events if isinstance(event, DataSets)]


def batches(*messages: bytes, decoder: Decoder | None = None, **options: Any) -> list[Batch]:
    """The batches of these events."""
    decoder = decoder or Decoder()
    return [decoder.decode(sets) for sets in data_sets(*messages, **options)]


def one(*messages: bytes, decoder: Decoder | None = None, **options: Any) -> Batch:
    """The only batch of the messages."""
    (batch,) = batches(*messages, decoder=decoder, **options)
    return batch


def field(name: str, length: int | None = None) -> build.FieldSpec:
    """A field specifier from the name of an element, in its native length if none is given."""
    element = registries.IANA.named(name)
    return element.id, element.type.default_length if length is None else length, element.pen


def message(
    fields: Sequence[build.FieldSpec], *records: bytes, templates: tuple[bytes, ...] = (), **options: Any
) -> bytes:
    """A message with Template 256 of these fields, more templates before it, and its records."""
    head = build.template_set(*templates, build.template(TEMPLATE, *fields))
    return build.message(head, build.data_set(TEMPLATE, *records), **options)


def column(name: str, *values: bytes, length: int | None = None, **options: Any) -> tuple[Any, Batch]:
    """(column, batch) of records with one field."""
    batch = one(message([field(name, length)], *values, **options))
    (only,) = batch.columns.values()
    return only, batch


def kinds(batch: Batch) -> dict[str, int]:
    """How many values of a batch are bad, by kind."""
    counts: dict[str, int] = {}
    for fault in batch.faults:
        counts[fault.kind.value] = counts.get(fault.kind.value, 0) + fault.count
    return counts
