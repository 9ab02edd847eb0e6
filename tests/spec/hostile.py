"""Hostile input: the octets of each case and what must be told of them, in both modes.

The cases are our own data. Octets that hostile.json has are taken from there; the others are built here from titles.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from headwater.errors import FaultKind as K
from tests import build as b

PATH = Path(__file__).parent.parent / "vectors" / "hostile.json"
DATA: dict[str, dict[str, Any]] = {case["id"]: case for case in json.loads(PATH.read_text())}

PAIR = b.template(256, (8, 4), (1, 4))
"""sourceIPv4Address, octetDeltaCount[4]: the template of most cases."""
ROW = b.record(b.ipv4("10.0.0.1"), b.uint(5))
VALUES = (0x0A000001, 5)

Kinds = dict[K, int]
Rows = tuple[tuple[Any, ...], ...]


@dataclass(frozen=True)
class Case:
    """One hostile input: how it comes and what is to be told.

    malformed: Messages that count as malformed. kinds: faults of the session. values: faults of single values.
    salvage_*: what salvage mode tells instead, where it differs.
    """

    id: str
    chunks: Callable[[], list[bytes]]
    transport: str = "udp"
    malformed: int = 0
    kinds: Kinds = field(default_factory=dict)
    values: Kinds = field(default_factory=dict)
    templates: int = 0
    rows: Rows | None = ()
    salvage_kinds: Kinds | None = None
    salvage_values: Kinds | None = None
    salvage_templates: int | None = None
    salvage_rows: Rows | None = None

    def expected(self, *, salvage: bool) -> tuple[Kinds, Kinds, int, Rows | None]:
        """(faults, value faults, templates learned, rows) of a mode; rows None = not compared."""
        if not salvage:
            return self.kinds, self.values, self.templates, self.rows
        return (
            self.kinds if self.salvage_kinds is None else self.salvage_kinds,
            self.values if self.salvage_values is None else self.salvage_values,
            self.templates if self.salvage_templates is None else self.salvage_templates,
            self.rows if self.salvage_rows is None else self.salvage_rows,
        )


def given(id: str, transport: str = "udp", **expected: Any) -> Case:
    """A case whose octets are in hostile.json."""
    return Case(id, lambda: [bytes.fromhex(text) for text in DATA[id]["hex"]], transport, **expected)


def built(id: str, *chunks: bytes | Callable[[], bytes], transport: str = "udp", **expected: Any) -> Case:
    """A case built here; large ones only when they are used."""
    return Case(id, lambda: [c if isinstance(c, bytes) else c() for c in chunks], transport, **expected)


def discarded(id: str, kind: K, *chunks: bytes, **salvage: Any) -> Case:
    """A Message that is discarded for one reason and changes nothing; salvage may find something in it."""
    make = built(id, *chunks) if chunks else given(id)
    return Case(id, make.chunks, malformed=1, kinds={kind: 1}, **salvage)


def raw(id: str, element: tuple[int, int], value: bytes | None = None) -> Case:
    """A field of an illegal length: its octets are kept, the rest of the record is read."""
    if value is None:
        octets = bytes.fromhex(DATA[id]["hex"][0])[-element[1] - 1 : -1]
        return given(id, kinds={K.TEMPLATE_BAD_LENGTH: 1}, templates=1, rows=((octets, 6),))
    message = b.message(b.template_set(b.template(256, element, (4, 1))), b.data_set(256, value, b.uint(6, 1)))
    return built(id, message, kinds={K.TEMPLATE_BAD_LENGTH: 1}, templates=1, rows=((value, 6),))


def bad_list(id: str, *chunks: bytes, kind: K = K.BAD_LIST, **expected: Any) -> Case:
    """A list that cannot be read: the value is null, the record is kept."""
    told: dict[str, Any] = {"values": {kind: 1}, "templates": 1, "rows": ((None, 6),), **expected}
    return built(id, *chunks, **told) if chunks else given(id, **told)


def with_list(element: int, *contents: bytes) -> bytes:
    """A Message of records (list, protocolIdentifier)."""
    template = b.template(256, (element, b.VARIABLE), (4, 1))
    return b.message(b.template_set(template), b.data_set(256, *(b.var(octets) + b.uint(6, 1) for octets in contents)))


def nested(levels: int) -> bytes:
    """A basicList in a basicList in … a basicList of unsigned8."""
    inner = b.basic_list((4, 1), b.uint(6, 1))
    for _ in range(levels - 1):
        inner = b.basic_list((291, b.VARIABLE), b.var(inner, long=True))
    return inner


def deep(value: object, levels: int) -> object:
    """A list in a list in … a list of the value."""
    for _ in range(levels):
        value = [value]
    return value


def many_fields() -> bytes:
    """16,370 fields in one template, and a record of it: 65,504 octets and as many as fit."""
    return b.message(b.template_set(b.template(256, *[(210, 1)] * 16370)))


def type_record(name: bytes, id: int, type: int = 3, pen: int = b.DOCUMENTATION_PEN) -> bytes:
    """A type information record."""
    return b.record(b.uint(pen), b.uint(id, 2), b.uint(type, 1), b.var(name))


def type_records(*records: bytes) -> bytes:
    """A Message of type information records (RFC 5610)."""
    options = b.options_template(300, (346, 4), (303, 2), (339, 1), (341, b.VARIABLE), scope=2)
    return b.message(b.options_template_set(options), b.data_set(300, *records))


def with_checksums(*lengths: int) -> bytes:
    """A Message with MD5 checksum options, each of that many octets."""
    sets = []
    for i, length in enumerate(lengths):
        sets.append(b.options_template_set(b.options_template(300 + i, (263, 1), (262, length))))
        sets.append(b.data_set(300 + i, bytes(1 + length)))
    return b.message(*sets)


MESSAGE = b.message(b.template_set(PAIR), b.data_set(256, ROW))
NEXT = b.message(b.data_set(256, ROW), sequence=1)
OPTIONS = b.options_template(257, (149, 4), (41, 4))
CONTROLS = "a\0b\x1b[31m\n‮end".encode()
ENDLESS_OID = b"\x80" * 200

CASES = [
    given("H01", malformed=1, kinds={K.SHORT_HEADER: 1}),
    *(built("H02", MESSAGE[:size], malformed=1, kinds={K.SHORT_HEADER: 1}) for size in range(1, 16)),
    given("H03", "tcp", kinds={K.FRAMING_LOST: 1}),
    discarded("H04", K.VERSION),
    discarded("H05", K.BAD_LENGTH, b.message(length=0)),
    built("H05", b.message(length=0), transport="tcp", kinds={K.FRAMING_LOST: 1}),
    discarded("H06", K.BAD_LENGTH),
    discarded("H07", K.TRUNCATED, salvage_templates=1, salvage_rows=(VALUES,)),
    built("H08", MESSAGE + b"\0\0\0\1", kinds={K.TRAILING_OCTETS: 4}, templates=1, rows=(VALUES,)),
    given("H10", kinds={K.UNKNOWN_TEMPLATE: 4000}),
    discarded("H11", K.SET_LENGTH, b.message(b.template_set(PAIR), b.any_set(256, ROW, length=0)), salvage_templates=1),
    discarded("H12", K.SET_LENGTH, salvage_templates=1),
    discarded("H13", K.SET_LENGTH, salvage_templates=1),
    discarded(
        "H14",
        K.SET_OVERRUN,
        b.message(b.template_set(PAIR), b.data_set(256, ROW), b.data_set(256, ROW, length=14)),
        salvage_templates=1,
        salvage_rows=(VALUES,),
    ),
    discarded("H15", K.TRAILING_SET_HEADER, salvage_templates=1, salvage_rows=(VALUES,)),
    discarded("H16", K.SET_OVERRUN, salvage_templates=1),
    built(
        "H17",
        b.message(
            b.any_set(0, b"ab"),
            b.template_set(PAIR),
            b.any_set(1, b""),
            b.data_set(256, ROW),
            b.any_set(4, b"abcd"),
            b.any_set(255, ROW),
            b.data_set(256, ROW),
        ),
        kinds={K.RESERVED_SET: 4},
        templates=1,
        rows=(VALUES, VALUES),
    ),
    given("H18", kinds={K.RESERVED_SET: 1, K.UNKNOWN_TEMPLATE: 1}),
    given("H19", templates=1, rows=(VALUES,)),
    discarded("H20", K.TEMPLATE_OVERRUN, b.message(b.template_set(b.template(257, (8, 4), count=2)))),
    discarded("H21", K.TEMPLATE_OVERRUN),
    # its datagram is two octets longer than the Message, which is one fault more
    given("H22", malformed=1, kinds={K.SET_OVERRUN: 1, K.TRAILING_OCTETS: 2}),
    discarded("H23", K.TEMPLATE_ID, b.message(b.template_set(PAIR, b.template(1, (8, 4)))), salvage_templates=1),
    discarded("H23", K.TEMPLATE_ID, b.message(b.template_set(PAIR, b.template(255, (8, 4)))), salvage_templates=1),
    discarded("H24", K.TEMPLATE_OVERRUN),
    discarded("H25", K.TEMPLATE_OVERRUN),
    built(
        "H26",
        b.message(b.template_set(b.template(256, (210, 0), (82, 0))), b.data_set(256, b"abcdefgh")),
        kinds={K.ZERO_LENGTH_RECORD: 2},  # once for the template, once for the Data Set
        templates=1,
    ),
    given("H27", "tcp", kinds={K.WITHDRAWAL_UNKNOWN: 1}, templates=1, rows=(VALUES,)),
    built("H28", many_fields, b.message(b.data_set(256, bytes(16370 * 3))), templates=1, rows=((b"\0",) * 16370,) * 3),
    built(
        "H29",
        b.message(b.template_set(b.template(256, (10, 4), (1, 4)), PAIR), b.data_set(256, ROW)),
        kinds={K.TEMPLATE_REPLACED: 1},
        templates=2,
        rows=(VALUES,),
    ),
    discarded("H30", K.SCOPE_ZERO),
    discarded("H31", K.SCOPE_COUNT),
    built(
        "H32",
        b.message(b.template_set(b.template(256, *[(210, 65534)] * 60)), b.data_set(256, bytes(1000))),
        kinds={K.SHORT_SET: 1},
        templates=1,
    ),
    given("H33", kinds={K.TEMPLATE_BAD_LENGTH: 1}, templates=1, rows=((bytes(50), 0),)),
    given("H34", kinds={K.IE_RESERVED: 2}, templates=1, rows=((b"\0\1", b"\0\2", 6),)),
    built("H35", b.message(b.template_set(PAIR), b.data_set(256, bytes(7))), kinds={K.SHORT_SET: 1}, templates=1),
    given("H36", kinds={K.NONZERO_PADDING: 1}, templates=1, rows=(VALUES,)),
    given("H37", kinds={K.UNKNOWN_TEMPLATE: 1}, templates=1, rows=(VALUES,)),
    built(
        "H38",
        b.message(b.template_set(PAIR), b.options_template_set(OPTIONS)),
        b.message(b.data_set(257, b.uint(1), b.uint(7)), b.data_set(256, ROW)),
        b.message(
            b.template_set(b.template(257, (10, 4), (1, 4))),
            b.options_template_set(b.options_template(256, (149, 4), (41, 4))),
            sequence=2,
        ),
        b.message(b.data_set(257, b.uint(1), b.uint(7)), b.data_set(256, b.uint(1), b.uint(7)), sequence=2),
        kinds={K.TEMPLATE_REPLACED: 2},
        templates=4,
        rows=((1, 7), VALUES, (1, 7), (1, 7)),
    ),
    discarded("H40", K.VARLEN_OVERRUN, salvage_templates=1),
    discarded(
        "H41",
        K.VARLEN_OVERRUN,
        b.message(b.template_set(b.template(256, (82, b.VARIABLE))), b.data_set(256, b"\xff\x01")),
        salvage_templates=1,
    ),
    discarded("H42", K.VARLEN_OVERRUN, salvage_templates=1),
    discarded("H43", K.VARLEN_OVERRUN, salvage_templates=1, salvage_rows=(("a", 6),)),
    raw("H44", (152, 4), b"\1\2\3\4"),
    raw("H45", (276, 2)),
    raw("H46", (56, 8)),
    raw("H47", (10, 5), b"\1\2\3\4\5"),
    raw("H48", (311, 2)),
    raw("H49", (154, 4)),
    bad_list("H50", with_list(291, b"")),
    bad_list("H50", b.message(b.template_set(b.template(256, (291, 0), (4, 1))), b.data_set(256, b.uint(6, 1)))),
    bad_list("H51"),
    bad_list("H52"),
    bad_list("H53", with_list(291, b.basic_list((14, 4), bytes(7))), salvage_rows=(([0], 6),)),
    bad_list("H54", values={K.BAD_LIST: 2}, templates=2, rows=((None, 6),) * 2),
    bad_list("H55", templates=2),
    bad_list("H56", with_list(291, nested(200)), kind=K.DEPTH_LIMIT, rows=((deep(None, 16), 6),)),
    bad_list("H57", kinds={K.ZERO_LENGTH_RECORD: 1}, templates=2, rows=((None,),)),
    given("H58", templates=1, rows=((1, 2), (2, 1))),
    built(
        "H59",
        with_list(291, *(b.basic_list((4, 1), b"\6", semantic=s) for s in (5, 254))),
        templates=1,
        rows=(([6], 6),) * 2,
    ),
    given("H60", kinds={K.SEQUENCE_SUSPECT: 1}, templates=1, rows=(VALUES,) * 4),
    given("H61", kinds={K.SEQUENCE_SUSPECT: 1, K.SEQUENCE_RESET: 1}, templates=1, rows=(VALUES,) * 3),
    *(
        built(
            "H62",
            b.message(b.template_set(PAIR), b.data_set(256, ROW), export_time=time),
            kinds={K.TIME_SUSPECT: 1},
            templates=1,
            rows=(VALUES,),
        )
        for time in (0, 0xFFFF_FFFF)
    ),
    given("H63", templates=1, rows=((10, 5),)),
    given("H64", kinds={K.DUPLICATE: 1}, templates=1, rows=(VALUES,) * 2),
    built(
        "H65",
        b.message(b.template_set(b.template(256, (82, b.VARIABLE))), b.data_set(256, b.var(CONTROLS))),
        templates=1,
        rows=((CONTROLS.decode(),),),
    ),
    built(
        "H66",
        lambda: type_records(
            type_record(b"__class__", 1),
            type_record(b"../x", 2),
            type_record(b"n" * 60_000, 3),
            type_record(b"octetDeltaCount", 4),
            type_record(b"mine", 1, pen=0),  # IANA's octetDeltaCount, which is unsigned64
        ),
        kinds={K.TYPE_INFORMATION: 1},
        templates=1,
        rows=None,
    ),
    built("H67", with_checksums(16, 16), kinds={K.CHECKSUM_UNVERIFIED: 1}, templates=2, rows=((0, bytes(16)),) * 2),
    built("H67", with_checksums(15), kinds={K.CHECKSUM_UNVERIFIED: 1}, templates=1, rows=((0, bytes(15)),)),
    built(
        "H68",
        b.message(b.template_set(b.template(256, (445, b.VARIABLE))), b.data_set(256, b.var(ENDLESS_OID))),
        templates=1,
        rows=((ENDLESS_OID,),),
    ),
    given("H69", templates=1, rows=((b"\x14\0",), (b"",))),
    given("H81", "file", templates=1, rows=(VALUES,)),
]


def numbered(cases: list[Case]) -> list[Any]:
    """Cases with ids for pytest; those of one number get a letter."""
    seen: Counter[str] = Counter()
    total = Counter(case.id for case in cases)
    out = []
    for case in cases:
        letter = "abcdefghijklmnop"[seen[case.id]] if total[case.id] > 1 else ""
        out.append((case.id + letter, case))
        seen[case.id] += 1
    return out
