"""How sources are read: everything that does not depend on which columns are wanted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

from headwater.session.collecting import Session
from headwater.session.key import KeyPolicy, Transport
from headwater.session.limits import Limits

if TYPE_CHECKING:
    from headwater.model.registry import Registry
    from headwater.session.key import SessionKey

Progress = Callable[[int, int | None], object]
"""Called with octets done and octets in all (None: not known), before decompression."""
Checksum = Literal["warn", "drop", "ignore"]

_FOR_EVER = float("inf")


@dataclass(frozen=True, slots=True)
class Manner:
    """See `read` for what these mean."""

    registry: Registry | None = None
    limits: Limits | None = None
    strict: bool = False
    salvage: bool = False
    resync: bool = False
    checksum: Checksum = "warn"
    max_octets: int | None = None
    ports: frozenset[int] = frozenset()
    policy: KeyPolicy = field(default_factory=KeyPolicy)
    progress: Progress | None = None

    def session(self, transport: Transport, key: SessionKey | None = None) -> Session:
        """A new session."""
        limits = self.limits
        if transport.is_unreliable and limits is None:
            # who reads a capture wants all that can be read; what an exporter means by an id it says again
            limits = replace(Limits(), template_lifetime_s=_FOR_EVER)
        return Session(
            self.registry,
            transport,
            limits,
            strict=self.strict,
            salvage=self.salvage,
            key=key,
            policy=self.policy,
            resync=self.resync,
            checksum=self.checksum,
        )
