"""Synthetic traffic as Messages, and these as files."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import groupby, product
from typing import Final, Literal

from headwater.batch.encode import Encoder
from headwater.errors import HeadwaterError
from headwater.process.generating import Generated, Traffic
from headwater.session.export_options import statistics_template
from headwater.session.exporting import ExportSession
from headwater.session.key import Transport
from headwater.session.outgoing import Outgoing
from headwater.sinks.pcap import LARGEST, Datagram, Flight, PcapFile
from headwater.wire.dialect import DIALECTS, IPFIX, NETFLOW5

Container = Literal["ipfix", "pcap"]

_STATISTICS_S: Final = 60
_BURST_S: Final = 1  # on the wire exporters do not wait longer, so that packets come at the rate of the records
_COLLECTOR: Final = 0xC0000201  # 192.0.2.1 (RFC 5737); the exporters are those after it
_EXPORTER_PORT: Final = 50_000
_COLLECTOR_PORT: Final = {10: 4739, 9: 2055, 5: 2055}


class Exports:
    """The Messages of traffic: what each exporter sends, and when.

    transport: which rules the Messages follow. mtu: octets of a Message at most, None = as ExportSession has it.
    messages, octets: how many so far. templates: those that were announced, by exporter, domain and id.
    interval: seconds from one time to the next.
    """

    def __init__(self, traffic: Traffic, transport: Transport, mtu: int | None = None) -> None:
        self.messages = self.octets = 0
        self.interval = traffic.interval
        self.templates: set[tuple[int, int, int]] = set()
        self._traffic = traffic
        self._encoder = Encoder()
        dialect = DIALECTS[traffic.version]
        self._sessions = [
            ExportSession(transport, mtu=mtu, dialect=dialect, booted=traffic.booted) for _ in range(traffic.exporters)
        ]

    def __iter__(self) -> Iterator[tuple[int, float, Outgoing]]:
        """(number of the exporter, seconds since 1970, Messages), in the order of time."""
        traffic = self._traffic
        yield from self._announce()
        due, now = traffic.start + _STATISTICS_S, traffic.start
        for part in traffic:
            if traffic.describes and part.export_time >= due:
                due += _STATISTICS_S
                yield from self._statistics(now)
            now = part.export_time
            for outgoing in self._encoded(part):
                yield self._counted(part.exporter, now, outgoing)
        if traffic.describes:
            yield from self._statistics(now)

    def _announce(self) -> Iterator[tuple[int, float, Outgoing]]:
        """All Templates before the first data, for so files should be (RFC 5655 §7.2)."""
        traffic = self._traffic
        if traffic.version == NETFLOW5.version:
            return
        for (exporter, session), domain in product(enumerate(self._sessions), range(1, traffic.domains + 1)):
            for template in traffic.templates():
                session.template(template, domain)
            if traffic.describes:
                session.template(statistics_template(), domain)
            for outgoing in session.announce(domain, now=traffic.start):
                yield self._counted(exporter, traffic.start, outgoing)

    def _encoded(self, part: Generated) -> list[Outgoing]:
        session, batch = self._sessions[part.exporter], part.batch
        domain = batch.domain or 0
        template = session.template(batch.template, domain)
        self.templates.add((part.exporter, domain, template.id))
        columns, room = list(batch.columns.values()), session.room(template, domain)
        encoded = self._encoder.encode(
            template, columns, batch.num_rows, room, lambda inner: session.template(inner, domain)
        )
        return session.send(encoded, domain, now=part.export_time)

    def _statistics(self, now: float) -> Iterator[tuple[int, float, Outgoing]]:
        """What each exporter has sent so far (RFC 7011 §4.1)."""
        for exporter, session in enumerate(self._sessions):
            for domain in range(1, self._traffic.domains + 1):
                for outgoing in session.statistics(now, domain):
                    yield self._counted(exporter, now, outgoing)

    def _counted(self, exporter: int, now: float, outgoing: Outgoing) -> tuple[int, float, Outgoing]:
        self.messages += len(outgoing)
        self.octets += int(outgoing.begin[-1] - outgoing.begin[0])
        return exporter, now, outgoing


def exports_of(traffic: Traffic, container: Container, mtu: int | None = None) -> Exports:
    """The Messages for a file. Raises HeadwaterError for traffic that it cannot have."""
    if container == "pcap":
        if mtu is not None and mtu > LARGEST:
            raise HeadwaterError(f"mtu is {mtu}; a datagram has at most {LARGEST} octets")
        return Exports(replace(traffic, longest=_BURST_S), Transport.UDP, mtu)
    if traffic.version != IPFIX.version:
        raise HeadwaterError(f"there are no files of NetFlow v{traffic.version}; write a capture (.pcap)")
    if traffic.exporters > 1:
        raise HeadwaterError(
            "an IPFIX file is of one exporter (RFC 5655 §7.1); write a capture (.pcap), or add domains"
        )
    return Exports(traffic, Transport.FILE, mtu)


def write_exports(
    exports: Exports,
    container: Container,
    version: int,
    write: Callable[[bytes], object],
    tell: Callable[[int, int | None], object] | None = None,
) -> None:
    """The file, in octets to `write`. tell: called now and then with the octets of all Messages so far, and None."""
    if container == "pcap":
        _write_capture(exports, version, write, tell)
        return
    for _, _, outgoing in exports:
        write(bytes(outgoing))
        if tell is not None:
            tell(exports.octets, None)


def _write_capture(
    exports: Exports,
    version: int,
    write: Callable[[bytes], object],
    tell: Callable[[int, int | None], object] | None,
) -> None:
    """What each exporter exports at one time goes out evenly until the next, as its records ended evenly before."""
    file = PcapFile(write)
    spread_us = min(exports.interval, _BURST_S) * 1_000_000
    for now, some in groupby(exports, key=lambda export: export[1]):
        sent: dict[int, list[memoryview]] = {}
        for exporter, _, outgoing in some:
            sent.setdefault(exporter, []).extend(outgoing.messages())
        datagrams: list[Datagram] = []
        for exporter, messages in sent.items():
            flight = Flight(_COLLECTOR + 1 + exporter, _EXPORTER_PORT, _COLLECTOR, _COLLECTOR_PORT[version])
            begin_us, step_us = round(now * 1_000_000), spread_us / len(messages)
            datagrams += [Datagram(begin_us + int(k * step_us), flight, each) for k, each in enumerate(messages)]
        file.write_datagrams(sorted(datagrams, key=lambda datagram: datagram.time_us))
        if tell is not None:
            tell(exports.octets, None)
