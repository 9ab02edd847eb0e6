"""Traffic of any kind: templates of any elements and lengths, records of any values, and damage to all of it.

What is in a stream is made by a random generator whose seed Hypothesis draws: that is fifty times as fast as drawing
every octet. What makes a failing example small are the sizes, which Hypothesis draws too.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random
from typing import NamedTuple

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st

from headwater.model.element import InformationElement
from headwater.model.registry import IANA
from headwater.model.types import DataType
from tests import build as b

quick = settings(
    max_examples=60,
    deadline=None,  # a slow machine is no bug
    phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
"""How much a property tries each time: enough to find what is new."""
deep = settings(quick, max_examples=3000)
"""How much it tries when asked for what is slow."""

PEN = b.DOCUMENTATION_PEN
TYPES = list(DataType)
FLAT_TYPES = [type for type in TYPES if not type.is_list]
REGISTRY = IANA.extend(
    [InformationElement(PEN, number, f"own{type.label.title()}", type) for number, type in enumerate(TYPES, 1)]
)
"""The IANA registry and one element of each abstract data type."""
NOBODYS = (997, 998, 999)
"""Elements that no registry has; type information may tell of them."""

MAIN_IDS = (256, 257, 258)
LIST_IDS = (300, 301, 302)
UNKNOWN_ID = 399
TEACHER_ID, CHECKSUM_ID = 400, 401
TEACHER = b.options_template_set(
    b.options_template(TEACHER_ID, (346, 4), (303, 2), (339, 1), (341, b.VARIABLE), scope=2)
)
CHECKSUM = b.options_template_set(b.options_template(CHECKSUM_ID, (263, 1), (262, 16)))

ERA_1 = 0x7C55_8180
"""Unix seconds at which NTP's second era begins."""
EXPORT_TIMES = (b.EXPORT_TIME, b.EXPORT_TIME + 1, 1, ERA_1, ERA_1 + 5, 0x7FFF_FFFF, 0xFFFF_FFFE)
ILL_FORMED = (b"\xc0\xaf", b"\xed\xa0\x80", b"ok\xff", b"\xf4\x90\x80\x80", b"\xe2\x82")
WELL_FORMED = ("", "eth0", "é☃", "\0\x1b", "x" * 254, "y" * 255, "\U0010ffff")


class Definition(NamedTuple):
    """A template: its fields and how many of them are scope."""

    fields: tuple[b.FieldSpec, ...]
    scope: int = 0

    def set(self, id: int) -> bytes:
        """A set that defines it."""
        if self.scope:
            return b.options_template_set(b.options_template(id, *self.fields, scope=self.scope))
        return b.template_set(b.template(id, *self.fields))


def type_of(spec: b.FieldSpec) -> DataType:
    """Type of a field."""
    return TYPES[spec[0] - 1] if spec[0] <= len(TYPES) else DataType.OCTET_ARRAY


