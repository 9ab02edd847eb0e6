"""Programs of ours in C, made with libfixbuf."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest


def compiled(name: str, folder: Path) -> Path:
    """The program that is made of NAME.c beside this file. Where that cannot be: skips the test, but in CI fails it."""
    compiler, config = shutil.which("cc"), shutil.which("pkg-config")
    command = ["pkg-config", "--cflags", "--libs", "libfixbuf"]
    flags = subprocess.run(command, capture_output=True, text=True, check=False) if config else None
    if not compiler or flags is None or flags.returncode:
        reason = "libfixbuf or a C compiler is missing (Debian: apt-get install libfixbuf-dev pkg-config gcc)"
        if os.environ.get("CI") == "true":
            pytest.fail(f"{reason}; in CI every peer must be there")
        pytest.skip(reason)
    built = folder / name
    source = Path(__file__).with_name(f"{name}.c")
    subprocess.run([compiler, "-O1", "-Wall", "-o", built, source, *flags.stdout.split()], check=True)
    return built
