"""What RFC 7011 demands of a Collecting Process that concerns octets: each sentence beside its test."""

from __future__ import annotations

from functools import partial

import pytest

from headwater.errors import FaultKind
from headwater.session import Transport
from tests import build as b
from tests.oracle import Account, listen
from tests.rfc.rules import RULES, demands

rule = partial(demands, 7011)

PORTS = b.template(256, (7, 2))
OCTETS = b.template(256, (1, 2))
NAMES = b.template(257, (82, b.VARIABLE))
OPTIONS = b.options_template(256, (149, 4), (41, 4))
PORT = b.uint(80, 2)
MESSAGE = b.message(b.template_set(PORTS), b.data_set(256, PORT))
DATA = b.message(b.data_set(256, PORT), sequence=1)
ERA_1 = 0x7C55_8180
"""Unix seconds at which NTP's second era begins, 2036-02-07T06:28:16."""


def values(told: Account) -> list[object]:
    """The first value of each record."""
    return [record.values[0] for record in told.records]


def names(told: Account) -> list[str]:
    """The first field's name of each record."""
    return [record.cells[0].field.name for record in told.records]


def decoded(field: b.FieldSpec, *rows: bytes, export_time: int = b.EXPORT_TIME) -> list[object]:
    """Values of a template of one field."""
    template = b.template_set(b.template(256, field))
    return values(listen(b.message(template, b.data_set(256, *rows), export_time=export_time)))


# --- 3: messages, sets, templates ------------------------------------------------------------------------------------


@rule(
    "3.1",
    "Collecting Processes SHOULD use the Transport Session and the Observation Domain ID field to separate different "
    "export streams originating from the same Exporter.",
)
def test_domains_are_separate_streams() -> None:
    told = listen(MESSAGE, b.message(b.data_set(256, PORT), domain=2, sequence=77))
    assert values(told) == [80]
    assert {id: ledger.expected for id, ledger in told.session.ledger.items()} == {1: 1, 2: 77}


@rule("3.3.1", "The padding length MUST be shorter than any allowable record in this Set.")
def test_what_is_shorter_than_any_record_is_padding() -> None:
    for padding in range(4):
        told = listen(b.message(b.template_set(b.template(256, (8, 4))), b.data_set(256, bytes(4), padding=padding)))
        assert (values(told), told.faults) == ([0], [])


@rule("3.3.2", "Set ID values of 0 and 1 are not used, for historical reasons.")
def test_reserved_sets_are_skipped_and_counted() -> None:
    told = listen(b.message(b.any_set(0, b"x"), b.any_set(1, b""), b.any_set(4, b"xyz"), b.any_set(255, b"")), MESSAGE)
    assert told.kinds == {FaultKind.RESERVED_SET: 4}
    assert values(told) == [80]


@rule(
    "3.3.2",
    "Because an individual Set MAY contain multiple records, the Length value MUST be used to determine the position "
    "of the next Set.",
)
def test_the_next_set_begins_where_the_length_says() -> None:
    message = b.message(b.template_set(PORTS), b.any_set(256, PORT * 2 + b"\1"), b.data_set(256, PORT))
    assert values(listen(message)) == [80, 80, 80]


@rule(
    "3.4.1",
    "Collecting Processes MUST NOT assume incremental Template IDs, or anything about the contents of a Template based "
    "on its Template ID alone.",
)
def test_template_ids_may_come_in_any_order_and_be_of_any_kind() -> None:
    sets = b.template_set(b.template(65535, (7, 2)), b.template(300, (1, 2))), b.options_template_set(OPTIONS)
    told = listen(b.message(*sets, b.data_set(300, PORT), b.data_set(65535, PORT), b.data_set(256, bytes(8))))
    assert names(told) == ["octetDeltaCount", "sourceTransportPort", "observationDomainId"]


@rule("3.4.2.2", "The Scope Field Count MUST NOT be zero.")
def test_an_options_template_without_scope_is_malformed() -> None:
    told = listen(b.message(b.options_template_set(b.options_template(256, (149, 4), scope=0))))
    assert (told.items, told.kinds) == ([], {FaultKind.SCOPE_ZERO: 1})


