"""python-ipfix as a party that writes: its stream writer, from dicts or tuples of the flows of a file to memory.

Run by the interpreter of the benchmark's own environment, where the package is.
"""

from __future__ import annotations

import io
import sys
from pathlib import Path

import ipfix  # type: ignore[import-not-found]  # lives only in the benchmark's environment
import ipfix.reader  # type: ignore[import-not-found]
import ipfix.writer  # type: ignore[import-not-found]
from protocol import serve
from worker_ipfix import FLOW

MTU, DOMAIN, TEMPLATE = 1420, 7, 256


def main(shape: str, file: str, mode: str) -> None:
    ipfix.ie.use_iana_default()
    ipfix.ie.use_5103_default()
    names = (*FLOW, "userName(371)<string>[65535]", "httpRequestTarget(461)<string>[65535]") if shape == "S3" else FLOW
    elements = ipfix.ie.spec_list(names)
    rows = list(ipfix.reader.from_stream(io.BytesIO(Path(file).read_bytes())).namedict_iterator())
    tuples = [tuple(row[element.name] for element in elements) for row in rows]

    def write() -> bytes:
        out = io.BytesIO()
        writer = ipfix.writer.to_stream(out, mtu=MTU)
        writer.set_domain(DOMAIN)
        writer.add_template(ipfix.template.from_ielist(TEMPLATE, elements))
        writer.set_export_template(TEMPLATE)
        if mode == "tuples":
            for row in tuples:
                writer.export_tuple(row)
        else:
            for record in rows:
                writer.export_namedict(record)
        writer.flush()
        return out.getvalue()

    def one_pass() -> int:
        write()
        return len(rows)

    def check() -> dict[str, int]:
        read = list(ipfix.reader.from_stream(io.BytesIO(write())).namedict_iterator())
        return {"records": len(read), "octets": sum(row["octetDeltaCount"] for row in read)}

    serve(check, one_pass)


main(*sys.argv[1:])
