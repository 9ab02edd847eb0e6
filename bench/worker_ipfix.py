"""python-ipfix as a party: its stream reader over the bytes, records as dicts or as tuples of all elements.

It does not know subTemplateLists and their kind: on S4 it hands the lists over as octets.
Run by the interpreter of the benchmark's own environment, where the package is.
"""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ipfix  # type: ignore[import-not-found]  # lives only in the benchmark's environment
import ipfix.reader  # type: ignore[import-not-found]
from protocol import serve

if TYPE_CHECKING:
    from collections.abc import Iterator

FLOW = (
    "sourceIPv4Address", "destinationIPv4Address", "sourceTransportPort", "destinationTransportPort",
    "protocolIdentifier", "tcpControlBits[1]", "octetDeltaCount", "packetDeltaCount", "flowStartMilliseconds",
    "flowEndMilliseconds", "ingressInterface", "egressInterface",
)  # fmt: skip


def main(file: str, mode: str) -> None:
    data = Path(file).read_bytes()
    ipfix.ie.use_iana_default()
    ipfix.ie.use_5103_default()
    elements = ipfix.ie.spec_list(FLOW)

    def records() -> Iterator[Any]:
        reader = ipfix.reader.from_stream(io.BytesIO(data))
        found: Iterator[Any] = reader.tuple_iterator(elements) if mode == "tuples" else reader.namedict_iterator()
        return found

    def one_pass() -> int:
        count = 0
        for _ in records():
            count += 1
        return count

    def check() -> dict[str, int]:
        column = FLOW.index("octetDeltaCount")
        octets = [row[column] if mode == "tuples" else row.get("octetDeltaCount", 0) for row in records()]
        return {"records": len(octets), "octets": sum(octets)}

    serve(check, one_pass)


if __name__ == "__main__":
    main(*sys.argv[2:])
