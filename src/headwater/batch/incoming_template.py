"""The Template that columns need, and what becomes of records that lack a value."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from headwater.batch.incoming_columns import Incoming
from headwater.batch.incoming_values import nulls
from headwater.batch.subset import subset
from headwater.errors import EncodeError
from headwater.model.element import InformationElement
from headwater.model.template import Field, Template
from headwater.model.types import VARIABLE, DataType

Lengths: TypeAlias = Literal["native", "auto"] | Mapping[str, int]


def template_for(incoming: Incoming, id: int = 0, *, lengths: Lengths = "native") -> Template:
    """A Template for the columns, in their order.

    id: 0 = that of the Template they were handed over with, if any. lengths: of the fields whose length nobody has
    said: "native"; "auto" = of integers the fewest octets that hold all values (RFC 7011 §6.2); or octets by column
    name, native for the others. What was said, in an IESpec, in metadata or by a Template, stays, unless the mapping
    has others.
    Raises EncodeError for a length that the type cannot have, for a name that no column has.
    """
    if lengths not in ("native", "auto") and not isinstance(lengths, Mapping):
        raise EncodeError(f"lengths is 'native', 'auto' or a mapping of names to octets, not {lengths!r}")
    if incoming.template is not None and not isinstance(lengths, Mapping):
        return replace(incoming.template, id=id or incoming.template.id)
    said = dict(lengths) if isinstance(lengths, Mapping) else {}
    fields = []
    for index, element in enumerate(incoming.elements):
        name, length = incoming.names[index], incoming.lengths[index]
        if name in said:
            length = said.pop(name)
            _check(name, element, length)
        elif length is None:
            length = _fewest(incoming, index) if lengths == "auto" else element.type.default_length
        fields.append(Field(element, length))
    if said:
        raise EncodeError(f"lengths for columns that are not there: {', '.join(said)}", column=next(iter(said)))
    return Template(id, tuple(fields), incoming.scope_count)


def _check(name: str, element: InformationElement, length: int) -> None:
    if not isinstance(length, int) or not element.type.accepts(length):
        raise EncodeError(f"column {name!r}: {element.type} cannot be sent in {length!r} octets", column=name)


def _fewest(incoming: Incoming, index: int) -> int:
    """Octets that all values of an integer column fit; native for anything else, and where there are no values."""
    type, values = incoming.types[index], incoming.values[index]
    length = incoming.elements[index].type.default_length
    if not type.is_integer or not type.reducible or not isinstance(values, np.ndarray) or not len(values):
        return length
    # what stands under a null is zero
    data = np.ma.getdata(values)
    if type is DataType.UNSIGNED256:
        used = np.flatnonzero(np.ascontiguousarray(data).view(np.uint8).reshape(-1, type.width).any(axis=0))
        return type.width - int(used[0]) if len(used) else 1
    low, high = int(data.min()), int(data.max())
    bits = max((value if value >= 0 else ~value).bit_length() for value in (low, high)) + type.is_signed
    return max(1, (bits + 7) // 8)


def split_nulls(incoming: Incoming) -> Iterator[tuple[npt.NDArray[np.intp], Incoming]]:
    """(rows, their records without the columns that are null in them), for each set of columns that is null together.

    In the order of the first row of each. One that lacks no value comes as it is, with its Template.
    Raises EncodeError for a record without any value, or without any value in its scope, or where one of several
    columns of an element is null and a later one is not.
    """
    found = [(index, null) for index, values in enumerate(incoming.values) if (null := nulls(values)) is not None]
    if not found:
        yield np.arange(incoming.count), incoming
        return
    packed = np.packbits(np.stack([null for _, null in found], axis=1), axis=1)
    _, first, kind = np.unique(packed, axis=0, return_index=True, return_inverse=True)
    kind = kind.reshape(-1)
    for number in np.argsort(first).tolist():
        row = int(first[number])
        lacking = {index for index, null in found if null[row]}
        _refuse_nothing(incoming, lacking, row)
        _refuse_shift(incoming, lacking, row)
        rows = np.flatnonzero(kind == number)
        yield rows, _without(incoming, lacking, rows)


def _refuse_nothing(incoming: Incoming, lacking: set[int], row: int) -> None:
    if len(lacking) == len(incoming.names):
        raise EncodeError(f"row {row} has no value at all", row=row)
    if incoming.scope_count and lacking.issuperset(range(incoming.scope_count)):
        name = incoming.names[0]
        raise EncodeError(f"column {name!r}, row {row}: null, but options need a scope", column=name, row=row)


def _refuse_shift(incoming: Incoming, lacking: set[int], row: int) -> None:
    """An element that comes again is known by its place only, so none may be left out before one that stays."""
    for index in lacking:
        name, key = incoming.names[index], incoming.elements[index].key
        for later in range(index + 1, len(incoming.names)):
            if later not in lacking and incoming.elements[later].key == key:
                why = f"null, and {incoming.names[later]!r} would be read in its place if it were left out"
                raise EncodeError(f"column {name!r}, row {row}: {why}", column=name, row=row)


def _without(incoming: Incoming, lacking: set[int], rows: npt.NDArray[np.intp]) -> Incoming:
    """These rows, in which the other columns have no nulls."""
    kept = [index for index in range(len(incoming.names)) if index not in lacking]
    values = []
    for index in kept:
        some = subset(incoming.values[index], rows)
        if isinstance(some, np.ndarray):
            some = np.ma.getdata(some)
        elif some.validity is not None:
            some = replace(some, validity=None)
        values.append(some)
    template = incoming.template
    if lacking and template is not None:
        template = None
    fields = [Field(incoming.elements[index], VARIABLE) for index in kept]
    return Incoming(
        Template(0, tuple(fields)).column_names,
        tuple([incoming.elements[index] for index in kept]),
        tuple([incoming.types[index] for index in kept]),
        tuple([incoming.lengths[index] for index in kept]),
        values,
        len(rows),
        sum([index < incoming.scope_count for index in kept]),
        template,
    )
