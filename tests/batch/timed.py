"""Records with times for the tests of the time resolver."""

from __future__ import annotations

from typing import Any

import numpy as np

from headwater.batch import Decoder
from headwater.model.template import Template
from headwater.session.events import Messages
from tests import build
from tests.batch.made import Made, data_sets

NAMES = ("flowStart", "flowEnd", "flowDuration", "timeSource")
MS = 1_000_000
S = 1_000 * MS
AT = 1_700_000_000
UP = 5_000_000
BOOT = (AT - 5000) * 1000
DECODER = Decoder(NAMES)
UPTIMES = Template.of(256, "flowStartSysUpTime", "flowEndSysUpTime")


class Boots:
    """Option records that told when each exporter booted; None = they did not."""

    def __init__(self, *boots: int | None) -> None:
        self.boots = boots

    def constant(self, messages: Messages, element: str) -> np.ma.MaskedArray[Any, Any]:
        assert element == "systemInitTimeMilliseconds"
        values = [self.boots[message % len(self.boots)] for message in range(len(messages))]
        return np.ma.MaskedArray([value or 0 for value in values], [value is None for value in values], np.int64)


def rows(template: Template, *made: Made, options: Any = None) -> list[tuple[Any, ...]]:
    decoder = DECODER if options is None else Decoder(NAMES, options=options)
    return list(decoder.decode(data_sets(template, *made)).tuples())


def row(specs: dict[str, int], *, options: Any = None, **facts: Any) -> tuple[Any, ...]:
    """The four columns of one record with these fields."""
    template = Template.of(256, *specs)
    record = b"".join(build.uint(v, f.length) for f, v in zip(template.fields, specs.values(), strict=True))
    (found,) = rows(template, Made((record,), **({"export_time": AT, "version": 10} | facts)), options=options)
    return found


def up(*pairs: tuple[int, int]) -> tuple[bytes, ...]:
    return tuple(build.uint(first, 4) + build.uint(last, 4) for first, last in pairs)
