"""What a session says, record by record: the plain-Python reader of wire/records.py is the oracle of all columns."""

from __future__ import annotations

import ipaddress
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import pytest

from headwater.batch import Decoder
from headwater.errors import DecodeError, Fault, FaultKind
from headwater.model.element import NETFLOW_PADDING
from headwater.model.template import Field, Template
from headwater.model.types import DataType
from headwater.session import DataSets, SequenceGap, Session, TemplateLearned, TemplateWithdrawn
from headwater.session.events import Event
from headwater.wire.lists import BasicList, SubTemplateList, SubTemplateMultiList, semantic_name
from headwater.wire.records import Cell, Reader, ValueFault


class Record(NamedTuple):
    """One record of a DataSets event. at: absolute offset; message: index of its Message in `sets.messages`."""

    at: int
    template: Template
    cells: tuple[Cell, ...]
    sets: DataSets
    message: int

    @property
    def values(self) -> tuple[Any, ...]:
        """Its values, as Batch.tuples() has them."""
        return tuple(cell.value for cell in self.cells)

    @property
    def named(self) -> list[tuple[str, Any]]:
        """(name of the element, value), repeats included."""
        return [(cell.field.name, cell.value) for cell in self.cells]

    @property
    def domain(self) -> int:
        """Observation Domain of its Message."""
        return int(self.sets.messages.domain[self.message])


def is_column(field: Field) -> bool:
    """Whether a field of a Template has values; the paddings of NetFlow v1 to v8 have none."""
    return field.element.key != NETFLOW_PADDING.key


Item = TemplateLearned | TemplateWithdrawn | Record


def records(sets: DataSets, faults: list[ValueFault]) -> Iterator[Record]:
    """Records of a DataSets event in order, as many of each Set as the event counts; `faults` gets those of values."""
    buf = sets.buffer.tobytes()
    depth, elements = sets.limits.list_depth, sets.limits.list_elements
    for i, (start, end, count) in enumerate(
        zip(sets.start.tolist(), sets.end.tolist(), sets.count.tolist(), strict=True)
    ):
        message = int(sets.message[i])
        reference_s = int(sets.messages.export_time[message])
        reader = Reader(buf, sets.scope, reference_s, depth, elements, sets.salvage, faults)
        for _ in range(count):
            cells = reader.record(sets.template, start, end)
            values = tuple([cell for cell in cells if is_column(cell.field)])
            yield Record(sets.messages.absolute(message, start), sets.template, values, sets, message)
            start = cells[-1].at + cells[-1].prefix + cells[-1].length
        assert start <= end
        if end - start >= sets.template.min_length:  # octets enough for another record, which must be a torn one
            assert sets.salvage
            with pytest.raises(DecodeError):
                reader.record(sets.template, start, end)


@dataclass
class Account:
    """Everything told by a session so far.

    items: templates, withdrawals and records in the order of the wire. value_faults: of single values, which the
    decoder reports and the session does not.
    """

    session: Session
    items: list[Item] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    gaps: list[SequenceGap] = field(default_factory=list)
    sets: list[DataSets] = field(default_factory=list)
    value_faults: list[ValueFault] = field(default_factory=list)

    def feed(self, *chunks: bytes, now: float = 0.0) -> Account:
        """Let the session receive each chunk."""
        for chunk in chunks:
            base = self.session.offset
            self.add(self.session.receive(chunk, now=now), base)
        return self

    def close(self) -> Account:
        """Let the session end."""
        return self.add(self.session.close(), self.session.offset)

    def add(self, events: Iterable[Event], base: int) -> Account:
        """Take the events of one receive call whose first octet was at `base`."""
        placed: list[tuple[int, Item]] = []
        last = base
        for event in events:
            match event:
                case Fault():
                    self.faults.append(event)
                case SequenceGap():
                    self.gaps.append(event)
                case DataSets():
                    self.sets.append(event)
                    # what waited for its Template has octets from before it, and stands where it is told
                    faults: list[ValueFault] = []
                    rows = list(records(event, faults))
                    assert_decoder_agrees(event, rows, faults)
                    self.value_faults += faults
                    if rows and rows[0].at < last:
                        rows = [row._replace(at=last) for row in rows]
                    placed += [(row.at, row) for row in rows]
                case _:
                    last = event.offset
                    placed.append((last, event))
        placed.sort(key=lambda item: (item[0], isinstance(item[1], Record)))
        self.items += [item for _, item in placed]
        return self

    @property
    def records(self) -> list[Record]:
        """Records only."""
        return [item for item in self.items if isinstance(item, Record)]

    @property
    def templates(self) -> list[Template]:
        """Templates learned, in order."""
        return [item.template for item in self.items if isinstance(item, TemplateLearned)]

    @property
    def rows(self) -> list[list[tuple[str, Any]]]:
        """(name, value) pairs of each record."""
        return [record.named for record in self.records]

    @property
    def kinds(self) -> Counter[FaultKind]:
        """How often each kind of fault was told."""
        counts: Counter[FaultKind] = Counter()
        for fault in self.faults:
            counts[fault.kind] += fault.count
        return counts

    @property
    def value_kinds(self) -> Counter[FaultKind]:
        """How often each kind of fault of single values was found."""
        return Counter(fault.kind for fault in self.value_faults)


