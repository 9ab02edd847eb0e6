"""The names of the package: all there, all loaded late, and importing it costs next to nothing."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import headwater as hw

INIT = Path(hw.__file__)


def run(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.strip()


@pytest.mark.parametrize("name", hw.__all__)
def test_every_public_name_is_there(name: str) -> None:
    assert getattr(hw, name) is not None


def test_the_names_that_type_checkers_see_are_the_names_that_load() -> None:
    (block,) = [node for node in ast.parse(INIT.read_text()).body if isinstance(node, ast.If)]
    imports = [node for node in block.body if isinstance(node, ast.ImportFrom) and node.module != "typing"]
    seen = {alias.name: str(node.module) for node in imports for alias in node.names}
    assert seen == hw._HOME
    assert {*seen, "__version__"} == set(hw.__all__)


def test_public_names_are_listed_and_others_are_attribute_errors() -> None:
    assert dir(hw) == sorted(hw.__all__)
    with pytest.raises(AttributeError, match="module 'headwater' has no attribute 'reed'"):
        getattr(hw, "reed")  # noqa: B009


def test_the_version_is_that_of_the_distribution() -> None:
    from headwater._version import __version__

    assert hw.__version__ == __version__


def test_importing_the_package_loads_nothing_heavy() -> None:
    code = """
import sys
before = set(sys.modules)
import headwater
loaded = {name for name in set(sys.modules) - before}
print(sorted(name for name in loaded if not name.startswith("headwater")))
print(sorted(name for name in loaded if name.startswith("headwater")))
"""
    other, ours = map(ast.literal_eval, run(code).splitlines())
    assert ours == ["headwater", "headwater._version"]
    assert set(other) <= {"__future__"}


def test_a_name_is_loaded_without_arrow_libraries() -> None:
    code = "import sys, headwater as hw; hw.read; print('pyarrow' in sys.modules, 'nanoarrow' in sys.modules)"
    assert run(code) == "False False"


def test_no_name_needs_an_optional_library_to_be_there() -> None:
    code = """
import sys
missing = ("duckdb", "pyarrow", "polars", "OpenSSL", "textual", "prometheus_client", "zstandard", "lz4")
sys.modules |= dict.fromkeys(missing)
from headwater import *
print(query.__name__, Collector.__name__)
"""
    assert run(code) == "query Collector"


def test_star_import_gives_the_public_names() -> None:
    assert run("from headwater import *; print(len({'read', 'Session', 'IANA'} & set(globals())))") == "3"
