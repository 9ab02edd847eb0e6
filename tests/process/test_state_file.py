"""The state file: written as a whole, read with distrust."""

from __future__ import annotations

import hashlib
import json
import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from headwater.batch.options_tables import SavedOption
from headwater.errors import SourceError
from headwater.process import state_file
from headwater.process.state_file import State, StateFile
from headwater.session import SessionKey
from headwater.session.saved import SavedTemplate
from tests import build
from tests.batch.exporters import Exporters, any_exporters, interfaces, on_interfaces, options

NOW = 1_700_000_000.25
KEY = SessionKey("2001:db8::1", 2055, "192.0.2.9", 4739)
TEMPLATES = (
    SavedTemplate(10, KEY, 7, 256, 0, ((0, 8, 4), (35566, 1, 65535)), NOW - 5),
    SavedTemplate(9, None, 0, 300, 1, (((1 << 32) + 1, 2, 4), (1 << 32, 40001, 2), (0, 34, 4)), 0.0),
)


def known() -> tuple[SavedOption, ...]:
    exporters = Exporters()
    exporters.send(
        interfaces((5, "é1"), (6, "")), interfaces((5, "new"), export_time=build.EXPORT_TIME + 9), address="::1"
    )
    exporters.send(options(["applicationId[4]"], ["absoluteError", "basicList"], b"\r\0\0\1", id=301), address="::2")
    values = ["absoluteError", "ipv6ExtensionHeadersFull", "interfaceName[0]", "dataRecordsReliability"]
    record = build.uint(2**64 - 1, 8) + build.float64(0.1) + b"\xff" * 32 + b"\1"
    exporters.send(options(["selectionSequenceId"], values, record, id=302), address="::2")
    return tuple(exporters.tables.snapshot())


OPTIONS = known()


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """A state file with Templates and options."""
    path = tmp_path / "state"
    StateFile(path).save(TEMPLATES, OPTIONS, now=NOW)
    return path


def test_what_was_saved_is_loaded(saved: Path) -> None:
    assert len(OPTIONS) == 3
    assert StateFile(saved).load() == State(TEMPLATES, OPTIONS, NOW)


def test_a_collector_that_starts_again_knows_what_it_knew(tmp_path: Path) -> None:
    before, after = Exporters(), Exporters()
    before.send(interfaces((5, "eth5")), address="192.0.2.1")
    file = StateFile(tmp_path / "state")
    file.save((), before.tables.snapshot(), now=NOW)
    after.tables.restore(file.load().options)
    after.send(on_interfaces(5), address="192.0.2.1")
    assert after.column("ingressInterfaceName") == ["eth5"]


@pytest.mark.parametrize("seed", range(30))
def test_whatever_exporters_send_can_be_saved_and_loaded(tmp_path: Path, seed: int) -> None:
    options = tuple(any_exporters(random.Random(seed)).tables.snapshot())
    file = StateFile(tmp_path / "state")
    file.save((), options, now=NOW)
    assert file.load() == State((), options, NOW)


def test_no_file_is_an_empty_state_without_a_warning(tmp_path: Path) -> None:
    assert StateFile(tmp_path / "none").load() == State()
    assert StateFile(tmp_path / "no" / "such").load() == State()


def test_only_the_owner_can_read_it(saved: Path) -> None:
    assert saved.stat().st_mode & 0o777 == 0o600


def test_nothing_but_the_file_is_left_in_the_directory(saved: Path) -> None:
    StateFile(saved).save((), (), now=NOW)
    assert [path.name for path in saved.parent.iterdir()] == ["state"]
    assert StateFile(saved).load() == State(saved_at=NOW)


def test_a_relative_path_is_one_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    StateFile("state").save(TEMPLATES, (), now=NOW)
    assert StateFile("state").load().templates == TEMPLATES


def refused(path: Path) -> str:
    """The warning about a file, when nothing of it is used."""
    state = StateFile(path).load()
    assert state == State(warning=state.warning)
    warning = str(state.warning)
    assert str(path) in warning
    assert "\n" not in warning
    return warning


def test_a_half_written_file_is_refused(saved: Path) -> None:
    octets = saved.read_bytes()
    header = octets.index(b"\n") + 1
    for length in [*range(0, header, 7), *range(header, len(octets), 50), len(octets) - 1]:
        saved.write_bytes(octets[:length])
        warning = refused(saved)
        assert ("not written to its end" if length >= header else "does not begin as") in warning


