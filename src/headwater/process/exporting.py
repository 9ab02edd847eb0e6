"""Exporting: records of any form to collectors, over any transport, with every record accounted for."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as Late
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Literal, Self

from headwater.errors import HeadwaterError, TransportError
from headwater.process.exporting_destination import Destination
from headwater.process.exporting_parts import Parts
from headwater.process.exporting_policies import policy_of
from headwater.transport.outgoing.url import parse_url
from headwater.wire.dialect import IPFIX

if TYPE_CHECKING:
    from headwater.batch.incoming_template import Lengths
    from headwater.batch.to_netflow import NetflowReport
    from headwater.model.registry import Registry
    from headwater.model.template import Template
    from headwater.process.exporting_parts import Nulls, Offer, Offers
    from headwater.process.exporting_pieces import Piece
    from headwater.process.exporting_report import Amount, DestinationReport
    from headwater.session.exporting import Specs

PolicyName = Literal["all", "failover", "round-robin", "hash"]

Rest = tuple["Destination", "Piece", "Amount"]
"""What a collector has no room for, and what had been sent to it when that began."""

_CLOSE_S: Final = 10.0
_DAY_S: Final = 86_400

_log = logging.getLogger(__name__)


class Exporter:
    """Sends records to collectors (RFC 7011's Exporting Process).

        with hw.Exporter(["tcp://192.0.2.1", "udp://192.0.2.2:9995?mtu=1400"]) as exporter:
            exporter.write(table)  # of pyarrow, polars, DuckDB, pandas; a Batch; what hw.read returns; rows
            exporter.flush()

        async with hw.Exporter("tls://collector.example.net?ca=ca.pem&cert=me.pem&key=me.key") as exporter:
            await exporter.write_async(table)

    Nothing is opened before `with`. Each collector has a session, a queue and a thread of its own, which connects,
    sends, and connects again. Messages get their headers (sequence number, Export Time) when they are sent.

    TCP, TLS, SCTP: what the collector's host has not acknowledged when a connection ends is sent again over the next
    one. If the connection ended with a reset, the last `resend` octets that were acknowledged are sent again, too, for
    the collector may not have read them: it may get records twice, but none is lost. What it had read and not stored
    when it was killed nobody can know here; IPFIX has no acknowledgements of its own.
    UDP, DTLS: what ICMP reports is counted, what nobody reports is not known.

    collectors: URLs, udp:// tcp:// tls:// dtls:// sctp://HOST:PORT (4739 by default; TLS and DTLS 4740), with options
        in the query, or here for all that have none of their own:
        mtu: octets of a Message (of a datagram's payload) at most: 512 over UDP and DTLS, 65535 elsewhere; "discover"
            asks the kernel for that of the path. version: 10 (IPFIX), 9 or 5 (NetFlow).
        queue: octets that may wait (64 MiB). overflow: what happens when it is full: "block" until nothing has gone
            for `timeout` seconds (120), then TransportError; "drop-oldest"; "drop-newest"; "error", TransportError at
            once.
        rate: records a second at most; octet_rate: octets of Messages.
        retry: seconds from one attempt to connect to the next (60; UDP 5); retry_first: to the second, from where it
            doubles up to `retry`. connect_timeout: seconds (10). resend: octets (8 MiB), 0 = none.
        refresh, refresh_messages: Templates are repeated over UDP and DTLS after so many seconds (600), Messages (20).
        ca, cert, key: PEM files, for TLS and DTLS; name: what the collector's certificate must be for, instead of HOST;
            tls: 1.2 or 1.3. renew: seconds after which a DTLS session is made anew, since a collector that was
            restarted cannot tell (600; 0 = never).
        statistics: every so many seconds an option record in each domain says how many Messages, records and octets
            were sent, and another one how many records were not (RFC 7011 §4.1, §4.3); 0 = never.
        streams: of SCTP, 1 = all in stream 0; ttl: milliseconds after which SCTP may give up data (never Templates).
        source: address of this host. send_buffer: octets of the socket.
    policy: who gets what: "all"; "failover", the first that is up; "round-robin", in turns; "hash", by `key`, names
        that `registry` knows; there a collector that is down keeps its share waiting. One over UDP always counts as
        up, since nobody tells, so that failover is for TCP, TLS, DTLS and SCTP.
    domain: the Observation Domain of all records; None = that of each Batch, 0 for other data.
    lengths, nulls, allow_rounding: as for hw.Writer. describe: type information (RFC 5610) of enterprise elements goes,
        too.
    clock: seconds since 1970, for Export Times. booted: what NetFlow counts the times of flows from, at most 49 days
        before; None = a day ago. What it cannot be told is in `netflow`, and not in `report`.
    """

    def __init__(
        self,
        collectors: str | Iterable[str],
        *,
        policy: PolicyName = "all",
        key: Sequence[str] = (),
        domain: int | None = None,
        registry: Registry | None = None,
        describe: bool = False,
        lengths: Lengths = "native",
        nulls: Nulls = "error",
        allow_rounding: bool = False,
        clock: Callable[[], float] = time.time,
        booted: float | None = None,
        **options: Any,
    ) -> None:
        self._policy = policy_of(policy, key, registry)
        self._options, self._registry, self._describe, self._clock = options, registry, describe, clock
        self._booted = clock() - _DAY_S if booted is None else booted
        self._parts = Parts(domain, registry, lengths, nulls, self._booted, clock, allow_rounding=allow_rounding)
        self._lock = threading.Lock()
        self._moving, self._moves = threading.Lock(), 0
        self._state: Literal["new", "open", "closed"] = "new"
        self._destinations: list[Destination] = []
        self._removed: list[Destination] = []
        for url in _urls(collectors):
            self._join(self._destination(url))

    def __repr__(self) -> str:
        names = ", ".join(destination.collector.name for destination in self._destinations) or "nobody"
        return f"<Exporter to {names}: {self._state}>"

    # --- beginning and end ---

    def open(self) -> None:
        """Begin to connect; `with` does it. Raises TransportError for what no waiting can help."""
        if self._state != "new":
            raise HeadwaterError("an Exporter is opened once; make another one")
        started = []
        try:
            for destination in self._destinations:
                destination.start()
                started.append(destination)
        except BaseException:
            _end(started, 0)
            raise
        self._state = "open"

    def close(self, timeout: float = _CLOSE_S) -> None:
        """Send what waits, for so many seconds at most; the rest is dropped, and `report` says so."""
        was, self._state = self._state, "closed"
        if was == "open":
            _end(self._destinations, timeout)

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(self, kind: type[BaseException] | None, bad: BaseException | None, at: TracebackType | None) -> None:
        self.close(0 if kind is KeyboardInterrupt else _CLOSE_S)

    async def __aenter__(self) -> Self:
        await asyncio.to_thread(self.open)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, bad: BaseException | None, at: TracebackType | None
    ) -> None:
        await asyncio.to_thread(self.close)

    # --- collectors ---

    def add_collector(self, url: str, **options: Any) -> None:
        """Send to another collector from now on. options: as those of the URL."""
        destination = self._destination(url, **options)
        self._join(destination)  # first, or nobody would see that it is up when it is so at once
        if self._state == "open":
            try:
                destination.start()
            except BaseException:
                with self._lock:
                    self._destinations = [one for one in self._destinations if one is not destination]
                raise

    def remove_collector(self, url: str, *, timeout: float = _CLOSE_S) -> None:
        """Send to a collector no more; what waits for it is sent first, as by `close`. Raises HeadwaterError."""
        destination = self._named(url)
        with self._lock:
            self._destinations = [one for one in self._destinations if one is not destination]
            self._removed.append(destination)
        _end([destination], timeout)

    @property
    def report(self) -> tuple[DestinationReport, ...]:
        """What became of the records, for each collector there is or was."""
        return tuple(destination.report for destination in [*self._removed, *self._destinations])

    @property
    def netflow(self) -> NetflowReport:
        """What collectors of NetFlow v5 and v9 could not be told of the records."""
        return self._parts.netflow

    @property
    def warnings(self) -> tuple[str, ...]:
        """What was left out of records of NetFlow, because IPFIX has no word for it."""
        return tuple(f"{name} is left out: {why}" for name, why in self._parts.left_out.items())

    # --- writing ---

    def write(self, data: Any, template: Specs | None = None, *, domain: int | None = None) -> int:
        """Take records to be sent; how many.

        data: a Batch, a Reading, anything that hands over Arrow, a mapping of names to columns, or an iterable of
            dicts, tuples, mapped objects or Batches. template: what the records are to be; None = what they need.
        Raises EncodeError for a value that cannot go on the wire, and then nothing is taken of the part it is in;
        TransportError if a queue is full and that is to be an error, when all other collectors have got theirs.
        """
        count = 0
        problems: list[TransportError] = []
        for offers in self._offers(data, template, domain):
            count += offers.records
            with self._rests(offers.each, problems) as rests:
                while rests:
                    destination = rests[0][0]
                    if _wait(destination.outbox.space(), time.monotonic() + destination.patience_s):
                        self._accept(rests)
                    else:
                        _late(rests, problems)
        _raise(problems)
        return count

    async def write_async(self, data: Any, template: Specs | None = None, *, domain: int | None = None) -> int:
        """`write`, which lets others run where it has to wait for room in a queue."""
        count = 0
        problems: list[TransportError] = []
        for offers in self._offers(data, template, domain):
            count += offers.records
            with self._rests(offers.each, problems) as rests:
                while rests:
                    destination = rests[0][0]
                    try:
                        await asyncio.wait_for(asyncio.wrap_future(destination.outbox.space()), destination.patience_s)
                    except TimeoutError:
                        _late(rests, problems)
                    else:
                        self._accept(rests)
        _raise(problems)
        return count

    def flush(self, timeout: float | None = None) -> bool:
        """Wait until everything was sent and, where the transport tells, acknowledged; False if time was too short."""
        end = None if timeout is None else time.monotonic() + timeout
        while True:
            moves = self._moves_so_far()
            if [one for one in self._destinations if not _wait(one.outbox.drained(), end)]:
                return False
            if moves == self._moves_so_far():  # or else it may wait where it had been waited for
                return True

    async def flush_async(self, timeout: float | None = None) -> bool:  # noqa: ASYNC109  # as `flush`
        """`flush`, which lets others run."""
        end = None if timeout is None else time.monotonic() + timeout
        while True:
            moves = self._moves_so_far()
            waiting = [asyncio.wrap_future(destination.outbox.drained()) for destination in self._destinations]
            if waiting and (await asyncio.wait(waiting, timeout=_left(end)))[1]:
                return False
            if moves == self._moves_so_far():
                return True

    def template(self, template: Specs, domain: int = 0, id: int | None = None) -> Template:
        """A Template with the id it has for every collector; the same content has the same id, but for `id`."""
        with self._lock:
            return self._parts.template(template, domain, id)

    def _offers(self, data: Any, template: Specs | None, domain: int | None) -> Iterator[Offers]:
        self._check_open()
        for_netflow = any(one.dialect is not IPFIX for one in self._destinations)
        for part in self._parts.of(data, template, domain, for_netflow=for_netflow):
            self._check_open()
            with self._lock:  # only while the part is encoded, so that nobody waits for another's queue
                offers = self._parts.offers(part, self._policy, self._destinations)
            yield offers

    @contextmanager
    def _rests(self, offers: list[Offer], problems: list[TransportError]) -> Iterator[list[Rest]]:
        """Give everybody as much as there is room for, and have the caller see to the rest, or it is dropped."""
        rests: list[Rest] = []
        for destination, encoded, domain in offers:
            try:
                rest = destination.offer(encoded, domain)
            except TransportError as error:
                problems.append(error)
                continue
            if rest is not None:
                rests.append((destination, rest, destination.outbox.sent))
        self._balance()
        try:
            yield rests
        finally:
            for destination, rest, _ in rests:
                destination.outbox.drop("interrupted", rest)

    def _accept(self, rests: list[Rest]) -> None:
        """Let the first have some more."""
        destination, piece, sent = rests[0]
        rest = destination.accept(piece)
        if rest is None:
            del rests[0]
        else:
            rests[0] = destination, rest, sent
        self._balance()  # there may be room because it was lost, and what waited for it was moved

    # --- destinations ---

    def _destination(self, url: str, **options: Any) -> Destination:
        collector = parse_url(url, **{**self._options, **options})
        return Destination(
            collector,
            registry=self._registry,
            describe=self._describe,
            clock=self._clock,
            booted=self._booted,
            changed=lambda _: self._balance(),
        )

    def _join(self, destination: Destination) -> None:
        if any(one.collector.url == destination.collector.url for one in self._destinations):
            raise HeadwaterError(f"{destination.collector.url} is a collector of this Exporter already")
        if self._policy.moves:
            for other in self._destinations:
                _check_alike(destination, other)
        with self._lock:
            self._destinations = [*self._destinations, destination]

    def _named(self, url: str) -> Destination:
        for destination in self._destinations:
            if url in (destination.collector.url, destination.collector.name):
                return destination
        known = ", ".join(one.collector.url for one in self._destinations) or "none"
        raise HeadwaterError(f"{url} is no collector of this Exporter; there are {known}")

    def _balance(self) -> None:
        """Let a collector that is up have what waits for one that is not, if the policy wants that."""
        if not self._policy.moves:
            return
        while up := next((one for one in self._destinations if one.is_up), None):
            waiting = [one for one in self._destinations if not one.is_up and one.outbox.has_waiting]
            if not waiting:
                return
            for destination in waiting:
                self._move(destination, up)

    def _move(self, destination: Destination, to: Destination) -> None:
        with self._moving:
            self._moves += 1
            pieces = destination.give_up()
            to.take_over(pieces, self._parts.same_in(to))
        if pieces:
            _log.info("%s: %d pieces are moved to %s", destination.collector.name, len(pieces), to.collector.name)

    def _moves_so_far(self) -> int:
        with self._moving:
            return self._moves

    def _check_open(self) -> None:
        if self._state == "open":
            return
        how = "is closed" if self._state == "closed" else "is not open: use it in a with block"
        raise HeadwaterError(f"the Exporter {how}")


def _urls(collectors: Any) -> list[str]:
    """The URLs given. Raises HeadwaterError for what are none."""
    if isinstance(collectors, str):
        return [collectors]
    urls = list(collectors) if isinstance(collectors, Iterable) else [collectors]
    for url in urls:
        if not isinstance(url, str):
            raise HeadwaterError(f"an Exporter is given the URL of a collector, or several, not {url!r}")
    return urls


def _check_alike(a: Destination, b: Destination) -> None:
    """Raise HeadwaterError if what was laid out for one cannot be sent to the other; IPFIX can be laid out again."""
    if a.dialect is not b.dialect or (a.dialect is not IPFIX and a.session.mtu != b.session.mtu):
        detail = "collectors that stand in for each other are sent the same version, NetFlow with the same mtu"
        raise HeadwaterError(f"{a.collector.url}, {b.collector.url}: {detail}")


def _end(destinations: Iterable[Destination], timeout: float) -> None:
    """Stop all at the same time, then wait for each."""
    some = list(destinations)
    for destination in some:
        destination.stop(timeout)
    for destination in some:
        destination.join()


def _left(end: float | None) -> float | None:
    return None if end is None else max(end - time.monotonic(), 0)


def _wait(future: Future[None], end: float | None) -> bool:
    try:
        future.result(_left(end))
    except Late:
        return False
    return True


def _late(rests: list[Rest], problems: list[TransportError]) -> None:
    """Let the first wait once more if something was sent meanwhile, or else drop what there is no room for."""
    destination, piece, before = rests[0]
    sent = destination.outbox.sent
    if sent != before:
        rests[0] = destination, piece, sent
    else:
        problems.append(destination.refuse(piece))
        del rests[0]


def _raise(problems: list[TransportError]) -> None:
    if problems:
        raise problems[0]
