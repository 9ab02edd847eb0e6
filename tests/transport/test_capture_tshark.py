"""Captures: the same datagrams as tshark finds, in the captures of real exporters."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests import packets
from tests.peers import require_program
from tests.transport.capturing import run

pytestmark = [pytest.mark.interop, pytest.mark.corpus]

OPTIONS = ("-o", "ip.defragment:TRUE", "-o", "ip.check_checksum:FALSE", "-o", "udp.check_checksum:FALSE", "-n")


def datagrams(path: Path) -> list[tuple[str, str, int]]:
    """(source port, destination port, octets of the payload) of all UDP datagrams, as tshark has them."""
    fields = ("udp.srcport", "udp.dstport", "udp.length")
    command = [require_program("tshark"), *OPTIONS, "-r", str(path), "-Y", "udp", "-T", "fields"]
    command += ["-E", "occurrence=f"]  # not those of packets inside packets, as sFlow has them
    command += [part for field in fields for part in ("-e", field)]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    return [(source, destination, int(length) - 8) for source, destination, length in map(str.split, lines)]


def test_every_capture_of_the_corpus_has_the_datagrams_that_tshark_finds(corpus: Path, tmp_path: Path) -> None:
    """All files in one, because tshark takes a second to begin: a section of pcapng each."""
    files = sorted((corpus / "data").glob("*.pcap"))
    assert len(files) > 100
    joined, ours = b"", []
    for path in files:
        data = path.read_bytes()
        got = run(data)
        ours += [one for one in got.datagrams if one.key]
        assert got.capture.ignored == 0, path.name
        order = "<" if data[0] in (0xD4, 0x4D) else ">"
        link = int.from_bytes(data[20:24], "little" if order == "<" else "big") & 0xFFFF
        joined += packets.section() + packets.interface(link)
        at = 24
        while at < len(data):
            length = int.from_bytes(data[at + 8 : at + 12], "little" if order == "<" else "big")
            joined += packets.enhanced(data[at + 16 : at + 16 + length])
            at += 16 + length
    path = tmp_path / "all.pcapng"
    path.write_bytes(joined)
    assert run(joined).payloads == [one.payload for one in ours]
    assert [(str(one.key.port), str(one.key.local_port), len(one.payload)) for one in ours if one.key] == datagrams(
        path
    )
