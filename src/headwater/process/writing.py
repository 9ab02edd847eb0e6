"""Writing: records of any form to IPFIX files (RFC 5655) that survive what happens to the process that writes them."""

from __future__ import annotations

import contextlib
import logging
import os
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal, Self

import numpy as np

from headwater.batch.batch import Batch
from headwater.batch.encode import Encoder
from headwater.batch.incoming import chunks_of, columns_of, split_nulls
from headwater.batch.translating import translated
from headwater.errors import EncodeError, HeadwaterError, SourceError
from headwater.model.template import Template
from headwater.process.writing_checks import Time, behind, check_domain, check_record, seconds_of, without_row
from headwater.process.writing_files import Target
from headwater.process.writing_options import message_records, session_records
from headwater.process.writing_output import Output
from headwater.process.writing_parts import described, parts_of
from headwater.session.export_templates import template_of
from headwater.session.exporting import ExportSession
from headwater.session.key import Transport
from headwater.session.message_builder import MessageBuilder
from headwater.session.outgoing import Encoded, Outgoing
from headwater.sinks.ipfix_message_records import octets_of
from headwater.wire.dialect import MAX_MESSAGE

if TYPE_CHECKING:
    from headwater.batch.incoming_columns import Incoming
    from headwater.batch.incoming_template import Lengths
    from headwater.model.registry import Registry
    from headwater.session.exporting import Specs
    from headwater.sinks.ipfix_rotation import Rotation
    from headwater.sinks.output import Writable

Nulls = Literal["error", "zero", "split"]

_ROWS: Final = 4096
"""Records that `add` keeps until they are written together: one by one they would cost a hundred times as much."""

_log = logging.getLogger(__name__)


