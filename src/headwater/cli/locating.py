"""One message of a source, and what the messages before it have told."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from headwater.cli.located import Found, Target, nothing_later
from headwater.cli.locating_datagrams import CaptureSearch, OneDatagram, Parts
from headwater.cli.locating_streams import Places, StreamSearch
from headwater.errors import SourceError
from headwater.transport.capture import Capture
from headwater.transport.content import IPFIX_MAGIC, Content
from headwater.transport.datagram_file import DatagramFile
from headwater.transport.file import find_sources, open_source
from headwater.transport.spool import Spool
from headwater.transport.windows import MappedWindows
from headwater.wire.parts import count_octets, counted

if TYPE_CHECKING:
    from collections.abc import Collection

    from headwater.process.manner import Manner
    from headwater.transport.windows import Windows


class NamedWindows:
    """Octets of one source with its name. is_datagram: they are one datagram, of whatever protocol."""

    def __init__(self, name: str, windows: Windows, *, is_datagram: bool = False) -> None:
        self.name, self.windows, self.is_datagram = name, windows, is_datagram

    def close(self) -> None:
        """Let go of the source."""
        self.windows.close()


def open_octets(source: str | None, octets: bytes | None) -> NamedWindows:
    """The octets of a source, or these: messages of IPFIX, or one datagram of anything else."""
    if octets is not None:
        is_ipfix = IPFIX_MAGIC.startswith(octets[:2])
        return NamedWindows("--hex", MappedWindows(memoryview(octets)), is_datagram=not is_ipfix)
    found = list(find_sources(source))
    if len(found) > 1:
        raise SourceError(f"{source} has {len(found)} files; explain takes one", source=str(source))
    return NamedWindows(found[0].name, open_source(found[0], trust=True))


def locate(source: NamedWindows, manner: Manner, *, number: int | None = None, offset: int | None = None) -> Found:
    """The message of that number; without one, the message at that offset, or the octets between messages of a file.

    Without both it is what comes first. In a capture, messages are numbered as they came.
    Raises SourceError if the source has no such message.
    """
    if not source.is_datagram and source.windows.content is Content.IPFIX:
        return _in_file(source, manner, Target(number, offset or 0))
    target = Target(1) if number is None and offset is None else Target(number, offset or 0)
    parts = _parts(source, manner)
    search = CaptureSearch(source.name, parts, manner)
    found = search.find(target)
    if found is not None:
        # of a pipe the end may be far
        return found if source.windows.size is not None else replace(found, later=nothing_later)
    raise SourceError(_why_nothing(source.name, search, parts, target, manner.ports), source=source.name)


def _parts(source: NamedWindows, manner: Manner) -> Capture | DatagramFile | OneDatagram | Spool:
    if source.is_datagram:
        octets, _ = source.windows.next(0)
        return OneDatagram(bytes(octets))
    if source.windows.content is Content.CAPTURE:
        return Capture(source.windows, ports=manner.ports)
    if source.windows.content is Content.SPOOL:
        return Spool(source.windows)
    return DatagramFile(source.windows)


def _in_file(source: NamedWindows, manner: Manner, target: Target) -> Found:
    search = StreamSearch(source.name, manner)
    base = count = consumed = 0
    is_last = False
    while not is_last:
        window, is_last = source.windows.next(consumed)
        octets = np.frombuffer(window, np.uint8)
        places = Places((0,), (base,), len(octets))
        found = search.search(octets, places, target, count, is_last=is_last)
        if found is not None:
            return found
        consumed = search.consumed
        count, base = count + search.messages, base + consumed
    if target.number:
        why = f"{source.name} has {counted(count, 'message')}, no message {target.number}"
    else:
        why = f"{source.name} has {count_octets(base)}, none at offset {target.offset}"
    raise SourceError(why, source=source.name)


def _why_nothing(name: str, search: CaptureSearch, parts: Parts, target: Target, ports: Collection[int]) -> str:
    """The sentence for a capture without the message that is wanted."""
    if not search.messages and isinstance(parts, Capture):
        packets = counted(parts.packets, "packet")
        if ports:
            return f"none of {packets} of {name} is sent to port {' or '.join(map(str, sorted(ports)))}"
        return f"no flow export is among {packets} of {name}; --port takes what is sent to a port"
    if target.number is not None:
        return f"{name} has {counted(search.messages, 'message')}, no message {target.number}"
    near = []
    if search.before is not None:
        near.append(f"the message before it ends at {search.before}")
    if search.behind is not None:
        near.append(f"the next one begins at {search.behind}")
    more = f": {', '.join(near)}" if near else ""
    return f"no message of {name} has the octet at offset {target.offset}{more}"
