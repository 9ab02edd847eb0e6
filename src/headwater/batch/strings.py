"""Text and octets as one column: the buffers of an Arrow binary array."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

I32 = npt.NDArray[np.int32]
U8 = npt.NDArray[np.uint8]
Bool = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Strings:
    """n values of text (`str`) or octets (`bytes`).

    offsets: int32[n+1], value i is data[offsets[i]:offsets[i+1]]. data: uint8.
    validity: bool[n], False = null; None = no nulls. What a null value's octets were is still there: see `raw`.
    """

    offsets: I32
    data: U8
    validity: Bool | None = None
    is_text: bool = True

    @classmethod
    def empty(cls, count: int, *, is_text: bool, is_null: bool = False) -> Strings:
        """`count` values without octets, null or not."""
        validity = np.zeros(count, np.bool_) if is_null else None
        return cls(np.zeros(count + 1, np.int32), np.empty(0, np.uint8), validity, is_text)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, index: int) -> str | bytes | None:
        """The value; None if it is null."""
        if self.validity is not None and not self.validity[index]:
            return None
        raw = self.raw(index)
        return raw.decode() if self.is_text else raw

    def __iter__(self) -> Iterator[str | bytes | None]:
        return iter(self.tolist())

    def __repr__(self) -> str:
        kind = "text" if self.is_text else "octets"
        return f"<Strings: {len(self)} values of {kind}, {self.null_count} null>"

    @property
    def null_count(self) -> int:
        """How many values are null."""
        return 0 if self.validity is None else int(len(self) - np.count_nonzero(self.validity))

    def raw(self, index: int) -> bytes:
        """The octets that were sent, also where the value is null because they are not UTF-8."""
        if not -len(self) <= index < len(self):
            raise IndexError(index)
        index %= len(self)
        return self.data[self.offsets[index] : self.offsets[index + 1]].tobytes()

    def tolist(self, start: int = 0, stop: int | None = None) -> list[str | bytes | None]:
        """The values start..stop as Python objects."""
        bounds = self.offsets[start : None if stop is None else stop + 1]
        first = int(bounds[0])
        octets = self.data[first : int(bounds[-1])].tobytes()
        cuts = (bounds - first).tolist()
        if self.validity is not None:
            valid = self.validity[start : start + len(cuts) - 1].tolist()
            values = [octets[a:b] if ok else None for (a, b), ok in zip(pairwise(cuts), valid, strict=True)]
            return [v if v is None else v.decode() for v in values] if self.is_text else list(values)
        if not self.is_text:
            return [octets[a:b] for a, b in pairwise(cuts)]
        if octets.isascii():  # then octets and characters have the same positions
            text = octets.decode("ascii")
            return [text[a:b] for a, b in pairwise(cuts)]
        return [octets[a:b].decode() for a, b in pairwise(cuts)]
