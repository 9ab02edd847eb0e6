"""`headwater doctor`: whether this installation is whole, and fast."""

from __future__ import annotations

import os
import platform
import re
import sys
from importlib import metadata, resources
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import click

from headwater._version import __version__
from headwater.cli import PARTIAL
from headwater.cli.options import examples
from headwater.cli.screen import Painter, echo_json
from headwater.cli.table import aligned

if TYPE_CHECKING:
    from collections.abc import Iterator

_OPTIONAL = (
    ("pyarrow", "Parquet and Arrow files, hw.read_table", "arrow"),
    ("duckdb", "SQL over records and Parquet files", "sql"),
    ("zstandard", "reading .zst files", "compression"),
    ("lz4", "reading .lz4 files", "compression"),
)
"""Distribution, what it is needed for, the extra that installs it."""
_NEEDED = ("numpy", "nanoarrow", "msgspec", "click")

_SELF_TEST = bytes.fromhex(
    "000a003e 6553f100 00000000 00000001"  # header: 62 octets, 2023-11-14T22:13:20, sequence 0, domain 1
    "00020018 01000004 00080004 00040001 00010008 0052ffff"  # Template 256: address, protocol, octets, interface name
    "01000016 c0000201 06 00000000000005dc 0465746830"  # 192.0.2.1, tcp, 1500, eth0
)
_SELF_TEST_RECORD = (0xC0000201, 6, 1500, "eth0")


@click.command(
    epilog=examples(
        "headwater doctor",
        "headwater doctor --json",
    )
)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
@click.pass_context
def doctor(ctx: click.Context, as_json: bool) -> None:
    """Check this installation.

    Tells the version, whether the compiled kernel is in use, which optional libraries are there and what they are
    for, and decodes a small message. The exit code is 1 if that goes wrong.
    """
    findings = _examine()
    if as_json:
        echo_json(findings)
    else:
        click.echo("\n".join(_report(findings, Painter())))
    if findings["self_test"] != "ok":
        ctx.exit(PARTIAL)


def _examine() -> dict[str, Any]:
    needed = {name: _version(name) for name in _NEEDED}
    return {
        "version": __version__,
        "python": f"{platform.python_version()} ({sys.executable})",
        "system": platform.platform(),
        "kernel": _kernel() if needed["numpy"] else "none, for numpy is missing",
        "needed": needed,
        "optional": {
            name: {"version": _version(name), "for": purpose, "extra": extra} for name, purpose, extra in _OPTIONAL
        },
        "elements": _elements(),
        "self_test": _self_test() if all(needed.values()) else "not possible, for libraries are missing",
    }


def _kernel() -> str:
    from headwater import kernel

    return kernel.backend


def _elements() -> dict[str, Any]:
    from headwater.model.registry import IANA

    iana = sum(e.pen == 0 for e in IANA)
    provenance = (resources.files("headwater.model") / "data" / "PROVENANCE.md").read_text("utf-8")
    date = re.search(r"updated on (\d{4}-\d\d-\d\d)", provenance)
    return {
        "iana": iana,
        "iana_date": date[1] if date else None,
        "enterprise": len(IANA) - iana,
        "enterprises": len({e.pen for e in IANA} - {0}),
    }


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "unknown version" if find_spec(name) else None


def _self_test() -> str:
    from headwater.batch import Decoder
    from headwater.session import DataSets, Session

    session, decoder = Session(), Decoder()
    try:
        events = [e for e in session.receive(_SELF_TEST) if isinstance(e, DataSets)]
        rows = [row for e in events for row in decoder.decode(e).tuples()]
    except Exception as error:  # whatever is broken here is what the user wants to know
        return f"{type(error).__name__}: {error}"
    return "ok" if rows == [_SELF_TEST_RECORD] else f"decoded {rows} where {[_SELF_TEST_RECORD]} was sent"


def _report(found: dict[str, Any], paint: Painter) -> Iterator[str]:
    good, bad = paint("value", "ok"), paint("fault", "!!")
    is_native = found["kernel"] == "native"
    yield f"{good}  headwater {found['version']}, Python {found['python']}"
    yield f"    on {found['system']}"
    if is_native:
        yield f"{good}  kernel: native (compiled)"
    elif found["kernel"] == "numpy":
        yield f"{bad}  kernel: numpy: the same results, but slow"
        if os.environ.get("HEADWATER_KERNEL") == "numpy":
            yield "    advice: the variable HEADWATER_KERNEL=numpy is the cause; unset it"
        else:
            wheel = "the wheel (pip install --force-reinstall headwater)"
            yield f"    advice: install {wheel}, or a C compiler and build again"
    else:
        yield f"{bad}  kernel: {found['kernel']}"
    for name, version in found["needed"].items():
        yield f"{good if version else bad}  {name} {version or 'is missing: pip install ' + name}"
    rows = []
    for name, about in found["optional"].items():
        advice = f"pip install 'headwater[{about['extra']}]'"
        rows.append((name, about["version"] or "not installed", about["for"], "" if about["version"] else advice))
    yield "    optional:"
    yield from aligned(rows, indent="      ", paint=paint)
    elements = found["elements"]
    yield (
        f"{good}  registry: {elements['iana']} elements of IANA as of {elements['iana_date']}, "
        f"{elements['enterprise']} of {elements['enterprises']} enterprises"
    )
    if found["self_test"] == "ok":
        yield f"{good}  self-test: a message was decoded as it should be"
    else:
        yield f"{bad}  self-test: {found['self_test']}"