def test_a_damaged_file_is_refused(saved: Path) -> None:
    octets = saved.read_bytes()
    rng = random.Random(1)
    for _ in range(300):
        at = rng.randrange(len(octets))
        spoilt = bytearray(octets)
        spoilt[at] ^= 1 << rng.randrange(8)
        saved.write_bytes(spoilt)
        state = StateFile(saved).load()
        # the time in the header is outside the checksum
        assert state.warning is not None or (state.templates, state.options) == (TEMPLATES, OPTIONS)


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"\n",
        bytes(4096),
        b"[" * 100_000,
        b'{"a":' * 300 + b"\n",
        b"\xff\xfe\n",
        b"null\n",
        b"[]\n",
        b'{"format": 1}\n',
    ],
)
def test_what_is_no_state_file_is_refused(tmp_path: Path, octets: bytes) -> None:
    path = tmp_path / "state"
    path.write_bytes(octets)
    assert "does not begin as a state file does" in refused(path)


def test_octets_after_the_end_are_refused(saved: Path) -> None:
    saved.write_bytes(saved.read_bytes() + b"x")
    assert "checksum" in refused(saved)


def written(path: Path, change: Callable[[dict[str, Any]], object] = lambda _: None, **header: Any) -> None:
    """A file with changed content and the right checksum, as a hostile neighbour would write it."""
    lines = path.read_bytes().splitlines()
    head, content = json.loads(lines[0]), json.loads(lines[1])
    change(content)
    payload = json.dumps(content).encode()
    head |= {"octets": len(payload), "sha256": hashlib.sha256(payload).hexdigest()} | header
    path.write_bytes(json.dumps(head).encode() + b"\n" + payload + b"\n")


@pytest.mark.parametrize("version", [0, 2, "1", None, 10**30, "x" * 200])
def test_another_format_version_is_named(saved: Path, version: object) -> None:
    written(saved, version=version)
    assert "format version" in refused(saved)


@pytest.mark.parametrize("octets", [-1, 1 << 40, "9", None])
def test_a_wrong_header_is_refused(saved: Path, octets: object) -> None:
    written(saved, octets=octets)
    assert "header is wrong" in refused(saved)


CHANGES: list[Callable[[dict[str, Any]], object]] = [
    lambda state: state.clear(),
    lambda state: state.update(more=1),
    lambda state: state.update(templates={}),
    lambda state: state["templates"].append(None),
    lambda state: state["templates"][0].update(version=5),
    lambda state: state["templates"][0].update(id=255),
    lambda state: state["templates"][0].update(id=65536),
    lambda state: state["templates"][0].update(id=True),
    lambda state: state["templates"][0].update(domain=-1),
    lambda state: state["templates"][0].update(domain=2**32),
    lambda state: state["templates"][0].update(scope_count=3),
    lambda state: state["templates"][0].update(specifiers=[]),
    lambda state: state["templates"][0].update(specifiers=[[0, 8, 4]] * 20_000),
    lambda state: state["templates"][0].update(specifiers=[[0, 8, 65536]]),
    lambda state: state["templates"][0].update(specifiers=[[0, 8]]),
    lambda state: state["templates"][0].update(specifiers=[[2**33, 8, 4]]),
    lambda state: state["templates"][0].update(seen="x"),
    lambda state: state["templates"][0].update(key="192.0.2.1"),
    lambda state: state["templates"][0].update(key=["x" * 300, 1, "", 1]),
    lambda state: state["templates"][0].update(key=["x", 65536, "", 1]),
    lambda state: state["options"][0].update(versions=[]),
    lambda state: state["options"][0].update(versions=[[{}, 1, 1, 1]] * 17),
    lambda state: state["options"][0].update(versions=[[{}, 2, 1, 1]]),
    lambda state: state["options"][0].update(versions=[[{}, 2**32, 2**32, 1]]),
    lambda state: state["options"][0].update(versions=[[{"a": "x" * 1025}, 1, 1, 1]]),
    lambda state: state["options"][0].update(versions=[[{"a": [1]}, 1, 1, 1]]),
    lambda state: state["options"][0].update(versions=[[{"a": {"octets": "xy"}}, 1, 1, 1]]),
    lambda state: state["options"][0].update(versions=[[{"a": {"octets": "abc"}}, 1, 1, 1]]),
    lambda state: state["options"][0].update(versions=[[{"a": 10**30}, 1, 1, 1]]),
    lambda state: state["options"][0].update(keys=[["nobody", 1]]),
    lambda state: state["options"][0].update(keys=[["interface", -1]]),
    lambda state: state["options"][0].update(keys=[["interface", 2**64]]),
    lambda state: state["options"][0].update(keys=[["interface", i] for i in range(17)]),
    lambda state: state["options"][0].update(table=""),
    lambda state: state["options"][0].update(table="x" * 2000),
    lambda state: state["options"][0].update(scope=None),
]


