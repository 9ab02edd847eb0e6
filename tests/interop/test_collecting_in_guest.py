"""A Collector over SCTP, under a kernel that has it: the one this runs on may not."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

from tests.conftest import ROOT
from tests.peers import require_program

pytestmark = [pytest.mark.interop, pytest.mark.slow, pytest.mark.timeout(900)]


def test_what_comes_over_sctp_is_stored_in_a_guest_that_has_it() -> None:
    for program in ("linux.uml", "insmod", "ip", "busybox", "softflowd"):
        require_program(program)
    tests = [sys.executable, "-m", "pytest", "-q", "tests/interop/test_collecting_sctp.py"]
    done = subprocess.run(
        [ROOT / "scripts" / "in-guest.sh", *tests],
        cwd=ROOT,
        env=os.environ | {"GUEST_SECONDS": "800"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"\b2 passed\b", done.stdout), done.stdout
