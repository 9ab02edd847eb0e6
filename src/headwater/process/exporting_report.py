"""What became of the records that were given to an Exporter."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple


def _counted(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


class Amount(NamedTuple):
    """Data Records, and the Messages they were in."""

    records: int = 0
    messages: int = 0

    def __add__(self, other: object) -> Amount:
        assert isinstance(other, Amount)
        return Amount(self.records + other.records, self.messages + other.messages)

    def __sub__(self, other: Amount) -> Amount:
        return Amount(self.records - other.records, self.messages - other.messages)

    def __str__(self) -> str:
        return f"{_counted(self.records, 'record')} in {_counted(self.messages, 'message')}"


@dataclass(frozen=True, slots=True)
class DestinationReport:
    """One collector. Whatever was given was sent, waits or was dropped: given = sent + waiting + all of `dropped`.

    state: connecting, connected, retrying or closed. error: the last one, "" = none. connections: how often connected.
    given: laid out for the collector. sent: over UDP, DTLS: given to the network; else: the collector's host has it.
    waiting: in the queue, or sent and not acknowledged. resent: once more, after a connection was lost,
    be it to another collector (failover).
    dropped: by cause:
        drop-oldest, drop-newest, error, timeout: the queue was full, and that is what was to be done then;
        interrupted: so was writing, while it waited for room;
        refused, unreachable, too_large: datagrams that somebody on the path has reported as lost;
        expired: SCTP gave up after `ttl`; closed: the exporter, or the collector in it, was closed before they went.
    octets, messages, templates: sent, Templates and their repetitions included. lost_templates: Messages with
    Templates only, among those that somebody has reported as lost. moved: to another collector (failover).
    """

    url: str
    state: str
    error: str
    connections: int
    given: Amount
    sent: Amount
    waiting: Amount
    resent: Amount
    moved: Amount
    dropped: Mapping[str, Amount]
    octets: int
    messages: int
    templates: int
    lost_templates: int

    @property
    def lost(self) -> Amount:
        """All that was dropped."""
        return sum(self.dropped.values(), Amount())

    @property
    def is_unsure(self) -> bool:
        """Whether the last that is known of a DTLS session is how it ended: nobody knows whether anything arrived."""
        return self.url.startswith("dtls:") and bool(self.error and self.sent.messages)

    def __str__(self) -> str:
        parts = [f"{self.sent} sent"]
        if self.waiting.messages:
            parts.append(f"{_counted(self.waiting.records, 'record')} waiting")
        if self.resent.messages:
            parts.append(f"{self.resent.records:,} sent again")
        parts += [f"{_counted(amount.records, 'record')} lost ({cause})" for cause, amount in self.dropped.items()]
        doubt = ", so what was sent may not have arrived" if self.is_unsure else ""
        return f"{self.url}: {', '.join(parts)}" + (f"; {self.error}{doubt}" if self.error else "")