# --- 5, 6, 7: times, values, lengths ---------------------------------------------------------------------------------


@rule(
    "5.2",
    "Collecting Processes SHOULD use the current date, or other contextual information, to determine the NTP era in "
    "order to properly interpret dateTimeMicroseconds and dateTimeNanoseconds values in received Data Records.",
)
def test_the_era_is_the_one_nearest_the_export_time() -> None:
    second_before, first_second = b"\xff" * 4 + bytes(4), bytes(8)
    for export_time in (ERA_1 - 30, ERA_1 + 30):
        assert decoded((154, 8), second_before, first_second, export_time=export_time) == [
            (ERA_1 - 1) * 1_000_000,
            ERA_1 * 1_000_000,
        ]


@rule("6.1.5", "Every other value [than 1 for true and 2 for false] is undefined.")
def test_an_undefined_boolean_has_no_value() -> None:
    assert decoded((276, 1), b"\1", b"\2", b"\0", b"\3") == [True, False, None, None]


@rule(
    "6.1.6",
    "Collecting Processes SHOULD detect and ignore IPFIX Messages containing ill-formed UTF-8 string values for "
    "Information Elements.",
)
def test_ill_formed_text_is_detected_and_ignored() -> None:
    # of the Message only that value is ignored: the other records in it are as good as any
    told = listen(b.message(b.template_set(NAMES), b.data_set(257, b.var(b"\xc0\xaf"), b.var(b"ok"))))
    assert values(told) == [None, "ok"]
    assert told.value_kinds == {FaultKind.UTF8: 1}


@rule(
    "6.1.9",
    "The bottom 11 bits of the Fraction field SHOULD be zero and MUST be ignored for all Information Elements of this "
    "data type.",
)
def test_the_lowest_bits_of_microseconds_are_ignored() -> None:
    rows = [b.ntp(b.EXPORT_TIME, 0x8000_0000 | bits) for bits in (0, 1, 0x400, 0x7FF)]
    assert set(decoded((154, 8), *rows)) == {b.EXPORT_TIME * 1_000_000 + 500_000}


@rule("6.2", "The signed versus unsigned property of the reported value MUST be preserved.")
def test_reduced_sizes_keep_the_sign() -> None:
    for length in (1, 2, 3, 4):
        assert decoded((434, length), b.sint(-2, length), b.sint(2, length)) == [-2, 2]
        assert decoded((10, length), b"\xff" * length) == [(1 << 8 * length) - 1]


@rule(
    "6.2",
    "Reduced-size encoding MUST NOT be applied to any other data type defined in [RFC7012] that implies a fixed "
    "length.",
)
def test_other_types_have_no_reduced_size() -> None:
    for element, length in ((8, 3), (152, 4), (154, 4), (150, 2), (276, 2), (56, 4), (27, 4)):
        told = listen(b.message(b.template_set(b.template(256, (element, length))), b.data_set(256, b"\1" * length)))
        assert (values(told), told.kinds) == ([b"\1" * length], {FaultKind.TEMPLATE_BAD_LENGTH: 1})


@rule(
    "7",
    "In this case, the first octet of the Length field MUST be 255, and the length is carried in the second and third "
    "octets.",
)
def test_lengths_have_one_octet_or_three() -> None:
    texts = [b"", b"a", b"a" * 254, b"a" * 255, b"a" * 1000]
    assert decoded((82, b.VARIABLE), *map(b.var, texts)) == [text.decode() for text in texts]
    assert decoded((82, b.VARIABLE), b.var(b"ab", long=True)) == ["ab"]


# --- 8: template management ------------------------------------------------------------------------------------------


@rule(
    "8",
    "The Collecting Process MUST store all received Template Record information for the duration of each Transport "
    "Session until reuse or withdrawal as described in Section 8.1, or expiry over UDP as described in Section 8.4.",
)
def test_templates_are_kept_for_the_session() -> None:
    for transport in Transport:
        told = listen(MESSAGE, *[b.message(sequence=1)] * 20, DATA, transport=transport, now=1000.0)
        assert values(told) == [80, 80]


