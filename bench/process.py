"""What headwater costs as a process: start-up CPU time over a bare interpreter, and memory while streaming a file."""

from __future__ import annotations

import compileall
import os
import statistics
import sys
from pathlib import Path

import parties

STREAM = """\
import sys, headwater
for batch in headwater.read(sys.argv[1]):
    for _ in batch.columns.values():
        pass
"""


def cpu_and_memory(command: list[str]) -> tuple[float, float]:
    """CPU seconds (user + system) and peak resident MB of one command. Raises Absent if it fails."""
    null = os.open(os.devnull, os.O_WRONLY)
    pid = os.posix_spawn(
        command[0], command, parties.ENVIRONMENT, file_actions=[(os.POSIX_SPAWN_DUP2, null, fd) for fd in (1, 2)]
    )
    os.close(null)
    _, status, usage = os.wait4(pid, 0)
    if status:
        raise parties.Absent(f"failed: exit code {os.waitstatus_to_exitcode(status)}")
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024 / 1e6


def startup(times: int) -> tuple[float, float]:
    """Milliseconds of CPU that `import headwater` and `headwater --help` take over a bare interpreter.

    Bytecode is made first; medians of interleaved runs.
    """
    compileall.compile_dir(parties.HERE.parent / "src", quiet=2)
    program = Path(sys.executable).with_name("headwater")
    commands = (
        [sys.executable, "-c", "pass"],
        [sys.executable, "-c", "import headwater"],
        [sys.executable, str(program), "--help"],
    )
    for command in commands:
        cpu_and_memory(command)  # the first run fills caches
    runs = [[cpu_and_memory(command)[0] * 1e3 for command in commands] for _ in range(times)]
    bare, imported, helped = (statistics.median(column) for column in zip(*runs, strict=True))
    return imported - bare, helped - bare


def peak_memory(file: Path, octets: int) -> float:
    """Peak resident MB of a process that streams a file of `octets`, made of `file` again and again."""
    large = file.with_name("large.ipfix")
    content = file.read_bytes()
    try:
        with large.open("wb") as out:
            while out.tell() < octets:
                out.write(content)
        return cpu_and_memory([sys.executable, "-c", STREAM, str(large)])[1]
    finally:
        large.unlink()
