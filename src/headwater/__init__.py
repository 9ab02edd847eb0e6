"""The IPFIX / NetFlow toolkit: any export octets to columns, rows, files and the terminal.

    import headwater as hw

    for batch in hw.read("flows.ipfix"):
        print(batch)

Names are loaded when they are first used, so that importing the package costs next to nothing.
"""

from __future__ import annotations

from headwater._version import __version__

TYPE_CHECKING = False  # type checkers take it for true; importing it from typing would cost 10 ms
if TYPE_CHECKING:
    from typing import Any

    from headwater.analysis.querying import query
    from headwater.batch import Batch, Decoder
    from headwater.batch.encode import Encoder
    from headwater.batch.mapping import fill, ie, map_class
    from headwater.errors import (
        DecodeError,
        EncodeError,
        Fault,
        FaultKind,
        HeadwaterError,
        LimitExceeded,
        SourceError,
        TransportError,
        UnknownElement,
    )
    from headwater.model.element import InformationElement
    from headwater.model.registry import IANA, Registry
    from headwater.model.template import Field, Template
    from headwater.model.types import DataType
    from headwater.process import Reading, Report, read, read_table, records
    from headwater.process.collecting.collector import Collector
    from headwater.process.collecting.ledger import CollectorReport
    from headwater.process.exporting import Exporter
    from headwater.process.generating import generate
    from headwater.process.linting import lint
    from headwater.process.writing import Writer
    from headwater.session import (
        Datagrams,
        DataSets,
        KeyPolicy,
        KeyRule,
        Limits,
        SequenceGap,
        Session,
        SessionKey,
        TemplateLearned,
        TemplateWithdrawn,
        Transport,
    )
    from headwater.session.exporting import ExportSession, Refresh
    from headwater.session.message_builder import MessageBuilder
    from headwater.session.outgoing import Outgoing
    from headwater.sinks.ipfix_rotation import Rotation

_HOMES = {
    "headwater.analysis.querying": ("query",),
    "headwater.batch": ("Batch", "Decoder"),
    "headwater.batch.encode": ("Encoder",),
    "headwater.batch.mapping": ("fill", "ie", "map_class"),
    "headwater.errors": (
        "DecodeError", "EncodeError", "Fault", "FaultKind", "HeadwaterError", "LimitExceeded", "SourceError",
        "TransportError", "UnknownElement",
    ),
    "headwater.model.element": ("InformationElement",),
    "headwater.model.registry": ("IANA", "Registry"),
    "headwater.model.template": ("Field", "Template"),
    "headwater.model.types": ("DataType",),
    "headwater.process": ("Reading", "Report", "read", "read_table", "records"),
    "headwater.session": (
        "DataSets", "Datagrams", "KeyPolicy", "KeyRule", "Limits", "SequenceGap", "Session", "SessionKey",
        "TemplateLearned", "TemplateWithdrawn", "Transport",
    ),
    "headwater.session.exporting": ("ExportSession", "Refresh"),
    "headwater.session.message_builder": ("MessageBuilder",),
    "headwater.session.outgoing": ("Outgoing",),
    "headwater.process.collecting.collector": ("Collector",),
    "headwater.process.collecting.ledger": ("CollectorReport",),
    "headwater.process.exporting": ("Exporter",),
    "headwater.process.generating": ("generate",),
    "headwater.process.linting": ("lint",),
    "headwater.process.writing": ("Writer",),
    "headwater.sinks.ipfix_rotation": ("Rotation",),
}  # fmt: skip
_HOME = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "IANA",
    "Batch",
    "Collector",
    "CollectorReport",
    "DataSets",
    "DataType",
    "Datagrams",
    "DecodeError",
    "Decoder",
    "EncodeError",
    "Encoder",
    "ExportSession",
    "Exporter",
    "Fault",
    "FaultKind",
    "Field",
    "HeadwaterError",
    "InformationElement",
    "KeyPolicy",
    "KeyRule",
    "LimitExceeded",
    "Limits",
    "MessageBuilder",
    "Outgoing",
    "Reading",
    "Refresh",
    "Registry",
    "Report",
    "Rotation",
    "SequenceGap",
    "Session",
    "SessionKey",
    "SourceError",
    "Template",
    "TemplateLearned",
    "TemplateWithdrawn",
    "Transport",
    "TransportError",
    "UnknownElement",
    "Writer",
    "__version__",
    "fill",
    "generate",
    "ie",
    "lint",
    "map_class",
    "query",
    "read",
    "read_table",
    "records",
]


def __getattr__(name: str) -> Any:
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module 'headwater' has no attribute {name!r}")
    from importlib import import_module

    value = globals()[name] = getattr(import_module(home), name)
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
