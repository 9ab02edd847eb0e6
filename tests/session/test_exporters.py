"""What a session knows of one of its exporters."""

from __future__ import annotations

from headwater.model.registry import IANA
from headwater.session import Session
from headwater.session.key import SessionKey
from tests import build
from tests.session.test_netflow import heard

ONE, OTHER = SessionKey("192.0.2.1", 1), SessionKey("192.0.2.2", 1)
TAUGHT = build.message(
    build.options_template_set(
        build.options_template(260, (346, 4), (303, 2), (339, 1), (341, build.VARIABLE), scope=2)
    ),
    build.data_set(260, build.uint(35555) + build.uint(7, 2) + build.uint(1, 1) + build.var(b"mood")),
)


def test_elements_that_an_exporter_teaches_are_in_its_registry_alone() -> None:
    session = Session()
    heard(session, (ONE, TAUGHT), (OTHER, build.message()))
    assert session.registry_of(ONE).get(35555, 7).name == "mood"
    assert session.registry_of(OTHER) is IANA
    assert session.registry_of(ONE, 9) is IANA  # what speaks another protocol is another exporter


def test_asking_for_an_exporter_does_not_make_one_known() -> None:
    session = Session()
    assert session.registry_of(ONE) is IANA
    assert (session.ledgers, session.snapshot()) == ([], [])


def test_without_a_key_it_is_the_exporter_of_the_session() -> None:
    session = Session()
    list(session.receive(TAUGHT))
    assert session.registry_of().get(35555, 7).name == "mood"
