"""A Collector as a party: it says where it listens, and what it has counted when a line of input comes.

    python worker.py URL [SINK…]

It ends with the line after that one.
"""

from __future__ import annotations

import json
import sys

import headwater as hw


def main() -> None:
    url, *sinks = sys.argv[1:]
    collector = hw.Collector(url, sinks=sinks, control="")
    collector.start()
    print(collector.addresses[0], flush=True)
    sys.stdin.readline()
    print(json.dumps(collector.stop(drain=60).to_dict()), flush=True)
    sys.stdin.readline()  # until somebody has looked at its memory


if __name__ == "__main__":
    main()
