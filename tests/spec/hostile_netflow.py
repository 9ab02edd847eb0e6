"""Hostile NetFlow and sFlow: the octets of each case and what must be told of them, in both modes."""

from __future__ import annotations

import struct

from headwater.errors import FaultKind as K
from tests import build as b
from tests.spec.hostile import built, given

UPTIME_MS, EXPORT_TIME = 3_750_405, 1_171_557_627
"""Of the headers of the vectors' NetFlow."""
PAIR = b.template(256, (8, 4), (1, 4))
ROW = b.record(b.ipv4("10.0.0.1"), b.uint(5))
VALUES = (0x0A000001, 5)
FOREIGN = (2, 3, 4, 6, 11, 0x4500, 0xFFFF)
"""Versions of nothing that exporters send."""
NO_FLOW = (0,) * 18
"""A NetFlow v5 record of zeros."""


def v9(*sets: bytes, count: int = 1, sequence: int = 0, domain: int = 33) -> bytes:
    """A NetFlow v9 packet."""
    return struct.pack("!HHIIII", 9, count, UPTIME_MS, EXPORT_TIME, sequence, domain) + b"".join(sets)


def v5(body: bytes, *, count: int, sequence: int = 0) -> bytes:
    """A NetFlow v5 packet."""
    return struct.pack("!HHIIIIHH", 5, count, UPTIME_MS, EXPORT_TIME, 0, sequence, 0, 0) + body


def template_set(*templates: bytes) -> bytes:
    """A Template FlowSet."""
    return b.any_set(0, b"".join(templates))


def options_template(id: int, scope: bytes, others: bytes, *, scope_octets: int, other_octets: int) -> bytes:
    """An Options Template FlowSet with one record that says how long its field lists are."""
    return b.any_set(1, struct.pack("!HHH", id, scope_octets, other_octets) + scope + others)


SCOPE, OTHER = b.field(1, 4), b.field(34, 4)

NETFLOW_CASES = [
    # every version is read on any port
    given("H09", kinds={K.TIME_SUSPECT: 1}, rows=(NO_FLOW,)),
    *(
        built("H09", struct.pack("!HH", version, 1) + bytes(64), malformed=1, kinds={K.VERSION: 1})
        for version in FOREIGN
    ),
    given("H70", malformed=1, kinds={K.SET_LENGTH: 1}),
    built(
        "H71",
        v9(options_template(256, SCOPE, OTHER, scope_octets=6, other_octets=65532)),
        malformed=1,
        kinds={K.OPTIONS_LENGTH: 1},
    ),
    built(
        "H71",
        v9(options_template(256, SCOPE, OTHER, scope_octets=4, other_octets=65532)),
        malformed=1,
        kinds={K.TEMPLATE_OVERRUN: 1},
    ),
    given("H72", kinds={K.COUNT_MISMATCH: 1}, templates=1, rows=((0x0A000001,),)),
    built(
        "H72",
        v9(template_set(PAIR), b.data_set(256, ROW), count=0),
        kinds={K.COUNT_MISMATCH: 1},
        templates=1,
        rows=(VALUES,),
    ),
    given("H73", kinds={K.TEMPLATE_EMPTY: 1}),
    built(
        "H73",
        v9(template_set(PAIR), b.data_set(256, ROW), count=2),
        v9(template_set(b.template(256)), b.data_set(256, ROW), count=2, sequence=1),
        kinds={K.TEMPLATE_EMPTY: 1},
        templates=1,
        rows=(VALUES,) * 2,
    ),
    built(
        "H74",
        v9(
            template_set(b.template(256, (96, b.VARIABLE), (4, 1))),
            b.data_set(256, b.var(b"http") + b"\6", b.var(b"", long=True) + b"\6"),
            count=3,
        ),
        templates=1,
        rows=(("http", 6), ("", 6)),
    ),
    # the times are kept as they are; what is made of them is the derived columns' to doubt
    given("H75", templates=1, rows=((UPTIME_MS + 1, 0x00395F80),)),
    given("H76", kinds={K.TRUNCATED: 1, K.TIME_SUSPECT: 1}, rows=(NO_FLOW,) * 2),
    built("H76", v5(bytes(120), count=30), kinds={K.TRUNCATED: 1}, rows=(NO_FLOW,) * 2),
    built("H77", v5(b"", count=65535), kinds={K.TRUNCATED: 1}),
    built("H77", v5(bytes(96), count=1), kinds={K.COUNT_MISMATCH: 1}, rows=(NO_FLOW,)),
    given("H78", malformed=1, kinds={K.AGGREGATION: 1}),
    given("H79", kinds={K.SFLOW: 1}),
]
"""NetFlow v9, v5, v8 and sFlow."""
