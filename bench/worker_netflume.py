"""netflume as a party: its Decoder, given one datagram after another, records as dicts.

It does not read captures: it is given the payloads and their senders, taking them out is not counted.
It does not know subTemplateLists and their kind: on S4 it hands the lists over as octets, in hexadecimal.
Run by the interpreter of the benchmark's own environment, where the package is.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import netflume  # type: ignore[import-not-found]  # lives only in the benchmark's environment
from protocol import datagrams, serve

if TYPE_CHECKING:
    from collections.abc import Iterator


def main(file: str) -> None:
    received = list(datagrams(Path(file).read_bytes()))

    def decoded() -> Iterator[Any]:
        decoder = netflume.Decoder()
        return (decoder.decode(payload, sender) for sender, payload in received)

    def one_pass() -> int:
        return sum(len(message.flows) + len(message.options) for message in decoded())

    def check() -> dict[str, int]:
        octets = sum(flow["octets"] for message in decoded() for flow in message.flows)
        return {"records": one_pass(), "octets": octets}

    serve(check, one_pass)


main(sys.argv[2])
