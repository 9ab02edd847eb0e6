"""Fuzz what is compiled: random, structured and hostile calls, compared with the twins in Python.

Then whole mutated messages and captures, and traffic for the receivers of datagrams.

Run by run.sh with a sanitized build of the extensions; works with any build. Every input has a number: what failed can
be run again with --seed SEED --first NUMBER --count 1, and --only as before. build/asan/last says where a process that
died was. Prints one line and exits with 1 (99: a sanitizer's finding) if anything is found. An input that takes
minutes is a finding as well: it ends with a traceback.
"""

from __future__ import annotations

import argparse
import faulthandler
import importlib.util
import os
import sys
import time
from array import array
from collections.abc import Callable
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

ROOT = Path(__file__).parents[1]
NAME = "headwater.kernel._kernel"
HANGS_S = 120


def main() -> int:
    """0 if nothing was found."""
    options = arguments()
    if options.extension:
        load(options.extension)
    sys.path.insert(0, str(ROOT))
    from fuzz.receivers import receiver_tests

    makers = {"kernel": kernel_tests, "receivers": receiver_tests, "messages": message_tests, "captures": capture_tests}
    tests = [test for name, make in makers.items() if options.only in (None, name) for test in make()]
    how = f"--seed {options.seed}" + (f" --only {options.only}" if options.only else "")
    last = os.open(options.last, os.O_WRONLY | os.O_CREAT | os.O_TRUNC) if options.last else None
    started = watched = time.monotonic()
    number = options.first
    failure = None
    faulthandler.dump_traceback_later(HANGS_S, exit=True)
    while number - options.first != options.count and (now := time.monotonic()) - started < options.seconds:
        if now - watched > 1:
            faulthandler.dump_traceback_later(HANGS_S, exit=True)
            watched = now
        if last is not None:
            os.pwrite(last, f"{how} --first {number} --count 1\n".ljust(80).encode(), 0)
        random = Random(f"{options.seed}/{number}")
        failure = random.choice(tests)(random)
        number += 1
        if failure:
            break
    faulthandler.cancel_dump_traceback_later()
    elapsed = time.monotonic() - started
    print(f"{'FAILED' if failure else 'clean'}: {number - options.first} inputs in {elapsed:.0f} s, {how}")
    if failure:
        print(f"input {number - 1}: {failure}", file=sys.stderr)
    return 1 if failure else 0


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(4), "big"))
    parser.add_argument("--first", type=int, default=0, help="number of the first input")
    parser.add_argument("--count", type=int, default=-1, help="how many inputs; no limit but the time by default")
    parser.add_argument("--only", choices=("kernel", "receivers", "messages", "captures"), help="one kind of input")
    parser.add_argument("--extension", type=Path, help="folder of the build to test instead of the installed one")
    parser.add_argument("--last", type=Path, help="file to keep the number of the current input in")
    return parser.parse_args()


def load(folder: Path) -> None:
    """Make the extensions under `folder` those that headwater finds."""
    for path in sorted(folder.glob("headwater/**/_*.so")):  # the kernel before what needs it
        name = ".".join(path.relative_to(folder).with_name(path.name.partition(".")[0]).parts)
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec
        assert spec.loader
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)


def kernel_tests() -> list[Callable[[Random], str | None]]:
    """One test per function: the compiled one does what the twin does."""
    from headwater import kernel
    from headwater.kernel import reference
    from tests.kernel import cases

    native = sys.modules[NAME]
    assert kernel.chain is native.chain

    def test(make: Callable[[Random], cases.Call], random: Random) -> str | None:
        call = make(random)
        got = attempt(cases.outcome, native, call._replace(arguments=tuple(map(exact, call.arguments))))
        wanted = attempt(cases.outcome, reference, call)
        return None if got == wanted else f"{call}\nnative: {got}\ntwin:   {wanted}"

    return [partial(test, make) for make in cases.CALLS]


