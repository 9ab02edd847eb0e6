"""Errors are the caller's mistakes and are raised; faults are the peer's mistakes and are data.

HeadwaterError(Exception)
├─ DecodeError(HeadwaterError, ValueError)      .offset .section    only with strict=True, or from wire/ called directly
├─ EncodeError(HeadwaterError, ValueError)      .column .row        the caller's data cannot go on the wire
├─ UnknownElement(HeadwaterError, LookupError)  .name .suggestions
├─ SourceError(HeadwaterError, OSError)         .source             a file or stream that cannot be read at all
├─ TransportError(HeadwaterError, OSError)      .url
└─ LimitExceeded(HeadwaterError)                .limit .value
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class HeadwaterError(Exception):
    """Root of everything this package raises on purpose."""


class DecodeError(HeadwaterError, ValueError):
    """Octets that cannot be decoded. offset: absolute in the source. section: the rule, of RFC 7011 unless said."""

    def __init__(self, message: str, *, offset: int = 0, section: str = "", kind: FaultKind | None = None) -> None:
        super().__init__(message)
        self.offset = offset
        self.section = section
        self.kind = kind


class EncodeError(HeadwaterError, ValueError):
    """A value of the caller's that cannot go on the wire."""

    def __init__(self, message: str, *, column: str = "", row: int | None = None) -> None:
        super().__init__(message)
        self.column = column
        self.row = row


class UnknownElement(HeadwaterError, LookupError):
    """No Information Element of that name; `suggestions` are the nearest names that exist."""

    def __init__(self, name: str, suggestions: tuple[str, ...] = ()) -> None:
        hint = f"; did you mean {' or '.join(map(repr, suggestions))}?" if suggestions else ""
        super().__init__(f"no Information Element is named {name!r}{hint}")
        self.name = name
        self.suggestions = suggestions


class SourceError(HeadwaterError, OSError):
    """A source that cannot be read at all: missing, empty of IPFIX, or needing a library that is not installed."""

    def __init__(self, message: str, *, source: str = "") -> None:
        super().__init__(message)
        self.source = source


class TransportError(HeadwaterError, OSError):
    """A transport that cannot be opened or went away."""

    def __init__(self, message: str, *, url: str = "") -> None:
        super().__init__(message)
        self.url = url


class LimitExceeded(HeadwaterError):
    """A bound of `Limits` was reached where the caller asked for an error."""

    def __init__(self, limit: str, value: int) -> None:
        super().__init__(f"{limit} exceeds its limit of {value}")
        self.limit = limit
        self.value = value


class FaultKind(StrEnum):
    """Every way a peer's octets can be wrong or doubtful. The value is the metric label and the word on screen."""

    # the message header and its framing (RFC 7011 §3.1, §10)
    SHORT_HEADER = "short_header"
    VERSION = "version"
    BAD_LENGTH = "bad_length"
    TRUNCATED = "truncated"
    TRAILING_OCTETS = "trailing_octets"
    FRAMING_LOST = "framing_lost"
    TRUNCATED_TAIL = "truncated_tail"
    TRAILING_GARBAGE = "trailing_garbage"
    RESYNC = "resync"
    TIME_SUSPECT = "time_suspect"
    COUNT_MISMATCH = "count_mismatch"  # NetFlow's count of records
    SFLOW = "sflow"
    AGGREGATION = "aggregation"  # of NetFlow v8
    SESSION_LIMIT = "session_limit"
    # sets (§3.3)
    SET_LENGTH = "set_length"
    SET_OVERRUN = "set_overrun"
    TRAILING_SET_HEADER = "trailing_set_header"
    RESERVED_SET = "reserved_set"
    # template records (§3.4) and their management (§8)
    TEMPLATE_OVERRUN = "template_overrun"
    TEMPLATE_ID = "template_id"
    SCOPE_ZERO = "scope_zero"
    SCOPE_COUNT = "scope_count"
    TEMPLATE_BAD_LENGTH = "template_bad_length"
    TEMPLATE_EMPTY = "template_empty"  # NetFlow v9 has no withdrawals
    OPTIONS_LENGTH = "options_length"  # of NetFlow v9 options templates
    IE_RESERVED = "ie_reserved"
    ZERO_LENGTH_RECORD = "zero_length_record"
    TEMPLATE_REPLACED = "template_replaced"
    TEMPLATE_LIMIT = "template_limit"
    TEMPLATE_EXPIRED = "template_expired"
    WITHDRAWAL_IGNORED = "withdrawal_ignored"
    WITHDRAWAL_UNKNOWN = "withdrawal_unknown"
    # data sets and records (§3.4.3)
    UNKNOWN_TEMPLATE = "unknown_template"
    HELD_DROPPED = "held_dropped"
    SHORT_SET = "short_set"
    NONZERO_PADDING = "nonzero_padding"
    VARLEN_OVERRUN = "varlen_overrun"
    # values (§6) and lists (RFC 6313)
    UTF8 = "utf8"
    BOOLEAN = "boolean"
    TIME_RANGE = "time_range"
    VALUE_RANGE = "value_range"
    BAD_LIST = "bad_list"
    LIST_TEMPLATE = "list_template"
    DEPTH_LIMIT = "depth_limit"
    ELEMENT_LIMIT = "element_limit"
    # sequence numbers (§3.1, §10.3.2)
    SEQUENCE_GAP = "sequence_gap"
    SEQUENCE_SUSPECT = "sequence_suspect"
    SEQUENCE_RESET = "sequence_reset"
    SEQUENCE_RULE = "sequence_rule"  # numbers that count the records of their own Message
    LATE = "late"
    DUPLICATE = "duplicate"
    EXPORTER_RESTART = "exporter_restart"
    # options with a meaning (RFC 5610, RFC 5655)
    TYPE_INFORMATION = "type_information"
    CHECKSUM = "checksum"
    CHECKSUM_UNVERIFIED = "checksum_unverified"
    SESSION_DETAILS = "session_details"
    # captures
    CAPTURE_DAMAGED = "capture_damaged"
    PACKET_DAMAGED = "packet_damaged"
    PACKET_TRUNCATED = "packet_truncated"
    FRAGMENT_LOST = "fragment_lost"
    STREAM_GAP = "stream_gap"


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that was wrong or doubtful in what a peer sent, or `count` equal things in one batch.

    offset: absolute octet offset in the source (file, stream or datagram) of the first of them.
    key: the transport session it came from (a SessionKey), or None for a file.
    domain: Observation Domain, or None where the header could not be trusted.
    """

    kind: FaultKind
    offset: int = 0
    domain: int | None = None
    detail: str = ""
    count: int = 1
    key: Any = None

    def __str__(self) -> str:
        where = f" in domain {self.domain}" if self.domain is not None else ""
        times = f" ({self.count} times)" if self.count > 1 else ""
        return f"{self.kind} at octet {self.offset}{where}{times}" + (f": {self.detail}" if self.detail else "")
