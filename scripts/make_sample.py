"""Make the bundled sample: half an hour of made-up traffic, exported as IPFIX by a real pmacctd.

    python scripts/make_sample.py src/headwater/samples/pmacctd.ipfix      (pmacctd: Debian's package pmacct)

The traffic is the same in every run: a site with IPv4 and IPv6 clients, its servers, some voice calls, a backup, a
port scan and pings, all in the address ranges kept for documentation. pmacctd meters the capture and exports what it
would export for live traffic; its messages are stored as they arrive, one after the other, which is an IPFIX file
(RFC 5655). Only the export times differ from run to run: pmacctd takes them from the clock.
"""

from __future__ import annotations

import argparse
import heapq
import ipaddress
import random
import socket
import struct
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

START = 1_795_248_000  # 2026-11-21 08:00:00 UTC
DURATION_S = 1800
PMACCTD = """\
daemonize: false
pidfile: {folder}/pid
pcap_savefile: {pcap}
aggregate: src_host, dst_host, src_port, dst_port, proto, tos, tcpflags
plugins: nfprobe
plugin_buffer_size: 1000000
plugin_pipe_size: 200000000
nfprobe_receiver: 127.0.0.1:{port}
nfprobe_version: 10
nfprobe_engine: 7
nfprobe_timeouts: tcp=120:tcp.rst=15:tcp.fin=15:udp=60:icmp=60:general=120:maxlife=600:expint=30
"""

ICMP, TCP, UDP, ESP, ICMPV6 = 1, 6, 17, 50, 58
FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class Host(NamedTuple):
    """One address and port; for ICMP the port is type << 8 | code."""

    address: Address
    port: int = 0


class Packet(NamedTuple):
    """One packet: `size` counts from the IP header on, of which the capture keeps only the headers."""

    at: float
    source: Host
    destination: Host
    protocol: int
    size: int
    flags: int = 0
    tos: int = 0


# --- traffic ---------------------------------------------------------------------------------------------------------


