"""What Session.receive tells: frozen facts, in the order of the wire."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from headwater.errors import Fault

if TYPE_CHECKING:
    from headwater.model.registry import Registry
    from headwater.model.template import Template
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


@dataclass(frozen=True, slots=True)
class TemplateWithdrawn:
    """A withdrawal (RFC 7011 §8.1). template_id 2 = all Templates, 3 = all Options Templates of the domain."""

    domain: int
    template_id: int
    offset: int


@dataclass(frozen=True, slots=True)
class SequenceGap:
    """Data Records that never arrived, as far as sequence numbers can tell (RFC 7011 §10.3.2).

    offset: of the Message after the gap. lost: records, or None when what came before could not be counted.
    """

    domain: int
    offset: int
    expected: int
    got: int
    lost: int | None


@dataclass(frozen=True, slots=True)
class Messages:
    """Facts of the Messages of one buffer, as columns over n Messages.

    offset: int64[n], absolute octet offset of each header. export_time: uint32[n], Unix seconds.
    sequence, domain: uint32[n].
    """

    offset: npt.NDArray[np.int64]
    export_time: npt.NDArray[np.uint32]
    sequence: npt.NDArray[np.uint32]
    domain: npt.NDArray[np.uint32]

    def __len__(self) -> int:
        return len(self.offset)


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

    buffer: uint8[n], the received octets. base: absolute offset of buffer[0].
    start, end: int32[s], Set bodies in the buffer. count: int32[s], whole records of each.
    at: int32[v+1, r], size: int32[v, r]: kernel.scan of the Sets when the Template has v variable-length fields;
        None for fixed-size records, which stand `template.min_length` octets apart from `start`.
    message: int32[s], index into `messages`. order: int32[s], ordinal of the Set among all of one receive call.
    scope: for lists. key, received_at: of the transport session. salvage: keep the whole items of malformed lists.
    """

    template: Template
    buffer: npt.NDArray[np.uint8]
    base: int
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
    key: Any = None
    received_at: float = 0.0
    salvage: bool = False

    @property
    def num_records(self) -> int:
        """Records of all Sets."""
        return int(self.count.sum())


Event = TemplateLearned | TemplateWithdrawn | DataSets | SequenceGap | Fault
