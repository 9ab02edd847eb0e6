"""Captures of real exporters: what was decoded is encoded to the same Messages, and sent as the same records."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.corpus.captures import TRUSTED, VERSIONS
from tests.corpus.round_trips import NAMES, capture_again

pytestmark = pytest.mark.corpus

ILLEGAL = {
    "cc_bad_template_field_count": "claims 1000 fields",  # 0100 03e8: of a Set of 28 octets
    "cc_enterprise_from_nfv9": "Scope Field Count 8 of 4 fields",  # NetFlow's octet counts in a message of IPFIX
    "vf_ipfix": "Template ID 0 is reserved",
    "np_ipfix": "Template ID 14 is reserved",
    "np_v9": "has 33 octets of scope fields|claims 26 fields",
    "ngw_v9": "has no fields",  # 9e00 0000 0000: an Options Template of nothing
}
"""Captures in which Templates are illegal: their octets stay as they are, and a session does not send them."""
KINDS = sorted({name.split("_")[0] for name in NAMES})


@pytest.mark.parametrize("kind", KINDS)
def test_messages_are_made_again_octet_for_octet_and_no_record_is_lost(corpus: Path, kind: str) -> None:
    for name in NAMES:
        if name.split("_")[0] == kind and name not in ILLEGAL:
            trip = capture_again(corpus, name)
            assert trip.differences == [], name
            assert trip.unsendable == {}, name
            assert trip.identical == trip.messages, name
            assert trip.records or name not in TRUSTED, name


@pytest.mark.parametrize("name", ILLEGAL)
def test_illegal_templates_stay_what_they_were_and_are_not_sent(corpus: Path, name: str) -> None:
    trip = capture_again(corpus, name)
    assert trip.differences == []
    assert trip.identical == trip.messages > 0
    assert all(any(text in why for text in ILLEGAL[name].split("|")) for why in trip.unsendable)
    assert trip.unsendable


def test_every_capture_is_of_one_kind() -> None:
    assert set(TRUSTED) - set(NAMES) == {name for name in TRUSTED if VERSIONS[name] == ("sflow5",)}
