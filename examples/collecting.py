"""A collector, an exporter that sends to it for three seconds, and questions that are answered meanwhile.

python examples/collecting.py flows/
"""

from __future__ import annotations

import sys
import threading
import time

import headwater as hw

RECORDS, RATE = 60_000, 20_000
AT_MOST_S = 30.0
SO_FAR = "SELECT count(*) AS records, sum(octetDeltaCount)::BIGINT AS octets FROM flows"


def send(address: str) -> None:
    """Export synthetic flows at their pace, as a router would."""
    with hw.Exporter(address, rate=RATE) as exporter:
        for batch in hw.generate(RECORDS, shape="flows4,flows6", rate=RATE, start=time.time()):
            exporter.write(batch)


def main() -> None:
    """Collect into a folder, ask it while records come, and tell what became of them."""
    if len(sys.argv) != 2:
        sys.exit("usage: python examples/collecting.py FOLDER")
    folder = sys.argv[1]
    with hw.Collector("tcp://127.0.0.1:0", sinks=[folder], control="auto") as collector:
        print(f"listening on {collector.addresses[0]}, writing Parquet files to {folder}")
        exporter = threading.Thread(target=send, args=collector.addresses, daemon=True)
        exporter.start()
        begin = time.monotonic()
        while exporter.is_alive() and time.monotonic() < begin + AT_MOST_S:
            exporter.join(1.0)
            if collector.decoded_records:
                (found,) = hw.query(SO_FAR, folder).to_pylist()  # the collector puts down what it has first
                seconds = time.monotonic() - begin
                print(
                    f"after {seconds:.1f} s: {found['records']:>6,} flows of {found['octets'] / 1e6:.0f} MB are stored"
                )
    report = collector.report()
    lost = ", ".join(f"{cause} {count:,}" for cause, count in report.losses.items()) or "nothing"
    print(f"sent {RECORDS:,} records, received {report.totals.get('records', 0):,}, lost {lost}")


if __name__ == "__main__":
    main()
