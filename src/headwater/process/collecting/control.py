"""How running Collecting Processes are found and asked: JSON lines over a Unix socket that only its owner can use."""

from __future__ import annotations

import contextlib
import json
import os
import socket as sockets
import stat
import time
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any, Final
from zlib import crc32

import msgspec

from headwater.errors import HeadwaterError

TALKERS: Final = (
    "sourceIPv4Address",
    "sourceIPv6Address",
    "destinationIPv4Address",
    "destinationIPv6Address",
    "sourceTransportPort",
    "destinationTransportPort",
)
"""Columns that `watch` counts unless it is asked for others."""
POINTERS: Final = ".headwater"
"""In the folder of a sink: files that say where the processes that write to it are to be asked."""
_MOST_POINTERS: Final = 64
_SYSTEM: Final = "/run/headwater"
_LONGEST_ANSWER: Final = 64 << 20
_PIECE: Final = 1 << 16


class ControlError(HeadwaterError, OSError):
    """A collector that is not there or does not answer, or a control socket that cannot be made."""


# ---------------------------------------------------------------- where sockets are


def runtime_folder() -> Path:
    """The folder for the control socket of this process, made if need be, for its owner only.

    Raises ControlError if it belongs to somebody else, as a folder in /tmp may.
    """
    folder = _own_folders()[0]
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = folder.lstat()
    except OSError as error:
        raise ControlError(f"the folder {folder} for the control socket: {error.strerror}; give control=PATH") from None
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o022:
        raise ControlError(f"the folder {folder} is not safe: others can write there or own it; give control=PATH")
    return folder


def _own_folders() -> list[Path]:
    """Where this user's control sockets may be; new ones come to the first."""
    folders = [Path(one) for one in os.environ.get("RUNTIME_DIRECTORY", "").split(":") if one]
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    if runtime and os.path.isdir(runtime):  # noqa: PTH112  # pathlib costs 5 ms more
        folders.append(Path(runtime) / "headwater")
    return [*folders, Path(f"/tmp/headwater-{os.geteuid()}")]  # noqa: S108  # `runtime_folder` looks whose it is


def running() -> dict[int, str]:
    """Control sockets of the collectors that answer, by process id."""
    found: dict[int, str] = {}
    own = _own_folders()
    for folder in dict.fromkeys([*own, Path(_SYSTEM)]):
        with contextlib.suppress(OSError):
            for path in sorted(folder.glob("*.sock")):
                if not path.stem.isdecimal():
                    continue
                if is_alive(str(path)):
                    found.setdefault(int(path.stem), str(path))
                elif folder in own and not _is_process(int(path.stem)):
                    path.unlink(missing_ok=True)  # it was killed
    return found


