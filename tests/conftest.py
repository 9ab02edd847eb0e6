"""What every test may rely on."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

ROOT = Path(__file__).resolve().parent.parent

pytest_plugins = ["pytester"]

# A slow machine is no failure; and CI tries the same examples every time, so that it fails only for what was changed.
settings.register_profile("headwater", deadline=None, derandomize=os.environ.get("CI") == "true")
settings.load_profile("headwater")

SLOW_TIMEOUT_S = 900  # on a machine that does other things as well


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give tests marked slow their time."""
    for item in items:
        if item.get_closest_marker("slow") and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(SLOW_TIMEOUT_S))


@pytest.fixture(scope="session")
def corpus() -> Path:
    """The folder with the captures of real exporters, which is kept beside the repository, not in it."""
    folder = ROOT.parent / "shared" / "corpus"
    if not (folder / "catalogue.json").is_file():
        pytest.skip(f"no captures of real exporters at {os.path.relpath(folder, ROOT)}, so nothing to compare with")
    return folder


@pytest.fixture(scope="session")
def sample() -> Path:
    """The bundled export of a real pmacctd: 740 messages, 4,554 records (its PROVENANCE.md says more)."""
    return ROOT / "src" / "headwater" / "samples" / "pmacctd.ipfix"