class Writer:
    """Writes IPFIX files (RFC 5655): Templates first, then records of any form.

        with hw.Writer("flows.ipfix.gz") as w:
            w.write(table)  # of pyarrow, polars, DuckDB, pandas; a Batch; what hw.read returns
            w.write([{"sourceIPv4Address": "192.0.2.1", "octetDeltaCount": 1500}])
            w.add({"sourceIPv4Address": "192.0.2.2", "octetDeltaCount": 60})  # one at a time
            w.flush()  # what is written so far is safe now

    A new file gets its name when it is first flushed, or else when it is closed: until then another file of that name
    stays as it is. What `flush` confirmed stays, even if the process is killed or the machine stops; behind it there
    may then be a part of a Message, which every reader reports and append=True cuts off. A write that fails (full disk)
    raises one SourceError, as all do after it; the file ends with the last whole Message before it, a compressed one
    perhaps with fewer of those since the last flush, and can still be read.
    Nothing is opened before the first write, or `with`. An exception in the block of `with` before any record was
    written leaves what was there, as `abandon` does.

    path: a path, "-" for standard output, or a file object. domain: the Observation Domain of all records; None = that
        of each Batch, 0 for other data. force: replace a file that exists.
    append: add to a file if it exists: its Templates, ids and sequence numbers go on. `warnings` tells what was cut.
    compression: "gzip", "bzip2", "xz", "zstd", "lz4" or "none"; None = what the name ends with (.gz, .bz2, .xz, .zst,
        .lz4). Each flush ends a member of the compressed file, so flushing often costs space.
    rotate: when to go on in another file, each of which can be read alone. Their names come from that of `path`: with
        %Y%m%d%H%M%S and the like it is a pattern for the time (UTC) at which a file is begun, otherwise they are
        numbered, flows-000001.ipfix. A file is called NAME.part until it is complete; what was flushed is in there, and
        the next Writer of the series finishes those of one that was killed.
    checksum: each Message has its MD5 (RFC 5655 §8.1.1). message_details: what else it says about itself, values by
        element name; True = the time at which it was written. session_details: what each new file says about itself
        (§8.1.3), such as {"exporterIPv4Address": "192.0.2.1"}. time_window: (from, to) of all Flows (§8.1.2).
    mtu: octets of a Message at most. registry: names and types, the shipped ones by default. describe: type information
        (RFC 5610) of enterprise elements goes before their first use.
    lengths: of fields whose length nobody has said: "native"; "auto" = the fewest octets that hold the values that are
        written together; or octets by column name. nulls: "error", "zero" in their place, or "split" = a Template for
        each set of columns that have values. allow_rounding: cut times to the unit of their element.
    clock: seconds since 1970, for export times that are not given.

    warnings: what was cut off the file added to, what a Writer that was killed has left unfinished, and what NetFlow
    has that IPFIX cannot say.
    """

    _transport: ClassVar = Transport.FILE

    def __init__(
        self,
        path: str | os.PathLike[str] | Writable,
        *,
        domain: int | None = None,
        append: bool = False,
        force: bool = False,
        compression: str | None = None,
        rotate: Rotation | None = None,
        checksum: bool = False,
        message_details: Mapping[str, Any] | bool = False,
        session_details: Mapping[str, Any] | None = None,
        time_window: tuple[Any, Any] | None = None,
        mtu: int = MAX_MESSAGE,
        registry: Registry | None = None,
        describe: bool = False,
        lengths: Lengths = "native",
        nulls: Nulls = "error",
        allow_rounding: bool = False,
        clock: Callable[[], float] = time.time,
    ) -> None:
        if nulls not in ("error", "zero", "split"):
            raise HeadwaterError(f"nulls must be 'error', 'zero' or 'split', not {nulls!r}")
        if type(mtu) is not int:
            raise HeadwaterError(f"mtu is a number of octets, not {mtu!r}")
        check_domain(domain)
        self.warnings: list[str] = []
        self._target = Target(path, compression, append, force, rotate)
        self._domain, self._registry, self._clock = domain, registry, clock
        self._lengths, self._nulls, self._allow_rounding = lengths, nulls, allow_rounding
        own = message_records(message_details, registry, checksum=checksum)
        described = list(session_records(session_details, time_window, registry))
        self._session = ExportSession(
            self._transport, mtu=mtu - octets_of(own), registry=registry, describe=describe, monotonic=False
        )
        self._output = Output(self._target, self._session, own, described, domain or 0, clock)
        self._encoder, self._again = (
            Encoder(nulls="zero" if nulls == "zero" else "error", lossless=lossless) for lossless in (False, True)
        )
        self._rows: dict[Any, list[Any]] = {}
        self._waiting = 0
        self._is_open = self._is_closed = self._is_flushed = False

    @property
    def records(self) -> int:
        """Data Records written."""
        return self._output.records

    @property
    def files(self) -> Sequence[str]:
        """Names of the files that were begun."""
        return tuple(self._output.names)

    def __enter__(self) -> Self:
        self._open()
        return self

    def __exit__(self, kind: type[BaseException] | None, bad: BaseException | None, at: TracebackType | None) -> None:
        if kind is None:
            self.close()
        else:  # what was written before stays; what else goes wrong is not what the caller should see
            with contextlib.suppress(HeadwaterError):
                self._close(is_whole=False)

    def __del__(self) -> None:
        if getattr(self, "_is_open", False) and not self._is_closed:  # it may not have come as far as that
            warnings.warn(f"{self!r} was not closed", ResourceWarning, source=self, stacklevel=2)
            with contextlib.suppress(HeadwaterError):
                self.close()

    def __repr__(self) -> str:
        state = "closed" if self._is_closed else "open" if self._is_open else "not begun"
        return f"<Writer to {self._target.name}: {self.records:,} records, {state}>"

    def template(self, template: Specs, domain: int | None = None, id: int | None = None) -> Template:
        """A Template of the file, of IESpecs or another; the same content has the same id, unless one is asked for.

        It is written before the next records of the domain. Raises EncodeError if `id` is another's.
        """
        self._open()
        return self._output.template(self._parsed(template), self._domain_of(domain), id)

    def write(
        self, data: Any, template: Specs | None = None, *, domain: int | None = None, export_time: Time | None = None
    ) -> int:
        """Write records; how many.

        data: a Batch, a Reading, anything that hands over Arrow, a mapping of names to columns, or an iterable of
            dicts, tuples, mapped objects or Batches. headwater.batch.incoming says what columns are called.
        template: what the records are to be; None = what the data need. export_time: of the Messages, None = now.
        Raises EncodeError for a value that cannot go on the wire, and then nothing is written of the part it is in: of
        all, but that Arrow streams and iterables are written in parts. SourceError: the file cannot be written.
        """
        self._open()
        self._write_rows()
        before = self.records
        wanted = None if template is None else self._parsed(template)
        given = seconds_of(export_time)
        check_domain(domain)
        for part in parts_of(data, self._domain if domain is None else domain):
            now = next((time for time in (given, part.export_time) if time is not None), self._clock())
            found = translated(part.data, self._session.registry, part.domain) if wanted is None else None
            if found is not None:
                self._tell(found.left_out)
                incoming = self._columns(found.columns, found.template, allow_rounding=True)
                self._write(incoming, part.domain, now, nulls="split")  # not each record has each time
                continue
            how = {"registry": self._session.registry, "allow_rounding": self._allow_rounding}
            is_decoded, done = isinstance(part.data, Batch), 0
            try:
                for incoming in chunks_of(part.data, template=wanted, **how):
                    self._write(incoming, part.domain, now, is_decoded=is_decoded)
                    done += incoming.count
            except EncodeError as bad:
                if not done:
                    raise
                raise behind(bad, done) from bad
        return self.records - before

    def add(self, record: Any, template: Specs | None = None, *, domain: int | None = None) -> None:
        """Take one record: a dict, a tuple (with a Template) or a mapped object, not to be changed after that.

        It is written with others, some thousand later, or by `flush` or `close`; only then a value that cannot go on
        the wire is told. See `record` for one that is checked at once. Raises EncodeError for what is no record at all.
        """
        if self._is_closed or not self._is_open:
            self._open()
        if template is not None and not isinstance(template, Template):
            template = self._parsed(template)
        kind = tuple(record) if type(record) is dict or isinstance(record, Mapping) else type(record)
        key = template, domain, kind
        same = self._rows.get(key)
        if same is None:
            check_domain(domain)
            check_record(record, template)
            same = self._rows[key] = []
        same.append(record)
        self._waiting += 1
        if self._waiting >= _ROWS:
            self._write_rows()

    @contextlib.contextmanager
    def record(self, template: Specs, *, domain: int | None = None) -> Iterator[MutableMapping[str, Any]]:
        """A record to be filled in, value by value; it is taken when the block ends, and an exception forgets it.

            with w.record(template) as r:
                r["octetDeltaCount"] = 1500

        Raises EncodeError at the end of the block for a value that cannot go on the wire.
        """
        self._open()
        made = self._output.template(self._parsed(template), self._domain_of(domain))
        values: dict[str, Any] = {}
        yield values
        incoming = self._columns([values], made)
        self._encode(incoming, made, self._domain_of(domain), self._clock(), self._encoder)
        self.add(values, made, domain=domain)

    @contextlib.contextmanager
    def messages(self, *, domain: int | None = None, export_time: Time | None = None) -> Iterator[MessageBuilder]:
        """Messages of a domain written by hand, Set by Set, with Templates that `template` has given for that domain.

        The last one is finished when the block ends; an exception forgets it.
        """
        self._open()
        self._write_rows()
        place, given = self._domain_of(domain), seconds_of(export_time)
        now = self._clock() if given is None else given
        self._output.turn(now)
        self._output.announce(place, now)
        builder = MessageBuilder(mtu=self._session.mtu, on_message=self._put, tally=self._session.tally)
        before = self._session.counters["records"]
        builder.begin(place, now)
        try:
            yield builder
        except BaseException:
            with contextlib.suppress(EncodeError):  # none is open
                builder.cancel_message()
            raise
        finally:
            builder.flush()
            self._output.records += self._session.counters["records"] - before

    def flush(self) -> None:
        """When this returns, all that was written stays, whatever becomes of the process. Raises as `write` does."""
        self._check_open()
        self._write_rows()
        self._output.flush()
        self._is_flushed = True

    def close(self) -> None:
        """Write what is left, and let go of the file; one without records has a Message without Sets.

        Raises as `write` does; the file is let go of all the same, as by `abandon` if no record was ever written.
        """
        self._close(is_whole=True)

    def abandon(self) -> None:
        """Let go of the file without what is left to write; nothing is left of a new one that was never flushed."""
        self._is_closed = True
        self._output.abandon()

    def _close(self, *, is_whole: bool) -> None:
        """is_whole: what is there is what should be, even if it is nothing."""
        if self._is_closed or not self._is_open:
            self._is_closed = True
            return
        try:
            self._write_rows()
        except BaseException:
            is_whole = False
            raise
        finally:
            self._is_closed = True
            if is_whole or self.records or self._is_flushed:
                self._output.close()
            else:
                self._output.abandon()

    def _check_open(self) -> None:
        if self._is_closed:
            raise HeadwaterError(f"the Writer to {self._target.name} is closed")

    def _open(self) -> None:
        self._check_open()
        if self._is_open:
            return
        self.warnings += self._target.finish_others(self._registry)
        found = self._target.found(self._registry)
        if found is not None:
            self._session.restore(found.state)
            self._session.registry = found.registry
            if found.torn:
                self.warnings.append(f"{found.path}: cut off behind octet {found.octets:,}: {found.torn}")
        for warning in self.warnings:
            _log.warning("%s", warning)
        self._output.open(found)
        self._is_open = True

    def _write_rows(self) -> None:
        """Write what `add` has taken. A record that cannot go on the wire is told when all others are written."""
        rows, self._rows, self._waiting = self._rows, {}, 0
        wrong = [
            bad for (template, domain, _), some in rows.items() for bad in self._write_some(some, template, domain)
        ]
        if wrong:
            if len(wrong) > 1:
                wrong[0].add_note(f"{len(wrong):,} of the records that were added are left out")
            raise wrong[0]

    def _write_some(self, rows: list[Any], template: Template | None, domain: int | None) -> Iterator[HeadwaterError]:
        """Write all that can go on the wire; what is wrong with the others, which are found by halving."""
        try:
            incoming = self._columns(rows, template, allow_rounding=self._allow_rounding)
            self._write(incoming, self._domain_of(domain), self._clock())
        except SourceError:
            raise
        except HeadwaterError as bad:
            if len(rows) == 1:
                yield without_row(bad)
                return
            half = len(rows) // 2
            yield from self._write_some(rows[:half], template, domain)
            yield from self._write_some(rows[half:], template, domain)

    def _columns(self, data: Any, template: Template | None, **options: Any) -> Incoming:
        return columns_of(data, template=template, registry=self._session.registry, **options)

    def _tell(self, left_out: tuple[tuple[str, str], ...]) -> None:
        for name, why in left_out:
            warning = f"{name} is left out: {why}"
            if warning not in self.warnings:
                self.warnings.append(warning)

    def _write(
        self, incoming: Incoming, domain: int, now: float, *, is_decoded: bool = False, nulls: Nulls | None = None
    ) -> None:
        if incoming.count:
            for encoded in self._encoded(incoming, domain, now, nulls or self._nulls, is_decoded=is_decoded):
                self._output.send(encoded, domain, now)

    def _encoded(self, incoming: Incoming, domain: int, now: float, nulls: Nulls, *, is_decoded: bool) -> list[Encoded]:
        """All of it, before any of it is written. is_decoded: what a null hides goes out as it came."""
        encoder = self._again if is_decoded else self._encoder
        if nulls != "split" or is_decoded:
            try:
                return [self._encode(incoming, self._template_of(incoming, domain), domain, now, encoder)]
            except EncodeError:
                if nulls != "split":
                    raise
        out = []
        for rows, part in split_nulls(incoming):
            try:
                out.append(self._encode(part, self._template_of(part, domain), domain, now, encoder))
            except EncodeError as bad:
                raise behind(bad, 0 if bad.row is None else int(rows[bad.row]) - bad.row) from bad
        return out

    def _encode(self, incoming: Incoming, template: Template, domain: int, now: float, encoder: Encoder) -> Encoded:
        room = self._output.room(template, domain)

        def inner(of: Template) -> Template:
            return self._output.template(of, domain)

        return encoder.encode(template, incoming.values, incoming.count, room, inner, export_time=now)

    def _template_of(self, incoming: Incoming, domain: int) -> Template:
        return self._output.template(described(incoming, self._lengths), domain)

    def _parsed(self, template: Specs) -> Template:
        return template_of(template, self._session.registry)

    def _domain_of(self, domain: int | None) -> int:
        return domain if domain is not None else self._domain or 0

    def _put(self, message: bytes) -> None:
        octets = np.frombuffer(message, np.uint8)
        self._output.put([Outgoing(octets, np.array([0, len(octets)], np.int32))])