def _is_process(number: int) -> bool:
    try:
        os.kill(number, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        pass
    return True


def is_alive(path: str) -> bool:
    """Whether somebody listens on that socket."""
    with sockets.socket(sockets.AF_UNIX) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(path)
        except BlockingIOError:  # somebody who is busy is there
            return True
        except OSError:
            return False
        return True


def control_path(target: str | None = None) -> str:
    """The control socket of a collector: of a process id, a folder it writes to, a path, or the only one there is.

    Raises ControlError if there is none, or several.
    """
    if target is None or target == "":
        return _only_one()
    if target.isdecimal():
        path = running().get(int(target))
        if path is None:
            raise ControlError(f"no collector with process id {target} is running as far as this user can see")
        return path
    with contextlib.suppress(OSError):
        if stat.S_ISSOCK(os.stat(target).st_mode):  # noqa: PTH116  # as above
            return target
    from headwater.process.collecting.settings_checks import place_of

    place = Path(target)
    with contextlib.suppress(HeadwaterError):
        place = place if place.is_dir() else Path(place_of(target))
    if place.is_dir():
        writing = [path for path in read_pointers(place) if is_alive(path)]
        if not writing:
            raise ControlError(f"no running collector writes to {target}")
        if len(writing) > 1:
            raise ControlError(f"several collectors write to {target}; give one of {', '.join(writing)}")
        return writing[0]
    raise ControlError(f"{target} is no control socket, no folder of a collector and no process id")


def _only_one() -> str:
    found = running()
    if not found:
        raise ControlError("no collector is running as far as this user can see; 'headwater collect' starts one")
    if len(found) > 1:
        raise ControlError(f"several collectors are running; give one of {', '.join(map(str, found))}")
    return next(iter(found.values()))


def read_pointers(folder: Path) -> list[str]:
    """The control sockets of the collectors that say that they write to a folder; not all of them may be running."""
    found: dict[str, None] = {}
    for pointer in sorted(folder.glob(f"{POINTERS}/*.json"))[:_MOST_POINTERS]:
        path = _read_pointer(pointer)
        if path is not None:
            found[path] = None
    return list(found)


def _read_pointer(pointer: Path) -> str | None:
    try:
        with pointer.open("rb") as file:
            said = json.loads(file.read(_PIECE))
    except (OSError, ValueError):
        return None
    path = said.get("control") if isinstance(said, dict) else None
    return path if isinstance(path, str) and path else None


def write_pointer(folder: Path, control: str) -> None:
    """Say in a folder that this process writes to it, and where it is to be asked; what the dead have said goes.

    Raises OSError.
    """
    (folder / POINTERS).mkdir(exist_ok=True)
    for old in folder.glob(f"{POINTERS}/*.json"):
        path = _read_pointer(old)
        if path is not None and not is_alive(path):
            old.unlink(missing_ok=True)
    pointer = _pointer(folder, control)
    new = pointer.with_name(f"{pointer.name}.new")
    new.write_text(json.dumps({"control": control, "pid": os.getpid()}))
    new.replace(pointer)


def remove_pointer(folder: Path, control: str) -> None:
    """Take that back."""
    with contextlib.suppress(OSError):
        _pointer(folder, control).unlink(missing_ok=True)
        (folder / POINTERS).rmdir()  # which is refused while others are there


def _pointer(folder: Path, control: str) -> Path:
    """A process may have several collectors."""
    return folder / POINTERS / f"{os.getpid()}-{crc32(os.fsencode(control)):08x}.json"


# ---------------------------------------------------------------- asking


def ask(path: str, request: str | dict[str, Any], timeout: float = 10.0) -> dict[str, Any]:
    """The answer to one request, such as "status". Raises ControlError, also for what the collector refuses."""
    answers = _answers(path, {"do": request} if isinstance(request, str) else request, timeout)
    with contextlib.closing(answers):
        answer = next(answers, None)
    if answer is None:
        raise ControlError(f"the collector at {path} has ended the conversation without an answer")
    return answer


def watch(
    path: str, top: tuple[str, ...] = TALKERS, every: float = 1.0, timeout: float = 10.0
) -> Generator[dict[str, Any], None, None]:
    """A report and the top talkers, again and again until the collector ends. Raises ControlError."""
    return _answers(path, {"do": "watch", "top": list(top), "every": every}, timeout + every)


def _answers(path: str, request: dict[str, Any], timeout: float) -> Generator[dict[str, Any], None, None]:
    with sockets.socket(sockets.AF_UNIX) as socket:
        socket.settimeout(timeout)
        try:
            _connect(socket, path, timeout)
            socket.sendall(msgspec.json.encode(request) + b"\n")
            for line in _lines(socket):
                answer = msgspec.json.decode(line, type=dict[str, Any])
                if "error" in answer:
                    raise ControlError(f"the collector at {path} answers: {answer['error']}")
                yield answer
        except TimeoutError:
            raise ControlError(f"the collector at {path} does not answer within {timeout:g} s") from None
        except msgspec.DecodeError:
            raise ControlError(f"what answers at {path} is no collector") from None
        except ControlError:
            raise
        except OSError as error:
            why = {2: "it does not exist", 13: "you may not use it", 111: "nobody listens there"}
            reason = why.get(error.errno or 0, error.strerror or str(error))
            raise ControlError(f"the collector at {path} cannot be asked: {reason}") from None


def _connect(socket: sockets.socket, path: str, timeout: float) -> None:
    """Connect; where many others are about to, wait for a place."""
    end = time.monotonic() + timeout
    while True:
        try:
            return socket.connect(path)
        except BlockingIOError:
            if time.monotonic() > end:
                raise TimeoutError from None
            time.sleep(0.01)


def _lines(socket: sockets.socket) -> Iterator[bytes]:
    """Whole lines, of bounded length."""
    pending = bytearray()
    while True:
        octets = socket.recv(_PIECE)
        if not octets:
            return
        begin = len(pending)
        pending += octets
        if b"\n" not in octets:
            if begin > _LONGEST_ANSWER:
                raise ControlError("the answer has no end")
            continue
        *lines, rest = bytes(pending).split(b"\n")
        pending = bytearray(rest)
        yield from lines
