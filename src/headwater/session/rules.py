"""What lint looks for: every rule with its severity, and the place in the standards that says it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final

from headwater.session.key import Transport


class Severity(IntEnum):
    """How much it matters: an error breaks a MUST, a warning a SHOULD or loses data, a note is worth knowing."""

    NOTE = 0
    WARNING = 1
    ERROR = 2

    def __str__(self) -> str:
        return self.name.lower()


NOTE, WARNING, ERROR = Severity


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule. id: the word for it; a FaultKind where reading reports it too. section: of the standard.

    elsewhere: the severity over other transports, where it is not the same over all.
    """

    id: str
    severity: Severity
    section: str
    text: str
    elsewhere: Mapping[Transport, Severity] = field(default_factory=dict)

    def severity_over(self, transport: Transport | None) -> Severity:
        """The severity over a transport."""
        return self.severity if transport is None else self.elsewhere.get(transport, self.severity)

    @property
    def severities(self) -> str:
        """The severity, and those over other transports, for people."""
        others: dict[Severity, list[str]] = {}
        for transport, severity in self.elsewhere.items():
            others.setdefault(severity, []).append(transport)
        told = [f"{severity} ({', '.join(transports)})" for severity, transports in others.items()]
        return ", ".join([str(self.severity), *told])

    def to_dict(self) -> dict[str, object]:
        """As JSON."""
        return {
            "rule": self.id,
            "severity": str(self.severity),
            "elsewhere": {str(transport): str(severity) for transport, severity in self.elsewhere.items()},
            "section": self.section,
            "text": self.text,
        }


_DATAGRAMS: Final = (Transport.UDP, Transport.DTLS)


def _over(severity: Severity, *transports: Transport) -> dict[Transport, Severity]:
    return dict.fromkeys(transports, severity)


