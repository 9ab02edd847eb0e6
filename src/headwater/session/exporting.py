"""ExportSession: records laid out as Messages in, octets to be sent out. No I/O, no clock: `now` is an argument."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from headwater.errors import EncodeError
from headwater.model import registry as registries
from headwater.session.export_arguments import alignment, seconds, sixteen_bits, whole
from headwater.session.export_clock import ExportClock, Moment
from headwater.session.export_domain import ExportDomain, Laid, announcement, template_octets
from headwater.session.export_options import statistics_template, to_describe, type_octets, type_template
from headwater.session.export_tally import Tally
from headwater.session.export_templates import ExportedTemplates, template_of
from headwater.session.export_templates import Specs as Specs
from headwater.session.export_writing import Writing
from headwater.session.key import Transport
from headwater.session.open_message import Item, Kind, OpenMessage, lay_out, too_long
from headwater.session.outgoing import Encoded, Outgoing, Room
from headwater.session.saved_export import SavedExport
from headwater.wire.dialect import (
    FIRST_DATA_SET,
    IPFIX,
    MAX_MESSAGE,
    OPTIONS_TEMPLATE_SET,
    SET_HEADER,
    TEMPLATE_SET,
    Dialect,
)
from headwater.wire.header_out import align_of, most_records, record_header
from headwater.wire.legacy import fixed_templates
from headwater.wire.record_out import write_record

if TYPE_CHECKING:
    from headwater.model.element import InformationElement
    from headwater.model.registry import Registry
    from headwater.model.template import Template

DATAGRAM: Final = 512
"""Octets of a datagram at most where nobody knows the path (RFC 7011 §10.3.3)."""

_LIFETIME_S: Final = 1800.0


@dataclass(frozen=True, slots=True)
class Refresh:
    """How often Templates are sent again over transports that lose Messages (RFC 7011 §8.4, RFC 6728).

    seconds: after so long. messages: after so many Messages with data in a domain. 0 = not for that reason.
    """

    seconds: float = 600.0
    messages: int = 20

    @property
    def rest_s(self) -> float:
        """How long an id stays unused after its Template was given up: three times the interval (§8.4)."""
        return 3 * self.seconds or _LIFETIME_S


class ExportSession:
    """An Exporting Process's side of a transport session (RFC 7011 §8, §10), or of a file (RFC 5655).

    transport: as for Session; decides on repeats and withdrawals of Templates, and on the size of Messages.
    mtu: octets of a Message at most; None = 512 in datagrams, else 65535. align: Sets are padded to a multiple of it;
    None = as the protocol says (1, for NetFlow v9 4).
    dialect: IPFIX, NETFLOW9 or NETFLOW5. registry: what the names of specs mean. first_id: the lowest Template ID.
    describe: send type information (RFC 5610) of enterprise elements before they are first used.
    monotonic: Export Times never go back, whatever `now` says; collectors order Templates by them (RFC 7011 §8.2).
    False is for dumps of what was sent before. booted: when sysUpTime was 0 (NetFlow), None = at the first Message.
    sampling: sampling mode (2 bits) and interval of NetFlow v5 headers.

    `counters` has messages, records, flow_records, octets, templates, withdrawals and clock_went_back.
    """

    def __init__(
        self,
        transport: Transport | str = Transport.UDP,
        *,
        mtu: int | None = None,
        dialect: Dialect = IPFIX,
        refresh: Refresh | None = None,
        registry: Registry | None = None,
        first_id: int = FIRST_DATA_SET,
        describe: bool = False,
        align: int | None = None,
        monotonic: bool = True,
        booted: float | None = None,
        sampling: int = 0,
    ) -> None:
        if transport not in set(Transport):
            raise EncodeError(f"transport must be one of {', '.join(Transport)}, not {transport!r}")
        self.transport = Transport(transport)
        if not isinstance(dialect, Dialect):
            raise EncodeError(f"dialect is IPFIX, NETFLOW9 or NETFLOW5, not {dialect!r}")
        self.mtu = (DATAGRAM if self.transport.is_unreliable else MAX_MESSAGE) if mtu is None else whole(mtu, "mtu")
        if not dialect.header + SET_HEADER < self.mtu <= MAX_MESSAGE:
            raise EncodeError(
                f"mtu is {mtu}; Messages have from {dialect.header + SET_HEADER + 1} to {MAX_MESSAGE} octets"
            )
        if not FIRST_DATA_SET <= whole(first_id, "first_id") <= 0xFFFF:
            raise EncodeError(
                f"first_id is {first_id}; Template IDs are from {FIRST_DATA_SET} to 65535 (RFC 7011 §3.4.1)"
            )
        if describe and dialect is not IPFIX:
            raise EncodeError(f"{dialect.name} has no type information (RFC 5610 is about IPFIX)")
        self.dialect = dialect
        self.registry = registries.IANA if registry is None else registry
        self.sampling = sixteen_bits(sampling, "sampling")
        self.counters: Counter[str] = Counter()
        self._refresh = Refresh() if refresh is None else refresh
        if not isinstance(self._refresh, Refresh):
            raise EncodeError(f"refresh is a Refresh, not {refresh!r}")
        self._align = align_of(dialect) if align is None else alignment(align)
        self._first_id = first_id
        self._describes = describe
        since = None if booted is None else seconds(booted, "booted")
        self._clock = ExportClock(dialect, self.counters, monotonic=monotonic, booted=since)
        self._domains: dict[int, ExportDomain] = {}
        self._described: set[tuple[int, int]] = set()

    @property
    def booted(self) -> float | None:
        """When sysUpTime was 0, in seconds since 1970; None before the first Message, if nobody has said."""
        return self._clock.booted

    @property
    def repeats_templates(self) -> bool:
        """Whether Templates are sent again and again, for Messages can be lost (RFC 7011 §8.4)."""
        return self.transport.is_unreliable and self.dialect.has_sets

    @property
    def withdraws_templates(self) -> bool:
        """Whether there are withdrawals: never where Messages can be lost (RFC 7011 §8.4), nor in NetFlow."""
        return not self.transport.is_unreliable and self.dialect is IPFIX

    def template(self, template: Specs, domain: int = 0, id: int | None = None) -> Template:
        """The Template with its id in that domain; the same content has the same id, unless one is asked for.

        template: one with any id, or IESpecs. It is sent before the next data of the domain.
        Raises EncodeError: longer than a Message, not sayable in the protocol, `id` another's or used not long ago.
        """
        made = template_of(template, self.registry)
        place = self._domain(domain)
        if not self.dialect.has_sets:
            return self._fixed(made)
        octets = template_octets(made, self.dialect, self.registry)
        if not OpenMessage(self.dialect, self.mtu, self._align).fits(TEMPLATE_SET, len(octets)):
            raise EncodeError(too_long(Item(TEMPLATE_SET, octets, Kind.TEMPLATE), self.dialect, self.mtu))
        return place.templates.put(made, id, self._clock.now)

    def room(self, template: Template, domain: int = 0) -> Room:
        """What a Message has room for. Raises EncodeError if not even the shortest record of the Template fits."""
        header = record_header(self.dialect)
        budget = self.mtu - header
        align = self._align if template.min_length >= self._align else 1  # no padding looks like a record (§3.3.1)
        if template.min_length > budget - budget % align:
            detail = f"records of Template {template.id} have {template.min_length} octets or more"
            raise EncodeError(f"{detail}; a Message of at most {self.mtu} octets has room for {budget}")
        return Room(header, budget, align, most_records(self.dialect))

    def send(self, encoded: Encoded, domain: int = 0, *, now: float, stream: int = 0) -> list[Outgoing]:
        """What is to be sent for these records: Templates that are due, then the data.

        The headers are written into the buffer of `encoded`, which now is that of what is returned.
        What `has_templates` must not get lost or overtaken where a transport can choose.
        stream: of SCTP; each has sequence numbers of its own (RFC 7011 §3.1).
        """
        place = self._domain(domain, stream)
        self._check(encoded, place)
        if not len(encoded):
            return []
        moment = self._clock.at(now)
        return self._due(place, moment, stream) + self._data(place, encoded, moment, stream)

    def announce(self, domain: int = 0, *, now: float, stream: int = 0) -> list[Outgoing]:
        """The Templates of a domain that are due; for those who write Messages themselves (see MessageBuilder)."""
        return self._due(self._domain(domain, stream), self._clock.at(now), stream)

    def tally(self, domain: int = 0) -> Tally:
        """Sequence numbers and counts of a domain, to share with a MessageBuilder."""
        return self._domain(domain).tally

    def send_records(
        self,
        template: Template,
        records: Iterable[Mapping[str, Any] | Sequence[Any]],
        domain: int = 0,
        *,
        now: float,
        stream: int = 0,
    ) -> list[Outgoing]:
        """The same for a few records given as values, options for example: by column name, or in the fields' order."""
        place = self._domain(domain, stream)
        self._check_known(template, place)
        if not self.dialect.has_sets:
            raise EncodeError(f"{self.dialect.name} has no Sets; encode the records and `send` them")
        kind = Kind.OPTION if template.scope_count else Kind.FLOW
        moment = self._clock.at(now)
        sent_at = moment.export_ms // 1000
        items = [Item(template.id, write_record(template, record, sent_at), kind) for record in records]
        return self._due(place, moment, stream) + self._items(place, items, moment, stream)

    def withdraw(self, template: Template, domain: int = 0, *, now: float, stream: int = 0) -> list[Outgoing]:
        """The withdrawal of a Template, whose id may be used for another one at once (RFC 7011 §8.1).

        Where Messages can be lost "Template Withdrawals MUST NOT be sent" (§8.4): then nothing is returned, the
        Template is not repeated any more, and its id rests for three refresh intervals.
        """
        place, moment = self._domain(domain, stream), self._clock.at(now)
        if not place.templates.drop(template, moment.now) or not self.withdraws_templates:
            return []
        return self._withdrawals(place, [(_set_of(template), template.id)], moment, stream)

    def withdraw_all(self, domain: int | None = None, *, now: float, stream: int = 0) -> list[Outgoing]:
        """Withdrawals of all Templates and of all Options Templates of a domain, None = of every domain."""
        moment = self._clock.at(now)
        out: list[Outgoing] = []
        for place in [*self._domains.values()] if domain is None else [self._domain(domain)]:
            sent = [t for t in [*place.templates] if place.templates.drop(t, moment.now)]
            sets = sorted({_set_of(template) for template in sent})
            self._described.difference_update(place.described)
            place.described.clear()
            if self.withdraws_templates and sets:
                out += self._withdrawals(place, [(set_id, set_id) for set_id in sets], moment, stream)
        return out

    def refresh(self, now: float) -> list[Outgoing]:
        """The Templates of the domains where they are due by time; nothing over reliable transports."""
        moment = self._clock.at(now)
        places = [p for p in self._domains.values() if self._is_due_by_time(p, moment.now)]
        return [outgoing for place in places for outgoing in self._all(place, moment, 0)]

    @property
    def next_refresh(self) -> float:
        """When `refresh` has something to send, in seconds as `now`; infinity = never."""
        if not self.repeats_templates or not self._refresh.seconds:
            return math.inf
        times = [p.refreshed + self._refresh.seconds for p in self._domains.values() if p.templates.sent()]
        return min(times, default=math.inf)

    def reconnected(self, now: float) -> list[Outgoing]:
        """A new transport session begins: all Templates, with the ids they had; sequence numbers from 0 (§8, §3.1)."""
        self._clock.restart()
        self._described.clear()
        moment = self._clock.at(now)
        for place in self._domains.values():
            place.tally.sequences.clear()
            place.templates.forget_sent()
        return [outgoing for place in self._domains.values() for outgoing in self._all(place, moment, 0)]

    def describe(
        self, elements: Iterable[InformationElement], domain: int = 0, *, now: float, stream: int = 0
    ) -> list[Outgoing]:
        """Type information records of elements (RFC 5610), without those that this session has sent already."""
        if self.dialect is not IPFIX:
            raise EncodeError(f"{self.dialect.name} has no type information (RFC 5610 is about IPFIX)")
        place = self._domain(domain, stream)
        return self._announce(place, [], self._news(elements), self._clock.at(now), stream)

    def statistics(self, now: float, domain: int = 0, *, stream: int = 0) -> list[Outgoing]:
        """An option record with how many Messages, Flow Records and octets the domain has sent (RFC 7011 §4.1)."""
        counters = self._domain(domain).tally.counters
        record = {
            "observationDomainId": domain,
            "exportedMessageTotalCount": counters["messages"],
            "exportedFlowRecordTotalCount": counters["flow_records"],
            "exportedOctetTotalCount": counters["octets"],
        }
        template = self.template(statistics_template(), domain)
        return self.send_records(template, [record], domain, now=now, stream=stream)

    def snapshot(self) -> SavedExport:
        """Templates that were sent, and the next sequence numbers (of stream 0)."""
        return SavedExport(
            tuple((place.id, template) for place in self._domains.values() for template in place.templates.sent()),
            {place.id: place.tally.sequences[0] for place in self._domains.values()},
        )

    def restore(self, saved: SavedExport) -> None:
        """Go on where another session, or a file that was read, ended: its Templates are known to the reader."""
        for domain, template in saved.templates:
            place = self._domain(domain)
            place.templates.mark_sent([self.template(template, domain, template.id)], 0.0)
        for domain, sequence in saved.sequences.items():
            self._domain(domain).tally.sequences[0] = sequence

    # --- what is due ---

    def _due(self, place: ExportDomain, moment: Moment, stream: int) -> list[Outgoing]:
        """Announcements before the next data: all Templates if it is time to, else the new ones."""
        repeat = self.repeats_templates and self._refresh.messages and place.since >= self._refresh.messages
        if repeat or self._is_due_by_time(place, moment.now):
            return self._all(place, moment, stream)
        pending = place.templates.pending()
        return self._announce(place, pending, self._unknown(pending), moment, stream)

    def _is_due_by_time(self, place: ExportDomain, now: float) -> bool:
        if not self.repeats_templates or not self._refresh.seconds or not place.templates.sent():
            return False
        return now >= place.refreshed + self._refresh.seconds

    def _all(self, place: ExportDomain, moment: Moment, stream: int) -> list[Outgoing]:
        return self._announce(place, list(place.templates), self._everything(place), moment, stream)

    def _everything(self, place: ExportDomain) -> list[InformationElement]:
        """Elements to describe with all Templates: those that were described here, and new ones."""
        return list((place.described | {e.key: e for e in self._unknown(place.templates)}).values())

    def _unknown(self, templates: Iterable[Template]) -> list[InformationElement]:
        if not self._describes:
            return []
        # the name of an element may be longer than a datagram; nobody has asked for that record in particular
        message = OpenMessage(self.dialect, self.mtu, self._align)
        found = self._news(to_describe(templates))
        return [e for e in found if message.fits(FIRST_DATA_SET, len(type_octets(e)))]

    def _news(self, elements: Iterable[InformationElement]) -> list[InformationElement]:
        return list({e.key: e for e in elements if e.key not in self._described}.values())

    def _announce(
        self,
        place: ExportDomain,
        templates: list[Template],
        elements: list[InformationElement],
        moment: Moment,
        stream: int,
    ) -> list[Outgoing]:
        if not templates and not elements:
            return []
        is_all = len(templates) == len(place.templates)
        items = list(announcement(place, templates, elements, self.dialect, self.registry))
        out = self._items(place, items, moment, stream)
        self._described.update(e.key for e in elements)
        place.described.update((e.key, e) for e in elements)
        place.templates.mark_sent(templates, moment.now)
        if elements:
            place.templates.mark_sent([t for t in place.templates.pending() if t == type_template()], moment.now)
        if is_all:
            place.refreshed, place.since = moment.now, 0
        return out

    def _withdrawals(
        self, place: ExportDomain, ids: list[tuple[int, int]], moment: Moment, stream: int
    ) -> list[Outgoing]:
        items = [Item(set_id, id.to_bytes(2, "big") + bytes(2), Kind.TEMPLATE) for set_id, id in ids]
        place.tally.count(withdrawals=len(items))
        return self._items(place, items, moment, stream)

    # --- Messages ---

    def _items(self, place: ExportDomain, items: list[Item], moment: Moment, stream: int) -> list[Outgoing]:
        """Records of any kind, a few, as Messages."""
        if not items:
            return []
        return [self._writing(place, moment, stream).laid(self._lay(items))]

    def _lay(self, items: list[Item]) -> Laid:
        return Laid.of(lay_out(items, self.dialect, self.mtu, self._align))

    def _data(self, place: ExportDomain, encoded: Encoded, moment: Moment, stream: int) -> list[Outgoing]:
        """Data, and between them Templates again wherever so many Messages have gone by."""
        every, count = self._refresh.messages if self.repeats_templates else 0, len(encoded)
        cuts = np.arange(every - place.since, count, every) if every else np.empty(0, np.int64)
        again = None
        if len(cuts):
            elements = self._everything(place)
            again = self._lay(list(announcement(place, place.templates, elements, self.dialect, self.registry)))
            place.refreshed = moment.now
        place.since = count - int(cuts[-1]) if len(cuts) else place.since + count
        return self._writing(place, moment, stream).data(encoded, again, cuts)

    def _writing(self, place: ExportDomain, moment: Moment, stream: int) -> Writing:
        return Writing(self.dialect, place, moment, stream, self.sampling)

    def _check(self, encoded: Encoded, place: ExportDomain) -> None:
        self._check_known(encoded.template, place)
        largest = int((encoded.begin[1:] - encoded.begin[:-1]).max(initial=0))
        if encoded.room.header != record_header(self.dialect) or largest > self.mtu:
            detail = f"a header of {encoded.room.header} octets and Messages of up to {largest}"
            raise EncodeError(f"the records are laid out for {detail}; use the room of this session")

    def _check_known(self, template: Template, place: ExportDomain) -> None:
        known = place.templates.has(template) if self.dialect.has_sets else template == self._fixed(template)
        if not known:
            detail = f"Template {template.id} is not one of domain {place.id}; `session.template` makes it one"
            raise EncodeError(detail)

    def _fixed(self, template: Template) -> Template:
        for fixed in fixed_templates(self.dialect.version).values():
            if fixed == template:
                return fixed
        raise EncodeError(f"{self.dialect.name} has records of one layout only: see wire.legacy.fixed_templates")

    def _domain(self, id: int, stream: int = 0) -> ExportDomain:
        if stream and self.transport is not Transport.SCTP:
            raise EncodeError(f"there are no streams in {self.transport}")
        if type(id) is not int:
            id = whole(id, "domain")
        found = self._domains.get(id)
        if found is None:
            bits = 8 * (self.dialect.domain or (0, 0))[1]
            if not 0 <= id < 1 << bits:
                raise EncodeError(f"{id} is no domain of {self.dialect.name}, which has {bits} bits for it")
            rest_s = 0.0 if self.withdraws_templates else self._refresh.rest_s
            templates = ExportedTemplates(self._first_id, rest_s)
            found = self._domains[id] = ExportDomain(id, templates, Tally(self.counters))
        return found


def _set_of(template: Template) -> int:
    return OPTIONS_TEMPLATE_SET if template.scope_count else TEMPLATE_SET
