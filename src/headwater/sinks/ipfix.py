"""IPFIX files (RFC 5655): Messages, one after the other, perhaps compressed."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from headwater.errors import SourceError

if TYPE_CHECKING:
    from headwater.session.outgoing import Outgoing
    from headwater.sinks.ipfix_compression import Compressor
    from headwater.sinks.ipfix_file import Octets


class IpfixFile:
    """One IPFIX file that is being written.

    compressor: makes the members of a compressed file; each flush ends one, so that what it confirmed is a complete
    file for every reader. octets: of the Messages so far, before compression. has_failed: whether a write has.
    A write that fails is the last one; the file then ends with the Messages before it (a compressed one with what
    its last member has of them) and can be closed.
    """

    def __init__(self, file: Octets, compressor: Callable[[], Compressor] | None = None) -> None:
        self.octets = 0
        self._file, self._open_member = file, compressor
        self._member: Compressor | None = None
        self.has_failed = False

    @property
    def name(self) -> str:
        """What users know it by."""
        return self._file.name

    def write(self, outgoing: Outgoing) -> None:
        """Add Messages. Raises SourceError."""
        octets = memoryview(outgoing.buffer)[outgoing.begin[0] : outgoing.begin[-1]]
        self._write(octets)
        self.octets += len(octets)

    def flush(self) -> None:
        """When this returns, what was written stays, whatever becomes of this process. Raises SourceError."""
        self._check()
        self._end_member()
        self._file.confirm()

    def close(self) -> None:
        """Flush, and let go of the file. Raises SourceError."""
        try:
            if not self.has_failed:
                self._end_member()
        except BaseException:
            self.has_failed = True
            self._file.close()
            raise
        self._file.close()

    def abandon(self) -> None:
        """Let go of the file; nothing is left of a new one that was never flushed."""
        self._file.abandon()

    def _write(self, octets: bytes | memoryview) -> None:
        self._check()
        if self._open_member is not None:
            self._member = self._member or self._open_member()
            octets = self._member.compress(octets)
        self._put(octets)

    def _check(self) -> None:
        if self.has_failed:
            raise SourceError(f"{self.name} could not be written, and has ended", source=self.name)

    def _end_member(self) -> None:
        if self._member is not None:
            octets, self._member = self._member.flush(), None
            self._put(octets)

    def _put(self, octets: bytes | memoryview) -> None:
        self.has_failed = True
        self._file.write(octets)
        self.has_failed = False
