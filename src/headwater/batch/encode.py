"""Encoder: columns in, records laid out as Messages out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
import numpy.typing as npt

from headwater import kernel
from headwater.batch.encode_fields import Content, Flat, Writing, writing
from headwater.batch.misfit import Misfit
from headwater.batch.records import Records
from headwater.batch.strings import I32, U8
from headwater.errors import EncodeError
from headwater.model.element import NETFLOW_PADDING
from headwater.session.outgoing import Encoded, Room
from headwater.wire.layout import Layout

if TYPE_CHECKING:
    from headwater.batch.lists import Values
    from headwater.model.template import Template
    from headwater.model.types import DataType
    from headwater.session.events import DataSets

Wide = npt.NDArray[np.int64]
Nulls = Literal["error", "zero"]
Prefix = Literal["minimal", "long"]

_KEPT_FIELDS: Final = 1 << 17  # of all plans that are kept, as in plan.py


class Encoder:
    """Makes records of columns; one Encoder serves any number of sessions and Templates.

    nulls: a value of a field stands in every record, so "error" refuses nulls. "zero" sends 0, false, no octets, or an
        empty list in place of each.
    prefix: lengths of variable-length values are "minimal", 1 octet below 255, or always "long", 3 octets. Lists always
        have the long one (RFC 6313 §5.1).
    lossless: what a decoded column keeps under a null, text that is not UTF-8 and lists that could not be read, goes
        out again as it came.
    """

    def __init__(self, *, nulls: Nulls = "error", prefix: Prefix = "minimal", lossless: bool = False) -> None:
        if nulls not in ("error", "zero") or prefix not in ("minimal", "long"):
            raise EncodeError(f"nulls={nulls!r} or prefix={prefix!r}: it is 'error' or 'zero', 'minimal' or 'long'")
        self._nulls: Nulls = nulls
        self._long = prefix == "long"
        self._lossless = lossless
        self._plans = EncodePlans()

    def encode(
        self,
        template: Template,
        columns: Sequence[Values],
        count: int,
        room: Room,
        inner: Callable[[Template], Template] | None = None,
        *,
        export_time: float | None = None,
    ) -> Encoded:
        """`count` records of a Template, as many in each Message as `room` has place for.

        columns: one for each field, in order, as a Batch has them; the paddings of NetFlow v1 to v8 have none.
        inner: gives a Template of list items its id, normally ExportSession.template; None = they keep theirs.
        export_time: that the Messages will have, in seconds, if it is known. It decides which dateTimeMicroseconds and
        dateTimeNanoseconds can be sent: see wire.era. With `lossless` any can, for what was read has been one of them.
        Raises EncodeError for the first value found that does not fit, with column and row, before anything is written.
        """
        now = None if export_time is None else int(export_time)
        encoding = Encoding(self._nulls, self._long, self._lossless, self._plans, inner, now)
        try:
            measured = encoding.records(template, columns, count)
        except Misfit as bad:
            raise bad.error() from None
        if measured.takes_nothing:
            raise EncodeError("records of no octets cannot be counted: give the Template a field that has some")
        sizes = measured.sizes
        if isinstance(sizes, int):
            sizes = np.full(count, sizes, np.int32)
        at, first, begin, buffer = _laid_out(sizes, room)
        if count:
            measured.write(buffer, at)
        return Encoded(template, buffer, first, begin, room)

    def copy(self, template: Template, sets: DataSets, room: Room) -> Encoded:
        """The records of Data Sets octet for octet, whatever they mean (undefined booleans, lengths of any form).

        template: the same as that of the Sets, with the id it goes out with. Lists inside keep the Template IDs that
        they name, so these must be the same where the records go.
        """
        if template != sets.template:
            raise EncodeError(f"records of Template {sets.template.id} are no records of Template {template.id}")
        stride = template.min_length
        if sets.at is None:
            records = Records(int(np.add.reduce(sets.count)), None, None, sets.start, sets.count, stride or 1)
            start = records.anchors()[0]
            sizes = np.full(records.count, stride, np.int32)
        else:
            start = sets.at[0]
            sizes = sets.at[-1] + Layout.of(template).gaps[-1] - start
        _, first, begin, buffer = _laid_out(sizes, room)
        offsets, data = kernel.strings(sets.buffer, start + sizes, sizes)
        bounds = offsets[first].tolist()
        for at, (here, there) in zip((begin[:-1] + room.header).tolist(), pairwise(bounds), strict=True):
            buffer[at : at + there - here] = data[here:there]
        return Encoded(template, buffer, first, begin, room)


def _laid_out(sizes: I32, room: Room) -> tuple[I32, I32, I32, U8]:
    """(where each record starts, Encoded.first, Encoded.begin, octets); headers and padding are zero.

    Raises EncodeError for a record that no Message has room for.
    """
    budget = room.budget - room.budget % room.align
    most = int(np.maximum.reduce(sizes, initial=0))
    if most > budget:
        row = int(sizes.argmax())
        raise EncodeError(f"row {row}: a record of {most} octets, and a Message has room for {budget}", row=row)
    try:
        at, first, begin = kernel.pack(sizes, room.budget, room.header, align=room.align, most=room.most)
    except ValueError as bad:  # they are too many for one buffer
        raise EncodeError(f"{len(sizes)} records are {bad}: encode fewer at a time") from None
    buffer = np.empty(int(begin[-1]), np.uint8)
    _clear(buffer, begin[:-1], room.header)
    _clear(buffer, begin[1:] - np.int32(room.align - 1), room.align - 1)
    return at, first, begin, buffer


def _clear(buffer: U8, at: I32, width: int) -> None:
    if width and len(at):
        plan = np.array([(0, 0, width, 0)], np.int32)
        kernel.scatter(buffer, at[None], plan, [np.zeros(len(at), f"V{width}")])


# ---------------------------------------------------------------- records


@dataclass(frozen=True, slots=True, eq=False)
class EncodePlan:
    """How the records of a Template are written, worked out once.

    fields: how each is written, None for padding. columns: those that are not. types: of their elements.
    layout: where they are in a record.
    fixed: octets of the fields of fixed length. rows: kernel.scatter's plan. zeros: octets of padding among them.
    contents: index of each field that is Content, with its anchor and its distance from there, None = it is an anchor.
    """

    fields: tuple[Writing | None, ...]
    columns: int
    types: tuple[DataType, ...]
    layout: Layout
    fixed: int
    rows: I32
    contents: tuple[tuple[int, int | None], ...]

    @staticmethod
    def of(template: Template) -> EncodePlan:
        """The plan for the records of `template`."""
        layout = Layout.of(template)
        fields: list[Writing | None] = []
        rows, contents = [], []
        for of, (anchor, delta) in zip(template.fields, layout.cells, strict=True):
            how = None if of.element is NETFLOW_PADDING else writing(of.element.type, of.length)
            fields.append(how)
            if how is not None and not how.is_flat:
                contents.append((anchor, None if of.is_variable else delta + of.length))
            elif of.length:
                rows.append((anchor, delta, of.length, 0))
        types = tuple([of.element.type for of in template.fields])
        plan = np.array(rows, np.int32).reshape(-1, 4)
        columns = len(fields) - fields.count(None)
        return EncodePlan(tuple(fields), columns, types, layout, int(layout.gaps.sum()), plan, tuple(contents))


class EncodePlans:
    """Plans by what Templates mean on the wire; all are forgotten when they have more than _KEPT_FIELDS fields."""

    def __init__(self) -> None:
        self._plans: dict[Template, tuple[Template, EncodePlan]] = {}
        self._fields = 0

    def of(self, template: Template) -> EncodePlan:
        """The plan for the records of a Template."""
        known = self._plans.get(template)
        if known is not None:
            if known[0] is template:
                return known[1]
            # type information (RFC 5610) can change what the same octets mean
            if known[1].types == tuple([of.element.type for of in template.fields]):
                return known[1]
        self._fields += 1 + len(template.fields)
        if self._fields > _KEPT_FIELDS:
            self._plans.clear()
            self._fields = 1 + len(template.fields)
        plan = EncodePlan.of(template)
        self._plans[template] = template, plan
        return plan


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """Records of one Template that fit, ready to be written anywhere.

    sizes: octets of each, an int where all are equal. flats, contents: see Writing, as many as the plan says.
    """

    plan: EncodePlan
    count: int
    sizes: int | I32
    flats: list[Flat]
    contents: list[Content]

    @property
    def takes_nothing(self) -> bool:
        """Whether there are records, and they have no octets."""
        return isinstance(self.sizes, int) and self.sizes == 0 and self.count > 0

    def octets(self, counts: Wide) -> Wide:
        """Octets of runs of so many records, which are all records in order."""
        if isinstance(self.sizes, int):
            return counts * self.sizes
        last = np.add.accumulate(counts)
        before = self._before()
        return before[last] - before[last - counts]

    def positions(self, begin: Wide, counts: Wide) -> I32:
        """Where each record starts, if runs of so many records begin there."""
        first = np.add.accumulate(counts) - counts
        if isinstance(self.sizes, int):
            at = np.repeat(begin - first * self.sizes, counts) + np.arange(self.count) * self.sizes
        else:
            before = self._before()
            at = np.repeat(begin - before[first], counts) + before[:-1]
        return at.astype(np.int32)

    def _before(self) -> Wide:
        before = np.zeros(self.count + 1, np.int64)
        np.add.accumulate(self.sizes, out=before[1:])
        return before

    def write(self, buf: U8, start: I32) -> None:
        """Write each record from `start` on."""
        gaps = self.plan.layout.gaps
        at = start[None]
        if len(gaps) > 1:
            at = np.empty((len(gaps), self.count), np.int32)
            at[0] = start
            for content, (anchor, delta) in zip(self.contents, self.plan.contents, strict=True):
                if delta is None:
                    np.add(at[anchor - 1], content.sizes + gaps[anchor - 1], out=at[anchor])
        if self.flats:
            kernel.scatter(buf, at, self.plan.rows, self.flats)
        for content, (anchor, delta) in zip(self.contents, self.plan.contents, strict=True):
            content.write(buf, at[anchor] if delta is None else at[anchor] + np.int32(delta))


@dataclass(slots=True)
class Encoding:
    """What is shared while the records of one call are encoded; see Encoder."""

    nulls: Nulls
    long: bool
    lossless: bool
    plans: EncodePlans
    inner: Callable[[Template], Template] | None
    export_time: int | None = None
    _inner: dict[int, tuple[Template, Template]] = field(default_factory=dict)

    def records(self, template: Template, columns: Sequence[Values], count: int) -> Measured:
        """The records of a Template, checked and measured. Raises Misfit."""
        plan = self.plans.of(template)
        given = iter(columns)
        if len(columns) != plan.columns:
            raise Misfit(None, f"{len(columns)} columns for a Template of {plan.columns} fields")
        flats: list[Flat] = []
        contents: list[Content] = []
        for number, how in enumerate(plan.fields):
            if how is None:
                flats.append(np.zeros(count, f"V{template.fields[number].length}"))
                continue
            values: Any = next(given)
            native = how.native  # not to be compared if None, which numpy takes for float64
            is_array = type(values) is np.ndarray and values.shape == (count,)
            if is_array and native is not None and values.dtype == native:
                flats.append(values)
                continue
            try:
                part = how.prepare(self, values, count)
            except Misfit as bad:
                raise bad.of(template.column_names[number]) from None
            if not how.is_flat:
                contents.append(part)
            elif part is not None:
                flats.append(part)
        sizes: int | I32 = plan.fixed
        for content, (_, delta) in zip(contents, plan.contents, strict=True):
            if delta is None:
                sizes = content.sizes + np.int32(sizes) if isinstance(sizes, int) else sizes + content.sizes
        return Measured(plan, count, sizes, flats, contents)

    def inner_template(self, template: Template) -> Template:
        """The Template that items of a list go out with."""
        if self.inner is None:
            return template
        known = self._inner.get(id(template))
        if known is None:
            known = self._inner[id(template)] = template, self.inner(template)
        return known[1]
