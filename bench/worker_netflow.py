"""netflow (bitkeks) as a party: its parse_packet, given one payload after another, records as objects with dicts.

It does not read captures: taking the payloads out is not counted. Its templates know no senders, so each sender gets a
dict of its own, as a collector has to do it. Run by the interpreter of the benchmark's own environment.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import netflow  # type: ignore[import-not-found]  # lives only in the benchmark's environment
from protocol import datagrams, serve

if TYPE_CHECKING:
    from collections.abc import Iterator


def main(file: str) -> None:
    received = list(datagrams(Path(file).read_bytes()))

    def parsed() -> Iterator[Any]:
        templates: dict[str, dict[str, dict[int, Any]]] = defaultdict(lambda: {"netflow": {}, "ipfix": {}})
        return (netflow.parse_packet(payload, templates[sender]) for sender, payload in received)

    def one_pass() -> int:
        return sum(len(packet.flows) + len(getattr(packet, "options", ())) for packet in parsed())

    def check() -> dict[str, int]:
        names = ("IN_BYTES", "IN_OCTETS")  # of v9, of v5
        flows = (flow.data for packet in parsed() for flow in packet.flows)
        octets = sum(flow[name] for flow in flows for name in names if name in flow)
        return {"records": one_pass(), "octets": octets}

    serve(check, one_pass)


main(sys.argv[2])
