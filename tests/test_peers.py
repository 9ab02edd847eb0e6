from __future__ import annotations

import shutil

import pytest

from tests import peers


@pytest.fixture
def nothing_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name, path=None: None)


@pytest.mark.usefixtures("nothing_installed")
def test_a_missing_program_skips_a_test_and_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match=r"tshark is not installed .*apt-get install tshark"):
        peers.require_program("tshark")


@pytest.mark.usefixtures("nothing_installed")
def test_a_missing_program_fails_a_test_in_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="in CI every peer must be there"):
        peers.require_program("ipfixDump")


def test_an_installed_program_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name, path=None: f"{path}/{name}" if path else None)
    assert peers.require_program("pmacctd") == "/usr/sbin:/sbin/pmacctd"
