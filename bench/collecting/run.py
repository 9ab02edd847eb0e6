"""Load on a Collector, sender on the other core: what is sent, stored and lost, and what it costs; nfcapd beside it.

    python bench/collecting/run.py [--seconds 10] [--only NAME…] [--pin]

CPU is of the whole process, from its start to its end, of all its threads (getrusage). The same datagrams at the same
rate go to headwater and to nfcapd, one after the other. Losses are printed, never left out.
Exit code 1: a party failed, or records are missing that nobody has counted as lost.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from traffic import PER_MESSAGE, traffic

HERE = Path(__file__).resolve().parent
CACHE = HERE.parent.parent / ".cache" / "bench"
SENDER_CPU, OUR_CPU = "1", 0
BUFFER = 16 << 20


@dataclass(frozen=True, slots=True)
class Load:
    """One load. sinks: with {} for a folder. rate, goal: records a second; a rate of 0 is as fast as possible."""

    name: str
    protocol: str
    kind: str
    rate: float
    sinks: tuple[str, ...] = ()
    goal: float = 0
    has_nfcapd: bool = True


LOADS = (
    Load("UDP to Parquet", "udp", "one", 2.1e6, ("parquet:{}/",), 2e6),
    Load("UDP to Arrow IPC", "udp", "one", 4.1e6, ("arrow:{}/",), 4e6),
    Load("UDP to raw spool", "udp", "one", 4.1e6, ("spool:{}/",), 4e6),
    Load("TCP to no sink", "tcp", "one", 0, (), 5e6, has_nfcapd=False),
    Load("1,000 exporters, one Template, to Parquet", "udp", "same", 1e6, ("parquet:{}/",)),
    Load("1,000 exporters, Templates of their own, to Parquet", "udp", "different", 1e6, ("parquet:{}/",)),
)


@dataclass(slots=True)
class Result:
    """What became of a load. lost: by name of the counter. cpu: seconds. peak: MB."""

    sent: dict[str, float]
    records: int
    cpu: float
    peak: float
    lost: dict[str, int] = field(default_factory=dict)
    octets: int = 0

    @property
    def missing(self) -> int:
        """Records that were sent and are not there."""
        return int(self.sent["records"]) - self.records

    @property
    def is_explained(self) -> bool:
        """Whether no more is missing than was counted: what is counted has a Message of records at most."""
        return 0 <= self.missing <= PER_MESSAGE * sum(self.lost.values())


class Party:
    """A child process that receives."""

    def __init__(self, command: list[str], *, is_pinned: bool) -> None:
        self.child = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            preexec_fn=(lambda: os.sched_setaffinity(0, {OUR_CPU})) if is_pinned else None,
        )

    def __enter__(self) -> Party:
        return self

    def __exit__(self, *_: object) -> None:
        self.child.kill()  # if something went wrong; else it has ended

    def line(self) -> str:
        assert self.child.stdout is not None
        found = self.child.stdout.readline()
        if not found:
            raise SystemExit(f"{self.child.args} ended by itself")
        return found.strip()

    def say(self, line: str) -> None:
        assert self.child.stdin is not None
        self.child.stdin.write(line + "\n")
        self.child.stdin.flush()

    def cpu(self) -> float:
        """CPU seconds so far."""
        fields = Path(f"/proc/{self.child.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def end(self) -> float:
        """CPU seconds of the whole process, when it has ended."""
        _, _, usage = os.wait4(self.child.pid, 0)
        return usage.ru_utime + usage.ru_stime

    def peak(self) -> float:
        """Most resident MB so far; that of getrusage begins with what the parent had."""
        status = Path(f"/proc/{self.child.pid}/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0]) * 1024 / 1e6


def send(load: Load, port: int, seconds: float, sender: Path) -> dict[str, float]:
    file = traffic(load.kind, CACHE)
    command = [str(sender), str(file), load.protocol, str(port), str(load.rate), str(seconds), SENDER_CPU]
    done = subprocess.run(command, input="\n", stdout=subprocess.PIPE, text=True, check=True, timeout=seconds + 60)
    sent: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return sent


def headwater(load: Load, seconds: float, sender: Path, folder: Path, *, is_pinned: bool) -> Result:
    url = f"{load.protocol}://127.0.0.1:0" + (f"?receive_buffer={BUFFER}" if load.protocol == "udp" else "")
    sinks = [sink.format(folder) for sink in load.sinks]
    with Party([sys.executable, str(HERE / "worker.py"), url, *sinks], is_pinned=is_pinned) as party:
        port = int(party.line().rpartition(":")[2])
        sent = send(load, port, seconds, sender)
        time.sleep(0.5)
        party.say("stop")
        report = json.loads(party.line())
        peak = party.peak()
        party.say("end")
        cpu = party.end()
    totals = report["totals"]
    names = ("kernel_drops", "dropped_datagrams", "not_export", "truncated", "lost", "undecodable_sets", "records_lost")
    lost = {name: totals[name] for name in names if totals.get(name)}
    records = stored(load, folder, totals)
    return Result(sent, records, cpu, peak, lost, sum(one.stat().st_size for one in files(folder)))


def stored(load: Load, folder: Path, totals: dict[str, Any]) -> int:
    """Records that are in the files; of a load without a sink those that were decoded."""
    if not load.sinks:
        return int(totals["records"])
    import headwater as hw

    format = load.sinks[0].partition(":")[0]
    if format == "parquet":
        import pyarrow.parquet as pq

        return sum(pq.read_metadata(one).num_rows for one in files(folder))
    if format == "arrow":
        import pyarrow as pa

        return sum(batch.num_rows for one in files(folder) for batch in pa.ipc.open_stream(one))
    return sum(len(batch) for batch in hw.read(folder))


def files(folder: Path) -> list[Path]:
    return [
        one
        for one in folder.rglob("*")
        if one.is_file() and not any(p.startswith(".") for p in one.relative_to(folder).parts)
    ]


def nfcapd(load: Load, seconds: float, sender: Path, folder: Path, *, is_pinned: bool) -> Result:
    port = 40_000 + os.getpid() % 10_000
    where = ["-4", "-b", "127.0.0.1", "-p", str(port), "-w", str(folder), "-t", "3600", "-B", str(BUFFER)]
    with Party(["nfcapd", *where], is_pinned=is_pinned) as party:
        is_bound = re.compile(rf":{port:04X} ")
        end = time.monotonic() + 10
        while not is_bound.search(Path("/proc/net/udp").read_text()):
            if time.monotonic() > end:
                raise SystemExit("nfcapd does not listen")
            time.sleep(0.05)
        sent = send(load, port, seconds, sender)
        time.sleep(1.5)
        drops = next(
            int(line.split()[-1]) for line in Path("/proc/net/udp").read_text().splitlines() if f":{port:04X} " in line
        )
        peak = party.peak()
        party.child.terminate()
        cpu = party.end()
    done = subprocess.run(["nfdump", "-R", str(folder), "-I"], capture_output=True, text=True, check=False).stdout
    flows = re.search(r"^Flows:\s*(\d+)", done, re.MULTILINE)
    size = sum(one.stat().st_size for one in files(folder))
    return Result(sent, int(flows[1]) if flows else 0, cpu, peak, {"kernel_drops": drops} if drops else {}, size)


def idle(seconds: float) -> float:
    """CPU of a Collector to which nothing comes, in %."""
    with tempfile.TemporaryDirectory(dir=CACHE) as name:
        command = [sys.executable, str(HERE / "worker.py"), "udp://127.0.0.1:0", f"parquet:{name}/"]
        with Party(command, is_pinned=False) as party:
            party.line()
            time.sleep(1)
            before = party.cpu()
            time.sleep(seconds)
            spent = party.cpu() - before
            party.say("stop")
            party.line()
            party.say("end")
            party.end()
    return 100 * spent / seconds


def show(name: str, result: Result) -> None:
    sent, seconds = result.sent["records"], result.sent["seconds"]
    per_million = result.cpu / max(result.records, 1) * 1e6
    rate, of_all = sent / seconds / 1e6, 100 * result.missing / sent
    lines = (
        f"sent {sent / 1e6:.2f} M records ({rate:.2f} M/s), stored {result.records / 1e6:.2f} M, "
        f"missing {result.missing:,} ({of_all:.2f} %), counted as lost: {result.lost or 'nothing'}",
        f"CPU {result.cpu:.2f} s = {per_million:.3f} s for a million records stored, peak {result.peak:.0f} MB, "
        f"files {result.octets / 1e6:.0f} MB",
    )
    print(f"  {name:10}", f"\n  {'':10} ".join(lines), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=10, help="of each load; the sender sends for 60 at most")
    parser.add_argument("--rate", type=float, help="records a second, instead of those of the loads")
    parser.add_argument("--only", nargs="*", default=[], help="loads whose names contain one of these")
    parser.add_argument("--pin", action="store_true", help="let collectors have one core only, not that of the sender")
    given = parser.parse_args()
    CACHE.mkdir(parents=True, exist_ok=True)
    sender = CACHE / "sender"
    subprocess.run(["gcc", "-O2", "-Wall", "-Wextra", "-o", sender, HERE / "sender.c"], check=True)
    is_wrong = False
    for load in LOADS:
        if given.only and not any(part in load.name for part in given.only):
            continue
        if given.rate is not None:
            load = replace(load, rate=given.rate)
        goal = f", goal {load.goal / 1e6:g} M records/s without loss" if load.goal else ""
        print(f"{load.name}: {given.seconds:g} s at {load.rate / 1e6 or 'most'} M records/s{goal}", flush=True)
        parties = {"headwater": headwater}
        if load.has_nfcapd and shutil.which("nfcapd"):
            parties["nfcapd"] = nfcapd
        for name, party in parties.items():
            with tempfile.TemporaryDirectory(dir=CACHE) as folder:
                result = party(load, given.seconds, sender, Path(folder), is_pinned=given.pin)
            show(name, result)
            is_wrong |= not result.is_explained
    if not given.only or "idle" in given.only:
        print(f"idle: {idle(given.seconds):.2f} % of a core over {given.seconds:g} s", flush=True)
    sys.exit(is_wrong)


if __name__ == "__main__":
    main()
