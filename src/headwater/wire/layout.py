"""Template to Layout: where fields are inside a record. Pure arithmetic."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from headwater.model.template import Template


@dataclass(frozen=True, slots=True)
class Layout:
    """Positions of a Template's fields, relative to anchors.

    gaps: int32[v+1], fixed octets before each of the v variable-length fields and after the last (kernel.scan).
    cells: per field (anchor, delta); anchor 0 is the record start, anchor j the end of the j-th variable-length
        field; a variable-length field itself is (its own anchor, 0): its content ends there.
    least: octets of the shortest record; variable-length fields count one (RFC 7011 §3.3.1).
    """

    gaps: npt.NDArray[np.int32]
    cells: tuple[tuple[int, int], ...]
    least: int

    @property
    def is_fixed(self) -> bool:
        """Whether every record has the same size."""
        return len(self.gaps) == 1

    @classmethod
    def of(cls, template: Template) -> Layout:
        """The layout of `template`."""
        gaps = [0]
        cells = []
        for field in template.fields:
            if field.is_variable:
                gaps.append(0)
                cells.append((len(gaps) - 1, 0))
            else:
                cells.append((len(gaps) - 1, gaps[-1]))
                gaps[-1] += field.length
        return cls(np.array(gaps, np.int32), tuple(cells), sum(gaps) + len(gaps) - 1)
