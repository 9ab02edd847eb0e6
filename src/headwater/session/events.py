"""What Session.receive tells: frozen facts, in the order of the wire."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from headwater.errors import Fault

if TYPE_CHECKING:
    from headwater.model.registry import Registry
    from headwater.model.template import Template
    from headwater.session.key import SessionKey
    from headwater.session.limits import Limits

I32 = npt.NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class TemplateLearned:
    """A Template that is new, or differs from the one its id had. Identical repeats make no event (RFC 7011 §8.1).

    offset: of the template record. replaced: the definition it supersedes.
    retyped: the octets are the same, but type information (RFC 5610) now names more of its elements.
    """

    domain: int
    template: Template
    offset: int
    replaced: Template | None = None
    retyped: bool = False
    key: SessionKey | None = None
    version: int = 10


@dataclass(frozen=True, slots=True)
class TemplateWithdrawn:
    """A withdrawal (RFC 7011 §8.1). template_id 2 = all Templates, 3 = all Options Templates of the domain."""

    domain: int
    template_id: int
    offset: int
    key: SessionKey | None = None


@dataclass(frozen=True, slots=True)
class SequenceGap:
    """Data Records that never arrived, as far as sequence numbers can tell (RFC 7011 §10.3.2).

    count: gaps that this tells of; where there are very many in one buffer, the later ones of it come as one, with the
    sum of what they lost, the `expected` of the first and the `got` and `offset` of the last.
    offset: of the Message after the gap. lost: how many `unit`s, or None when what came before could not be counted.
    unit: "records", or "messages" where those are numbered (NetFlow v9, RFC 3954 §5.1).
    """

    domain: int
    offset: int
    expected: int
    got: int
    lost: int | None
    unit: str = "records"
    key: SessionKey | None = None
    count: int = 1

    def __str__(self) -> str:
        lost = "an unknown number of" if self.lost is None else f"{self.lost:,}"
        if self.count > 1:
            return (
                f"{lost} {self.unit} of domain {self.domain} are lost in {self.count:,} gaps before octet {self.offset}"
            )
        where = f"sequence number {self.got} where {self.expected} was expected"
        return f"{lost} {self.unit} of domain {self.domain} are lost before octet {self.offset}: {where}"


@dataclass(frozen=True, slots=True)
class Messages:
    """Facts of the Messages of one buffer, as columns over n Messages.

    offset: int64[n], absolute octet offset of each header. start: int32[n], its position in the buffer.
    export_time: uint32[n], Unix seconds. sequence: uint32[n].
    domain: uint32[n]; of NetFlow v9 the Source ID, of v5 and v8 engine type * 256 + engine id, of v1 and v7 0.
    version: uint16[n], 1, 5, 7, 8, 9 or 10.
    keys: the transport sessions that there are; peer: int32[n], index into them, None = all are of the first.
    received: int64[n], arrival in nanoseconds since 1970 (UTC), 0 = not known; None = not known for any.
    The rest is None where no Message of the buffer has it, and 0 where one has it not:
    uptime: uint32[n], sysUpTime in milliseconds (NetFlow).
    nanoseconds: uint32[n], residual nanoseconds of the export time (NetFlow v1, v5, v7, v8).
    sampling: uint16[n], sampling mode (2 bits) and interval (14 bits) of NetFlow v5 headers.
    """

    offset: npt.NDArray[np.int64]
    start: I32
    export_time: npt.NDArray[np.uint32]
    sequence: npt.NDArray[np.uint32]
    domain: npt.NDArray[np.uint32]
    version: npt.NDArray[np.uint16]
    keys: Sequence[SessionKey | None] = (None,)
    peer: I32 | None = None
    received: npt.NDArray[np.int64] | None = None
    uptime: npt.NDArray[np.uint32] | None = None
    nanoseconds: npt.NDArray[np.uint32] | None = None
    sampling: npt.NDArray[np.uint16] | None = None

    def __len__(self) -> int:
        return len(self.offset)

    def key(self, message: int) -> SessionKey | None:
        """The transport session of one of them."""
        return self.keys[0 if self.peer is None else int(self.peer[message])]

    def absolute(self, message: int, at: int) -> int:
        """The offset in the source of a buffer position that is in one of them."""
        return int(self.offset[message]) + at - int(self.start[message])


@dataclass(frozen=True, slots=True)
class Scope:
    """Where lists look up Templates and elements: one Observation Domain at one moment of its stream (RFC 6313 §6)."""

    templates: dict[int, Template]
    registry: Registry

    def template(self, id: int) -> Template | None:
        """The Template of that id, or None."""
        return self.templates.get(id)


@dataclass(frozen=True, slots=True)
class DataSets:
    """A run of Data Sets of one Template; columns are over s Sets.

    buffer: uint8[n], the received octets.
    start, end: int32[s], Set bodies in the buffer. count: int32[s], whole records of each.
    at: int32[v+1, r], size: int32[v, r]: kernel.scan of the Sets when the Template has v variable-length fields;
        None for fixed-size records, which stand `template.min_length` octets apart from `start`.
    message: int32[s], index into `messages`. order: int32[s], ordinal of the Set among all of one receive call.
    scope: for lists. salvage: keep the whole items of malformed lists.
    """

    template: Template
    buffer: npt.NDArray[np.uint8]
    start: I32
    end: I32
    count: I32
    at: I32 | None
    size: I32 | None
    message: I32
    order: I32
    messages: Messages
    scope: Scope
    limits: Limits
    salvage: bool = False

    @property
    def num_records(self) -> int:
        """Records of all Sets."""
        return int(self.count.sum())


Event = TemplateLearned | TemplateWithdrawn | DataSets | SequenceGap | Fault
