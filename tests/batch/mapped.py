"""Instances of mapped classes on their way over the wire."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from headwater.batch import Batch
from headwater.batch.encode import Encoder
from headwater.batch.incoming import columns_of, template_for
from headwater.model.template import Template
from headwater.session.outgoing import Room
from tests.batch.again import WHOLE, read_again


def through_the_wire(records: Sequence[Any], **options: Any) -> Batch:
    """The records encoded and decoded again."""
    incoming = columns_of(records, **options)
    ids: dict[Template, Template] = {}

    def inner(template: Template) -> Template:
        return ids.setdefault(template, Template(300 + len(ids), template.fields))

    template = template_for(incoming, 299)
    encoded = Encoder().encode(template, incoming.values, incoming.count, Room(WHOLE.header, 60_000), inner)
    return read_again(encoded, *ids.values())
