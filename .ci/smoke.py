"""Install what was built as a user would, in empty environments, and see it work.

    python .ci/smoke.py dist

1. The wheel. Its kernel must be the compiled one, and what receives datagrams as well.
2. The sdist with HEADWATER_PURE=1 and a compiler that always fails. Its kernel must be the numpy twin.
Both read the bundled sample with the command line, and every octet that they write must be the same.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RECORDS, MESSAGES = 4554, 740  # as two other readers count them: src/headwater/samples/PROVENANCE.md
BACKEND = "from headwater import kernel; print(kernel.backend)"
COMPILED = "from headwater.transport.incoming import datagrams; print(datagrams.is_compiled)"
SAMPLE = "from importlib.resources import files; print(files('headwater') / 'samples' / 'pmacctd.ipfix')"


def install(what: Path, folder: Path, **environment: str) -> Path:
    """Install one distribution and what it depends on in a new environment; returns its folder of programs."""
    print(f"installing {what.name}", *(f"{name}={value}" for name, value in environment.items()), flush=True)
    venv.create(folder, with_pip=True)
    programs = folder / "bin"
    pip = (str(programs / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
    constraint = ("--constraint", str(ROOT / "constraints.txt"))
    subprocess.run([*pip, *constraint, str(what)], check=True, env=os.environ | environment)
    return programs


def job(programs: Path, folder: Path, *, backend: str) -> dict[str, bytes]:
    """What the installed command writes for the bundled sample, by name of the output."""

    def run(name: str, *arguments: str | Path) -> bytes:
        return subprocess.run([programs / name, *arguments], check=True, stdout=subprocess.PIPE, cwd=folder).stdout

    folder.mkdir()
    assert run("python", "-c", BACKEND).decode().strip() == backend
    assert run("python", "-c", COMPILED).decode().strip() == str(backend == "native" and sys.platform == "linux")
    shutil.copy(run("python", "-c", SAMPLE).decode().strip(), folder / "flows.ipfix")
    run("headwater", "convert", "flows.ipfix", "flows.ndjson")
    outputs = {
        "info": run("headwater", "info", "--json", "flows.ipfix"),
        "cat": run("headwater", "cat", "--json", "flows.ipfix"),
        "convert": (folder / "flows.ndjson").read_bytes(),
    }
    info = json.loads(outputs["info"])
    rows = [json.loads(line) for line in outputs["convert"].splitlines()]
    assert (info["messages"], info["records"], len(rows)) == (MESSAGES, RECORDS, RECORDS)
    assert outputs["cat"].count(b"\n") == RECORDS
    octets = sum(row["octetDeltaCount"] for row in rows)
    print(f"  backend {backend}: {MESSAGES} messages, {RECORDS} records, {octets} octets of traffic", flush=True)
    return outputs


def main() -> None:
    """Try the one wheel and the one sdist of a folder."""
    dist = Path(sys.argv[1]).resolve()
    (wheel,) = dist.glob("headwater-*.whl")
    (sdist,) = dist.glob("headwater-*.tar.gz")
    assert "-cp311-abi3-" in wheel.name, f"{wheel.name} is not one wheel for Python 3.11 and later"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        native = job(install(wheel, folder / "wheel"), folder / "wheel-job", backend="native")
        pure = install(sdist, folder / "pure", HEADWATER_PURE="1", CC="false")
        twin = job(pure, folder / "pure-job", backend="numpy")
        different = [name for name in native if twin[name] != native[name]]
        assert not different, f"the two kernels do not decode the same: {different}"
    print("both installations decode the sample, and alike")


if __name__ == "__main__":
    main()
