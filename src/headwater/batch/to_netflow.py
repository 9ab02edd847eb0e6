"""Batches of any flows as what NetFlow v5 and v9 can say, for collectors that know nothing else.

    report = NetflowReport()
    for part in to_netflow9(batch, booted=booted, report=report):
        template = session.template(part.template)
        session.send(encoder.encode(template, part.columns, part.count, session.room(template)), now=now)
    print(report)

`session` is an ExportSession of that dialect with the same `booted`: NetFlow counts the times of flows in milliseconds
since the boot of its device, which the headers tell.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

from headwater.batch import to_netflow_v5, to_netflow_v9
from headwater.batch.to_netflow_report import NetflowReport as NetflowReport
from headwater.batch.to_netflow_source import Converted as Converted
from headwater.batch.to_netflow_source import Overflow, Source, directions
from headwater.batch.to_netflow_text import TEXT_OCTETS as TEXT_OCTETS
from headwater.batch.to_netflow_times import boot_ms
from headwater.batch.to_netflow_v5 import AS_TRANS as AS_TRANS
from headwater.errors import EncodeError
from headwater.model import registry as registries

if TYPE_CHECKING:
    from headwater.batch.batch import Batch
    from headwater.batch.incoming_columns import Incoming
    from headwater.model.registry import Registry


def to_netflow5(
    data: Batch | Incoming,
    *,
    booted: float,
    overflow: Overflow = "error",
    report: NetflowReport | None = None,
) -> list[Converted]:
    """The flows of IPv4 as records of NetFlow v5; those of a biflow are two.

    booted: seconds since 1970, no flow may have started before. overflow: of counters with more than 32 bits.
    report: gets what could not be told: records of IPv6, columns that have no field, values that did not fit. AS
    numbers of 4 octets become AS_TRANS, interfaces above 65535 become 0, which means unknown, and so does a null.
    Raises EncodeError: options records, values that do not fit, times that only their own header explains.
    """
    told = NetflowReport() if report is None else report
    _check(overflow)
    booted_ms = boot_ms(booted)
    sources = [Source.of(batch) for batch in directions(data)]
    parts = [to_netflow_v5.converted(source, booted_ms, overflow, told) for source in sources]
    return [part for part in parts if part.count]


def to_netflow9(
    data: Batch | Incoming,
    *,
    booted: float,
    times: Literal["uptime", "absolute"] = "uptime",
    overflow: Overflow = "error",
    text_octets: int | Mapping[str, int] = TEXT_OCTETS,
    registry: Registry | None = None,
    report: NetflowReport | None = None,
) -> list[Converted]:
    """Records with Templates that NetFlow v9 can say, one for each set of columns that have values together.

    times: of flows, "uptime" = since the boot (21, 22), as RFC 3954 has them; "absolute" = in milliseconds (152, 153),
    which newer collectors know as well. booted, overflow: as in `to_netflow5`, but instead of being moved to the boot
    times from before it are "absolute".
    text_octets: of text of variable length, 0 = leave it out; or by column name, for some columns of text or octets.
    Shorter values are filled up with zeros. Octets that nobody gave a length have one if all of a batch are as long.
    Values that are Template IDs (templateId) stay those of where the records come from.
    report: gets what could not be told: lists, enterprises' elements that NetFlow has no type for, text that was cut.
    Raises EncodeError: values that do not fit, times that only their own header explains.
    """
    told = NetflowReport() if report is None else report
    _check(overflow)
    if times not in ("uptime", "absolute"):
        raise EncodeError(f"times={times!r}: it is 'uptime' or 'absolute'")
    known = registries.IANA if registry is None else registry
    wishes = to_netflow_v9.Wishes(boot_ms(booted), times == "uptime", overflow, text_octets, known)
    return [part for batch in directions(data) for part in to_netflow_v9.converted(Source.of(batch), wishes, told)]


def _check(overflow: Overflow) -> None:
    if overflow not in ("error", "saturate"):
        raise EncodeError(f"overflow={overflow!r}: it is 'error' or 'saturate'")
