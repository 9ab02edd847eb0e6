"""What the report on one source and the report on all of them have in common."""

from __future__ import annotations

from collections import Counter
from typing import Any, Protocol

from headwater.errors import FaultKind


class Findings(Protocol):
    """Sums and what follows from them.

    octets: decompressed ones read. records: of data; options_records: of options. lost: Data Records that sequence
    numbers say are missing; lost_messages: Messages, where these are numbered. faults: how many of each kind (for
    resync and trailing_garbage: octets).
    first_export, last_export: Export Times (Unix seconds) of the Messages with records.
    is_complete: whether every Message was there, whole and undamaged; gaps in sequence numbers do not count.
    """

    @property
    def octets(self) -> int: ...
    @property
    def messages(self) -> int: ...
    @property
    def records(self) -> int: ...
    @property
    def options_records(self) -> int: ...
    @property
    def lost(self) -> int: ...
    @property
    def lost_messages(self) -> int: ...
    @property
    def gaps(self) -> int: ...
    @property
    def checksums_ok(self) -> int: ...
    @property
    def checksums_bad(self) -> int: ...
    @property
    def faults(self) -> Counter[FaultKind]: ...
    @property
    def first_export(self) -> int | None: ...
    @property
    def last_export(self) -> int | None: ...
    @property
    def is_complete(self) -> bool: ...


def findings_to_dict(found: Findings) -> dict[str, Any]:
    """As JSON."""
    return {
        "is_complete": found.is_complete,
        "octets": found.octets,
        "messages": found.messages,
        "records": found.records,
        "options_records": found.options_records,
        "first_export": found.first_export,
        "last_export": found.last_export,
        "lost": found.lost,
        "lost_messages": found.lost_messages,
        "gaps": found.gaps,
        "checksums_ok": found.checksums_ok,
        "checksums_bad": found.checksums_bad,
        "faults": {str(kind): count for kind, count in found.faults.items()},
    }