def attempt(function: Callable[..., Any], *arguments: Any) -> Any:
    """What the function returns, or the exception it raises."""
    try:
        return function(*arguments)
    except Exception as error:  # whatever it is, the twin must agree
        return repr(error)


def exact(argument: Any) -> Any:
    """The same numbers in memory of exactly that size, so that a sanitizer sees one octet too many."""
    if isinstance(argument, bytes):
        return memoryview(array("B", argument)).toreadonly()
    if type(argument) is np.ndarray and argument.dtype == np.int32 and argument.flags.c_contiguous and argument.size:
        octets = memoryview(array("i", argument.ravel().tolist())).cast("B")
        return octets.cast("i", argument.shape) if argument.ndim in (1, 2) and argument.flags.aligned else argument
    return argument


def message_tests() -> list[Callable[[Random], str | None]]:
    """Messages, mutated: sessions and decoders raise nothing and agree with each other, whatever comes."""
    try:
        from headwater.batch import Decoder
        from headwater.session import DataSets, Session
    except ImportError:
        return []
    from tests import build

    streams = [b"".join(make(40)) for make in (build.flows, build.mixed_flows, build.strings, build.lists)]

    def test(random: Random) -> str | None:
        data = mutated(random, random.choice(streams))
        transport = random.choice(("udp", "tcp", "file"))
        session = Session(transport=transport, salvage=random.random() < 0.5)
        decoder = Decoder()
        cut = random.randrange(len(data) + 1)
        try:
            for part in (data[:cut], data[cut:]):
                for event in session.receive(part):
                    if isinstance(event, DataSets):
                        batch = decoder.decode(event)
                        rows = sum(1 for _ in batch.rows())
                        if rows != event.num_records:
                            return f"{rows} rows of {event.num_records} records from {data.hex()}"
            list(session.close())
        except Exception as error:  # any exception is a finding
            return f"{error!r} from {transport} {cut} {data.hex()}"
        return None

    return [test] * 3  # a third of what the kernel's own tests get


def capture_tests() -> list[Callable[[Random], str | None]]:
    """Captures, mutated: nothing is raised, every packet is counted, and windows of any size give the same."""
    from tests import packets
    from tests.kernel import cases
    from tests.transport.capturing import run

    def test(random: Random) -> str | None:
        found = [cases.packet(random) for _ in range(random.randrange(20))]
        if random.random() < 0.5:
            kept = [packet for link, packet in found if link == 1]
            data = packets.pcap(kept, order=random.choice("<>"), snap=random.choice((60, 262144)))
        else:
            order = random.choice("<>")
            data = packets.section(order)
            for number, (link, packet) in enumerate(found):
                data += packets.interface(link, order, resolution=random.randrange(256))
                data += packets.enhanced(packet, order, number=number, ticks=random.getrandbits(64))
        data = data[:24] + mutated(random, data[24:] + b"\0")
        try:
            whole, cut = run(data), run(data, window=random.choice((64, 200, 1000)))
        except Exception as error:  # any exception is a finding
            return f"{error!r} from {data.hex()}"
        same = whole.datagrams == cut.datagrams and whole.counters() == cut.counters() and whole.streams == cut.streams
        return None if same else f"windows differ: {data.hex()}"

    return [test]


def mutated(random: Random, data: bytes) -> bytes:
    """A piece of `data` with some octets changed, cut out, put in or copied from elsewhere."""
    out = bytearray(data[: random.randrange(len(data))])
    for _ in range(random.choice((0, 1, 2, 8, 40))):
        if not out:
            break
        at = random.randrange(len(out))
        match random.randrange(4):
            case 0:
                out[at] = random.choice((0, 1, 2, 3, 4, 127, 128, 254, 255, random.randrange(256)))
            case 1:
                del out[at : at + random.randrange(9)]
            case 2:
                out[at:at] = random.randbytes(random.randrange(9))
            case _:
                source, length = random.randrange(len(out)), random.randrange(60)
                out[at : at + length] = out[source : source + length]
    return bytes(out)


if __name__ == "__main__":
    sys.exit(main())