def listen(*chunks: bytes, transport: str = "udp", now: float = 0.0, **options: Any) -> Account:
    """Account of a new session that receives the chunks."""
    return Account(Session(transport=transport, **options)).feed(*chunks, now=now)


def assert_decoder_agrees(sets: DataSets, rows: list[Record], faults: list[ValueFault]) -> None:
    """Columns, rows and tuples of the decoder are what the oracle read, and so are the faults."""
    batch = Decoder().decode(sets)
    shown = [(n, f) for n, f in zip(sets.template.column_names, sets.template.fields, strict=True) if is_column(f)]
    names, fields = tuple(name for name, _ in shown), tuple(field for _, field in shown)
    assert batch.num_rows == sets.num_records == len(rows)
    assert batch.schema.names == names
    plain = [tuple(map(cell_of, fields, row.values)) for row in rows]
    full = [
        {name: cell_of(f, v, full=True) for name, f, v in zip(names, fields, row.values, strict=True)} for row in rows
    ]
    assert comparable(batch.tuples()) == comparable(plain)
    assert comparable(batch.rows(addresses="raw", lists="full")) == comparable(full)
    columns = [column_list(f, batch.columns[name]) for name, f in zip(names, fields, strict=True)]
    assert comparable(columns) == comparable([[row[i] for row in plain] for i in range(len(fields))])
    kinds = Counter(fault.kind for fault in faults)
    kinds[FaultKind.TIME_RANGE] += sum(is_out_of_range(f, v) for row in rows for f, v in leaves(fields, row.values))
    told: Counter[FaultKind] = Counter()
    for fault in batch.faults:
        told[fault.kind] += fault.count
    assert told == kinds, (batch.faults, faults)


def column_list(field: Field, column: Any) -> list[Any]:
    """A column as a list of the Python values that DataType describes."""
    type = field.type if field.is_legal or field.length == 0 else DataType.OCTET_ARRAY
    if isinstance(column, np.ndarray):
        if type.is_time:
            column = column.view(np.int64)
        if type is DataType.UNSIGNED256:
            return [octets and int.from_bytes(octets, "big") for octets in column.tolist()]
    return list(column.tolist())


def cell_of(field: Field, value: Any, *, full: bool = False) -> Any:
    """What a batch makes of a value of the oracle: plain or full lists, null for what no column can hold."""
    match value:
        case BasicList():
            items: Any = [cell_of(value.field, item, full=full) for item in value.items]
            head = {"semantic": semantic_name(value.semantic), "element": value.field.name}
            return {**head, "items": items} if full else items
        case SubTemplateList():
            items = dicts_of(value.template, value.items, full=full)
            head = {"semantic": semantic_name(value.semantic), "template": value.template_id}
            return {**head, "items": items} if full else items
        case SubTemplateMultiList():
            groups = [(id, dicts_of(template, items, full=full)) for id, template, items in value.groups]
            if full:
                parts = [{"template": id, "items": items} for id, items in groups]
                return {"semantic": semantic_name(value.semantic), "groups": parts}
            merged: dict[int, list[Any]] = {}
            for id, items in groups:
                merged.setdefault(id, []).extend(items)
            return merged
    return None if is_out_of_range(field, value) else value


