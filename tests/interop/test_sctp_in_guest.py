"""The tests of SCTP, under a kernel that has it: the one this runs on may not."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

from tests.conftest import ROOT
from tests.peers import require_program

pytestmark = [pytest.mark.interop, pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.mark.parametrize(
    ("tests", "count"),
    [
        ("transport/test_outgoing_sctp.py", 5),
        ("transport/test_incoming_sctp.py", 10),
        ("interop/test_collecting_sctp.py", 2),
    ],
)
def test_messages_go_over_sctp_in_a_guest_that_has_it(tests: str, count: int) -> None:
    for program in ("linux.uml", "insmod", "ip", "busybox", "softflowd"):
        require_program(program)
    done = subprocess.run(
        [ROOT / "scripts" / "in-guest.sh", sys.executable, "-m", "pytest", "-q", f"tests/{tests}"],
        cwd=ROOT,
        env=os.environ | {"GUEST_SECONDS": "800"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(rf"\b{count} passed\b", done.stdout), done.stdout
