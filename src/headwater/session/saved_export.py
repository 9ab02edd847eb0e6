"""What an exporting session knows in a form that can be kept: to append to a file, or to go on after a restart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from headwater.model.template import Template

if TYPE_CHECKING:
    from headwater.session.collecting import Session
    from headwater.wire.dialect import Dialect


@dataclass(frozen=True, slots=True)
class SavedExport:
    """templates: (Observation Domain, Template in force). sequences: by domain, the next sequence number."""

    templates: tuple[tuple[int, Template], ...]
    sequences: Mapping[int, int]

    @classmethod
    def of_reader(cls, reader: Session, dialect: Dialect) -> SavedExport:
        """Where a stream stands that `reader` has read to its end."""
        ledgers = {ledger.domain: ledger for ledger in reader.ledgers if ledger.version == dialect.version}
        templates = [
            (domain, template)
            for domain in ledgers
            for template in reader.templates(domain, version=dialect.version).values()
        ]
        return cls(tuple(templates), {domain: ledger.expected or 0 for domain, ledger in ledgers.items()})
