"""One of several processes that share the work of a collector: `python -m headwater.process.collecting.worker FD`.

FD: a stream socket to the parent, JSON lines both ways. The first line has settings, sockets and the number. Then
the parent asks, and the worker answers each question with a line. When the parent is gone, the worker drains and ends.
"""

from __future__ import annotations

import signal
import socket
import sys
from contextlib import suppress
from typing import Any

import msgspec

from headwater.errors import HeadwaterError
from headwater.process.collecting.collector import Collector
from headwater.process.collecting.logs import Logs
from headwater.process.collecting.settings import settings_of


def main(fd: int) -> int:
    """Collect until the parent says stop, or is gone."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # the parent hears of them too
        signal.signal(number, signal.SIG_IGN)
    with socket.socket(fileno=fd) as parent, parent.makefile("rb") as lines:
        asked = msgspec.json.decode(lines.readline())
        settings = settings_of(**asked["settings"])
        logs = Logs(settings.log)
        sockets = [socket.socket(fileno=one) for one in asked["sockets"]]
        try:
            collector = Collector(settings=settings, sockets=sockets, worker=asked["worker"])
            collector.start()
        except HeadwaterError as error:
            _answer(parent, {"error": str(error)})
            return 2
        _answer(parent, {"started": True})
        drain = None
        for line in lines:
            question = msgspec.json.decode(line)
            logs.tick()  # the parent asks every second
            if question["do"] == "stop":
                drain = question["drain"]
                break
            try:
                _answer(parent, _done(collector, logs, question))
            except HeadwaterError as error:
                _answer(parent, {"error": str(error)})
        report = collector.stop(drain)
        _answer(parent, {"report": report.to_dict(), "is_whole": collector.is_whole})
        logs.close()
    return 0


def _done(collector: Collector, logs: Logs, question: dict[str, Any]) -> dict[str, Any]:
    match question["do"]:
        case "report":
            return {
                "report": collector.report().to_dict(),
                "progress": collector.progress,
                "decoded": collector.decoded_records,
                "addresses": collector.addresses,
            }
        case "flush":
            return {"is_whole": collector.flush(question["timeout"])}
        case _:
            settings = settings_of(**question["settings"])
            restart = collector.reload(settings)
            logs.change(settings.log)
            return {"restart": restart}


def _answer(parent: socket.socket, said: dict[str, Any]) -> None:
    with suppress(OSError):  # the parent is gone; the end of its lines tells the loop
        parent.sendall(msgspec.json.encode(said) + b"\n")


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
