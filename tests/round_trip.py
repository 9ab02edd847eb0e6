"""What was decoded is encoded again, in two ways, and nothing may be lost on either.

1. With the same cuts: every Set of every Message is made again of what was decoded from it, and the Messages are the
   same octets. Values that columns do not keep in the form they came in are copied (Encoder.copy), and counted.
2. Through an ExportSession, which cuts as it likes: a collector reads the same Templates and the same records.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from headwater.batch import Decoder
from headwater.batch.encode import Encoder
from headwater.errors import DecodeError, EncodeError
from headwater.model.element import NETFLOW_PADDING, NETFLOW_SCOPE_PEN
from headwater.model.netflow import netflow_key, widened
from headwater.model.registry import Registry
from headwater.model.template import Field, Template
from headwater.model.types import DataType
from headwater.session import DataSets, Session, TemplateLearned, TemplateWithdrawn
from headwater.session.exporting import ExportSession
from headwater.session.outgoing import Encoded, Room
from headwater.wire.dialect import DIALECTS, IPFIX, NETFLOW5, NETFLOW9, Dialect
from headwater.wire.netflow import read_netflow_templates
from headwater.wire.netflow_out import write_netflow_template
from headwater.wire.templates import TemplateRecord, read_templates, write_template
from tests.batch.again import columns_of, each_set, records_of, shown

BARE: Final = Room(0, 1 << 30)
"""Room for all records of a Set, without headers."""
_NTP: Final = (DataType.MICROSECONDS, DataType.NANOSECONDS)
_STEP_S: Final = 10_000.0
"""Later than any id of a Template that was given up has to rest."""


@dataclass
class RoundTrip:
    """How it went.

    identical: Messages that were made again octet for octet, of `messages`. copied: of the records those that have
    values in a form of their own, by why. undecoded: Sets of which there is no record: nobody knows their Template.
    unsendable: why Templates and records cannot go out through a session. differences: all else.
    """

    messages: int = 0
    identical: int = 0
    records: int = 0
    copied: Counter[str] = field(default_factory=Counter)
    undecoded: int = 0
    unsendable: Counter[str] = field(default_factory=Counter)
    differences: list[str] = field(default_factory=list)

    def add(self, other: RoundTrip) -> None:
        """Add up what happened elsewhere."""
        self.messages += other.messages
        self.identical += other.identical
        self.records += other.records
        self.copied += other.copied
        self.undecoded += other.undecoded
        self.unsendable += other.unsendable
        self.differences += other.differences


def round_trip(*chunks: bytes, transport: str = "udp") -> RoundTrip:
    """Decode datagrams, or one stream, and encode what was decoded."""
    out = RoundTrip()
    session = Session(transport=transport)
    sending: dict[int, _Sending] = {}
    again: dict[int, bytes] = {}
    stream = b"".join(chunks)
    for chunk in chunks:
        for event in session.receive(chunk, now=0.0):
            if isinstance(event, DataSets):
                for sets in each_set(event):
                    at = sets.messages.absolute(int(sets.message[0]), int(sets.start[0]))
                    again[at] = _encoded(sets, out)
                    version = int(sets.messages.version[sets.message[0]])
                    sending.setdefault(version, _Sending(version, out)).data(sets)
            elif isinstance(event, TemplateLearned | TemplateWithdrawn):
                version = event.version if isinstance(event, TemplateLearned) else IPFIX.version
                sending.setdefault(version, _Sending(version, out)).template(event)
    at = 0
    for chunk in chunks:
        for start, end in messages_in(chunk):
            _compare(stream, at + start, at + end, again, session.registry, out)
        at += len(chunk)
    for sender in sending.values():
        sender.compare()
    return out


# ---------------------------------------------------------------- with the same cuts


def _encoded(sets: DataSets, out: RoundTrip) -> bytes:
    """The records of one Data Set, from columns if these keep all, else copied."""
    octets = records_of(sets)
    out.records += sets.num_records
    copied = Encoder().copy(sets.template, sets, BARE).buffer.tobytes()
    if copied != octets:
        out.differences.append(f"a copy of records of Template {sets.template.id} differs")
    batch = Decoder().decode(sets)
    try:
        encoded = Encoder(lossless=True).encode(sets.template, columns_of(batch), batch.num_rows, BARE)
    except EncodeError as refused:
        _assert_null(refused)
        out.copied["values that mean nothing"] += sets.num_records
        return octets
    if encoded.buffer.tobytes() == octets:
        return octets
    why = form_of(sets.template)
    if why is None:
        out.differences.append(f"records of Template {sets.template.id} differ:\n{sets.template}")
    else:
        out.copied[why] += sets.num_records
    return copied


def form_of(template: Template) -> str | None:
    """What of its records can be sent in several forms."""
    if NETFLOW_PADDING in [of.element for of in template.fields]:
        return "padding that is not zero"
    if template.has_variable:
        return "lengths before values"
    return "low bits of times" if any(of.type in _NTP for of in template.fields) else None


def _assert_null(refused: EncodeError) -> None:
    assert "null" in str(refused), refused


def messages_in(chunk: bytes) -> Iterator[tuple[int, int]]:
    """(start, end) of each Message, as far as the headers lead."""
    at = 0
    while len(chunk) - at >= 2:
        dialect = DIALECTS.get(int.from_bytes(chunk[at : at + 2], "big"))
        if dialect is None or len(chunk) - at < dialect.header:
            return
        end = at + int.from_bytes(chunk[at + 2 : at + 4], "big") if dialect is IPFIX else len(chunk)
        if end > len(chunk) or end < at + dialect.header:
            return
        yield at, end
        at = end


def _compare(chunk: bytes, start: int, end: int, again: dict[int, bytes], registry: Registry, out: RoundTrip) -> None:
    """One Message made again of its Sets."""
    dialect = DIALECTS[int.from_bytes(chunk[start : start + 2], "big")]
    made = chunk[start : start + dialect.header]
    if dialect.has_sets:
        made += b"".join(_sets(chunk, start + dialect.header, end, dialect, again, registry, out))
    else:
        made += _padded(again.get(start + dialect.header), chunk[start + dialect.header : end], out)
    out.messages += 1
    out.identical += made == chunk[start:end]
    if made != chunk[start:end]:
        out.differences.append(f"{dialect.name} {chunk[start:end].hex()} became {made.hex()}")


def _sets(
    chunk: bytes, at: int, end: int, dialect: Dialect, again: dict[int, bytes], registry: Registry, out: RoundTrip
) -> Iterator[bytes]:
    assert dialect.template_sets is not None
    while end - at >= 4:
        id, size = int.from_bytes(chunk[at : at + 2], "big"), int.from_bytes(chunk[at + 2 : at + 4], "big")
        if not 4 <= size <= end - at:
            break
        body = chunk[at + 4 : at + size]
        yield chunk[at : at + 4]
        if id in dialect.template_sets:
            records = b"".join(_template_records(body, dialect, id == dialect.template_sets[1], registry, out))
            yield records + body[len(records) :]
        else:
            yield _padded(again.get(at + 4), body, out)
        at += size
    yield chunk[at:end]  # no Set


def _padded(records: bytes | None, body: bytes, out: RoundTrip) -> bytes:
    """The records with what stands behind them; the body itself if nobody could decode it."""
    if records is None:
        out.undecoded += 1
        return body
    return records + body[len(records) :]


def _template_records(
    body: bytes, dialect: Dialect, is_options: bool, registry: Registry, out: RoundTrip
) -> Iterator[bytes]:
    read = read_templates if dialect is IPFIX else read_netflow_templates
    try:
        for record in read(body, options=is_options):
            if dialect is not IPFIX and record.is_withdrawal:
                raise EncodeError(f"Template {record.id} of NetFlow v9 has no fields")
            yield _template_again(record, dialect, registry)
    except (DecodeError, EncodeError) as wrong:
        out.unsendable[str(wrong)] += 1


def _template_again(record: TemplateRecord, dialect: Dialect, registry: Registry) -> bytes:
    if dialect is IPFIX:
        fields = [Field(registry.get(pen, id), length) for pen, id, length in record.specifiers]
        return write_template(Template(record.id, tuple(fields), record.scope_count))
    keys = [(pen, id) if pen == NETFLOW_SCOPE_PEN else netflow_key(id, registry) for pen, id, _ in record.specifiers]
    fields = [
        Field(widened(registry.get(*key), length), length)
        for key, (_, _, length) in zip(keys, record.specifiers, strict=True)
    ]
    return write_netflow_template(Template(record.id, tuple(fields), record.scope_count), registry)


# ---------------------------------------------------------------- through a session


class _Sending:
    """What came in goes out through an ExportSession of the same protocol, with the same ids in the same domains."""

    def __init__(self, version: int, out: RoundTrip) -> None:
        dialect = DIALECTS[version]
        self.out = out
        self.session: ExportSession | None = None
        if dialect in (IPFIX, NETFLOW9, NETFLOW5):
            self.transport = "tcp" if dialect is IPFIX else "udp"
            self.session = ExportSession(self.transport, dialect=dialect, mtu=65535, booted=0.0, monotonic=False)
        self.now = 0.0
        self.sent: list[bytes] = []
        self.known: dict[tuple[int, int], Template] = {}
        self.wanted: dict[tuple[int, int], list[Any]] = {}
        self.encoder = Encoder(lossless=True)

    def template(self, event: TemplateLearned | TemplateWithdrawn) -> None:
        """Learn, replace or withdraw a Template."""
        if self.session is None:
            return
        if isinstance(event, TemplateWithdrawn):
            for domain, id in list(self.known):
                kind = 3 if self.known[domain, id].scope_count else 2
                if domain == event.domain and event.template_id in (id, kind):
                    self._withdraw(domain, id)
            return
        key = event.domain, event.template.id
        try:
            if key in self.known and self.known[key] != event.template:
                self._withdraw(*key)
            self.known[key] = self.session.template(event.template, *key)
        except EncodeError as refused:
            self.out.unsendable[str(refused)] += 1

    def _withdraw(self, domain: int, id: int) -> None:
        assert self.session is not None
        self.sent += _octets(self.session.withdraw(self.known.pop((domain, id)), domain, now=self.now))
        self.now += _STEP_S
        self.sent += _octets(self.session.refresh(self.now))

    def data(self, sets: DataSets) -> None:
        """Send the records of one Data Set."""
        if self.session is None or not sets.num_records:
            return
        message = int(sets.message[0])
        domain = int(sets.messages.domain[message])
        self.now = max(self.now, float(sets.messages.export_time[message]))
        try:
            if not self._is_known(sets.template, domain):
                raise EncodeError(f"Template {sets.template.id} was refused")
            encoded = self._encoded(sets, domain)
        except EncodeError as refused:
            self.out.unsendable[str(refused)] += sets.num_records
            return
        self.wanted.setdefault((domain, sets.template.id), []).extend(_rows(sets))
        self.sent += _octets(self.session.send(encoded, domain, now=self.now))

    def _is_known(self, template: Template, domain: int) -> bool:
        assert self.session is not None
        try:
            registered = self.session.template(template, domain, template.id if template.id > 255 else None)
        except EncodeError:
            return False
        return registered == template

    def _encoded(self, sets: DataSets, domain: int) -> Encoded:
        assert self.session is not None
        room = self.session.room(sets.template, domain)
        batch = Decoder().decode(sets)
        try:
            return self.encoder.encode(sets.template, columns_of(batch), batch.num_rows, room)
        except EncodeError as refused:
            _assert_null(refused)
            return self.encoder.copy(sets.template, sets, room)

    def compare(self) -> None:
        """A collector reads the same."""
        if self.session is None:
            return
        collecting = Session(transport=self.transport)
        found: dict[tuple[int, int], list[Any]] = {}
        for octets in self.sent:
            for event in collecting.receive(octets, now=0.0):
                for sets in each_set(event) if isinstance(event, DataSets) else ():
                    domain = int(sets.messages.domain[sets.message[0]])
                    if (domain, sets.template.id) in self.wanted:
                        found.setdefault((domain, sets.template.id), []).extend(_rows(sets))
        for key, rows in self.wanted.items():
            if found.get(key) != rows:
                self.out.differences.append(
                    f"records of {key} went out as others: {_first_difference(rows, found.get(key))}"
                )


def _rows(sets: DataSets) -> Sequence[Any]:
    """Each record with its Template: Templates are equal if they mean the same on the wire."""
    rows, _ = shown(Decoder().decode(sets))
    return [(sets.template, tuple(row.items())) for row in rows]


def _octets(sent: Sequence[Any]) -> list[bytes]:
    return [bytes(message) for outgoing in sent for message in outgoing.messages()]


def _first_difference(wanted: list[Any], found: list[Any] | None) -> str:
    if found is None or len(found) != len(wanted):
        return f"{len(wanted)} records, {0 if found is None else len(found)} came"
    return next(f"{a} is {b}" for a, b in zip(wanted, found, strict=True) if a != b)
