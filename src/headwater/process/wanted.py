"""Which columns are wanted, and what must be known for them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from headwater.batch import joins, sampling, times
from headwater.batch.decode import Decoder
from headwater.process.arguments import checked_names

if TYPE_CHECKING:
    from headwater.model.registry import Registry

SCALED = ("samplingRate", "samplingSource", "scaledOctetDeltaCount", "scaledPacketDeltaCount")
RESOLVED = tuple(times.DERIVED)
_FROM_OPTIONS = frozenset((*times.DERIVED, *sampling.DERIVED, *joins.DERIVED))


@dataclass(frozen=True, slots=True)
class Wanted:
    """See `read`. derived: names of all that is to be added, those of the flags first.

    keeps_options: option records are to be kept as tables, though no column needs them.
    """

    select: tuple[str, ...] | None = None
    provenance: tuple[str, ...] = ()
    derived: tuple[str, ...] = ()
    keeps_options: bool = False

    @classmethod
    def of(
        cls,
        select: tuple[str, ...] | None,
        provenance: tuple[str, ...],
        derived: Iterable[str],
        *,
        resolve_time: bool = False,
        scale_sampling: bool = False,
        join_options: bool = False,
        keeps_options: bool = False,
    ) -> Self:
        """Raises HeadwaterError for a `derived` that is no list of names."""
        names = [
            *(RESOLVED if resolve_time else ()),
            *(SCALED if scale_sampling else ()),
            *(joins.JOINED if join_options else ()),
            *checked_names("derived", derived),
        ]
        added = tuple(dict.fromkeys(name for name in names if name not in (select or ())))
        return cls(select, provenance, added, keeps_options)

    @property
    def needs_options(self) -> bool:
        """Whether a column may depend on option records."""
        return not _FROM_OPTIONS.isdisjoint((*self.derived, *(self.select or ())))

    def decoder(self, registry: Registry | None) -> Decoder:
        """Raises UnknownElement for a name that means nothing."""
        return Decoder(self.select, self.provenance, registry=registry, derived=self.derived)