def dicts_of(template: Template, items: Iterable[tuple[Any, ...]], *, full: bool) -> list[dict[str, Any]]:
    """Records of a list as dicts."""
    cells = [[cell_of(f, v, full=full) for f, v in zip(template.fields, item, strict=True)] for item in items]
    return [dict(zip(template.column_names, row, strict=True)) for row in cells]


def leaves(fields: Iterable[Field], values: Iterable[Any]) -> Iterator[tuple[Field, Any]]:
    """(field, value) of all single values of a record, at any depth."""
    for of, value in zip(fields, values, strict=True):
        match value:
            case BasicList():
                for item in value.items:
                    yield from leaves((value.field,), (item,))
            case SubTemplateList():
                for record in value.items:
                    yield from leaves(value.template.fields, record)
            case SubTemplateMultiList():
                for _, template, items in value.groups:
                    for record in items:
                        yield from leaves(template.fields, record)
            case _:
                yield of, value


def is_out_of_range(field: Field, value: Any) -> bool:
    """Whether this is a time that no column can hold, but Python's int can."""
    return field.type is DataType.MILLISECONDS and isinstance(value, int) and value >= 1 << 63


def comparable(value: Any) -> Any:
    """A value in which floats are texts: NaN is equal to NaN, and -0.0 is not 0.0."""
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, dict):
        return {key: comparable(item) for key, item in value.items()}
    if isinstance(value, list | tuple | Iterator):
        return [comparable(item) for item in value]
    return value


TIME_KEYS = {
    DataType.SECONDS: "unix_s",
    DataType.MILLISECONDS: "unix_ms",
    DataType.MICROSECONDS: "unix_us",
    DataType.NANOSECONDS: "unix_ns",
}


def shown(field: Field, value: Any) -> Any:
    """A value as the test vectors write it: addresses as text, octets in hexadecimal, times and lists as dicts."""
    match value:
        case BasicList():
            items = [shown(value.field, item) for item in value.items]
            ie = value.field.element.name
            return {"list": "basicList", "semantic": semantic_name(value.semantic), "ie": ie, "items": items}
        case SubTemplateList():
            rows = shown_rows(value.template, value.items)
            semantic = semantic_name(value.semantic)
            return {"list": "subTemplateList", "semantic": semantic, "tid": value.template_id, "items": rows}
        case SubTemplateMultiList():
            groups = [{"tid": id, "items": shown_rows(template, items)} for id, template, items in value.groups]
            return {"list": "subTemplateMultiList", "semantic": semantic_name(value.semantic), "groups": groups}
    type = field.type
    if value is None or type is DataType.STRING:
        return value
    if type is DataType.IPV4 and isinstance(value, int):
        return str(ipaddress.IPv4Address(value))
    if isinstance(value, bytes):
        if type is DataType.IPV6 and len(value) == 16:
            return str(ipaddress.IPv6Address(value))
        return value.hex(":") if type is DataType.MAC_ADDRESS and len(value) == 6 else value.hex()
    if type.is_float:
        return shown_float(value)
    return {TIME_KEYS[type]: value} if type in TIME_KEYS else value


def shown_float(value: float) -> str:
    """All digits and the sign of a zero; "NaN", "+inf", "-inf"."""
    return {"nan": "NaN", "inf": "+inf"}.get(repr(value), repr(value))


def shown_rows(template: Template, items: Iterable[tuple[Any, ...]]) -> list[list[list[Any]]]:
    """Records of a list as the test vectors write them."""
    return [[[f.name, shown(f, v)] for f, v in zip(template.fields, item, strict=True)] for item in items]
