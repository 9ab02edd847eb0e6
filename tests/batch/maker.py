"""Random templates and records of every type, lists in lists and spoilt octets among them."""

from __future__ import annotations

import random
from typing import Any

from headwater.model import registry as registries
from tests import build

INNER = (300, 301, 302)
UNKNOWN = 999
NAMES = (
    "octetDeltaCount", "ingressInterface", "sourceTransportPort", "protocolIdentifier", "mibObjectValueInteger",
    "absoluteError", "dataRecordsReliability", "sourceMacAddress", "interfaceName", "paddingOctets",
    "flowStartSeconds", "flowStartMilliseconds", "flowStartMicroseconds", "flowStartNanoseconds",
    "sourceIPv4Address", "sourceIPv6Address", "ipv6ExtensionHeadersFull", "basicList", "subTemplateList",
    "subTemplateMultiList", "bgpSourceCommunityList",
)  # fmt: skip
ELEMENTS = [registries.IANA.named(name) for name in NAMES]


class Maker:
    """Random templates and records of them."""

    def __init__(self, pick: random.Random) -> None:
        self.pick = pick
        self.inner = {id: self.fields(1 + pick.randrange(3)) for id in INNER}

    def fields(self, count: int) -> list[build.FieldSpec]:
        return [self.field() for _ in range(count)]

    def field(self) -> build.FieldSpec:
        pick = self.pick
        if pick.random() < 0.1:
            return pick.randrange(1, 5), pick.choice((0, 1, 4, 65535)), 32473
        element = pick.choice(ELEMENTS)
        type = element.type
        if type.width == 0:
            lengths = [65535] * 8 + [0, 1, 3, 9]
        elif type.label == "float64":
            lengths = [8, 4]
        else:
            lengths = [type.width] * 3 + ([pick.randrange(1, type.width + 1)] if type.reducible else [])
            lengths += [0, type.width + 1] if pick.random() < 0.1 else []
        return element.id, pick.choice(lengths), element.pen

    def record(self, fields: list[build.FieldSpec], depth: int = 0) -> bytes:
        return b"".join(self.value(field, depth) for field in fields)

    def value(self, spec: build.FieldSpec, depth: int) -> bytes:
        pick, (id, length, *pen) = self.pick, spec
        kind = registries.IANA.get(pen[0] if pen else 0, id).type.label
        if length != 65535:
            return self.times() if length == 8 and kind.endswith("seconds") else pick.randbytes(length)
        if kind.endswith("List"):
            octets = self.list_value(kind, depth)
            if pick.random() < 0.12:
                octets = self.spoilt(octets)
        elif kind == "string":
            octets = pick.choice(["eth0", "", "é", "x" * 300, "a\0b"]).encode()
            octets = pick.randbytes(3) if pick.random() < 0.1 else octets
        else:
            octets = pick.randbytes(pick.choice((0, 1, 4, 260)))
        return build.var(octets, long=pick.random() < 0.2)

    def times(self) -> bytes:
        return self.pick.choice((build.uint(1_700_000_000_123, 8), build.uint(self.pick.randrange(2**63), 8)))

    def list_value(self, kind: str, depth: int) -> bytes:
        pick = self.pick
        semantic = pick.choice((0, 3, 4, 77, 255))
        items = 0 if depth > 3 else pick.choice((0, 1, 1, 2, 5))
        if kind == "basicList":
            field = self.field()
            return build.basic_list(field, *(self.value(field, depth + 1) for _ in range(items)), semantic=semantic)
        if kind == "subTemplateList":
            id = self.id()
            return build.sub_template_list(id, *self.records(id, items, depth), semantic=semantic)
        ids = [self.id() for _ in range(items and pick.randrange(4))]
        groups = [build.group(id, *self.records(id, pick.choice((0, 1, 1, 2)), depth)) for id in ids]
        tail = build.group(300, length=0) if pick.random() < 0.1 else b""
        return build.sub_template_multi_list(*groups, tail, semantic=semantic)

    def id(self) -> int:
        return UNKNOWN if self.pick.random() < 0.03 else self.pick.choice(INNER)

    def records(self, id: int, count: int, depth: int) -> list[bytes]:
        fields = self.inner.get(id, [])
        return [self.record(fields, depth + 1) for _ in range(count)]

    def spoilt(self, octets: bytes) -> bytes:
        pick, spoilt = self.pick, bytearray(octets)
        for _ in range(pick.randrange(1, 3)):
            match pick.randrange(3):
                case 0:
                    del spoilt[pick.randrange(len(spoilt) + 1) :]
                case 1 if spoilt:
                    spoilt[pick.randrange(len(spoilt))] = pick.randrange(256)
                case _:
                    spoilt += pick.randbytes(pick.randrange(4))
        return bytes(spoilt)

    def message(self, fields: list[build.FieldSpec], rows: int, **options: Any) -> bytes:
        records = [record for record in (self.record(fields) for _ in range(rows)) if len(record) < 3000]
        templates = [build.template(id, *inner) for id, inner in self.inner.items()]
        head = build.template_set(*templates, build.template(256, *fields))
        return build.message(head, build.data_set(256, *records), **options)

    def octets(self) -> bytes:
        """Two messages with records of one template, far apart in time or not, from one domain or two."""
        fields = [*self.fields(self.pick.randrange(1, 6)), (4, 1)]
        times = [1_700_000_000, self.pick.choice((1_700_000_001, 0, 2**32 - 1))]
        return b"".join(
            self.message(fields, self.pick.randrange(1, 7), export_time=at, domain=self.pick.choice((1, 1, 2)))
            for at in times
        )