@dataclass
class Exporter:
    """Makes Messages of whatever kind.

    fields: most fields of a template. depth: levels of lists. flaws: whether values may be ill-formed.
    """

    pick: Random
    fields: int = 6
    depth: int = 3
    flaws: bool = True
    sequence: int = 0
    main: dict[int, Definition] = field(default_factory=dict)
    inner: dict[int, Definition] = field(default_factory=dict)

    def message(self) -> bytes:
        """Templates, data of them, sometimes a redefinition, a withdrawal or another domain."""
        pick = self.pick
        sets: list[bytes] = []
        is_first = not self.main
        for id in LIST_IDS:
            if is_first or self.one_in(12):
                self.inner[id] = self.definition(lists=self.one_in(2), most=3)
                sets.append(self.inner[id].set(id))
        for id in MAIN_IDS:
            if is_first or self.one_in(12):
                self.main[id] = self.definition(lists=True, most=self.fields)
                sets.append(self.main[id].set(id))
        count = 0
        for _ in range(pick.randrange(4)):
            id = pick.choice(MAIN_IDS)
            rows = [self.record(self.main[id]) for _ in range(pick.randrange(4))]
            count += len(rows)
            sets.append(b.data_set(id, *rows, padding=pick.choice((0, 0, 1, 3))))
        if self.one_in(10):
            sets.insert(pick.randrange(len(sets) + 1), b.template_set(b.withdrawal(pick.choice((256, 301, 2)))))
        if self.one_in(5):
            sets += [TEACHER] * pick.randrange(3)
            sets.insert(pick.randrange(len(sets) + 1), b.data_set(TEACHER_ID, self.type_record()))
        if self.one_in(10):
            sets += [CHECKSUM, b.data_set(CHECKSUM_ID, bytes(17))]
        if self.one_in(4):
            pick.shuffle(sets)
        domain = 2 if self.one_in(5) else 1
        export_time = pick.choice(EXPORT_TIMES)
        message = b.message(*sets, domain=domain, sequence=self.sequence, export_time=export_time)
        self.sequence = (self.sequence + count) & 0xFFFF_FFFF
        return message

    def type_record(self) -> bytes:
        """Type information for an element (RFC 5610)."""
        pick = self.pick
        name = b.var(pick.choice((b"mine", b"yours", b"octetDeltaCount", b"\xff")))
        return b.uint(PEN) + b.uint(pick.choice(NOBODYS), 2) + b.uint(pick.randrange(26), 1) + name

    def one_in(self, many: int) -> bool:
        """True once in so many times."""
        return self.pick.randrange(many) == 0

    def definition(self, *, lists: bool, most: int) -> Definition:
        """A template of a few fields, a fifth of them options templates."""
        fields = tuple([self.field(lists=lists) for _ in range(self.pick.randint(1, most))])
        return Definition(fields, self.pick.randint(1, len(fields)) if self.one_in(5) else 0)

    def field(self, *, lists: bool) -> b.FieldSpec:
        """A field of any type in its native length, reduced, variable, illegal or 0."""
        pick = self.pick
        type = pick.choice(TYPES if lists else FLAT_TYPES)
        number = pick.choice(NOBODYS) if self.one_in(10) else TYPES.index(type) + 1
        native = type.width or b.VARIABLE
        return number, pick.choice((native, native, native, b.VARIABLE, pick.randrange(18), 32)), PEN

    def record(self, definition: Definition, depth: int | None = None) -> bytes:
        """One record."""
        depth = self.depth if depth is None else depth
        return b"".join([self.value(spec, depth) for spec in definition.fields])

    def value(self, spec: b.FieldSpec, depth: int) -> bytes:
        """Octets of one value as they stand in a record."""
        octets = self.content(spec, depth)
        return b.var(octets, long=self.one_in(3)) if spec[1] == b.VARIABLE else octets

    def content(self, spec: b.FieldSpec, depth: int) -> bytes:
        """Octets of one value without a prefix."""
        pick, type, size = self.pick, type_of(spec), spec[1]
        is_variable = size == b.VARIABLE
        if is_variable:
            size = pick.choice((type.width or 3, pick.randrange(12), pick.choice((254, 255, 256))))
        octets = None
        if type.is_list and not self.one_in(8):
            octets = self.list_content(type, depth)
        elif type is DataType.STRING and not self.one_in(4):
            octets = pick.choice(ILL_FORMED) if self.flaws and self.one_in(3) else pick.choice(WELL_FORMED).encode()
        elif type is DataType.BOOLEAN:
            octets = pick.choice(b"\1\2\1\2\0\3\xff" if self.flaws else b"\1\2").to_bytes()
        if octets is not None:
            return octets if is_variable else octets[:size].ljust(size, b"\0")
        return pick.choice((pick.randbytes(size), pick.randbytes(size), bytes(size), b"\xff" * size))

    def list_content(self, type: DataType, depth: int) -> bytes:
        """A list of a few items of any kind; one in eight is damaged."""
        pick = self.pick
        semantic = pick.choice((0, 1, 2, 3, 4, 255, 77))
        if type is DataType.BASIC_LIST:
            spec = self.field(lists=depth > 1)
            items = [self.value(spec, depth - 1) for _ in range(pick.randrange(4))]
            octets = b.basic_list(spec, *items, semantic=semantic)
        elif type is DataType.SUB_TEMPLATE_LIST:
            id, items = self.rows(depth)
            octets = b.sub_template_list(id, *items, semantic=semantic)
        else:
            groups = [self.rows(depth) for _ in range(pick.randrange(4))]
            parts = [b.group(id, *items) for id, items in groups]
            if self.flaws and self.one_in(10):
                parts.append(b.group(pick.choice(LIST_IDS), length=pick.choice((0, 0, 3, 5))))
            octets = b.sub_template_multi_list(*parts, semantic=semantic)
        if self.flaws and self.one_in(8):
            return octets[: pick.randrange(len(octets) + 1)] if self.one_in(2) else octets + pick.randbytes(3)
        return octets

    def rows(self, depth: int) -> tuple[int, list[bytes]]:
        """(Template ID, records) of a list; where it is deep enough, and for an unknown id, there are no records."""
        id = UNKNOWN_ID if self.flaws and self.one_in(10) else self.pick.choice(LIST_IDS)
        if depth <= 1 or id not in self.inner:
            return id, []
        return id, [self.record(self.inner[id], depth - 1) for _ in range(self.pick.randrange(3))]