class Site:
    """Draws the conversations of the site; the same in every run."""

    def __init__(self, seed: int = 7011) -> None:
        self.pick = random.Random(seed)
        self.web4 = [ipaddress.IPv4Address(f"203.0.113.{n}") for n in (10, 11, 12, 20, 21, 34, 35, 80, 81, 200)]
        self.web6 = [ipaddress.IPv6Address(f"2001:db8:c0de::{n:x}") for n in (0x10, 0x11, 0x20, 0x443, 0x444, 0x80)]

    def client(self, *, is_ipv6: bool) -> Address:
        """A client: few are busy, most are not."""
        number = min(10 + int(self.pick.paretovariate(0.7)), 199)
        return ipaddress.ip_address(f"2001:db8:51::{number:x}" if is_ipv6 else f"198.51.100.{number}")

    def server(self, *, is_ipv6: bool) -> Address:
        """A server outside: the first ones are the popular ones."""
        pool = self.web6 if is_ipv6 else self.web4
        return pool[min(int(self.pick.expovariate(0.45)), len(pool) - 1)]

    def conversations(self) -> Iterator[Iterator[Packet]]:
        """Every conversation of the half hour, each in order of time."""
        for _ in range(1050):
            yield self.web()
        for _ in range(700):
            yield self.lookup()
        for _ in range(160):
            yield self.quic()
        for _ in range(40):
            yield self.ping()
        for _ in range(60):
            yield self.clock()
        for _ in range(6):
            yield self.call()
        yield from (self.mail() for _ in range(50))
        yield from self.scan()
        yield self.backup()
        yield self.tunnel()

    def begin(self) -> float:
        """When a conversation begins: towards the middle of the half hour there are more."""
        return self.pick.triangular(0, DURATION_S - 60, DURATION_S * 0.55)

    def web(self) -> Iterator[Packet]:
        """HTTPS, sometimes HTTP: a request, and an answer whose size has a long tail."""
        is_ipv6 = self.pick.random() < 0.4
        client = Host(self.client(is_ipv6=is_ipv6), self.pick.randrange(32768, 61000))
        server = Host(self.server(is_ipv6=is_ipv6), 443 if self.pick.random() < 0.9 else 80)
        answer = min(int(3_000 * self.pick.paretovariate(0.75)), 6_000_000)
        return self.stream(self.begin(), client, server, self.pick.randrange(300, 2500), answer)

    def mail(self) -> Iterator[Packet]:
        """Mail that comes in: the client is outside and sends more than it gets."""
        client = Host(self.server(is_ipv6=False), self.pick.randrange(32768, 61000))
        server = Host(ipaddress.ip_address("198.51.100.5"), 25)
        return self.stream(self.begin(), client, server, int(5_000 * self.pick.paretovariate(1.1)), 900)

    def backup(self) -> Iterator[Packet]:
        """One long and large stream over SSH, which pmacctd cuts at its maximum lifetime."""
        client = Host(ipaddress.ip_address("198.51.100.7"), 51022)
        server = Host(ipaddress.ip_address("192.0.2.22"), 22)
        return self.stream(60.0, client, server, 90_000_000, 250_000, seconds=1500.0, tos=0x20)

    def stream(
        self, at: float, client: Host, server: Host, sent: int, answered: int, *, seconds: float = 0.0, tos: int = 0
    ) -> Iterator[Packet]:
        """A TCP connection from handshake to close; acknowledgements go the other way, one for two segments."""
        header = 60 if client.address.version == 6 else 40
        delay = self.pick.uniform(0.004, 0.08)
        gap = seconds / (1 + sent // 1440) if seconds else self.pick.uniform(0.0002, 0.004)
        yield Packet(at, client, server, TCP, header + 20, SYN, tos)
        yield Packet(at + delay, server, client, TCP, header + 20, SYN | ACK, tos)
        at += delay
        for source, destination, octets in ((client, server, sent), (server, client, answered)):
            at += delay
            for number, left in enumerate(range(octets, 0, -1440)):
                flags = ACK if left > 1440 else ACK | PSH
                yield Packet(at, source, destination, TCP, header + min(left, 1440), flags, tos)
                at += gap
                if number % 2:
                    yield Packet(at, destination, source, TCP, header, ACK, tos)
        yield Packet(at, client, server, TCP, header, FIN | ACK, tos)
        yield Packet(at + delay, server, client, TCP, header, FIN | ACK, tos)

    def lookup(self) -> Iterator[Packet]:
        """A DNS query and its answer."""
        is_ipv6 = self.pick.random() < 0.3
        client = Host(self.client(is_ipv6=is_ipv6), self.pick.randrange(1024, 65536))
        server = Host(ipaddress.ip_address("2001:db8:53::53" if is_ipv6 else "192.0.2.53"), 53)
        at, header = self.begin(), 48 if is_ipv6 else 28
        yield Packet(at, client, server, UDP, header + self.pick.randrange(30, 70))
        yield Packet(at + self.pick.uniform(0.001, 0.03), server, client, UDP, header + self.pick.randrange(60, 480))

    def quic(self) -> Iterator[Packet]:
        """HTTP/3: datagrams of nearly full size one way, small ones the other."""
        is_ipv6 = self.pick.random() < 0.5
        client = Host(self.client(is_ipv6=is_ipv6), self.pick.randrange(32768, 61000))
        server = Host(self.server(is_ipv6=is_ipv6), 443)
        at = self.begin()
        yield Packet(at, client, server, UDP, 1278)
        for number in range(min(int(6 * self.pick.paretovariate(0.8)), 3000)):
            at += self.pick.uniform(0.0005, 0.01)
            yield Packet(at, server, client, UDP, 1378)
            if number % 4 == 0:
                yield Packet(at, client, server, UDP, 70)

    def ping(self) -> Iterator[Packet]:
        """Echo requests once a second, and their replies."""
        is_ipv6 = self.pick.random() < 0.4
        client, server = self.client(is_ipv6=is_ipv6), self.server(is_ipv6=is_ipv6)
        protocol, request, reply, size = (ICMPV6, 128, 129, 104) if is_ipv6 else (ICMP, 8, 0, 84)
        at, delay = self.begin(), self.pick.uniform(0.005, 0.09)
        for number in range(self.pick.randrange(1, 20)):
            yield Packet(at + number, Host(client, request << 8), Host(server, request << 8), protocol, size)
            yield Packet(at + number + delay, Host(server, reply << 8), Host(client, reply << 8), protocol, size)

    def clock(self) -> Iterator[Packet]:
        """An NTP request and its answer."""
        client, server = (Host(self.client(is_ipv6=False), 123), Host(ipaddress.ip_address("192.0.2.123"), 123))
        at = self.begin()
        yield Packet(at, client, server, UDP, 76, tos=0xB8)
        yield Packet(at + 0.012, server, client, UDP, 76, tos=0xB8)

    def call(self) -> Iterator[Packet]:
        """A voice call: a packet of 200 octets every 20 ms in both directions."""
        phone = Host(self.client(is_ipv6=False), 16384 + 2 * self.pick.randrange(4000))
        gateway = Host(ipaddress.ip_address("192.0.2.60"), 16384 + 2 * self.pick.randrange(4000))
        at = self.begin()
        for number in range(50 * self.pick.randrange(15, 55)):
            yield Packet(at + number * 0.02, phone, gateway, UDP, 200, tos=0xB8)
            yield Packet(at + number * 0.02 + 0.008, gateway, phone, UDP, 200, tos=0xB8)

    def scan(self) -> Iterator[Iterator[Packet]]:
        """One host outside tries many ports of one host inside; closed ports answer with a reset."""
        begin = self.begin()
        scanner, target = (ipaddress.ip_address("203.0.113.66"), ipaddress.ip_address("198.51.100.5"))
        for number in range(250):
            source, destination = (Host(scanner, 40000 + number), Host(target, 1 + number * 4))
            at = begin + number * 0.05
            yield iter(
                (
                    Packet(at, source, destination, TCP, 44, SYN),
                    Packet(at + 0.0003, destination, source, TCP, 40, RST | ACK),
                )
            )

    def tunnel(self) -> Iterator[Packet]:
        """An IPsec tunnel between two gateways: a protocol without ports."""
        near, far = (Host(ipaddress.ip_address("198.51.100.1")), Host(ipaddress.ip_address("192.0.2.1")))
        for number in range(6000):
            source, destination = (near, far) if number % 3 else (far, near)
            yield Packet(5 + number * 0.28, source, destination, ESP, self.pick.randrange(120, 1400))


# --- capture file ----------------------------------------------------------------------------------------------------


def write_pcap(path: Path, conversations: Iterator[Iterator[Packet]]) -> int:
    """Write the packets of all conversations in order of time, Ethernet and headers only; returns how many."""
    count = 0
    with path.open("wb") as out:
        out.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 96, 1))
        for packet in heapq.merge(*conversations, key=lambda packet: packet.at):
            headers = frame(packet)
            seconds, microseconds = divmod(round(packet.at * 1e6), 1_000_000)
            out.write(struct.pack("<IIII", START + seconds, microseconds, len(headers), 14 + packet.size) + headers)
            count += 1
    return count


