"""Option records that a Writer makes of what it is told of its file and of its Messages (RFC 5655 §8.1)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from headwater.batch.encode import Encoder
from headwater.batch.incoming import columns_of
from headwater.errors import HeadwaterError
from headwater.model.template import Template
from headwater.session.outgoing import Encoded, Room
from headwater.sinks.ipfix_message_records import MessageRecord, checksum_record
from headwater.wire.dialect import MAX_MESSAGE

if TYPE_CHECKING:
    from headwater.model.registry import Registry

_SCOPE: Final = 1  # octets of messageScope and sessionScope
_COLLECTED: Final = "collectionTimeMilliseconds"
_WINDOW: Final = ("minFlowStartMilliseconds", "maxFlowEndMilliseconds")


def message_records(
    details: Mapping[str, Any] | bool, registry: Registry | None, *, checksum: bool
) -> list[MessageRecord]:
    """What each Message says about itself. details: values by element name, True = the time at which it was written.

    A collectionTimeMilliseconds of None is that time, too.
    """
    records = []
    values = {_COLLECTED: None} if details is True else dict(details or {})
    if values:
        is_stamped = _COLLECTED in values and values[_COLLECTED] is None
        if is_stamped:  # it is filled in for each Message, which is easy where it comes first
            values = {_COLLECTED: 0} | {name: value for name, value in values.items() if name != _COLLECTED}
        template, octets = _record("messageScope", values, registry)
        records.append(MessageRecord(template, octets, _SCOPE if is_stamped else -1))
    if checksum:
        records.append(checksum_record(registry))
    return records


def session_records(
    details: Mapping[str, Any] | None, time_window: tuple[Any, Any] | None, registry: Registry | None
) -> Iterator[tuple[Template, dict[str, Any]]]:
    """What the file says about itself, in the order of RFC 5655 §7.3.4: (Options Template, values).

    time_window: before the first and after the last of all Flows, datetimes or milliseconds since 1970.
    """
    if time_window is not None:
        if len(time_window) != len(_WINDOW):
            raise HeadwaterError(f"time_window is (from, to), not {time_window!r}")
        yield _described("sessionScope", dict(zip(_WINDOW, time_window, strict=True)), registry)
    if details:
        yield _described("sessionScope", details, registry)


def encoded_record(template: Template, values: Mapping[str, Any], room: Room, registry: Registry | None) -> Encoded:
    """One record. Raises EncodeError for a value that cannot go on the wire."""
    incoming = columns_of([values], template=template, registry=registry)
    return Encoder().encode(template, incoming.values, 1, room)


def _described(scope: str, values: Mapping[str, Any], registry: Registry | None) -> tuple[Template, dict[str, Any]]:
    return _template(scope, values, registry), {scope: 0, **values}


def _record(scope: str, values: Mapping[str, Any], registry: Registry | None) -> tuple[Template, bytes]:
    template, row = _described(scope, values, registry)
    return template, encoded_record(template, row, Room(0, MAX_MESSAGE), registry).buffer.tobytes()


def _template(scope: str, names: Iterable[str], registry: Registry | None) -> Template:
    if scope in names:
        raise HeadwaterError(f"{scope} is added by itself; leave it out")
    return Template.of(0, f"{scope}{{scope}}", *names, registry=registry)