_FAULTS: Final = (
    # messages
    ("short_header", ERROR, "RFC 7011 §3.1", "A Message has a header of 16 octets (NetFlow: 16 to 28)."),
    ("version", ERROR, "RFC 7011 §3.1", "The version of a Message is 10; of NetFlow 1, 5, 7, 8 or 9."),
    ("bad_length", ERROR, "RFC 7011 §3.1", "The length of a Message counts its header, too."),
    ("truncated", ERROR, "RFC 7011 §3.1", "All octets that a Message's length counts are there."),
    ("trailing_octets", WARNING, "RFC 7011 §3.1", "Nothing follows the Messages of a datagram."),
    ("framing_lost", ERROR, "RFC 7011 §10.4.3", "In a stream or file one Message follows the other."),
    ("truncated_tail", ERROR, "RFC 5655 §7.1", "A file ends with a whole Message."),
    ("trailing_garbage", WARNING, "RFC 5655 §7.1", "Nothing but Messages is in a file."),
    ("resync", ERROR, "RFC 5655 §10.3", "Nothing stands between Messages."),
    ("time_suspect", WARNING, "RFC 7011 §3.1", "The Export Time is when the Message was sent."),
    ("count_mismatch", WARNING, "RFC 3954 §5.1", "The count of a NetFlow header is that of the records."),
    ("sflow", NOTE, "", "sFlow is not looked into."),
    ("aggregation", ERROR, "NetFlow v8", "The aggregation is one that exists."),
    ("session_limit", NOTE, "", "More exporters than are kept: they are not looked into."),
    # sets
    ("set_length", ERROR, "RFC 7011 §3.3.2", "The length of a Set counts its header, too: it is 4 or more."),
    ("set_overrun", ERROR, "RFC 7011 §3.3.2", "A Set ends within its Message."),
    ("trailing_set_header", ERROR, "RFC 7011 §3.3.2", "Octets after the last Set are none."),
    ("reserved_set", ERROR, "RFC 7011 §3.3.2", "Set IDs 0, 1 and 4 to 255 are not used (NetFlow v9: 2 to 255)."),
    # templates
    ("template_overrun", ERROR, "RFC 7011 §3.4.1", "A Template Record has the fields that it counts."),
    ("template_id", ERROR, "RFC 7011 §3.4.1", "Template IDs are 256 to 65535."),
    ("scope_zero", ERROR, "RFC 7011 §3.4.2.2", "The Scope Field Count MUST NOT be zero."),
    ("scope_count", ERROR, "RFC 7011 §3.4.2.2", "The Scope Field Count is at most the Field Count."),
    ("template_bad_length", ERROR, "RFC 7011 §6.2", "A field has the length of its type, or a legal reduced one."),
    ("template_empty", WARNING, "RFC 3954 §5.2", "A Template of NetFlow v9 has fields: there are no withdrawals."),
    ("options_length", ERROR, "RFC 3954 §6.1", "The lengths of an Options Template are multiples of 4 that fit."),
    ("ie_reserved", ERROR, "RFC 7012 §4", "Information Element 0 is reserved."),
    ("zero_length_record", ERROR, "RFC 7011 §3.4.1", "The records of a Template have octets."),
    (
        "template_replaced", ERROR, "RFC 7011 §8.1", "A Template ID is withdrawn before it gets another meaning.",
        _over(WARNING, *_DATAGRAMS, Transport.FILE),
    ),
    ("template_limit", NOTE, "", "More Templates than are kept: their data are not looked into."),
    ("template_expired", WARNING, "RFC 7011 §8.4", "Templates are sent again before they expire."),
    ("withdrawal_ignored", ERROR, "RFC 7011 §8.1, §8.4", "Withdrawals are not sent over UDP, nor in the wrong Set."),
    ("withdrawal_unknown", WARNING, "RFC 7011 §8.1", "Only what is in force is withdrawn."),
    # data
    (
        "unknown_template", ERROR, "RFC 7011 §8", "Templates are sent in advance of the Data Sets that use them.",
        _over(WARNING, *_DATAGRAMS, Transport.FILE),
    ),
    ("held_dropped", WARNING, "RFC 7011 §8", "The Template of a Data Set comes at last."),
    ("short_set", WARNING, "RFC 7011 §3.3.1", "A Data Set that has octets has records."),
    ("nonzero_padding", ERROR, "RFC 7011 §3.3.1", "Padding octets MUST be zero."),
    ("varlen_overrun", ERROR, "RFC 7011 §7", "A variable-length value ends within its Set."),
    # values
    ("utf8", ERROR, "RFC 7011 §6.1.6", "Strings MUST be well-formed UTF-8."),
    ("boolean", ERROR, "RFC 7011 §6.1.5", "A boolean is 1 (true) or 2 (false)."),
    ("time_range", WARNING, "RFC 7011 §6.1.8", "Times are such as calendars have."),
    ("value_range", WARNING, "RFC 7011 §6", "Values fit what they are read into."),
    ("bad_list", ERROR, "RFC 6313 §4.5", "A list has a whole header and whole items."),
    ("list_template", ERROR, "RFC 6313 §6", "The Templates that lists refer to are known."),
    ("depth_limit", NOTE, "RFC 6313 §7", "Lists inside lists, deeper than is looked into."),
    ("element_limit", NOTE, "RFC 6313 §7", "More kinds of list items than are looked into."),
    # sequence numbers
    ("sequence_gap", WARNING, "RFC 7011 §3.1", "Sequence numbers count all records: some are missing."),
    ("sequence_suspect", WARNING, "RFC 7011 §3.1", "Sequence numbers go up by the records sent."),
    ("sequence_reset", WARNING, "RFC 7011 §3.1", "Sequence numbers begin anew with a session only."),
    ("sequence_rule", ERROR, "RFC 7011 §3.1", "The sequence number counts the records before a Message, not its own."),
    ("late", NOTE, "RFC 7011 §10.3.2", "Messages come in the order in which they were sent."),
    ("duplicate", WARNING, "RFC 7011 §10.3.2", "Messages come once."),
    ("exporter_restart", NOTE, "RFC 3954 §5.1", "The exporter has restarted."),
    # options
    ("type_information", ERROR, "RFC 5610 §3.9", "Type information is complete and contradicts nothing."),
    ("checksum", ERROR, "RFC 5655 §8.1.1", "The MD5 of a Message is that of its octets."),
    ("checksum_unverified", ERROR, "RFC 5655 §8.1.1", "A Message has one checksum, of 16 octets."),
    ("session_details", ERROR, "RFC 5655 §8.1.2", "Nothing is outside of the time window that a file states."),
    # captures
    ("capture_damaged", WARNING, "", "The capture is whole."),
    ("packet_damaged", NOTE, "", "Packets are whole."),
    ("packet_truncated", WARNING, "", "Packets were captured whole."),
    ("fragment_lost", WARNING, "RFC 7011 §10.3.3", "All fragments of a datagram are there."),
    ("stream_gap", WARNING, "", "All segments of a TCP connection are there."),
)  # fmt: skip