def frame(packet: Packet) -> bytes:
    """Ethernet, IP and transport headers of one packet."""
    source, destination = packet.source.address, packet.destination.address
    transport = transport_header(packet)
    if source.version == 6:
        ethertype, words = 0x86DD, 6 << 28 | packet.tos << 20
        ip = struct.pack("!IHBB", words, packet.size - 40, packet.protocol, 64) + source.packed + destination.packed
    else:
        ethertype = 0x0800
        ip = struct.pack("!BBHHHBBH", 0x45, packet.tos, packet.size, 0, 0x4000, 64, packet.protocol, 0)
        ip += source.packed + destination.packed
    return bytes.fromhex("02005e100001 02005e100002") + ethertype.to_bytes(2, "big") + ip + transport


def transport_header(packet: Packet) -> bytes:
    """What follows the IP header; checksums stay zero, pmacctd does not look at them."""
    ports = struct.pack("!HH", packet.source.port, packet.destination.port)
    match packet.protocol:
        case 6:
            return ports + struct.pack("!IIBBHHH", 0, 0, 0x50, packet.flags, 65535, 0, 0)
        case 17:
            return ports + struct.pack("!HH", packet.size - (40 if packet.source.address.version == 6 else 20), 0)
        case 1 | 58:
            return struct.pack("!HHHH", packet.source.port, 0, 1, 1)
        case _:
            return struct.pack("!II", 0x1000, 1)


# --- export ----------------------------------------------------------------------------------------------------------


def export(pcap: Path) -> list[bytes]:
    """The messages that pmacctd sends for a capture, in order."""
    messages: list[bytes] = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver, tempfile.TemporaryDirectory() as folder:
        receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
        receiver.bind(("127.0.0.1", 0))
        port = receiver.getsockname()[1]

        def receive() -> None:
            while data := receiver.recv(65535):
                messages.append(data)

        reader = threading.Thread(target=receive)
        reader.start()
        config = Path(folder) / "pmacctd.conf"
        config.write_text(PMACCTD.format(folder=folder, pcap=pcap.resolve(), port=port))
        try:
            subprocess.run(["pmacctd", "-f", str(config)], check=True, timeout=120)
        finally:  # an empty datagram, which no exporter sends, ends the reader
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stop:
                stop.sendto(b"", ("127.0.0.1", port))
            reader.join()
    return messages


def main() -> None:
    """Write the sample, and on request the capture it was made from."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("output", type=Path)
    parser.add_argument("--pcap", type=Path, help="keep the capture here")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        pcap = args.pcap or Path(folder) / "traffic.pcap"
        packets = write_pcap(pcap, Site().conversations())
        messages = export(pcap)
    args.output.write_bytes(b"".join(messages))
    print(f"{packets} packets, {len(messages)} messages, {args.output.stat().st_size} octets")


if __name__ == "__main__":
    main()