@rule(
    "8",
    "A Collecting Process MUST NOT use Templates from one Transport Session to decode Data Sets in a subsequent "
    "Transport Session.",
)
def test_sessions_share_no_templates() -> None:
    told = listen(MESSAGE, transport="tcp").close()
    assert told.session.templates(1) == {}
    assert listen(DATA, transport="tcp").kinds == {FaultKind.UNKNOWN_TEMPLATE: 1}


@rule("8", "Collecting Processes MUST properly handle Templates with multiple identical Information Elements.")
def test_an_element_that_comes_several_times_is_kept_in_order() -> None:
    told = listen(b.message(b.template_set(b.template(256, (7, 2), (7, 2))), b.data_set(256, PORT + b.uint(443, 2))))
    assert told.records[0].values == (80, 443)
    assert told.records[0].template.column_names == ("sourceTransportPort", "sourceTransportPort#2")


@rule(
    "8",
    "A Collecting Process MUST NOT assume that the Data Set and the associated Template Set (or Options Template Set) "
    "are exported in the same IPFIX Message.",
)
def test_data_may_come_in_another_message_than_its_template() -> None:
    assert values(listen(b.message(b.template_set(PORTS)), b.message(b.data_set(256, PORT)))) == [80]


@rule(
    "8",
    "Different Observation Domains within a Transport Session MAY use the same Template ID value to refer to different "
    "Templates; Collecting Processes MUST properly handle this case.",
)
def test_domains_may_use_the_same_template_id() -> None:
    other = b.message(b.template_set(OCTETS), b.data_set(256, PORT), domain=2)
    assert names(listen(MESSAGE, other, DATA)) == ["sourceTransportPort", "octetDeltaCount", "sourceTransportPort"]


@rule(
    "8.1",
    "After receiving a Template Withdrawal, a Collecting Process MUST stop using the Template to interpret subsequently "
    "exported Data Sets.",
)
def test_a_withdrawn_template_is_not_used() -> None:
    told = listen(MESSAGE, b.message(b.template_set(b.withdrawal(256)), sequence=1), DATA, transport="sctp")
    assert values(told) == [80]
    assert told.kinds == {FaultKind.UNKNOWN_TEMPLATE: 1}


@rule(
    "8.1",
    "The Collecting Process MUST ignore the Template Withdrawal [of what it has not stored] and SHOULD log the error.",
)
def test_a_withdrawal_of_an_unknown_template_is_ignored_and_told() -> None:
    told = listen(MESSAGE, b.message(b.template_set(b.withdrawal(999)), sequence=1), DATA, transport="tcp")
    assert (values(told), told.kinds) == ([80, 80], {FaultKind.WITHDRAWAL_UNKNOWN: 1})


@rule(
    "8.1",
    "Template is different from the already-received Template … The continued receipt and unambiguous interpretation of "
    "Data Records for this Template ID are no longer possible, and the Collecting Process SHOULD log the error.",
)
def test_another_definition_without_withdrawal_is_told() -> None:
    told = listen(MESSAGE, b.message(b.template_set(OCTETS), sequence=1), DATA, transport="tcp")
    assert told.kinds == {FaultKind.TEMPLATE_REPLACED: 1}
    assert names(told) == ["sourceTransportPort", "octetDeltaCount"]


@rule(
    "8.4",
    "Template Withdrawals (Section 8.1) MUST NOT be sent by Exporting Processes exporting via UDP and MUST be ignored "
    "by Collecting Processes collecting via UDP.",
)
def test_withdrawals_over_udp_are_ignored() -> None:
    withdrawals = b.message(b.template_set(b.withdrawal(256), b.withdrawal(2)), sequence=1)
    for transport in ("udp", "dtls"):
        told = listen(MESSAGE, withdrawals, DATA, transport=transport)
        assert (values(told), told.kinds) == ([80, 80], {FaultKind.WITHDRAWAL_IGNORED: 2})