_OCTETS: Final = (
    ("message_over_512", NOTE, "RFC 7011 §10.3.3", "Over UDP a Message has 512 octets if nobody knows the path."),
    ("message_over_mtu", NOTE, "RFC 7011 §10.3.3", "Over UDP a Message fits the usual path of 1500 octets."),
    (
        "export_time_back", WARNING, "RFC 7011 §8.2, RFC 5655 §7.2", "Export Times go up.",
        _over(NOTE, *_DATAGRAMS),
    ),
    ("empty_set", WARNING, "RFC 7011 §3.3", "A Set has one or more records."),
    ("template_padding", WARNING, "RFC 7011 §3.3.1", "Padding is shorter than any record; withdrawals have 4 octets."),
    ("padding_beyond_alignment", NOTE, "RFC 7011 §3.3.1", "Padding aligns Sets: more than 7 octets do nothing."),
    ("flowset_alignment", WARNING, "RFC 3954 §5.3", "FlowSets of NetFlow v9 are padded to 4 octets."),
    ("flowset_padding", WARNING, "RFC 3954 §5.3", "The padding of FlowSets of NetFlow v9 SHOULD be zero."),
    (
        "template_repeated", WARNING, "RFC 7011 §8.1", "Templates are sent once where nothing gets lost.",
        _over(NOTE, Transport.FILE),
    ),
    (
        "template_after_data", ERROR, "RFC 7011 §8", "A Template is sent before its data.",
        _over(WARNING, *_DATAGRAMS, Transport.FILE),
    ),
    ("template_refresh", NOTE, "RFC 7011 §8.4, RFC 6728", "Over UDP Templates are sent again, every 600 s or so."),
    ("file_template_late", NOTE, "RFC 5655 §7.2", "All Templates stand before the data of a file."),
    ("file_withdrawal", NOTE, "RFC 5655 §7.2", "Files have withdrawals only where an ID is used again."),
)  # fmt: skip

_DEFINITIONS: Final = (
    ("element_unknown", WARNING, "RFC 7012 §4", "Information Elements without enterprise number are IANA's."),
    ("element_deprecated", NOTE, "RFC 7012 §2.1", "Deprecated Information Elements are not used any more."),
    ("enterprise_zero", WARNING, "RFC 7011 §3.2", "Elements of IANA have no enterprise bit."),
    ("reverse_impossible", ERROR, "RFC 5103 §6.1", "Only what is measured by direction has a reverse element."),
    ("biflow_direction", ERROR, "RFC 5103 §4", "A biflow has a source and a destination among its keys."),
    ("scope_missing", ERROR, "RFC 7011 §4.1-4.4", "Options with a defined meaning have the scope that is defined."),
    ("reliability_times", WARNING, "RFC 7011 §4.2-4.3", "Lost packets are counted between two observation times."),
    ("scope_only", WARNING, "RFC 5655 §8.1", "messageScope and sessionScope are scope fields."),
    ("netflow_variable", NOTE, "RFC 3954 §5.2", "NetFlow v9 has no variable-length fields; Cisco's extension has."),
)  # fmt: skip

_VALUES: Final = (
    ("element_range", ERROR, "RFC 7012 §2.1", "Values are within the range that their element declares."),
    ("microseconds", WARNING, "RFC 7011 §6.1.9", "The 11 low bits of dateTimeMicroseconds SHOULD be zero."),
    ("long_prefix", NOTE, "RFC 7011 §7", "Values below 255 octets have a length prefix of one octet."),
    ("list_prefix", WARNING, "RFC 6313 §5.1", "Lists SHOULD have a length prefix of three octets."),
    ("list_semantic", WARNING, "RFC 6313 §4.4", "List semantics are 0 to 4, or 255."),
    ("list_single", WARNING, "RFC 6313 §5.6", "A list with one item SHOULD have the semantic 'undefined'."),
    ("flow_end_before_start", WARNING, "IANA", "Flows end after they start."),
    ("flow_after_export", WARNING, "RFC 7011 §5", "Flows end before they are exported."),
    ("control_characters", NOTE, "RFC 7373 §4.7", "Strings have no control characters."),
    ("application_id", WARNING, "RFC 6759 §4", "An applicationId has an engine and a selector."),
    ("object_identifier", ERROR, "RFC 8038 §5", "A mibObjectIdentifier is a whole BER value."),
    ("element_name", WARNING, "RFC 7012 §2.3", "Names of elements are ASCII and begin with a lower-case letter."),
    ("scope_domain", WARNING, "RFC 7011 §4.1", "Statistics are of an Observation Domain other than 0."),
    ("flow_keys", WARNING, "RFC 7011 §4.4", "A flowKeyIndicator has a bit for fields of a known Template only."),
    ("common_properties", ERROR, "RFC 5473 §7.2", "Common properties do not refer to each other in a circle."),
)  # fmt: skip

RULES: Final = {rule[0]: Rule(*rule) for rule in (*_FAULTS, *_OCTETS, *_DEFINITIONS, *_VALUES)}
"""All rules by id: what reading reports, then octets, definitions and values."""
