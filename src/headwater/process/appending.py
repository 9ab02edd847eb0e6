"""IPFIX files that are added to: what they hold, what of it is whole, and where writing goes on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from headwater.errors import Fault, FaultKind, HeadwaterError, SourceError
from headwater.session.collecting import Session
from headwater.session.key import Transport
from headwater.session.outgoing import Outgoing
from headwater.session.saved_export import SavedExport
from headwater.sinks.ipfix import IpfixFile
from headwater.sinks.ipfix_compression import NO_COMPRESSION, compressor
from headwater.sinks.ipfix_file import give_final_name, grown_file, is_abandoned, new_file
from headwater.transport import Content, Source, open_source
from headwater.wire.dialect import IPFIX

if TYPE_CHECKING:
    from headwater.model.registry import Registry
    from headwater.sinks.ipfix_compression import Compressor
    from headwater.transport import Windows

_TORN: Final = (FaultKind.TRUNCATED_TAIL, FaultKind.TRAILING_GARBAGE)
"""What a writer leaves that was killed: half a Message, or octets of zero where a file system had reserved some."""


@dataclass(frozen=True, slots=True)
class Existing:
    """What an IPFIX file holds that is to be added to.

    size: octets of the file. octets: of whole Messages, decompressed. torn: what follows them, in words; "" = nothing.
    compression: "none" or its format. state: Templates in force at its end, and the sequence numbers that come next.
    registry: names and types, with what type information in it has taught.
    """

    path: Path
    size: int
    octets: int
    torn: str
    compression: str
    state: SavedExport
    registry: Registry

    def opened(self) -> IpfixFile:
        """The file, written on behind its whole Messages.

        A compressed one that is torn is written anew, since its members cannot be cut; it is replaced when that is
        confirmed.
        """
        make = compressor(self.compression)
        if make is None:
            return IpfixFile(grown_file(self.path, self.octets, self.size))
        before = grown_file(self.path, self.size, self.size)
        if not self.torn:
            return IpfixFile(before, make)
        try:
            return self._written_anew(make)
        finally:
            before.close()

    def _written_anew(self, make: Callable[[], Compressor]) -> IpfixFile:
        file = IpfixFile(new_file(self.path, force=True), make)
        try:
            self._copy(file)
        except BaseException:
            file.abandon()
            raise
        return file

    def _copy(self, file: IpfixFile) -> None:
        windows = open_source(Source(str(self.path), str(self.path)))
        try:
            left, is_last, taken = self.octets, False, 0
            while left and not is_last:
                window, is_last = windows.next(taken)
                taken = min(len(window), left)
                left -= taken
                file.write(Outgoing(np.frombuffer(window[:taken], np.uint8), np.array([0, taken], np.int32)))
        finally:
            windows.close()


def existing(path: Path, registry: Registry | None) -> Existing | None:
    """What a file holds; None if there is none, or nothing in it.

    Raises SourceError for a file that cannot be read, holds something else, or has damage in the middle.
    """
    try:
        size = path.stat().st_size
    except FileNotFoundError:
        size = 0
    if not size:
        return None
    windows = open_source(Source(str(path), str(path)))
    try:
        if windows.content is not Content.IPFIX:
            message = f"{path} holds no IPFIX file but {windows.content}, which cannot be added to"
            raise SourceError(message, source=str(path))
        return _examined(path, size, windows, Session(registry, Transport.FILE))
    finally:
        windows.close()


def finished(part: Path, registry: Registry | None) -> str:
    """Finish a file of a series whose writer was killed: what is whole stays, and it gets its name. What is to be told.

    "" if its writer goes on, or nothing was in it.
    """
    if not is_abandoned(part):
        return ""
    try:
        found = existing(part, registry)
        if found is None:
            part.unlink()
            return ""
        found.opened().close()
        final = give_final_name(part)
    except (HeadwaterError, OSError) as bad:
        return f"{part} was left behind, and cannot be finished: {bad}"
    if final is None:
        return f"{part} was left behind, and the name that it should have is taken"
    cut = f", cut off behind octet {found.octets:,}: {found.torn}" if found.torn else ""
    return f"{final} was left behind unfinished{cut}"


def _examined(path: Path, size: int, windows: Windows, session: Session) -> Existing:
    torn: list[Fault] = []
    consumed, is_last = 0, False
    while not is_last:
        window, is_last = windows.next(consumed)
        events, consumed = session.read(window, final=is_last)
        for event in events:
            if isinstance(event, Fault):
                _refuse_damage(path, event)
                torn += [event] if event.kind in _TORN else []
    for fault in windows.faults:
        _refuse_damage(path, fault)
        torn.append(fault)
    octets = min([session.offset, *(fault.offset for fault in torn)])
    return Existing(
        path,
        size,
        octets,
        "; ".join(fault.detail for fault in torn),
        windows.compression or NO_COMPRESSION,
        SavedExport.of_reader(session, IPFIX),
        session.registry,
    )


def _refuse_damage(path: Path, fault: Fault) -> None:
    if fault.kind is FaultKind.FRAMING_LOST:
        message = f"{path} is damaged at octet {fault.offset} and cannot be added to: {fault.detail}"
        raise SourceError(message, source=str(path))
