"""headwater as a party that writes: the flows of a file as columns, dicts or tuples become messages in memory.

What is written comes from `hw.read` before the clock starts; messages have 1,420 octets at most, as those read had.
When checking, what has been written is read again and added up as worker_headwater.py does.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from protocol import serve
from worker_headwater import totals

import headwater as hw
from headwater.batch.encode import Encoder
from headwater.batch.incoming import columns_of
from headwater.session.exporting import ExportSession

if TYPE_CHECKING:
    from headwater.batch import Batch
    from headwater.session.outgoing import Outgoing

MTU, DOMAIN, NOW, ROWS = 1420, 7, 1_700_000_000.0, 1 << 14


def main(file: str, mode: str) -> None:
    batches = list(hw.read(Path(file).read_bytes()))
    count = sum(batch.num_rows for batch in batches)
    specs = batches[0].template
    chunks: list[Any] = [chunk for batch in batches for chunk in rows_of(batch, mode)]
    encoder = Encoder()

    def write() -> list[Outgoing]:
        session = ExportSession("file", mtu=MTU)
        template = session.template(specs, DOMAIN)
        room = session.room(template, DOMAIN)
        out: list[Outgoing] = []
        for chunk in chunks:
            if mode == "columns":
                columns, number = list(chunk.columns.values()), chunk.num_rows
            else:
                incoming = columns_of(chunk, template=template)
                columns, number = incoming.values, incoming.count
            out += session.send(encoder.encode(template, columns, number, room), DOMAIN, now=NOW)
        return out

    def one_pass() -> int:
        write()
        return count

    serve(lambda: totals(b"".join(map(bytes, write()))), one_pass)


def rows_of(batch: Batch, mode: str) -> list[Any]:
    """What is handed over: the batch, or lists of its rows, numbers as numbers."""
    if mode == "columns":
        return [batch]
    rows = list(batch.tuples() if mode == "tuples" else batch.rows(addresses="raw", times="int"))
    return [rows[at : at + ROWS] for at in range(0, len(rows), ROWS)]


if __name__ == "__main__":
    main(*sys.argv[2:])
