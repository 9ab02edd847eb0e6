"""Columns of the same kind put one after the other: the chunks of a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import numpy.typing as npt

from headwater.batch.lists import ListGroup, Lists, MultiLists, Structs
from headwater.batch.strings import I32, Bool, Strings

if TYPE_CHECKING:
    from headwater.batch.lists import Values


def joined(parts: Sequence[Values]) -> Values:
    """The values of all parts, which are of one type, and lists of the same groups: as those of a table are."""
    if len(parts) == 1:
        return parts[0]
    if isinstance(parts[0], Strings):
        return _strings(cast("Sequence[Strings]", parts))
    if isinstance(parts[0], Lists):
        return _lists(cast("Sequence[Lists]", parts))
    arrays = cast("Sequence[npt.NDArray[Any]]", parts)
    if any(isinstance(part, np.ma.MaskedArray) for part in arrays):
        masked: npt.NDArray[Any] = np.ma.concatenate(arrays)  # type: ignore[no-untyped-call]
        return masked
    return np.concatenate(arrays)


def _strings(parts: Sequence[Strings]) -> Strings:
    data = [part.data[part.offsets[0] : part.offsets[-1]] for part in parts]
    return Strings(_offsets([part.offsets for part in parts]), np.concatenate(data), _validity(parts), parts[0].is_text)


def _lists(parts: Sequence[Lists]) -> Lists:
    known = parts[0]
    groups = tuple([_group(same) for same in zip(*[part.groups for part in parts], strict=True)])
    which = None
    if any(part.which is not None for part in parts):
        each = [np.zeros(len(part), np.uint16) if part.which is None else part.which for part in parts]
        which = np.concatenate(each)
    all = replace(
        known, groups=groups, which=which, semantics=np.concatenate([part.semantics for part in parts]),
        validity=_validity(parts), null_octets=None,
    )  # fmt: skip
    if not isinstance(all, MultiLists):
        return all
    multi = cast("Sequence[MultiLists]", parts)
    first = np.cumsum([0, *(len(part) for part in parts)])
    parents = [part.parent + start for part, start in zip(multi, first.tolist(), strict=False)]
    return replace(all, parent=np.concatenate(parents), ids=np.concatenate([part.ids for part in multi]))


def _group(groups: Sequence[ListGroup]) -> ListGroup:
    items: list[Values | Structs] = [group.items for group in groups]
    entries = None
    if groups[0].entries is not None:
        entries = _offsets([cast("I32", group.entries) for group in groups])
    counts = None
    if any(group.counts is not None for group in groups):
        counts = np.concatenate([_counts(group) for group in groups])
    return replace(
        groups[0], offsets=_offsets([group.offsets for group in groups]), items=_items(items),
        entries=entries, counts=counts,
    )  # fmt: skip


def _items(parts: Sequence[Values | Structs]) -> Values | Structs:
    first = parts[0]
    if not isinstance(first, Structs):
        return joined(cast("Sequence[Values]", parts))
    structs = cast("Sequence[Structs]", parts)
    columns = [joined([part.columns[number] for part in structs]) for number in range(len(first.columns))]
    return Structs(first.schema, tuple(columns), sum(part.count for part in structs))


def _counts(group: ListGroup) -> I32:
    if group.counts is not None:
        return group.counts
    assert group.entries is not None
    return np.ones(int(group.entries[-1]), np.int32)


def _offsets(parts: Sequence[I32]) -> I32:
    """Offsets that go on where those before end; each part's begin at its first."""
    sizes = [np.diff(part) for part in parts]
    out = np.zeros(sum(map(len, sizes)) + 1, np.int64)
    np.add.accumulate(np.concatenate(sizes), dtype=np.int64, out=out[1:])
    if out[-1] > np.iinfo(np.int32).max:
        raise OverflowError(int(out[-1]))
    return out.astype(np.int32)


def _validity(parts: Sequence[Strings] | Sequence[Lists]) -> Bool | None:
    if all(part.validity is None for part in parts):
        return None
    each = [np.ones(len(part), np.bool_) if part.validity is None else part.validity for part in parts]
    return np.concatenate(each)
