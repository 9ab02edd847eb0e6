"""SCTP by the kernel (RFC 7011 §10.2); without one that has it these are skipped, a guest kernel will do."""

from __future__ import annotations

import socket
import struct
from collections import Counter
from contextlib import suppress
from typing import Any

import pytest

from headwater.errors import TransportError
from headwater.process.exporting import Exporter
from tests.process.collectors import DEADLINE_S, records_of, until

SCTP = 132
RECVRCVINFO, INITMSG, RCVINFO = 32, 2, 3
ROWS = [{"octetDeltaCount": number} for number in range(2000)]
QUICK = "retry=0.05&retry_first=0.01"


def has_sctp() -> bool:
    try:
        socket.socket(socket.AF_INET, socket.SOCK_STREAM, SCTP).close()
    except OSError:
        return False
    return True


needs_sctp = pytest.mark.skipif(not has_sctp(), reason="this kernel has no SCTP")


class SctpCollector:
    """A listening socket; keeps which Messages came in which stream."""

    def __init__(self, port: int = 0) -> None:
        self._listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, SCTP)
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.setsockopt(SCTP, INITMSG, struct.pack("=HHHH", 1, 8, 0, 0))
        self._listener.bind(("127.0.0.1", port))
        self._listener.listen()
        self._listener.settimeout(DEADLINE_S)
        self.port: int = self._listener.getsockname()[1]
        self._connection: socket.socket | None = None
        self.messages: list[bytes] = []
        self.streams: Counter[int] = Counter()

    def accept(self) -> socket.socket:
        self._connection, _ = self._listener.accept()
        self._connection.settimeout(DEADLINE_S)
        self._connection.setsockopt(SCTP, RECVRCVINFO, 1)
        return self._connection

    def read(self, records: int) -> list[dict[str, Any]]:
        connection = self._connection or self.accept()
        while len(rows := records_of(b"".join(self.messages))) < records:
            octets, ancillary, _, _ = connection.recvmsg(1 << 16, 512)
            assert octets, "the exporter has ended the association"
            self.messages.append(octets)
            for level, kind, data in ancillary:
                if (level, kind) == (SCTP, RCVINFO):
                    self.streams[struct.unpack_from("=H", data)[0]] += 1
        return rows

    def read_rows(self) -> list[dict[str, Any]]:
        """The records that have been read."""
        return records_of(b"".join(self.messages))

    def close(self) -> None:
        for one in (self._listener, self._connection):
            if one is not None:
                one.close()


@needs_sctp
def test_records_arrive() -> None:
    collector = SctpCollector()
    with Exporter(f"sctp://127.0.0.1:{collector.port}?mtu=1400") as exporter:
        exporter.write(ROWS)
        assert collector.read(2000) == ROWS
        assert exporter.flush(DEADLINE_S)
        assert exporter.report[0].sent.records == 2000
    assert max(map(len, collector.messages)) <= 1400
    collector.close()


@needs_sctp
def test_templates_are_in_stream_0_and_data_in_others() -> None:
    collector = SctpCollector()
    with Exporter(f"sctp://127.0.0.1:{collector.port}?mtu=1400&streams=4") as exporter:
        for number in range(0, 2000, 100):
            exporter.write(ROWS[number : number + 100])
        rows = collector.read(2000)
        assert exporter.flush(DEADLINE_S)
    assert sorted(row["octetDeltaCount"] for row in rows) == list(range(2000))
    assert set(collector.streams) == {0, 1, 2, 3}
    assert collector.streams[0] == 1
    collector.close()


@needs_sctp
def test_more_streams_than_the_collector_takes_are_an_error() -> None:
    collector = SctpCollector()
    exporter = Exporter(f"sctp://127.0.0.1:{collector.port}?streams=64&{QUICK}")
    exporter.open()
    collector.accept()
    assert until(lambda: exporter.report[0].error) == "the collector takes 8 streams, not 64"
    exporter.close(0)
    collector.close()


@needs_sctp
def test_nothing_is_lost_when_the_collector_is_restarted() -> None:
    first = SctpCollector()
    exporter = Exporter(f"sctp://127.0.0.1:{first.port}?mtu=1400&{QUICK}")
    exporter.open()
    exporter.write(ROWS[:1000])
    first.read(500)
    first.close()
    exporter.write(ROWS[1000:])
    second = SctpCollector(first.port)
    got = {row["octetDeltaCount"] for row in first.read_rows()}
    while got != set(range(2000)):
        got |= {row["octetDeltaCount"] for row in second.read(len(second.read_rows()) + 1)}
    assert exporter.flush(DEADLINE_S)
    exporter.close()
    assert exporter.report[0].sent.records == 2000
    assert not exporter.report[0].dropped
    second.close()


@needs_sctp
def test_data_that_are_given_up_are_counted() -> None:
    collector = SctpCollector()
    with Exporter(f"sctp://127.0.0.1:{collector.port}?mtu=1400&ttl=1") as exporter:
        connection = collector.accept()
        exporter.write({"octetDeltaCount": range(400_000)})  # more than the collector's host keeps
        connection.settimeout(0.1)
        while exporter.report[0].waiting.records:
            with suppress(TimeoutError):
                collector.messages.append(connection.recv(1 << 16))
        with suppress(TimeoutError):
            while True:
                collector.messages.append(connection.recv(1 << 16))
    (report,) = exporter.report
    expired = report.dropped["expired"].records
    assert expired
    assert report.sent.records + expired == 400_000
    # of a Message that is under way when its time is over, the kernel does not always say so
    assert len(collector.read_rows()) <= report.sent.records <= len(collector.read_rows()) + 1000
    collector.close()


@pytest.mark.skipif(has_sctp(), reason="this kernel has SCTP")
def test_a_kernel_without_sctp_is_told_in_a_sentence() -> None:
    with pytest.raises(TransportError, match=r"this kernel has no SCTP \(on Linux it is the module sctp"):
        Exporter("sctp://192.0.2.1").open()
