"""Records on their way to an Exporter's queues: parts of one domain, Templates with ids, Messages laid out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

import numpy as np

from headwater.batch.batch import Batch
from headwater.batch.encode import Encoder
from headwater.batch.incoming import chunks_of, columns_of, split_nulls
from headwater.batch.schema import Schema
from headwater.batch.to_netflow import NetflowReport, to_netflow5, to_netflow9
from headwater.batch.translating import RESOLVED, translated
from headwater.errors import EncodeError, HeadwaterError
from headwater.process.reading import Reading
from headwater.process.writing_parts import described, parts_of
from headwater.session.export_templates import template_of
from headwater.session.exporting import ExportSession
from headwater.session.key import Transport
from headwater.wire.dialect import DIALECTS, FIRST_DATA_SET, IPFIX, NETFLOW5

if TYPE_CHECKING:
    from headwater.batch.incoming_columns import Incoming
    from headwater.batch.incoming_template import Lengths
    from headwater.batch.lists import Values
    from headwater.model.registry import Registry
    from headwater.model.template import Template
    from headwater.process.exporting_destination import Destination
    from headwater.process.exporting_pieces import Piece
    from headwater.process.exporting_policies import Policy
    from headwater.session.exporting import Specs
    from headwater.session.outgoing import Encoded, Room
    from headwater.wire.dialect import Dialect

RELATIVE = frozenset({(0, 158), (0, 159)})
"""flowStartDeltaMicroseconds and flowEndDeltaMicroseconds."""

Nulls = Literal["error", "zero", "split"]
Offer = tuple["Destination", "Encoded", int]

_USUAL_MTU: Final = 1400
"""Octets of Messages that the paths of most networks have room for, and their headers."""


class Part(NamedTuple):
    """Records of one domain. is_decoded: they came from the wire, and what a null hides goes out as it came."""

    incoming: Incoming
    domain: int
    is_decoded: bool


class Offers(NamedTuple):
    """What destinations are to be offered. records: how many they are, each counted once."""

    records: int
    each: list[Offer]


class Said(NamedTuple):
    """Records as a version says them, with a Template that has its id."""

    template: Template
    columns: Sequence[Values]
    count: int  # type: ignore[assignment]  # no tuple needs to count its items


class Parts:
    """Gives Templates their ids, which are the same in the sessions of all collectors, and lays records out.

    booted: what NetFlow counts the times of flows from. netflow: what it could not be told. left_out: columns of
    NetFlow that IPFIX has no word for, and why.
    """

    def __init__(
        self,
        domain: int | None,
        registry: Registry | None,
        lengths: Lengths,
        nulls: Nulls,
        booted: float,
        clock: Callable[[], float],
        *,
        allow_rounding: bool,
    ) -> None:
        if nulls not in ("error", "zero", "split"):
            raise HeadwaterError(f"nulls must be 'error', 'zero' or 'split', not {nulls!r}")
        of_encoder: Literal["error", "zero"] = "zero" if nulls == "zero" else "error"
        self.netflow = NetflowReport()
        self.left_out: dict[str, str] = {}
        self._domain, self._lengths, self._nulls, self._booted = domain, lengths, nulls, booted
        self._clock, self._allow_rounding = clock, allow_rounding
        self._encoder, self._lossless = Encoder(nulls=of_encoder), Encoder(nulls=of_encoder, lossless=True)
        self._items: dict[tuple[Template, int], None] = {}
        self._ids = {
            version: ExportSession(Transport.FILE, dialect=DIALECTS[version], registry=registry)
            for version in (10, 9, 5)
        }
        self._registry = self._ids[IPFIX.version].registry

    def of(self, data: Any, template: Specs | None, domain: int | None, *, for_netflow: bool) -> Iterator[Part]:
        """The data in parts. for_netflow: somebody gets NetFlow, and so needs to know what times of flows mean."""
        wanted = None if template is None else template_of(template, self._registry)
        is_decoded = isinstance(data, Reading | Batch)
        for part in parts_of(data, self._domain if domain is None else domain):
            for incoming in self._incoming(part.data, wanted, for_netflow=for_netflow):
                if is_decoded:
                    _refuse_relative(incoming)
                yield Part(incoming, part.domain, is_decoded)

    def template(self, template: Specs, domain: int, id: int | None = None, dialect: Dialect = IPFIX) -> Template:
        """The Template with the id that it has everywhere: its own, if it has one that nobody else has."""
        made, ids = template_of(template, self._registry), self._ids[dialect.version]
        if id is None and made.id >= FIRST_DATA_SET:
            with suppress(EncodeError):
                return ids.template(made, domain, made.id)
        return ids.template(made, domain, id)

    def offers(self, part: Part, policy: Policy, destinations: Sequence[Destination]) -> Offers:
        """The Messages for each destination. Raises EncodeError, and then there are none."""
        if not destinations:
            raise HeadwaterError("there is no collector to send to; add one")
        for destination in destinations:
            for template in destination.own_templates:
                destination.template(self.template(template, part.domain), part.domain)
        incoming = part.incoming
        pieces = [piece for _, piece in split_nulls(incoming)] if self._nulls == "split" else [incoming]
        offers: list[Offer] = []
        for piece in pieces:
            if piece.count:
                offers += self._offers(piece, part, policy, destinations)
        return Offers(incoming.count, offers)

    def same_in(self, destination: Destination) -> Callable[[Piece], Template]:
        """Gives the Template of a piece, and those of lists, their ids in another session."""
        for template, domain in list(self._items):
            destination.template(template, domain)
        return lambda piece: destination.template(piece.encoded.template, piece.domain)

    def _incoming(self, data: Any, wanted: Template | None, *, for_netflow: bool) -> Iterator[Incoming]:
        registry = self._registry
        data = _with_known_times(data, for_netflow=for_netflow)
        said = translated(data, registry) if wanted is None else None
        if said is not None:
            self.left_out.update(said.left_out)
            # NetFlow v5 has residual nanoseconds, from which times of flows are counted in milliseconds
            yield columns_of(said.columns, template=said.template, registry=registry, allow_rounding=True)
        else:
            yield from chunks_of(data, template=wanted, registry=registry, allow_rounding=self._allow_rounding)

    def _offers(
        self, incoming: Incoming, part: Part, policy: Policy, destinations: Sequence[Destination]
    ) -> Iterator[Offer]:
        # what is made of a share is kept with it, so that no other one can have its id
        said: dict[tuple[int, int], tuple[Incoming, list[Said]]] = {}
        made: dict[tuple[int, Room], Encoded] = {}
        for destination, share in policy.shares(incoming, destinations):
            dialect = destination.dialect
            key = id(share), dialect.version
            if key not in said:
                said[key] = share, list(self._said(incoming, share, dialect, part.domain))
            for records in said[key][1]:
                own = destination.template(records.template, part.domain)
                room = destination.room(own, part.domain)
                laid = id(records), room
                if laid in made:
                    yield destination, replace(made[laid], buffer=made[laid].buffer.copy()), part.domain
                    continue
                encoder = self._lossless if part.is_decoded else self._encoder
                inner = self._inner(part.domain, destinations)
                try:
                    encoded = encoder.encode(
                        own, records.columns, records.count, room, inner, export_time=self._clock()
                    )
                except EncodeError as error:
                    raise _advised(error, destination.session.mtu) from None
                made[laid] = encoded
                yield destination, made[laid], part.domain

    def _said(self, whole: Incoming, share: Incoming, dialect: Dialect, domain: int) -> Iterator[Said]:
        """A share of the whole in the words of a version."""
        if dialect is IPFIX:
            yield Said(self.template(described(whole, self._lengths), domain), share.values, share.count)
            return
        if dialect is NETFLOW5 and share.scope_count:
            self.netflow.given += share.count
            self.netflow.record(f"{dialect.name} has no options", share.count)
            return
        convert = to_netflow5 if dialect is NETFLOW5 else to_netflow9
        for one in convert(share, booted=self._booted, overflow="saturate", report=self.netflow):
            yield Said(self.template(one.template, domain, dialect=dialect), one.columns, one.count)

    def _inner(self, domain: int, destinations: Sequence[Destination]) -> Callable[[Template], Template]:
        """Templates of lists have to be known to all who get the same Messages."""

        def known(inner: Template) -> Template:
            template = self.template(inner, domain)
            self._items[template, domain] = None
            for destination in destinations:
                if destination.dialect is IPFIX:
                    destination.template(template, domain)
            return template

        return known


def _with_known_times(data: Any, *, for_netflow: bool) -> Any:
    """A Batch without the columns of `resolve_time` where they are not needed, or null somewhere and cannot be sent."""
    if not isinstance(data, Batch):
        return data
    derived = [name for name in RESOLVED if name in data.schema.names]
    is_ipfix = bool((data._messages.version == IPFIX.version).all())
    if not derived or not ((is_ipfix and not for_netflow) or any(np.ma.is_masked(data[name]) for name in derived)):
        return data
    kept = [column for column in data.schema if column.name not in RESOLVED]
    return data.with_columns(data.template, Schema(tuple(kept)), [data[column.name] for column in kept])


def _advised(error: EncodeError, mtu: int) -> EncodeError:
    """The error with what to do about it, if a record is too large for Messages that could be larger."""
    if "a Message has room for" not in str(error) or mtu >= _USUAL_MTU:
        return error
    advice = f"give the collector a larger mtu, as in mtu={_USUAL_MTU}"
    return EncodeError(f"{error}; {advice}", column=error.column, row=error.row)


def _refuse_relative(incoming: Incoming) -> None:
    """Raise EncodeError for times that would be other ones: Messages are sent with the Export Time of then."""
    for name, element in zip(incoming.names, incoming.elements, strict=True):
        if element.key in RELATIVE:
            detail = "is relative to the Export Time of its Message, which is another one when it is sent again"
            raise EncodeError(f"column {name!r} {detail}; leave it out", column=name)
