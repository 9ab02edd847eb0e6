"""Which kernel `headwater.kernel` is."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import headwater
from headwater import kernel
from headwater.kernel import reference


def run(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    source = str(Path(headwater.__file__).parents[1])
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        env={"PYTHONPATH": source, **environment},
    )


def test_the_variable_chooses_the_twin() -> None:
    shown = run(
        "from headwater import kernel; print(kernel.backend, kernel.chain.__module__)", HEADWATER_KERNEL="numpy"
    )
    assert shown.stdout.split() == ["numpy", "headwater.kernel.reference"], shown.stderr


def test_the_compiled_kernel_is_used_where_it_is() -> None:
    pytest.importorskip("headwater.kernel._kernel", reason="built without a compiler")
    shown = run("from headwater import kernel; print(kernel.backend, kernel.chain.__module__)")
    assert shown.stdout.split() == ["native", "headwater.kernel._kernel"], shown.stderr


def test_an_extension_that_does_not_load_is_an_error(tmp_path: Path) -> None:
    """A slow decoder shall not pass for a fast one."""
    package = tmp_path / "headwater" / "kernel"
    package.mkdir(parents=True)
    (tmp_path / "headwater" / "__init__.py").touch()
    for module in Path(kernel.__file__).parent.glob("*.py"):
        (package / module.name).write_text(module.read_text())
    code = "from headwater import kernel; print(kernel.backend)"
    assert run(code, PYTHONPATH=str(tmp_path)).stdout == "numpy\n"
    (package / "_kernel.abi3.so").write_bytes(b"not an extension")
    (package / "_kernel.pyd").write_bytes(b"not an extension")
    failed = run(code, PYTHONPATH=str(tmp_path))
    assert failed.returncode != 0
    assert "ImportError" in failed.stderr


def test_both_have_the_same_functions() -> None:
    names = set(kernel.__all__) - {"backend"}
    assert all(callable(getattr(kernel, name)) for name in names)
    assert set(reference.__all__) == names
    assert all(callable(getattr(reference, name)) for name in names)