def damaged(pick: Random, octets: bytes) -> bytes:
    """The octets with a few of them changed, left out or added, anywhere."""
    out = bytearray(octets)
    for _ in range(pick.randint(1, 3)):
        at = pick.randrange(len(out) + 1)
        match pick.randrange(6):
            case 0:
                del out[at : at + pick.randint(1, 8)]
            case 1:
                out[at:at] = pick.randbytes(pick.randint(1, 8))
            case 2:
                out[at : at + 2] = pick.choice((b"\0\0", b"\0\1", b"\0\3", b"\xff\xff", b"\0\x0a", b"\1\0"))
            case _:
                out[at : at + 1] = pick.randbytes(1)
    return bytes(out)


def streams(messages: int = 5, *, flaws: bool = True) -> st.SearchStrategy[list[bytes]]:
    """Messages of one exporter, whole ones."""

    def make(seed: int, count: int, fields: int, depth: int, sequence: int) -> list[bytes]:
        exporter = Exporter(Random(seed), fields, depth, flaws, sequence)
        return [message for message in (exporter.message() for _ in range(count)) if len(message) < 65536]

    sizes = st.integers(1, messages), st.integers(1, 6), st.integers(1, 3), st.sampled_from([0, 7, 0xFFFF_FFFE])
    return st.builds(make, st.integers(0, 2**32), *sizes)


def damaged_streams() -> st.SearchStrategy[list[bytes]]:
    """Messages of which some are damaged, with some that are no Messages at all between them."""

    def make(messages: list[bytes], seed: int) -> list[bytes]:
        pick = Random(seed)
        out = []
        for message in messages:
            match pick.randrange(5):
                case 0 | 1:
                    out.append(damaged(pick, message))
                case 2:
                    out += [message, pick.randbytes(pick.randrange(40))]
                case 3:
                    out += [message, bytes(pick.randrange(40))]
                case _:
                    out.append(message)
        return out

    return st.builds(make, streams(), st.integers(0, 2**32))


def pieces(octets: bytes, seed: int) -> list[bytes]:
    """The octets cut anywhere; for a seed of 0 into single ones."""
    if seed == 0:
        return [octets[i : i + 1] for i in range(len(octets))]
    pick = Random(seed)
    cuts = sorted(pick.randrange(len(octets) + 1) for _ in range(pick.randrange(7)))
    return [octets[start:end] for start, end in zip([0, *cuts], [*cuts, len(octets)], strict=True)]


SEEDS = st.integers(0, 2**32)
