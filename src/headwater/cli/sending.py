"""How sending went: what is heard of it at the end."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

    from headwater.process.exporting import Exporter
    from headwater.process.exporting_report import DestinationReport

_HEAR_S: Final = 0.2
_ASK_S: Final = 0.01


def hear(exporter: Exporter) -> None:
    """Wait a moment for collectors over DTLS, who acknowledge nothing, to refuse what they were sent."""
    end = time.monotonic() + _HEAR_S
    while time.monotonic() < end:
        reports = exporter.report
        if not any(report.url.startswith("dtls:") for report in reports) or any(report.is_unsure for report in reports):
            return
        time.sleep(_ASK_S)


def is_all_well(reports: Iterable[DestinationReport]) -> bool:
    """Whether nothing is known to be lost, or likely to be."""
    return not any(report.lost.messages or report.lost_templates or report.is_unsure for report in reports)
