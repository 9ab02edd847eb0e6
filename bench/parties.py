"""The parties of the benchmark: how each is built or installed, started, and talked to (worker.h, protocol.py).

A party that cannot be had is an Absent with its reason, which the report shows; nothing is left out silently.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
CACHE = HERE.parent / ".cache" / "bench"
VENV = HERE.parent / ".cache" / "bench-venv"
PINS = ("ipfix==0.9.7", "netflume==0.6.0", "netflow==0.12.2")
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


class Absent(Exception):
    """A party cannot be had here; the text says why and how to get it."""


@dataclass(frozen=True, slots=True)
class Party:
    """Something that decodes or encodes: its command line but for SHAPE, FILE and `mode`.

    small: it is given the small file.
    """

    name: str
    command: tuple[str, ...]
    mode: str = ""
    small: bool = False


class Worker:
    """A party at work in a process of its own, on one file."""

    def __init__(self, party: Party, shape: str, file: Path) -> None:
        self.party = party
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed in close()
        arguments = [*party.command, shape, str(file), *([party.mode] if party.mode else [])]
        self._process = subprocess.Popen(
            arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors, text=True, env=ENVIRONMENT
        )

    def check(self) -> dict[str, int]:
        """The totals that the party arrives at. Raises Absent if it fails."""
        return self._ask("check")

    def run(self, seconds: float) -> float:
        """CPU seconds for a record, over passes of at least `seconds`. Raises Absent if the party fails."""
        answer = self._ask(f"run {seconds}")
        return answer["cpu"] / answer["records"] if answer["records"] else float("nan")

    def _ask(self, line: str) -> dict[str, int]:
        assert self._process.stdin
        assert self._process.stdout
        try:
            self._process.stdin.write(line + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass  # it has died: the empty answer tells
        answer = self._process.stdout.readline()
        if not answer:
            self._process.wait()
            self._errors.seek(0)
            reason = self._errors.read().strip().splitlines() or [f"exit code {self._process.returncode}"]
            raise Absent(f"failed: {reason[-1]}")
        result: dict[str, int] = json.loads(answer)
        return result

    def close(self) -> None:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()
        self._errors.close()


def headwater(mode: str) -> Party:
    return Party("headwater", (sys.executable, str(HERE / "worker_headwater.py")), mode)


def headwater_writer(mode: str) -> Party:
    return Party("headwater", (sys.executable, str(HERE / "worker_headwater_writer.py")), mode)


def tight() -> Party:
    return Party("tight", (compiled("tight", "tight.c", ()),))


def tight_netflow() -> Party:
    return Party("tight", (compiled("tight_netflow", "tight_netflow.c", ()),))


def libfixbuf(program: str = "fixbuf_reader") -> Party:
    found = subprocess.run(
        ["pkg-config", "--cflags", "--libs", "libfixbuf"], capture_output=True, text=True, check=False
    ) if shutil.which("pkg-config") else None  # fmt: skip
    if not found or found.returncode:
        raise Absent("not installed (Debian: apt-get install libfixbuf-dev pkg-config)")
    return Party("libfixbuf", (compiled(program, f"{program}.c", tuple(found.stdout.split())),))


def python_ipfix(mode: str = "dicts") -> Party:
    return Party("python-ipfix", (interpreter(), str(HERE / "worker_ipfix.py")), mode, small=True)


def python_ipfix_writer(mode: str) -> Party:
    return Party("python-ipfix", (interpreter(), str(HERE / "worker_ipfix_writer.py")), mode, small=True)


def netflume() -> Party:
    return Party("netflume", (interpreter(), str(HERE / "worker_netflume.py")), small=True)


def netflow() -> Party:
    return Party("netflow", (interpreter(), str(HERE / "worker_netflow.py")), small=True)


def nfdump() -> Party:
    if not (shutil.which("nfdump") and shutil.which("nfcapd")):
        raise Absent("not installed (Debian: apt-get install nfdump)")
    if not Path("/proc/net/udp").exists():
        raise Absent("not measured (its files are made with the help of Linux's /proc/net/udp)")
    return Party("nfdump", (sys.executable, str(HERE / "worker_nfdump.py")))


def compiled(name: str, source: str, flags: tuple[str, ...]) -> str:
    """The path of a C program of the benchmark, built with `cc -O3`. Raises Absent."""
    compiler = shutil.which("cc")
    if not compiler:
        raise Absent("not built (no C compiler: cc)")
    CACHE.mkdir(parents=True, exist_ok=True)
    program = CACHE / name
    command = [compiler, "-O3", "-std=c11", "-D_GNU_SOURCE", "-Wall", "-o", str(program), str(HERE / source), *flags]
    built = subprocess.run(command, capture_output=True, text=True, check=False)
    if built.returncode:
        raise Absent(f"not built ({(built.stderr.strip().splitlines() or ['cc failed'])[0]})")
    return str(program)


def interpreter() -> str:
    """The Python of the environment that holds the pinned rivals, made on first use. Raises Absent."""
    python, stamp = VENV / "bin" / "python", VENV / "pins.txt"
    if not stamp.exists() or stamp.read_text().split() != list(PINS):
        for command in (
            [sys.executable, "-m", "venv", "--clear", str(VENV)],
            [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *PINS],
        ):
            done = subprocess.run(command, capture_output=True, text=True, check=False, env=ENVIRONMENT)
            if done.returncode:
                raise Absent(f"not installed ({(done.stderr.strip().splitlines() or ['pip failed'])[-1]})")
        stamp.write_text("\n".join(PINS))
    return str(python)
