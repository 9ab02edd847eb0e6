"""MessageBuilder: Messages of IPFIX written by hand, record by record, with a way back (RFC 7011 §3)."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from headwater.errors import EncodeError
from headwater.model.template import Template
from headwater.session.export_arguments import alignment, domain_of, seconds, sixteen_bits, whole
from headwater.session.export_tally import Tally
from headwater.session.open_message import Item, Kind, Mark, OpenMessage, too_long
from headwater.wire.dialect import FIRST_DATA_SET, IPFIX, MAX_MESSAGE, OPTIONS_TEMPLATE_SET, SET_HEADER, TEMPLATE_SET
from headwater.wire.record_out import write_value
from headwater.wire.templates import write_template

_HEADER: Final = struct.Struct("!HHIII")


class RecordBuilder:
    """One record on its way: values by name, in any order."""

    def __init__(self, template: Template, fixed: Mapping[str, bytes], export_time: int | None = None) -> None:
        self._export_time = export_time
        self._fields = dict(zip(template.column_names, template.fields, strict=True))
        self._octets = dict(fixed)
        self._put: set[str] = set()

    def put(self, name: str, value: Any) -> None:
        """Give a field its value, once; an element that the Template has several times is put as often.

        A list is given as its octets. Raises EncodeError: no such field, it has its value, the value does not fit.
        """
        column = name
        count = 1
        while column in self._put and f"{name}#{count + 1}" in self._fields:
            count += 1
            column = f"{name}#{count}"
        if column not in self._fields:
            raise EncodeError(f"the Template has no {name}; it has {', '.join(self._fields)}", column=name)
        if column in self._put:
            raise EncodeError(f"{column} has its value already", column=column)
        self._octets[column] = write_value(self._fields[column], value, self._export_time)
        self._put.add(column)

    def octets(self) -> bytes:
        """The record. Raises EncodeError if a value is missing."""
        missing = [name for name in self._fields if name not in self._octets]
        if missing:
            raise EncodeError(f"the record has no {', '.join(missing)}", column=missing[0])
        return b"".join([self._octets[name] for name in self._fields])


class MessageBuilder:
    """Full control over where Sets and Messages begin; nothing is repeated, announced or put in order.

    mtu: octets of a Message at most. A record that does not fit any more finishes the Message, and goes into the next
    one of the same domain and Export Time. on_message: takes each Message that is finished; without it they are kept
    until `flush`. tally: gives the sequence numbers of a domain, for example `ExportSession.tally`.
    align: Sets are padded to a multiple of it.
    """

    def __init__(
        self,
        *,
        mtu: int = MAX_MESSAGE,
        on_message: Callable[[bytes], object] | None = None,
        tally: Callable[[int], Tally] | None = None,
        align: int = 1,
    ) -> None:
        if not IPFIX.header + SET_HEADER < whole(mtu, "mtu") <= MAX_MESSAGE:
            raise EncodeError(f"mtu is {mtu}; Messages have from 21 to {MAX_MESSAGE} octets")
        self.mtu = mtu
        self.domain = 0
        self.export_time = 0
        self._align = alignment(align)
        self._finished: list[bytes] = []
        self._on_message = on_message or self._finished.append
        self._tallies: dict[int, Tally] = {}
        self._tally = tally or self._own_tally
        self._message: OpenMessage | None = None
        self._before_set: Mark | None = None
        self._options: set[tuple[int, int]] = set()
        self._fixed: dict[Template, dict[str, bytes]] = {}
        self._number = 0

    def begin(self, domain: int = 0, export_time: float = 0.0) -> None:
        """Start a Message; one that is open is finished. export_time: seconds since 1970."""
        number, time = domain_of(domain), int(seconds(export_time, "export_time"))
        self._finish()
        self.domain, self.export_time = number, time
        self._start()

    def template(self, template: Template) -> None:
        """Add an (Options) Template record."""
        if template.scope_count:
            self._options.add((self.domain, template.id))
        set_id = OPTIONS_TEMPLATE_SET if template.scope_count else TEMPLATE_SET
        self._add(Item(set_id, write_template(template), Kind.TEMPLATE))

    def withdraw(self, template_id: int, *, options: bool = False) -> None:
        """Add a withdrawal: of one Template, or of all with the id 2, or of all Options Templates with 3 (§8.1)."""
        set_id = OPTIONS_TEMPLATE_SET if options or template_id == OPTIONS_TEMPLATE_SET else TEMPLATE_SET
        octets = sixteen_bits(template_id, "template_id").to_bytes(2, "big")
        self._add(Item(set_id, octets + bytes(2), Kind.TEMPLATE))

    def ensure_set(self, set_id: int) -> None:
        """What is added from now on goes into a Set of that id: the open one, or a new one."""
        message = self._open()
        if not message.set_at or message.set_id != set_id:
            self.new_set(set_id)

    def new_set(self, set_id: int) -> None:
        """Start a Set, even if one of the same id is open; it disappears if nothing is added to it."""
        message, number = self._open(), sixteen_bits(set_id, "set_id")
        self._before_set = message.mark()
        message.open_set(number)

    def add(self, octets: bytes) -> None:
        """Add the octets of one Data Record to the open Set."""
        message = self._open()
        set_id = message.set_id
        if not message.set_at or set_id < FIRST_DATA_SET:
            raise EncodeError("no Data Set is open; ensure_set opens one")
        self._add(Item(set_id, octets, Kind.OPTION if (self.domain, set_id) in self._options else Kind.FLOW))

    def fix(self, template: Template, values: Mapping[str, Any]) -> None:
        """Values that all records of the Template have, unless they are given others: repeated in each of them.

        `common_properties` is the other way to say what many records have in common: it sends it only once.
        """
        fields = dict(zip(template.column_names, template.fields, strict=True))
        unknown = [name for name in values if name not in fields]
        if unknown:
            raise EncodeError(f"the Template has no {unknown[0]}; it has {', '.join(fields)}", column=unknown[0])
        self._fixed[template] = {name: write_value(fields[name], value) for name, value in values.items()}

    @contextmanager
    def record(self, template: Template) -> Iterator[RecordBuilder]:
        """One record, added when the block ends; an exception undoes whatever the block has added to the Message."""
        mark = self.mark()
        try:
            record = RecordBuilder(template, self._fixed.get(template, {}), self.export_time)
            yield record
            octets = record.octets()
            self.ensure_set(template.id)
            self._add(Item(template.id, octets, Kind.OPTION if template.scope_count else Kind.FLOW))
        except BaseException:
            if mark[0] == self._number:  # else its Message is finished, and what was added since is a new one's
                self.rollback(mark)
            else:
                self.cancel_message()
            raise

    def mark(self) -> tuple[int, Mark]:
        """A point of the open Message to come back to."""
        return self._number, self._open().mark()

    def rollback(self, mark: tuple[int, Mark]) -> None:
        """Forget all that was added after the mark.

        Raises EncodeError if the Message of the mark is finished: its octets are no longer ours.
        """
        if mark[0] != self._number:
            raise EncodeError("the Message of the mark is finished, so there is no way back to it")
        self._open().rollback(mark[1])
        self._before_set = None

    def cancel_set(self) -> None:
        """Forget the open Set with its records, as far as they are in the open Message."""
        message = self._open()
        if not message.set_at or self._before_set is None:
            raise EncodeError("no Set is open, or it was before a rollback")
        message.rollback(self._before_set)
        message.close_set()
        self._before_set = None

    def cancel_message(self) -> None:
        """Forget all that is in the open Message."""
        self._open()
        self._start()

    def flush(self) -> bytes:
        """Finish the open Message; returns all that are finished, back to back, if nobody else takes them."""
        self._finish()
        octets = b"".join(self._finished)
        self._finished.clear()
        return octets

    def _open(self) -> OpenMessage:
        if self._message is None:
            raise EncodeError("no Message is open; begin opens one")
        return self._message

    def _start(self) -> None:
        self._message = OpenMessage(IPFIX, self.mtu, self._align)
        self._before_set = None
        self._number += 1

    def _add(self, item: Item) -> None:
        message = self._open()
        if not message.fits(item.set_id, len(item.octets)):
            if not OpenMessage(IPFIX, self.mtu, self._align).fits(item.set_id, len(item.octets)):
                raise EncodeError(too_long(item, IPFIX, self.mtu))
            self._finish()
            self._start()
            message = self._open()
        if not message.set_at or message.set_id != item.set_id:
            self.new_set(item.set_id)
        message.add(item)

    def _finish(self) -> None:
        """Hand the open Message over, if there is anything in it."""
        message, self._message = self._message, None
        if message is None or message.is_empty:
            return
        part = message.finish()
        tally = self._tally(self.domain)
        sequence = tally.advance(0, part.records)
        header = _HEADER.pack(IPFIX.version, len(part.octets), self.export_time, sequence, self.domain)
        tally.count(
            messages=1,
            records=part.records,
            flow_records=part.flows,
            octets=len(part.octets),
            templates=part.templates,
        )
        self._on_message(header + part.octets[IPFIX.header :])

    def _own_tally(self, domain: int) -> Tally:
        return self._tallies.setdefault(domain, Tally())
