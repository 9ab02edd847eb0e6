"""The command as a whole: help, errors, exit codes, pipes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from headwater.cli import VERBS
from tests.cli.conftest import Run, Spawn


def test_help_names_every_verb(run: Run) -> None:
    result = run("--help")
    assert result.exit_code == 0
    assert all(f"  {verb}  " in result.stdout for verb in VERBS)
    assert "_HEADWATER_COMPLETE=bash_source" in result.stdout


def test_without_arguments_it_helps(run: Run) -> None:
    assert run().stdout == run("--help").stdout


@pytest.mark.parametrize("verb", VERBS)
def test_the_help_of_a_verb_has_examples_and_fits_its_line_in_the_list(run: Run, verb: str) -> None:
    result = run(verb, "--help")
    assert result.exit_code == 0
    assert f"Examples:\n    headwater {verb}" in result.stdout


def test_help_imports_neither_numpy_nor_the_registry() -> None:
    code = (
        "import sys; from headwater.cli import main; main(['--help'], standalone_mode=False);"
        "bad = {'numpy', 'rich', 'msgspec', 'pyarrow', 'headwater.model.registry'} & set(sys.modules);"
        "assert not bad, bad"
    )
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)


def test_version(run: Run) -> None:
    from headwater import __version__

    assert run("--version").stdout == f"headwater {__version__}\n"


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["cta"], "no such verb: cta; did you mean cat?"),
        (["frobnicate"], "no such verb: frobnicate; there are cat, info"),
        (["cat"], "missing argument 'SOURCE...'"),
        (["cat", "--frob", "x"], "no such option"),
        (["cat", "/nowhere/x.ipfix"], "/nowhere/x.ipfix does not exist"),
        (["cat", __file__], "holds no flow export"),
        (["info", "/dev/null"], "/dev/null is empty"),
        (["cat", "-s", "sourceIPv4Adress", "x"], "did you mean 'sourceIPv4Address'"),
        (["cat", "--registry", "/nowhere/x.csv", "x"], "/nowhere/x.csv"),
    ],
)
def test_bad_input_is_one_sentence_and_exit_code_2(run: Run, args: list[str], words: str) -> None:
    result = run(*args)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.startswith("headwater: ")
    assert result.stderr.count("\n") == 1
    assert words in result.stderr


def test_a_file_name_for_a_verb_gets_a_hint(run: Run, flows: Path) -> None:
    assert f"did you mean 'headwater cat {flows}'?" in run(flows).stderr


def test_control_characters_in_messages_are_escaped(run: Run) -> None:
    assert "\\x1b[31m" in run("cat", "/nowhere/\x1b[31m").stderr


def test_records_that_are_missing_are_told_and_exit_code_is_1(run: Run, torn: Path) -> None:
    result = run("cat", "--json", torn)
    assert result.exit_code == 1
    assert result.stdout.count("\n") > 50
    assert f"headwater: {torn}: records may be missing or damaged: truncated_tail 1" in result.stderr


def test_strict_stops_with_exit_code_2(run: Run, torn: Path) -> None:
    result = run("cat", "--strict", torn)
    assert result.exit_code == 2
    assert "truncated_tail" in result.stderr


def test_debug_shows_the_traceback(spawn: Spawn) -> None:
    process = spawn("cat", "/nowhere/x.ipfix", HEADWATER_DEBUG="1")
    _, errors = process.communicate()
    assert b"Traceback" in errors
    assert errors.strip().endswith(b"does not exist")


def test_a_reader_that_has_seen_enough_is_no_error(spawn: Spawn, tmp_path: Path) -> None:
    from tests import build

    path = tmp_path / "many.ipfix"
    path.write_bytes(build.file(*build.flows(5000)))
    process = spawn("cat", path)
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.close()
    assert process.stderr is not None
    assert process.stderr.read() == b""
    assert process.wait() == 141
    process.stderr.close()
    assert process.stdin is not None
    process.stdin.close()


def test_stdin_is_a_source(spawn: Spawn, flows: Path) -> None:
    process = spawn("cat", "--json", "-")
    out, errors = process.communicate(flows.read_bytes())
    assert (process.returncode, errors) == (0, b"")
    assert out.count(b"\n") == 100


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_output_that_cannot_be_written_is_one_sentence(flows: Path) -> None:
    code = "from headwater.cli import main; main(prog_name='headwater')"
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-c", code, "cat", flows], stdout=full, stderr=subprocess.PIPE, check=False
        )
    assert done.returncode == 2
    assert done.stderr.decode().strip() == "headwater: the output cannot be used: No space left on device"
