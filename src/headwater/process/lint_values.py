"""Rules about values of records."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from headwater.batch.lists import ListGroup, Lists, MultiLists, Structs
from headwater.batch.strings import Strings
from headwater.model.element import REVERSE_PEN
from headwater.model.types import DataType
from headwater.wire.lists import SEMANTICS

if TYPE_CHECKING:
    from headwater.batch.lists import Values
    from headwater.process.lint_rows import Bool, Rows

Check = Callable[["Rows", int], None]

_LOW_BITS: Final = 0x07FF
_SHORT: Final = 255
_LIST_PREFIX: Final = 3
_UNDEFINED: Final = 255
_KNOWN_SEMANTICS: Final = np.isin(np.arange(256), list(SEMANTICS))
_FIRST_PRINTABLE: Final = 0x20
_TEXT_CONTROLS: Final = (9, 10, 13)  # tab and newlines say nothing bad
_IS_CONTROL: Final = np.array([octet < _FIRST_PRINTABLE and octet not in _TEXT_CONTROLS for octet in range(256)])

_TIMES: Final = {
    (0, 150): (151, 1), (0, 152): (153, 10**3), (0, 154): (155, 10**6), (0, 156): (157, 10**9),
    (0, 22): (21, 0), (0, 158): (159, -1),
}  # fmt: skip
"""Elements for the start of a flow: that for its end, and units per second; 0 = sysUpTime, -1 = before the export."""
_SYS_UPTIME, _BEFORE_EXPORT = 0, -1
_ENDS: Final = dict(_TIMES.values())
_APPLICATION_ID: Final = 95
_LONGEST_ENGINE: Final = 20
_OBJECT_IDENTIFIER: Final = 445
_ELEMENT_NAME: Final = 341
_DOMAIN: Final = 149
_STATISTICS: Final = frozenset((40, 41, 42, 164, 165))
_TEMPLATE_ID: Final = 145
_FLOW_KEYS: Final = 173


def check_values(rows: Rows) -> None:
    """Check all fields of a run of Data Sets."""
    template = rows.sets.template
    named: dict[str, int] = {}
    for index, field in enumerate(template.fields):
        element = field.element
        if template.column_names[index] not in rows.batch.columns:
            continue
        named[template.column_names[index]] = index
        if field.is_variable and rows.records.at is not None:
            _check_prefix(rows, index, field.type)
        if not field.is_legal:
            continue
        if element.range is not None and element.type.is_integer:
            _check_range(rows, index, element.range)
        if element.type is DataType.MICROSECONDS:
            _check_microseconds(rows, index)
        elif element.type is DataType.STRING:
            _check_text(rows, index)
        elif element.type.is_list:
            _check_lists(rows, index)
        if element.key in _TIMES:
            _check_order(rows, index)
        if element.pen in (0, REVERSE_PEN) and element.id in _ENDS:
            _check_export(rows, index, _ENDS[element.id])
        check = _BY_ID.get(element.id) if element.pen == 0 else None
        if check is not None:
            check(rows, index)


def _check_range(rows: Rows, index: int, bounds: tuple[int, int]) -> None:
    low, high = bounds
    values: Any = rows.column(index)
    bad = values > high
    if low > 0:
        bad |= values < low
    rows.add("element_range", index, bad, lambda row: f"{values[row]} is not from {low} to {high}")


def _check_microseconds(rows: Rows, index: int) -> None:
    if rows.sets.template.fields[index].is_variable:
        return
    low = rows.words(index, 6) & np.uint16(_LOW_BITS)
    rows.add("microseconds", index, low != 0, lambda row: f"low bits {int(low[row]):#x}")


def _check_prefix(rows: Rows, index: int, type: DataType) -> None:
    prefix = rows.prefixes(index)
    _, size = rows.records.ends(rows.cell(index))
    if type.is_list:
        rows.add("list_prefix", index, prefix != _LIST_PREFIX, lambda row: f"prefix of {int(prefix[row])} octet")
    else:
        bad = (prefix == _LIST_PREFIX) & (size < _SHORT)
        rows.add("long_prefix", index, bad, lambda row: f"prefix of 3 octets for {int(size[row])}")


def _check_text(rows: Rows, index: int) -> None:
    values = rows.column(index)
    if not isinstance(values, Strings):
        return
    first, last = int(values.offsets[0]), int(values.offsets[-1])
    octets = values.data[first:last]
    is_control = _IS_CONTROL[octets]
    if not rows.sets.template.fields[index].is_variable:  # what is short is filled up with zeros
        is_control &= octets != 0
    controls = np.flatnonzero(is_control) + first
    if len(controls):
        bad = np.zeros(len(values), np.bool_)
        bad[np.searchsorted(values.offsets, controls, "right") - 1] = True
        rows.add("control_characters", index, bad, lambda row: repr(values.raw(row)[:40]))


# --- times ---


def _check_order(rows: Rows, index: int) -> None:
    """The end of a flow is not before its start."""
    end_id, per_second = _TIMES[rows.sets.template.fields[index].element.key]
    keys = [field.element.key for field in rows.sets.template.fields]
    if (0, end_id) not in keys:
        return
    other = keys.index((0, end_id))
    start, end = (_numbers(rows.column(which)) for which in (index, other))
    if start is None or end is None:
        return
    if per_second == _BEFORE_EXPORT:
        start, end = end, start
    gap = end - start
    if per_second == _SYS_UPTIME:  # a counter of 32 bits
        gap = (gap + (1 << 31)) % (1 << 32) - (1 << 31)
    rows.add("flow_end_before_start", other, gap < 0, lambda row: f"{-int(gap[row])} before the start")


def _check_export(rows: Rows, index: int, per_second: int) -> None:
    """No flow ends after the Message that tells of it was sent."""
    values = _numbers(rows.column(index))
    messages = rows.sets.messages
    if values is None or per_second == _BEFORE_EXPORT:
        return
    if per_second == _SYS_UPTIME:
        if messages.uptime is None:
            return
        late = (values - rows.per_row(messages.uptime.astype(np.int64)) + (1 << 31)) % (1 << 32) - (1 << 31)
        rows.add("flow_after_export", index, late > 0, lambda row: f"{int(late[row])} ms after sysUpTime")
        return
    # Export Times are whole seconds, rounded as one likes
    late = values // per_second - rows.per_row(messages.export_time.astype(np.int64))
    rows.add("flow_after_export", index, late > 0, lambda row: f"{int(late[row])} s after the Export Time")


def _numbers(values: Values) -> npt.NDArray[np.int64] | None:
    """Integers or times as int64, masked where they are null."""
    if not isinstance(values, np.ndarray) or values.dtype.kind not in "uiM":
        return None
    return values.view("i8") if values.dtype.kind == "M" else values.astype(np.int64)


# --- lists (RFC 6313) ---


def _check_lists(rows: Rows, index: int) -> None:
    values = rows.column(index)
    if not isinstance(values, Lists):
        return
    odd, single = _semantics(values)
    rows.add("list_semantic", index, odd, lambda row: "a semantic that is not defined, here or inside")
    rows.add("list_single", index, single, lambda row: "a list of one item says how items relate, here or inside")


def _semantics(values: Lists) -> tuple[Bool, Bool]:
    """(semantic unknown, one item whose semantic is not `undefined`) of each row, lists inside included."""
    valid = np.ones(len(values), np.bool_) if values.validity is None else values.validity
    odd = ~_KNOWN_SEMANTICS[values.semantics] & valid
    items = np.zeros(len(values), np.int64)
    for group in values.groups:
        items += np.diff(group.offsets)
    single = (items == 1) & (values.semantics != _UNDEFINED) & valid
    if isinstance(values, MultiLists):  # of what is in one group or another no relation is said
        single &= False
    for group in values.groups:
        _look_inside(group, odd, single)
    return odd, single


def _look_inside(group: ListGroup, odd: Bool, single: Bool) -> None:
    inner = group.items.columns if isinstance(group.items, Structs) else (group.items,)
    for column in inner:
        if isinstance(column, Lists):
            for of_items, of_rows in zip(_semantics(column), (odd, single), strict=True):
                items = np.flatnonzero(of_items)
                of_rows[np.searchsorted(group.offsets, items, "right") - 1] = True


# --- elements with rules of their own ---


def _check_application_id(rows: Rows, index: int) -> None:
    values = rows.column(index)
    if not isinstance(values, Strings):
        return
    size = np.diff(values.offsets)
    engine = np.zeros(len(values), np.uint8)
    some = np.flatnonzero(size)
    engine[some] = values.data[values.offsets[some]]
    bad = (size < 2) | ((engine == _LONGEST_ENGINE) & (size < 6))
    rows.add("application_id", index, bad, lambda row: f"{int(size[row])} octets, engine {int(engine[row])}")


def _check_object_identifier(rows: Rows, index: int) -> None:
    values = rows.column(index)
    if not isinstance(values, Strings):
        return
    size = np.diff(values.offsets)
    some = np.flatnonzero(size)
    bad = size == 0
    bad[some] = values.data[values.offsets[some + 1] - 1] >= 0x80  # the last octet of a number has no bit 8
    rows.add("object_identifier", index, bad, lambda row: values.raw(row)[:8].hex(" "))


def _check_element_name(rows: Rows, index: int) -> None:
    values = rows.column(index)
    if isinstance(values, Strings):
        names = values.tolist()
        bad = [not _is_good_name(name) for name in names]
        rows.add("element_name", index, np.array(bad, np.bool_), lambda row: repr(names[row])[:60])


def _check_domain(rows: Rows, index: int) -> None:
    """The domain that statistics are about (RFC 7011 §4.1)."""
    template = rows.sets.template
    ids = {field.element.id for field in template.fields if field.element.pen == 0}
    if index < template.scope_count and ids & _STATISTICS:
        rows.add("scope_domain", index, rows.column(index) == 0, lambda row: "0 in the scope")


def _check_flow_keys(rows: Rows, index: int) -> None:
    template = rows.sets.template
    keys = [field.element.key for field in template.fields[: template.scope_count]]
    if (0, _TEMPLATE_ID) not in keys:
        return
    columns: list[Any] = [rows.column(keys.index((0, _TEMPLATE_ID))), rows.column(index)]
    ids, bits = (column.tolist() for column in columns)
    fields = {id: len(known.fields) for id, known in rows.sets.scope.templates.items()}
    bad = [id is None or id not in fields or (key or 0) >> fields[id] > 0 for id, key in zip(ids, bits, strict=True)]

    def detail(row: int) -> str:
        return f"{bits[row]:#x} for Template {ids[row]}, which has {fields.get(ids[row], 'no')} fields"

    rows.add("flow_keys", index, np.array(bad, np.bool_), detail)


def _is_good_name(name: object) -> bool:
    return isinstance(name, str) and name.isascii() and name.isalnum() and name[:1].islower()


_BY_ID: Final[dict[int, Check]] = {
    _APPLICATION_ID: _check_application_id,
    _OBJECT_IDENTIFIER: _check_object_identifier,
    _ELEMENT_NAME: _check_element_name,
    _DOMAIN: _check_domain,
    _FLOW_KEYS: _check_flow_keys,
}
