"""Reading: any source of export traffic to batches of columns, rows or one table, with a report of what was found."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterable, Iterator, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypedDict, TypeVar, Unpack

from headwater.batch.batch import Batch
from headwater.batch.cells import Style
from headwater.errors import HeadwaterError
from headwater.process.arguments import (
    check_options,
    check_source,
    checked_names,
    checked_policy,
    checked_ports,
    checked_select,
)
from headwater.process.learned import registry_for
from headwater.process.manner import Checksum, Manner, Progress
from headwater.process.sources import Sources
from headwater.process.wanted import Wanted

if TYPE_CHECKING:
    import pyarrow as pa

    from headwater.batch.cells import Addresses, ListStyle, Times
    from headwater.batch.schema import Schema
    from headwater.model.registry import Registry
    from headwater.session.events import DataSets
    from headwater.session.key import KeyPolicy
    from headwater.session.limits import Limits

T = TypeVar("T")


class TableOptions(TypedDict, total=False):
    """The options of `read` but for `select`."""

    provenance: Iterable[str]
    derived: Iterable[str]
    resolve_time: bool
    scale_sampling: bool
    join_options: bool
    option_tables: bool
    options: bool | None
    registry: Registry | None
    limits: Limits | None
    strict: bool
    salvage: bool
    resync: bool
    checksum: Checksum
    max_octets: int | None
    ports: Iterable[int]
    key_policy: KeyPolicy | str | Mapping[str, str] | None
    state: str | os.PathLike[str] | None
    progress: Progress | None


class ReadOptions(TableOptions, total=False):
    """The options of `read`, which says what they mean."""

    select: Iterable[str] | None


def read(
    source: Any,
    *,
    select: Iterable[str] | None = None,
    provenance: Iterable[str] = (),
    derived: Iterable[str] = (),
    resolve_time: bool = False,
    scale_sampling: bool = False,
    join_options: bool = False,
    option_tables: bool = False,
    options: bool | None = None,
    registry: Registry | None = None,
    limits: Limits | None = None,
    strict: bool = False,
    salvage: bool = False,
    resync: bool = False,
    checksum: Checksum = "warn",
    max_octets: int | None = None,
    ports: Iterable[int] = (),
    key_policy: KeyPolicy | str | Mapping[str, str] | None = None,
    state: str | os.PathLike[str] | None = None,
    progress: Progress | None = None,
) -> Reading:
    """Batches of columns of IPFIX files (each a session of its own, RFC 5655) and of packet captures.

    source: a path, "-" for standard input, a glob pattern, a directory (its files, recursively), a file object,
        bytes, or a list of these. What a file is is seen by content: IPFIX, pcap or pcapng with IPFIX and NetFlow v1,
        v5, v7, v8, v9 over UDP and IPFIX over TCP, raw NetFlow datagrams, raw spools of a collector; and compression
        (gzip, bzip2, xz, zstd, lz4).
    select: columns wanted; then all batches have one schema, with nulls for what a Template lacks, and the reading is
        an Arrow stream that DuckDB, polars and pyarrow take as it is. None: all fields of each Template.
    provenance: facts of the Messages to add as columns, such as "exportTime", "exporterIPv4Address" or
        "observationDomainId".
    derived: columns to add that are worked out, by name; they may stand in `select` too. resolve_time: add flowStart,
        flowEnd (ns, UTC), flowDuration and timeSource, whatever the exporter sent. scale_sampling: add samplingRate,
        samplingSource and counters scaled by it; nothing else is ever scaled. join_options: add what option records say
        of a flow: names of interfaces, applications, VRFs, samplers. Option records that come after the flows count
        too, for which files and bytes are read twice.
    option_tables: keep what option records say as tables of interfaces, samplers, applications, …, which are then in
        `report.sources[…].option_tables` by name, one for each kind.
    options: whether options records come too. None: only without `select`.
    registry: names and types, the shipped ones by default; type information in a file adds to it for that file. To
        select such elements by name, files and bytes are read twice.
    strict: raise DecodeError at the first fault that costs octets, instead of reporting it. salvage: keep the whole
        records of malformed Messages. resync: go on at the next plausible Message where framing is lost.
    checksum: what to do with Messages whose MD5 does not match: "warn", "drop" them, or "ignore" checksums.
    max_octets: stop with LimitExceeded after so many decompressed octets of one source.
    ports: of captures, take exactly what is sent to these ports; otherwise export traffic is recognised by content.
    key_policy: what Templates are kept by besides the Observation Domain: "rfc" (address and port), "address", "auto"
        (the port counts for IPFIX only); a mapping from addresses of exporters to these; or a KeyPolicy.
    state: a file with Templates and options learned before, for captures: read first if it is there, and written
        when all is read. A damaged one is reported and not used.
    Raises HeadwaterError for wrong arguments and UnknownElement for a selected name at once; SourceError when
    iterated, for what cannot be read at all.
    """
    check_source(source)
    check_options(registry, limits, checksum, max_octets, progress)
    wanted = Wanted.of(
        checked_select(select),
        checked_names("provenance", provenance),
        derived,
        resolve_time=resolve_time,
        scale_sampling=scale_sampling,
        join_options=join_options,
        keeps_options=option_tables,
    )
    manner = Manner(
        registry,
        limits,
        strict,
        salvage,
        resync,
        checksum,
        max_octets,
        checked_ports(ports),
        checked_policy(key_policy),
        progress,
    )
    known = registry
    if wanted.select is not None:
        known = registry_for(source, wanted.decoder, manner)
    with_options = select is None if options is None else options
    return Reading(Sources(source, wanted.decoder(known), manner, wanted, with_options, state))


def records(
    source: Any,
    *,
    addresses: Addresses = "text",
    times: Times = "int",
    lists: ListStyle = "plain",
    **options: Unpack[ReadOptions],
) -> Iterator[dict[str, Any]]:
    """Records as dicts, in the order of the wire.

    addresses: "text", "object" (ipaddress) or "raw". times: "int" since 1970 in the element's unit, "datetime" or
    "text". lists: "plain" or "full". The rest is what `read` takes.
    """
    return read(source, **options).records(addresses=addresses, times=times, lists=lists)


def read_table(source: Any, select: Iterable[str] | None = None, **options: Unpack[TableOptions]) -> pa.Table:
    """All records as one pyarrow Table; the options are those of `read`.

    With `select` its columns are those; without, they are the union of all Templates', null where one lacks them.
    Raises SourceError if pyarrow is not installed (`pip install 'headwater[arrow]'`).
    """
    from headwater.sinks.table import table

    with read(source, select=select, **options) as reading:
        return table(reading, schema=reading.schema)


class Reading(Iterator[Batch]):
    """The batches of `read`, once. Nothing is opened before the first is asked for.

    report: what was found, live; complete when the iteration has ended.
    Files are let go of at the end, by `close`, at the end of a `with` block, and when the reading is dropped.
    """

    def __init__(self, sources: Sources) -> None:
        self.report = sources.report
        self._sources = sources
        self._active: Generator[Any] | None = None
        self._batches: Generator[Batch] | None = None

    @property
    def schema(self) -> Schema | None:
        """The columns of every batch, None without a selection."""
        return self._sources.decoder.schema

    def __repr__(self) -> str:
        source = self._sources.source
        if isinstance(source, str | os.PathLike):
            what = repr(os.fspath(source))
        elif isinstance(source, list | tuple):
            what = f"{len(source)} sources"
        else:
            what = type(source).__name__
        columns = "all fields" if self.schema is None else ", ".join(self.schema.names[:6])
        if self.schema is not None and len(self.schema) > 6:
            columns += f", … {len(self.schema) - 6} more"
        return f"<Reading of {what}: {columns}; {'not begun' if self._active is None else self.report}>"

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Batch:
        if self._batches is None:
            self._batches = self._begin(self._sources.batches())
        return next(self._batches)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, bad: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def records(
        self, *, addresses: Addresses = "text", times: Times = "int", lists: ListStyle = "plain"
    ) -> Generator[dict[str, Any]]:
        """Records as dicts in the order of the wire, instead of batches; for the options see `Batch.rows`."""
        Style(addresses, times, lists)  # a wrong option is told now
        return self._begin(self._sources.records(addresses=addresses, times=times, lists=lists))

    def windows(self) -> Generator[list[tuple[DataSets, Batch]]]:
        """Batches with the Data Sets that they were made of, instead of batches alone.

        Their Messages say domain and Export Time; the batches of one list have a common order, that of the wire.
        """
        return self._begin(self._sources.windows())

    def close(self) -> None:
        """Stop and let go of files. The report stays as it is."""
        if self._active is None:
            self._active = self._sources.batches()
        self._active.close()

    def __arrow_c_schema__(self) -> object:
        """The schema of all batches as an Arrow PyCapsule; needs `select`."""
        from headwater.batch import arrow

        schema = self.schema
        if schema is None:
            raise HeadwaterError("without select= every Template has its own schema, so this is no Arrow stream")
        lists = [column.name for column in schema if column.type.is_list]
        if lists:
            message = f"{lists[0]} has no Arrow type before it is read; use hw.read_table, or go batch by batch"
            raise HeadwaterError(message)
        return arrow.c_schema(schema).__arrow_c_schema__()

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """The batches as an Arrow PyCapsule, read as they are pulled; needs `select`.

        A requested schema is not followed.
        """
        from headwater.sinks.arrow_stream import arrow_stream

        self.__arrow_c_schema__()
        return arrow_stream(self, self._pull())

    def _pull(self) -> Generator[Batch]:
        # not begun before it is pulled: consumers may ask for streams just to see the schema
        yield from self._begin(self._sources.batches())

    def _begin(self, iterator: Generator[T]) -> Generator[T]:
        if self._active is not None:
            raise HeadwaterError("this reading has been used or closed; call read again for another")
        self._active = iterator
        return iterator