@pytest.mark.parametrize("change", CHANGES)
def test_content_that_no_state_has_is_refused(saved: Path, change: Callable[[dict[str, Any]], object]) -> None:
    written(saved)
    assert StateFile(saved).load().warning is None
    written(saved, change)
    refused(saved)


def test_a_state_of_integers_in_place_of_floats_is_one(saved: Path) -> None:
    written(saved, lambda state: state["templates"][0].update(seen=1))
    assert StateFile(saved).load().templates[0].seen == 1.0


def test_a_huge_file_is_refused_without_reading_it(saved: Path) -> None:
    os.truncate(saved, 1 << 40)
    assert "more than" in refused(saved)


def test_what_is_no_regular_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "directory").mkdir()
    for name in ("pipe", "directory"):
        assert "no regular file" in refused(tmp_path / name)
        with pytest.raises(SourceError, match="no regular file"):
            StateFile(tmp_path / name).save((), (), now=NOW)


def test_a_link_is_neither_followed_nor_written_through(saved: Path) -> None:
    victim = saved.with_name("victim")
    victim.write_text("precious")
    link = saved.with_name("link")
    link.symlink_to(victim)
    assert "link" in refused(link)
    file = StateFile(link)
    file.save(TEMPLATES, (), now=NOW)
    assert victim.read_text() == "precious"
    assert not link.is_symlink()
    assert link.with_name("link.bad").is_symlink()
    assert file.load().templates == TEMPLATES


def test_a_bad_file_is_kept_aside_by_the_next_save(tmp_path: Path) -> None:
    path = tmp_path / "state"
    for content in ("mine", "mine too"):
        path.write_text(content)
        file = StateFile(path)
        assert file.load().warning is not None
        file.save(TEMPLATES, OPTIONS, now=NOW)
        assert StateFile(path).load() == State(TEMPLATES, OPTIONS, NOW)
    file.save((), (), now=NOW)
    assert sorted(one.name for one in tmp_path.iterdir()) == ["state", "state.bad", "state.bad1"]
    assert [path.with_name(name).read_text() for name in ("state.bad", "state.bad1")] == ["mine", "mine too"]


def test_a_file_that_somebody_replaced_meanwhile_is_kept_aside(saved: Path) -> None:
    file = StateFile(saved)
    file.load()
    saved.write_text("another program's")
    file.save(TEMPLATES, OPTIONS, now=NOW)
    assert saved.with_name("state.bad").read_text() == "another program's"


def test_the_number_of_files_kept_aside_is_bounded(tmp_path: Path) -> None:
    path = tmp_path / "state"
    for i in range(15):
        path.write_text(f"{i}")
        StateFile(path).save((), (), now=NOW)
    assert len(list(tmp_path.iterdir())) == 10
    assert path.with_name("state.bad8").read_text() == "14"


def test_a_place_that_cannot_be_written_is_an_error_of_the_caller(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="cannot be saved"):
        StateFile(tmp_path / "none" / "state").save((), (), now=NOW)


def test_a_state_that_could_not_be_read_again_is_not_written(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state_file, "OCTETS_LIMIT", 10)
    with pytest.raises(SourceError, match="too large"):
        StateFile(saved).save((), (), now=NOW)
    monkeypatch.undo()
    assert StateFile(saved).load() == State(TEMPLATES, OPTIONS, NOW)


def test_an_interrupted_write_leaves_the_old_state(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(SourceError, match="No space left"):
        StateFile(saved).save((), (), now=NOW)
    assert StateFile(saved).load() == State(TEMPLATES, OPTIONS, NOW)
    assert [path.name for path in saved.parent.iterdir()] == ["state"]
