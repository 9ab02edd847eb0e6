"""What the documentation shows is run, with the bundled sample as flows.ipfix."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import headwater as hw
from tests.conftest import ROOT

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def python_blocks() -> Iterator[object]:
    for page in PAGES:
        for number, code in enumerate(re.findall(r"^```python\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE)):
            yield pytest.param(code, id=f"{page.relative_to(ROOT)}-{number}")


@pytest.mark.parametrize("code", list(python_blocks()))
def test_python_shown_in_the_documentation_runs(
    code: str, sample: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(sample, tmp_path / "flows.ipfix")
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "documentation", "exec", dont_inherit=True), {"__name__": "documentation"})


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_to_files_of_the_repository_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?:|#|mailto:)([^)#]+)", page.read_text()):
        assert (page.parent / target).exists(), target


def test_the_readme_is_one_page() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= 120


@pytest.mark.slow
def test_the_live_part_of_make_demo_ends_by_itself_and_loses_nothing(tmp_path: Path) -> None:
    script = [sys.executable, str(ROOT / "examples" / "collecting.py"), f"{tmp_path}/live/"]
    done = subprocess.run(script, capture_output=True, text=True, timeout=200)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1] == "sent 60,000 records, received 60,000, lost nothing"
    (question,) = re.findall(r"^TOP_PORTS := (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert hw.query(question, tmp_path / "live").num_rows == 5
