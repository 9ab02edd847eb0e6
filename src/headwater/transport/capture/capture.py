"""A capture file as a source: windows of octets to datagrams and streams of flow export, at the speed of the kernel."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from headwater.errors import Fault, FaultKind
from headwater.kernel import dissect
from headwater.session.datagrams import Datagrams
from headwater.session.key import SessionKey
from headwater.transport.capture.connections import Connections
from headwater.transport.capture.fragments import Fragments, Loss, read_fragment
from headwater.transport.capture.framing import PCAP_HEADER, Framing, Packets, framing_of
from headwater.transport.capture.packets import Dissected, PacketKind, Rows
from headwater.transport.capture.peers import MOST_PEERS, UDP, Peers, destination_ports, port_table, session_key
from headwater.transport.capture.recognition import find_export, is_version
from headwater.transport.capture.streams import StreamPart

if TYPE_CHECKING:
    from headwater.transport.windows import Windows

_UDP_HEADER = 8


class Capture:
    """Reads the packets of `windows`, which are pcap or pcapng, and yields what is flow export in them.

    ports: take exactly what is sent to these UDP and TCP ports. Without, a peer is taken from its first datagram on
        that is plausible as NetFlow, IPFIX or sFlow by content, or has such a version and a well-known port; a TCP
        connection, if IPFIX comes first.
    keys: the peers whose datagrams were taken, in order of appearance.
    Counters, of packets unless said. Each packet is one of these: datagrams of one packet, `fragments`,
    `tcp_segments` (of connections that were taken), `ignored` (IP, but no flow export), `other` (no IP),
    `truncated` (by the capture's snap length), `damaged` (lengths that contradict each other).
        datagrams: UDP datagrams that were yielded, those put together of fragments among them.
        reassembled: datagrams put together of fragments. fragments_dropped: fragments that never became one.
        stream_octets_lost: octets of TCP streams that the capture lacks.
        links: packets by link type, of the types that are not known. ignored_ports: ignored UDP datagrams by
        destination port.
    format: "pcap" or "pcapng", "" before its header was read.
    offset: absolute offset of what comes next, decompressed.
    """

    def __init__(self, windows: Windows, *, ports: Collection[int] = (), most_peers: int = MOST_PEERS) -> None:
        self.packets = self.datagrams = self.ignored = self.other = self.truncated = self.damaged = 0
        self.fragments = self.tcp_segments = self.offset = 0
        self.format = ""
        self.links: Counter[int] = Counter()
        self._windows = windows
        self._peers = Peers(most_peers)
        self._fragments = Fragments()
        self._ports = port_table(tuple(ports)) if ports else None
        self._connections = Connections(self._ports)
        self._ignored_ports = np.zeros(1 << 16, np.int64)

    @property
    def keys(self) -> list[SessionKey | None]:
        return self._peers.keys

    @property
    def reassembled(self) -> int:
        return self._fragments.reassembled

    @property
    def fragments_dropped(self) -> int:
        return self._fragments.dropped

    @property
    def stream_octets_lost(self) -> int:
        return self._connections.lost

    @property
    def ignored_ports(self) -> Counter[int]:
        ports = np.flatnonzero(self._ignored_ports)
        return Counter(dict(zip(ports.tolist(), self._ignored_ports[ports].tolist(), strict=True)))

    def __iter__(self) -> Iterator[Datagrams | StreamPart | Fault]:
        """Datagrams of a window at a time, streams behind them, and faults, all with absolute offsets.

        Raises SourceError if the source stops to be readable.
        """
        framing: Framing | None = None
        consumed, is_last, problem = 0, False, ""
        while not is_last and not problem:
            window, is_last = self._windows.next(consumed)
            buffer = np.frombuffer(window, np.uint8) if len(window) else np.zeros(0, np.uint8)
            consumed = 0
            if framing is None:
                framing = framing_of(bytes(window[:PCAP_HEADER]))
                if framing is None:
                    continue  # until there is more; or the file is shorter than its header
                consumed, self.format = framing.header, framing.name
            packets, consumed, problem = framing.read(buffer, consumed)
            yield from self._read(buffer, packets)
            self.offset += consumed
            if problem:
                yield Fault(FaultKind.CAPTURE_DAMAGED, self.offset, detail=f"{problem}; nothing behind is read")
            elif is_last and consumed < len(window):
                left = len(window) - consumed
                yield Fault(
                    FaultKind.TRUNCATED_TAIL, self.offset, detail=f"the last {left} octets are a packet cut short"
                )
        if framing is None:
            yield Fault(FaultKind.TRUNCATED_TAIL, 0, detail="the file ends inside its header")
        self._fragments.close()
        yield from self._tell_losses()
        yield from self._connections.close()

    def _read(self, buffer: npt.NDArray[np.uint8], packets: Packets) -> Iterator[Datagrams | StreamPart | Fault]:
        """What is in the packets of one window."""
        if not len(packets.start):
            return
        found = Dissected(*dissect(buffer, packets.start, packets.end, packets.link, self._peers.rows))
        count = np.bincount(found.kind, minlength=len(PacketKind)).tolist()
        self.packets += len(found.kind)
        if count[PacketKind.UDP] == len(found.kind) and not len(found.keys):
            yield self._deliver(found.rows(buffer, None), packets)
            return
        self.other += count[PacketKind.NO_IP] + count[PacketKind.FOREIGN_LINK]
        self.ignored += count[PacketKind.OTHER_IP]
        self.fragments += count[PacketKind.FRAGMENT]
        if count[PacketKind.FOREIGN_LINK]:
            links = packets.link[found.kind == PacketKind.FOREIGN_LINK]
            self.links.update(dict(zip(*(part.tolist() for part in np.unique(links, return_counts=True)), strict=True)))
        keys = np.concatenate([self._peers.rows, found.keys])
        yield from self._tell_damage(found, packets, keys)
        rows = found.rows(buffer, np.flatnonzero(found.kind == PacketKind.UDP))
        known = len(keys) - len(found.keys)  # reassembling and selecting find more
        if count[PacketKind.FRAGMENT]:
            rows, keys = self._reassemble(rows, found, packets, keys)
            yield from self._tell_losses()
        rows, refused = self._select(rows, found.kind, keys)
        if len(rows.start):
            yield self._deliver(rows, packets)
        if len(refused):
            detail = f"more exporters than the limit of {len(self._peers)}: their datagrams are left out"
            at = self.offset + int(refused[0])
            yield Fault(FaultKind.SESSION_LIMIT, at, detail=detail, count=len(refused))
        if count[PacketKind.TCP]:
            parts, taken = self._connections.read(buffer, self.offset, found, packets, known)
            self.tcp_segments += taken
            self.ignored += count[PacketKind.TCP] - taken
            yield from parts

    def _deliver(self, rows: Rows, packets: Packets) -> Datagrams:
        self.datagrams += len(rows.start)
        offset = rows.place + np.int64(self.offset)
        received = packets.received if rows.index is None else packets.received[rows.index]
        return Datagrams(rows.buffer, rows.start, rows.end, rows.peer, self._peers.keys, offset, received)

    def _select(
        self, rows: Rows, kind: npt.NDArray[np.uint8], keys: npt.NDArray[np.uint8]
    ) -> tuple[Rows, npt.NDArray[np.int32]]:
        """The datagrams of peers that are taken, each from the first one on that makes it so.

        And the places of those of peers that would be, were there not too many.
        """
        assert rows.index is not None
        known, count = len(self._peers), len(rows.start)
        fresh = np.flatnonzero(rows.peer >= known)
        if not len(fresh):
            return rows, rows.place[:0]
        ports = destination_ports(keys)
        new = rows.at(fresh)
        good = fresh[find_export(new, ports) if self._ports is None else self._ports[ports[new.peer]]]
        first = np.full(len(keys), count)
        first[:known] = 0
        first[rows.peer[good][::-1]] = good[::-1]  # of equal indices, the last one holds
        number = np.full(len(keys), -1, np.int32)
        number[:known] = np.arange(known)
        wanted = np.flatnonzero(first[known:] < count) + known
        wanted = wanted[np.argsort(first[wanted], kind="stable")]
        wanted = wanted[: self._peers.take(keys[wanted])]
        number[wanted] = np.arange(known, known + len(wanted))
        peer = number[rows.peer]
        is_export = np.arange(count) >= first[rows.peer]
        chosen = is_export & (peer >= 0)
        left = rows.peer[~chosen & (kind[rows.index] == PacketKind.UDP)]
        self.ignored += len(left)
        np.add.at(self._ignored_ports, ports[left], 1)
        return replace(rows.at(chosen), peer=peer[chosen]), rows.place[is_export & (peer < 0)]

    def _reassemble(
        self, rows: Rows, found: Dissected, packets: Packets, keys: npt.NDArray[np.uint8]
    ) -> tuple[Rows, npt.NDArray[np.uint8]]:
        """The datagrams, with those that became whole among them; and all keys."""
        assert rows.index is not None
        numbers = {key.tobytes(): number for number, key in enumerate(keys)}
        position, payloads, table = len(rows.buffer), [], []
        for row in np.flatnonzero(found.kind == PacketKind.FRAGMENT).tolist():
            header, start, end = int(found.header[row]), int(found.start[row]), int(found.end[row])
            packet, received = rows.buffer[header:end].tobytes(), int(packets.received[row])
            fragment = read_fragment(packet, start - header, received, self.offset + start)
            datagram = self._fragments.add(fragment)
            if datagram is None:
                continue
            length = int.from_bytes(datagram[4:6])
            if not _UDP_HEADER <= length <= len(datagram):
                self._fragments.reassembled -= 1
                self._fragments.dropped += 1
                continue
            payload = datagram[_UDP_HEADER:length]
            key = bytes((UDP, fragment.version)) + datagram[:4] + b"\0\0" + fragment.addresses
            peer = numbers.setdefault(key, len(numbers))
            head = int.from_bytes(payload[:4].ljust(4, b"\0"))
            table.append((row, position, position + len(payload), peer, head, start))
            payloads.append(np.frombuffer(payload, np.uint8))
            position += len(payload)
        if not table:
            return rows, keys
        keys = np.frombuffer(b"".join(numbers), np.uint8).reshape(len(numbers), -1)
        return rows.joined(np.concatenate([rows.buffer, *payloads]), table), keys

    def _tell_damage(self, found: Dissected, packets: Packets, keys: npt.NDArray[np.uint8]) -> Iterator[Fault]:
        """Count packets that are damaged or cut short, and tell of those that may be flow export."""
        damaged = np.flatnonzero(found.kind == PacketKind.DAMAGED)
        self.damaged += len(damaged)
        if len(damaged):
            at, detail = self.offset + int(packets.start[damaged[0]]), "lengths of headers contradict each other"
            yield Fault(FaultKind.PACKET_DAMAGED, at, detail=detail, count=len(damaged))
        cut = np.flatnonzero(found.kind == PacketKind.TRUNCATED)
        self.truncated += len(cut)
        cut = cut[found.peer[cut] >= 0]
        peer = found.peer[cut]
        cut = cut[(keys[peer, 0] == UDP) & self._may_be_export(keys, peer, found.head[cut])]
        if len(cut):
            at, key = self.offset + int(packets.start[cut[0]]), session_key(keys[found.peer[cut[0]]].tobytes())
            detail = "captured with a snap length that is too short, so the datagram is left out"
            yield Fault(FaultKind.PACKET_TRUNCATED, at, detail=detail, count=len(cut), key=key)

    def _may_be_export(
        self, keys: npt.NDArray[np.uint8], peer: npt.NDArray[np.int32], head: npt.NDArray[np.uint32]
    ) -> npt.NDArray[np.bool_]:
        """Whether datagrams of which only the beginning is there would have been looked at."""
        if self._ports is not None:
            return self._ports[destination_ports(keys)[peer]]
        return (peer < len(self._peers)) | is_version(head)

    def _tell_losses(self) -> Iterator[Fault]:
        losses, self._fragments.losses = self._fragments.losses, []
        lost = [loss for loss in losses if self._is_missed(loss)]
        if lost:
            detail = "fragments that never became a datagram: some are missing, or they overlap"
            yield Fault(FaultKind.FRAGMENT_LOST, lost[0].at, detail=detail, count=len(lost))

    def _is_missed(self, loss: Loss) -> bool:
        """Whether a datagram that did not become whole may have been flow export."""
        if len(loss.head) < 12:
            return self._peers.has_pair(loss.addresses)
        key = np.frombuffer(bytes((UDP, loss.version)) + loss.head[:4] + b"\0\0" + loss.addresses, np.uint8)[None]
        number = self._peers.find(key.tobytes())
        head = np.array([int.from_bytes(loss.head[8:12])], np.uint32)
        if self._ports is not None:
            return bool(self._ports[destination_ports(key)[0]])
        return number >= 0 or bool(is_version(head)[0])
