"""Whatever is in a file, every verb ends with an exit code, not with a traceback, and shows nothing harmful."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests import build
from tests.cli.conftest import Run

MESSAGES = [
    *build.mixed_flows(40),
    *build.strings(20),
    *build.lists(20),
    build.message(
        build.options_template_set(build.options_template(256, (267, 1), (130, 4), (82, build.VARIABLE), scope=1)),
        build.data_set(256, build.uint(0, 1), build.ipv4("192.0.2.1"), build.var(b"\x1bname")),
    ),
]


def damaged(seed: int) -> bytes:
    pick = random.Random(seed)
    octets = bytearray(build.file(*pick.sample(MESSAGES, 3)))
    for _ in range(pick.choice((0, 1, 3, 10, 100))):
        octets[pick.randrange(len(octets))] = pick.choice((0, 1, 2, 27, 128, 255, pick.randrange(256)))
    return bytes(octets[: pick.choice((len(octets), pick.randrange(len(octets))))])


@pytest.mark.parametrize("seed", range(12))
def test_every_verb_survives_damaged_files(run: Run, tmp_path: Path, seed: int) -> None:
    path = tmp_path / "damaged.ipfix"
    path.write_bytes(damaged(seed))
    for args in (
        ["cat", path],
        ["cat", "--options", "--long", "--resync", path],
        ["cat", "--json", "--salvage", path],
        ["cat", "--csv", "-s", "octetDeltaCount,basicList", "-w", "octetDeltaCount > 5", path],
        ["info", path],
        ["info", "--json", "--resync", path],
        ["explain", path],
        ["explain", "--message", 2, "--json", path],
        ["convert", "--options", "--force", path, tmp_path / "out.parquet"],
    ):
        result = run(*args, width=100)
        assert result.exit_code in (0, 1, 2), args
        assert "\x1b" not in result.stdout + result.stderr
