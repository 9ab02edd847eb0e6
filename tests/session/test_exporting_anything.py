"""Whatever an exporting session is asked to do, a collector reads every record and finds nothing wrong."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headwater.model.element import InformationElement
from headwater.model.template import Template
from headwater.model.types import DataType
from headwater.session.exporting import ExportSession, Refresh
from headwater.session.message_builder import MessageBuilder
from headwater.wire.dialect import IPFIX, NETFLOW9, Dialect
from tests import build as b
from tests.session.exported import NOW, messages, read, send

OWN = InformationElement(b.DOCUMENTATION_PEN, 7, "own", DataType.UNSIGNED32)
PLAIN = [
    Template.of(0, "sourceTransportPort"),
    Template.of(0, "octetDeltaCount[5]"),
    Template.of(0, "sourceIPv6Address", "octetDeltaCount"),
    Template.of(0, "ingressInterface{scope}", "samplingInterval"),
]
ALL = [*PLAIN, Template.of(0, OWN), Template.of(0, OWN, "observationDomainId", scope=2)]
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("send"), st.integers(0, 5), st.integers(1, 60)),
        st.tuples(st.just("withdraw"), st.integers(0, 5), st.just(0)),
        st.tuples(st.just("withdraw all"), st.just(0), st.just(0)),
        st.tuples(st.just("wait"), st.integers(0, 5), st.integers(-5, 400)),
        st.tuples(st.just("statistics"), st.just(0), st.just(0)),
        st.tuples(st.just("build"), st.integers(0, 5), st.integers(1, 30)),
    ),
    max_size=12,
)


@pytest.mark.parametrize(
    ("transport", "dialect"),
    [("tcp", IPFIX), ("udp", IPFIX), ("file", IPFIX), ("udp", NETFLOW9)],
    ids=["tcp", "udp", "file", "netflow9"],
)
@settings(max_examples=40)
@given(steps=STEPS, mtu=st.integers(180, 600), align=st.sampled_from([None, 4, 8]), every=st.integers(0, 4))
def test_every_record_arrives(
    transport: str, dialect: Dialect, steps: list[tuple[str, int, int]], mtu: int, align: int | None, every: int
) -> None:
    is_ipfix = dialect is IPFIX
    session = ExportSession(
        transport,
        dialect=dialect,
        mtu=mtu,
        align=align if is_ipfix else None,
        refresh=Refresh(seconds=300, messages=every),
        describe=is_ipfix,
    )
    templates = ALL if is_ipfix else PLAIN
    now, sent, expected = NOW, list[bytes](), 0
    for what, which, count in steps:
        content = templates[which % len(templates)]
        domain = which % 2
        size = content.min_length
        if what == "send":
            template = session.template(content, domain)
            sent += send(session, template, *[bytes(size - 1) + b"\1"] * count, domain=domain, now=now)
            expected += count
        elif what == "build" and is_ipfix:
            template = session.template(content, domain)
            sent += messages(session.announce(domain, now=now))
            built: list[bytes] = []
            builder = MessageBuilder(mtu=mtu, tally=session.tally, on_message=built.append)
            builder.begin(domain, now)
            builder.ensure_set(template.id)
            for _ in range(count):
                builder.add(bytes(size))
            builder.flush()
            sent += built
            expected += count
        elif what == "withdraw":
            sent += messages(session.withdraw(session.template(content, domain), domain, now=now))
        elif what == "withdraw all":
            sent += messages(session.withdraw_all(now=now))
        elif what == "wait":
            now += count
            sent += messages(session.refresh(now))
        elif what == "statistics" and is_ipfix:
            sent += messages(session.statistics(now, domain))
            expected += 1
    assert max(map(len, sent), default=0) <= mtu
    assert sum(map(len, sent)) == session.counters["octets"]
    told = read(*sent, transport=transport)
    described = [record for record in told.records if record.named[0][0] == "privateEnterpriseNumber"]
    assert len(told.records) == expected + len(described) == session.counters["records"]
