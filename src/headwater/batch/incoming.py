"""What users hand over, as columns ready for the Encoder.

    columns_of({"sourceIPv4Address": ["192.0.2.1"], "octetDeltaCount[4]": [1500]})
    columns_of(pyarrow_table)
    columns_of([{"octetDeltaCount": 1500}, {"octetDeltaCount": 60}])

A column's name says which element it is: the element's name, `name#2` where it comes again, `_<pen>_<id>`,
`pen/id`, the name in snake_case, or an IESpec such as `octetDeltaCount[4]`, `mine(35566/1)<string>` or
`samplingInterval{scope}`. Metadata of Arrow fields that headwater wrote win over names.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from inspect import get_annotations
from itertools import chain, islice, repeat
from operator import is_
from os import PathLike
from typing import Any

import numpy as np
import numpy.typing as npt

from headwater.batch import incoming_names, mapping
from headwater.batch.batch import Batch
from headwater.batch.incoming_columns import Given, Incoming, assembled, columns_in, of_template
from headwater.batch.incoming_names import Meaning
from headwater.batch.incoming_rows import check_kinds, check_widths, gathered, names_of, widths_of
from headwater.batch.incoming_template import split_nulls as split_nulls
from headwater.batch.incoming_template import template_for as template_for
from headwater.batch.strings import Strings
from headwater.errors import EncodeError
from headwater.model import registry as registries
from headwater.model.element import InformationElement
from headwater.model.registry import Registry
from headwater.model.template import Field, Template
from headwater.session.export_templates import Specs, template_of

ROWS = 1 << 16
"""Rows that `chunks_of` takes at a time."""

_INDEX = "__index_level_"  # columns that pandas makes of an index


@dataclass(frozen=True, slots=True)
class _Wishes:
    """The options of `columns_of`."""

    template: Template | None
    registry: Registry
    names: tuple[str, ...] | None
    leave_out: frozenset[str]
    scope: tuple[str, ...]
    contents: Mapping[str, Field | Template | InformationElement | str]
    allow_rounding: bool


def columns_of(
    data: Any,
    *,
    template: Specs | None = None,
    registry: Registry | None = None,
    names: Sequence[str] | None = None,
    leave_out: Collection[str] = (),
    scope: Sequence[str] = (),
    contents: Mapping[str, Field | Template | InformationElement | str] | None = None,
    allow_rounding: bool = False,
) -> Incoming:
    """Records of any form as columns of the types that their elements have.

    data: a Batch; a mapping of names to arrays or lists; a numpy array with names in its dtype, or of two dimensions
    (with `names` or a template); anything that hands over Arrow (tables and batches of
    pyarrow, polars, pandas, DuckDB, nanoarrow); or an iterable of dicts (a key that is missing is null), of tuples
    (with `names` or a template), or of objects of a mapped class (see headwater.batch.mapping).
    template: what the records are to be, IESpecs will do; a field that no column is for is null, a column that no field
    is for an error. names: of the columns, in place of those the data have. leave_out: columns by the data's own names.
    scope: columns that become scope, first in this order. contents: what lists hold, where values do not say it: the
    element of a basicList's items (a name or an IESpec will do), the Template of a subTemplateList's records.
    allow_rounding: cut times to the element's unit.
    Raises UnknownElement for a name that does not exist, EncodeError for a value that its element cannot have.
    """
    known = registries.IANA if registry is None else registry
    named = None if names is None else tuple(names)
    wanted = None if template is None else template_of(template, known)
    wishes = _Wishes(wanted, known, named, frozenset(leave_out), tuple(scope), dict(contents or {}), allow_rounding)
    if isinstance(data, Batch):
        return _from_batch(data, wishes)
    if _is_arrow(data):
        return _from_arrow(data, wishes)
    if isinstance(data, np.ndarray) and (data.dtype.names or data.ndim == 2):
        return _from_mapping(_columns_of_array(data, wishes), wishes)
    if isinstance(data, Mapping):
        return _from_mapping(data, wishes)
    return _from_rows(data, wishes)


def chunks_of(data: Any, **options: Any) -> Iterator[Incoming]:
    """What `columns_of` gives, a part at a time, so that data may be larger than memory.

    Parts are the arrays of an Arrow stream, ROWS rows of an iterable, and each one of an iterable of Batches or of
    other things with columns.
    """
    if hasattr(data, "__arrow_c_stream__") and not isinstance(data, Batch):
        from headwater.batch import incoming_arrow

        for array in incoming_arrow.arrays(data):
            yield columns_of(_ArrowOnly(array), **options)
        return
    if isinstance(data, Batch | Mapping | np.ndarray) or _is_arrow(data):
        yield columns_of(data, **options)
        return
    rows = _rows(data)
    for first in rows:
        if isinstance(first, Batch) or _is_arrow(first):
            yield from chunks_of(first, **options)
        else:
            yield columns_of([first, *islice(rows, ROWS - 1)], **options)


# ---------------------------------------------------------------- forms


class _ArrowOnly:
    """One array of a stream, where a whole stream can be."""

    def __init__(self, array: Any) -> None:
        self.array = array


def _is_arrow(data: Any) -> bool:
    return isinstance(data, _ArrowOnly) or hasattr(data, "__arrow_c_stream__") or hasattr(data, "__arrow_c_array__")


def _from_batch(batch: Batch, wishes: _Wishes) -> Incoming:
    names, fields = batch.schema.names, batch.template.column_names
    own = [name for _, name, _ in columns_in(batch.template)]
    values = [batch.columns[name] for name in names]
    is_plain = wishes == replace(wishes, template=None, names=None, leave_out=frozenset(), scope=(), contents={})
    if is_plain and sorted(names) == sorted(own):
        return of_template(batch.template, [batch.columns[name] for name in own], batch.num_rows)
    scope = frozenset(fields[: batch.template.scope_count])

    def meant(index: int) -> Meaning:
        column = batch.schema.columns[index]
        if column.length is None and names[index] in fields:  # the columns of a selection have none of their own
            length = batch.template.fields[fields.index(names[index])].length
            column = column._replace(length=length if column.type.accepts(length) else None)
        return incoming_names.of_column(column, is_scope=names[index] in scope)

    return _finished(_given(names, values, wishes, meant), batch.num_rows, wishes)


def _from_arrow(data: Any, wishes: _Wishes) -> Incoming:
    from headwater.batch import incoming_arrow, incoming_arrow_lists

    arrays = [data.array] if isinstance(data, _ArrowOnly) else list(incoming_arrow.arrays(data))
    if arrays[0].format != "+s":
        raise EncodeError("an Arrow array without columns; give it as {name: array}")
    columns = list(zip(*[array.children() for array in arrays], strict=True))
    names = tuple([chunks[0].name for chunks in columns])

    def meant(index: int) -> Meaning:
        return incoming_arrow_lists.meaning_of(columns[index][0], wishes.registry)

    without = replace(wishes, leave_out=wishes.leave_out | {name for name in names if name.startswith(_INDEX)})
    given = [replace(one, read=incoming_arrow.column_of) for one in _given(names, columns, without, meant)]
    return _finished(given, sum([array.count for array in arrays]), wishes)


def _from_mapping(data: Mapping[str, Any], wishes: _Wishes) -> Incoming:
    given = _given(tuple(data), list(data.values()), wishes)
    for one in given:
        if not hasattr(one.data, "__len__") or isinstance(one.data, str | bytes | bytearray | Mapping):
            detail = "not an array or a list; a list of dicts is records, one in each"
            raise EncodeError(f"column {one.name!r} is {one.data!r}, {detail}", column=one.name)
    return _finished(given, len(given[0].data) if given else 0, wishes)


def _columns_of_array(data: npt.NDArray[Any], wishes: _Wishes) -> Mapping[str, Any]:
    """The columns of a structured array, or of rows of numbers."""
    if data.dtype.names:
        return {name: data[name] for name in data.dtype.names}
    names = _names_of_tuples((), wishes)
    if len(names) != data.shape[1]:
        raise EncodeError(f"{len(names)} names for {data.shape[1]} columns")
    return {name: data[:, number] for number, name in enumerate(names)}


def _from_rows(data: Any, wishes: _Wishes) -> Incoming:
    rows: Sequence[Any] = data if isinstance(data, list | tuple) else list(_rows(data))
    first = rows[0] if rows else None
    if isinstance(first, Batch) or _is_arrow(first):
        raise EncodeError("several tables at once; give them one by one, or to chunks_of")
    check_kinds(rows[:1])  # the others where they turn out to be odd: to look at each takes as long as to gather it
    if isinstance(first, Mapping):
        names = tuple(first)
        if widths_of(rows) == {len(names)}:
            given = _gathered(rows, names, names, wishes)
            if not any(isinstance(one.data, list) and any(map(is_, one.data, repeat(None))) for one in given):
                return _finished(given, len(rows), wishes)
        check_kinds(rows)
        names = names_of(rows)  # some may have a key that the first one has not
        return _finished(_gathered(rows, names, names, wishes), len(rows), wishes)
    if not rows or (isinstance(first, tuple | list) and not _is_mapped(first, wishes)):
        names = _names_of_tuples(first, wishes)
        if widths_of(rows) - {len(names)}:
            check_kinds(rows)
            check_widths(rows, len(names))
        return _finished(_gathered(rows, names, range(len(names)), wishes), len(rows), wishes)
    check_kinds(rows)
    given = [one for one in mapping.given(rows, wishes.registry) if one.name not in wishes.leave_out]
    return _finished(given, len(rows), wishes)


def _is_mapped(first: tuple[Any, ...] | list[Any], wishes: _Wishes) -> bool:
    """Whether it is a NamedTuple whose annotations say what its values are."""
    names = () if wishes.names is not None else getattr(first, "_fields", ())
    return bool(names) and set(names) <= get_annotations(type(first)).keys()


def _gathered(
    rows: Sequence[Any], names: tuple[str, ...], keys: Sequence[str] | Sequence[int], wishes: _Wishes
) -> list[Given]:
    """Columns of rows. keys: of the values in a row, one for each name."""
    wanted = _given(names, keys, wishes)
    columns = gathered(rows, [one.data for one in wanted], [one.meaning.type for one in wanted])
    return [replace(one, data=column) for one, column in zip(wanted, columns, strict=True)]


def _rows(data: Any) -> Iterator[Any]:
    if isinstance(data, str | bytes | bytearray | np.ndarray | Strings) or not isinstance(data, Iterable):
        hint = ", such as a list of one" if mapping.is_mappable(type(data)) else ""
        hint = "; hw.read reads files" if isinstance(data, str | PathLike) else hint
        raise EncodeError(f"no records can be made of {data.__class__.__name__}: give a table, or rows{hint}")
    return iter(data)


def _names_of_tuples(first: Any, wishes: _Wishes) -> tuple[str, ...]:
    if wishes.names is not None:
        return wishes.names
    names: tuple[str, ...] | None = getattr(first, "_fields", None)
    if names is not None:
        return names
    if wishes.template is not None:
        return wishes.template.column_names
    if first is None:
        return ()
    raise EncodeError("tuples have no names; give a template, or dicts")


def _given(
    own: tuple[str, ...], data: Sequence[Any], wishes: _Wishes, meant: Callable[[int], Meaning] | None = None
) -> list[Given]:
    """Columns by the names the data have, without those that are left out.

    meant: what the column of a number is, if the data say more than a name.
    """
    names = own
    if wishes.names is not None:
        names, meant = wishes.names, None
        if len(names) != len(own):
            raise EncodeError(f"{len(names)} names for {len(own)} columns")
    fields: dict[str, Field] = {}
    if wishes.template is not None:
        fields = dict(zip(wishes.template.column_names, wishes.template.fields, strict=True))
    out = []
    for index, name in enumerate(names):
        if own[index] in wishes.leave_out:
            continue
        if meant is not None:
            meaning = meant(index)
        elif name in fields:  # also one that the registry does not have
            meaning = incoming_names.of_field(fields[name])
        else:
            meaning = incoming_names.meaning(name, wishes.registry)
        if name in wishes.contents:
            meaning = replace(meaning, content=_content(wishes.contents[name], wishes.registry))
        out.append(Given(name, meaning, data[index]))
    return out


def _content(given: Field | Template | InformationElement | str, registry: Registry) -> Field | Template:
    if isinstance(given, str):
        return incoming_names.field_meant(incoming_names.meaning(given, registry))
    if isinstance(given, InformationElement):
        return Field(given, given.type.default_length)
    return given


def _finished(given: Sequence[Given], count: int, wishes: _Wishes) -> Incoming:
    given = _with_scope(given, wishes.scope)
    return assembled(
        given, count, template=wishes.template, registry=wishes.registry, allow_rounding=wishes.allow_rounding
    )


def _with_scope(given: Sequence[Given], scope: tuple[str, ...]) -> Sequence[Given]:
    """The columns with those of these names first, as scope."""
    if not scope:
        return given
    by_name = {one.name: one for one in given}
    for name in scope:
        if name not in by_name:
            raise EncodeError(f"there is no column {name!r} to be scope", column=name)
    first = [replace(by_name[name], meaning=replace(by_name[name].meaning, is_scope=True)) for name in scope]
    return list(chain(first, [one for one in given if one.name not in scope]))
