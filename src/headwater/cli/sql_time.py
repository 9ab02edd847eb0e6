"""Times as `--since` and `--until` take them: a while ago, or an instant."""

from __future__ import annotations

import time

import click

from headwater.errors import DecodeError
from headwater.model.quantities import duration
from headwater.model.text import from_text
from headwater.model.types import DataType


def instant(text: str | None, option: str) -> float | None:
    """Seconds since 1970. Raises click.BadParameter."""
    if text is None:
        return None
    try:
        return time.time() - duration(text)
    except ValueError:
        pass
    try:
        value = from_text(DataType.MILLISECONDS, text if ":" in text else f"{text}T00:00:00", lenient=True)
    except DecodeError:
        message = f"{text!r} is neither a duration, such as 10m or 2h, nor a time such as 2026-01-31T12:00:00"
        raise click.BadParameter(message, param_hint=option) from None
    assert isinstance(value, int)
    return value / 1000
