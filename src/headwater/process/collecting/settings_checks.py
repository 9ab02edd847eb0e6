"""What cannot be, told before anything is opened."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import IPv6Address, ip_address, ip_network
from itertools import combinations
from typing import TYPE_CHECKING, Final

from msgspec import structs

from headwater.errors import HeadwaterError
from headwater.process.collecting.settings_values import SettingsError
from headwater.session.key import Transport

if TYPE_CHECKING:
    from headwater.process.collecting.settings import CollectingSettings, SinkSettings
    from headwater.transport.incoming.url import ListenUrl

_LONGEST_PATH: Final = 107
"""Octets of the path of a Unix socket (unix(7))."""
LEAST_BUFFER: Final = 1 << 20
_LONGEST_LATENCY: Final = 60.0
_FILES: Final = ("cert", "key", "ca", "crl")
_OVER_UDP: Final = (Transport.UDP, Transport.DTLS)


def check(settings: CollectingSettings) -> None:
    """Raise SettingsError for the first thing that cannot be."""
    _check_listeners(settings)
    _check_columns(settings)
    _check_sinks(settings.sinks, settings.select)
    for i, text in enumerate(settings.allow):
        with _at(f"allow[{i}]"):
            ip_network(text, strict=False)
    with _at("key_policy"):
        _ = settings.policy
    _check_numbers(settings)
    _check_places(settings)


@contextmanager
def _at(path: str) -> Iterator[None]:
    """Tell the path with what is wrong."""
    try:
        yield
    except (HeadwaterError, ValueError, LookupError, TypeError) as error:
        raise SettingsError(str(error), path=path) from None


# ---------------------------------------------------------------- where it listens


def _check_listeners(settings: CollectingSettings) -> None:
    from headwater.process.collecting.replay_url import is_replay_url, parse_replay_url
    from headwater.transport.incoming.url import parse_listen_url

    if not settings.listen:
        raise SettingsError("is empty; give at least one URL such as 'udp://0.0.0.0:4739'", path="listen")
    urls: list[tuple[int, ListenUrl]] = []
    for i, text in enumerate(settings.listen):
        with _at(f"listen[{i}]"):
            if is_replay_url(text):
                parse_replay_url(text)
                continue
            urls.append((i, parse_listen_url(text)))
            _check_files(urls[-1][1])
    for (i, one), (j, other) in combinations(urls, 2):
        if _clash(one, other):
            raise SettingsError(f"{other.name} is taken by `listen[{i}]` ({one.name})", path=f"listen[{j}]")


def _check_files(url: ListenUrl) -> None:
    for name in _FILES:
        file = url.options.get(name)
        if file and not os.access(file, os.R_OK):
            why = "cannot be read" if os.path.exists(file) else "does not exist"  # noqa: PTH110  # as os.access
            raise HeadwaterError(f"{url.name}: the file {file!r} of {name} {why}")


def _clash(one: ListenUrl, other: ListenUrl) -> bool:
    """Whether both would bind the same port of the same address; port 0 is a port of one's own."""
    return one.port == other.port != 0 and _wire(one) == _wire(other) and _overlap(one, other)


def _wire(url: ListenUrl) -> str:
    """The protocol that has the port."""
    return "udp" if url.transport in _OVER_UDP else "sctp" if url.transport is Transport.SCTP else "tcp"


def _overlap(one: ListenUrl, other: ListenUrl) -> bool:
    hosts = {url.host.strip("[]").lower() for url in (one, other)}
    if len(hosts) == 1 or "::" in hosts or one.is_everywhere or other.is_everywhere:
        return True
    if "0.0.0.0" in hosts:  # noqa: S104  # compared, not bound
        return not any(map(_is_v6, hosts))
    return hosts <= {"localhost", "127.0.0.1"}


def _is_v6(host: str) -> bool:
    try:
        return isinstance(ip_address(host.partition("%")[0]), IPv6Address)
    except ValueError:  # a name, or nothing
        return False


# ---------------------------------------------------------------- where it writes


def _check_sinks(sinks: list[SinkSettings], select: list[str] | None) -> None:
    from headwater.sinks.targets import parse_target, sink_of

    places: dict[str, int] = {}
    for i, sink in enumerate(sinks):
        with _at(f"sinks[{i}].to"):
            parse_target(sink.to)
        for name in sink.options:  # each alone, so that the path is that of the wrong one
            with _at(f"sinks[{i}].{name}"):
                parse_target(structs.replace(_plain(sink), **{name: getattr(sink, name)}).target)
        with _at(f"sinks[{i}]"):
            sink_of(sink.target, select=select)
        place = place_of(sink.to)
        if place in places:
            what = "standard output" if place == "-" else place
            raise SettingsError(f"{what} is written by `sinks[{places[place]}]` already", path=f"sinks[{i}].to")
        places[place] = i


def _plain(sink: SinkSettings) -> SinkSettings:
    """The sink with its format only, which decides what options there are."""
    nothing = {name: None for name in sink.options if name != "format"}
    return structs.replace(sink, **nothing)


def place_of(target: str) -> str:
    """The folder that a target writes to, - for standard output. Raises HeadwaterError for what is no target."""
    from headwater.sinks.targets import parse_target

    place = parse_target(target).place
    return place if place == "-" else os.path.abspath(place)  # noqa: PTH100  # nothing is followed here


# ---------------------------------------------------------------- the rest


def _check_columns(settings: CollectingSettings) -> None:
    from headwater.batch import Decoder

    for name in ("select", "provenance", "derived"):
        given = getattr(settings, name)
        if name == "select" and given is None:
            continue
        if name == "select" and not given:
            raise SettingsError("names no column; leave it out for all fields of each Template", path=name)
        for i, one in enumerate(given):
            with _at(f"{name}[{i}]"):
                if name == "select":
                    Decoder([one])
                elif name == "provenance":
                    Decoder(None, [one])
                else:
                    Decoder(None, derived=[one])


def _check_numbers(settings: CollectingSettings) -> None:
    if settings.buffer < LEAST_BUFFER:
        raise SettingsError(f"is {settings.buffer}; it must be 1M at least", path="buffer")
    if not 0 < settings.latency <= _LONGEST_LATENCY:
        raise SettingsError(f"is {settings.latency}; it must be more than 0 and at most 60s", path="latency")
    if settings.idle_exporter <= 0:
        raise SettingsError("is 0s; it must be more", path="idle_exporter")


def _check_places(settings: CollectingSettings) -> None:
    if settings.control:
        if len(os.fsencode(settings.control)) > _LONGEST_PATH:
            raise SettingsError(
                f"is longer than {_LONGEST_PATH} octets, and sockets have no longer paths", path="control"
            )
        folder = os.path.dirname(settings.control) or "."  # noqa: PTH120  # as above
        if not os.path.isdir(folder):  # noqa: PTH112
            raise SettingsError(f"is in the folder {folder!r}, which does not exist", path="control")
    with _at("metrics"):
        _ = settings.metrics_address
    if settings.state is not None:
        if not settings.state:
            raise SettingsError("is empty; it is a folder", path="state")
        if os.path.exists(settings.state) and not os.path.isdir(settings.state):  # noqa: PTH110, PTH112
            raise SettingsError(f"is {settings.state!r}, which is no folder", path="state")
