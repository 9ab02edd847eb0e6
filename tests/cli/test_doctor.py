"""`headwater doctor`."""

from __future__ import annotations

import json
from importlib import metadata

import pytest

from headwater import kernel
from headwater.cli import doctor
from tests.cli.conftest import Run


def test_a_whole_installation_passes(run: Run) -> None:
    result = run("doctor")
    assert result.exit_code == 0
    assert f"numpy {metadata.version('numpy')}" in result.stdout
    assert "self-test: a message was decoded as it should be" in result.stdout


def test_json_has_the_same(run: Run) -> None:
    found = json.loads(run("doctor", "--json").stdout)
    assert found["kernel"] == kernel.backend
    assert found["self_test"] == "ok"
    assert found["elements"]["iana"] > 480
    assert found["elements"]["iana_date"] >= "2026"


def test_what_is_missing_comes_with_the_command_that_installs_it(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    version = doctor._version
    monkeypatch.setattr(doctor, "_version", lambda name: None if name in ("pyarrow", "msgspec") else version(name))
    result = run("doctor")
    assert result.exit_code == 1
    assert "pip install 'headwater[arrow]'" in result.stdout
    assert "msgspec is missing: pip install msgspec" in result.stdout


def test_a_slow_kernel_comes_with_advice(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel, "backend", "numpy")
    assert "kernel: numpy: the same results, but slow" in run("doctor").stdout


def test_a_failing_self_test_is_told(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_SELF_TEST", doctor._SELF_TEST[:-1])
    result = run("doctor")
    assert result.exit_code == 1
    assert "self-test: decoded [] where" in result.stdout


def test_the_variable_that_makes_it_slow_is_named(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel, "backend", "numpy")
    monkeypatch.setenv("HEADWATER_KERNEL", "numpy")
    out = run("doctor").stdout
    assert "HEADWATER_KERNEL=numpy is the cause" in out
    assert "compiler" not in out