@rule(
    "8.4",
    "The Collecting Process MUST replace the Template or Options Template for that Template ID with the newly received "
    "Template or Options Template.",
)
def test_a_new_definition_over_udp_replaces_the_old_one() -> None:
    told = listen(MESSAGE, b.message(b.template_set(OCTETS), b.data_set(256, PORT), sequence=1))
    assert names(told) == ["sourceTransportPort", "octetDeltaCount"]


@rule("8.4", "The Collecting Process MAY associate a lifetime with each Template received in a Transport Session.")
def test_templates_over_udp_expire() -> None:
    told = listen(MESSAGE, now=1.0).feed(MESSAGE, now=1700.0).feed(DATA, now=3400.0).feed(DATA, now=3600.0)
    assert told.kinds[FaultKind.TEMPLATE_EXPIRED] == 1
    assert values(told) == [80, 80, 80]


# --- 9, 10, 11: the collecting process -------------------------------------------------------------------------------


@rule(
    "9",
    "The Collecting Process MUST note the Information Element identifier of any Information Element that it does not "
    "understand and MAY discard that Information Element from received Data Records.",
)
def test_unknown_elements_are_named_by_their_identifier_and_kept() -> None:
    fields = b.template_set(b.template(256, (32000, 3), (7, 2), (9, 2, b.DOCUMENTATION_PEN)))
    told = listen(b.message(fields, b.data_set(256, b"abc" + PORT + b"de")))
    assert told.rows == [[("_0_32000", b"abc"), ("sourceTransportPort", 80), (f"_{b.DOCUMENTATION_PEN}_9", b"de")]]


@rule("9", "The Collecting Process MUST accept padding in Data Records and Template Records.")
def test_padding_is_accepted_everywhere() -> None:
    padded = b.template_set(b.template(256, (7, 2), (210, 3)), padding=3)
    told = listen(b.message(padded, b.data_set(256, PORT + bytes(3), PORT + b"abc", padding=2)))
    assert (values(told), told.faults) == ([80, 80], [])


@rule(
    "9.1",
    "If the Collecting Process receives a malformed IPFIX Message, it MUST discard the IPFIX Message and SHOULD log the error.",
)
def test_a_malformed_message_is_discarded_and_told() -> None:
    bad = b.message(b.template_set(OCTETS), b.data_set(256, PORT), b.any_set(256, b"", length=3), sequence=1)
    told = listen(MESSAGE, bad, DATA)
    assert told.kinds == {FaultKind.SET_LENGTH: 1}
    assert names(told) == ["sourceTransportPort"] * 2


@rule(
    "9.3",
    "The Collecting Process MAY store the Data Records for a short period of time and decode them after the Template "
    "Records or other definitions are received.",
)
def test_early_data_is_decoded_when_its_template_comes() -> None:
    assert values(listen(b.message(b.data_set(256, PORT)), b.message(b.template_set(PORTS)))) == [80]


@rule("10", "A Collecting Process MUST be able to handle IPFIX Message lengths of up to 65535 octets.")
@pytest.mark.parametrize("transport", [str(transport) for transport in Transport])
def test_the_largest_message_is_taken(transport: str) -> None:
    size = 65535 - 16 - 12 - 4
    message = b.message(b.template_set(b.template(256, (210, size))), b.data_set(256, bytes(size)))
    assert len(message) == 65535
    assert values(listen(message, transport=transport)) == [bytes(size)]


@rule(
    "11.6",
    "IPFIX Collecting Processes MUST detect potential IPFIX Message insertion or loss conditions by tracking the IPFIX "
    "Sequence Number and SHOULD provide a logging mechanism for reporting out-of-sequence messages.",
)
def test_loss_disorder_and_repetition_are_detected() -> None:
    told = listen(MESSAGE, b.message(b.data_set(256, PORT), sequence=3), DATA, MESSAGE)
    assert [gap.lost for gap in told.gaps] == [2]
    assert told.kinds == {FaultKind.LATE: 1, FaultKind.DUPLICATE: 1}


def test_each_rule_has_a_test_of_its_own() -> None:
    here = [rule.test for rule in RULES if rule.rfc == 7011]
    assert len(here) == len(set(here)) > 25
    assert all(callable(globals()[name]) for name in here)
