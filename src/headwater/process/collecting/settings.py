"""Settings of a Collecting Process: one set of checks for a TOML file, for flags and for Python.

All of it is checked before anything is opened, and what is wrong is told with the path of the setting:
`collector.toml: at sinks[0].rotate: '5 parsecs' is not a duration such as 250ms, 30s, 5m, 1h or 1d`.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta, Struct, field, structs

from headwater.process.arguments import checked_policy
from headwater.process.collecting.settings_values import Octets, Seconds, SettingsError, as_toml, convert, spelled
from headwater.session.limits import Limits

if TYPE_CHECKING:
    from headwater.process.collecting.replay_url import ReplayUrl
    from headwater.session.key import KeyPolicy
    from headwater.transport.incoming.url import ListenUrl

Network = IPv4Network | IPv6Network
AUTO: Final = "auto"
"""As `control`: a path of one's own in the runtime directory."""
PROVENANCE: Final = ("collectionTimeMilliseconds", "exporterIPv4Address", "exporterIPv6Address", "observationDomainId")

_Count = Annotated[int, Meta(ge=1, le=1 << 40)]
_Few = Annotated[int, Meta(ge=0, le=1 << 40)]
_LIMITS: Final = Limits()


class _Table(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """A table of a TOML file."""


class SinkSettings(_Table, frozen=True):
    """Where records go, as `headwater.sinks.targets` reads it: to, and the options that its query may have."""

    to: str
    rotate: Seconds | None = None
    rotate_size: Octets | None = None
    partition: str | None = None
    level: int | None = None
    compression: str | None = None
    format: str | None = None

    @property
    def options(self) -> dict[str, str]:
        """The options that are set, as text."""
        fields = ((name, getattr(self, name)) for name in self.__struct_fields__ if name != "to")
        return {name: str(spelled(value)) for name, value in fields if value is not None}

    @property
    def target(self) -> str:
        """All of it in one line: `flows/?rotate=5m`."""
        return _with_query(self.to, self.options)


class LimitSettings(_Table, frozen=True):
    """Bounds on what one peer can make us keep or do; headwater.Limits tells what each is."""

    sessions: _Count = _LIMITS.sessions
    templates: _Count = _LIMITS.templates
    template_octets: Octets = Octets(_LIMITS.template_octets)
    domains: _Count = _LIMITS.domains
    templates_in_all: _Count = _LIMITS.templates_in_all
    template_octets_in_all: Octets = Octets(_LIMITS.template_octets_in_all)
    domains_in_all: _Count = _LIMITS.domains_in_all
    template_lifetime_s: Seconds = Seconds(_LIMITS.template_lifetime_s)
    held_octets: Octets = Octets(_LIMITS.held_octets)
    held_sets: _Few = _LIMITS.held_sets
    held_s: Seconds = Seconds(_LIMITS.held_s)
    list_depth: _Few = _LIMITS.list_depth
    list_elements: _Few = _LIMITS.list_elements
    learned_elements: _Few = _LIMITS.learned_elements


class LogSettings(_Table, frozen=True):
    """What is told on stderr while it runs. json: one object a line."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    json: bool = False


class CollectingSettings(_Table, frozen=True):
    """All settings of a Collecting Process.

    listen: URLs. sinks: where records go; none = only to who iterates. select, provenance, derived, resolve_time,
        scale_sampling, join_options, with_options: as `headwater.read` has them.
    allow: networks that may export; none = all. key_policy: what Templates are kept by, for all or by address.
    state: folder in which Templates and options outlast the process.
    buffer: octets that may wait to be decoded. latency: seconds a record waits until it is decoded, at most.
    drain: seconds for the end. workers: processes that share the load. idle_exporter: seconds after which an exporter
        over UDP that is not heard of is forgotten.
    control: path of the control socket, "auto" = PID.sock in the runtime directory, "" = none; None = none in Python,
        "auto" for `headwater collect`. metrics: HOST:PORT, None = none.
    """

    listen: list[str]
    sinks: list[SinkSettings] = []
    select: list[str] | None = None
    provenance: list[str] = field(default_factory=lambda: list(PROVENANCE))
    derived: list[str] = []
    resolve_time: bool = False
    scale_sampling: bool = False
    join_options: bool = False
    with_options: bool = False
    allow: list[str] = []
    key_policy: str | dict[str, str] = "auto"
    state: str | None = None
    buffer: Octets = Octets(64 << 20)
    latency: Seconds = Seconds(0.25)
    drain: Seconds = Seconds(30.0)
    workers: Annotated[int, Meta(ge=1, le=64)] = 1
    idle_exporter: Seconds = Seconds(3600.0)
    limits: LimitSettings = LimitSettings()
    control: str | None = None
    metrics: str | None = None
    log: LogSettings = LogSettings()

    @property
    def urls(self) -> list[ListenUrl]:
        """The addresses to listen on."""
        from headwater.process.collecting.replay_url import is_replay_url
        from headwater.transport.incoming.url import parse_listen_url

        return [parse_listen_url(url) for url in self.listen if not is_replay_url(url)]

    @property
    def replays(self) -> list[ReplayUrl]:
        """The files and folders to read."""
        from headwater.process.collecting.replay_url import is_replay_url, parse_replay_url

        return [parse_replay_url(url) for url in self.listen if is_replay_url(url)]

    @property
    def networks(self) -> tuple[Network, ...]:
        """Who may export, () = everybody."""
        return tuple(ip_network(text, strict=False) for text in self.allow)

    @property
    def policy(self) -> KeyPolicy:
        """What Templates are kept by."""
        return checked_policy(self.key_policy)

    @property
    def session_limits(self) -> Limits:
        """The limits as a session takes them."""
        given = structs.asdict(self.limits).items()
        plain: dict[str, Any] = {k: float(v) if isinstance(v, Seconds) else int(v) for k, v in given}
        return Limits(**plain)

    @property
    def metrics_address(self) -> tuple[str, int] | None:
        """Host and port of the metrics, None = there are none."""
        return None if self.metrics is None else _host_and_port(self.metrics)

    def to_dict(self) -> dict[str, Any]:
        """As JSON; durations and sizes are text such as 5m and 64M. What is None is left out."""
        made = msgspec.to_builtins(self, enc_hook=spelled)
        made["sinks"] = [{k: v for k, v in sink.items() if v is not None} for sink in made["sinks"]]
        return {k: v for k, v in made.items() if v is not None}

    def to_toml(self) -> str:
        """As a file that `load_settings` reads."""
        return as_toml(self.to_dict())

    def changes(self, new: CollectingSettings) -> Changes:
        """What it takes to go on with other settings."""
        names = [name for name in self.__struct_fields__ if getattr(self, name) != getattr(new, name)]
        live = {name: getattr(new, name) for name in names if name in LIVE}
        return Changes(live, [_needs_restart(name, self, new) for name in names if name not in LIVE])


LIVE: Final = ("allow", "buffer", "latency", "drain", "idle_exporter", "log")
"""What is changed while the process runs. Certificates are read again in any case; all else needs a restart."""


class Changes(Struct, frozen=True):
    """live: new values that take effect at once. restart: a sentence about each that waits for a restart."""

    live: dict[str, Any]
    restart: list[str]


def settings_of(
    listen: str | Iterable[str],
    sinks: str | Iterable[str | os.PathLike[str] | Mapping[str, Any] | SinkSettings] = (),
    **options: Any,
) -> CollectingSettings:
    """Settings from Python values; options are fields of CollectingSettings, tables may be mappings.

    Raises SettingsError for whatever is wrong with them.
    """
    return _settled({"listen": listen, "sinks": sinks, **options}, "")


def load_settings(path: str | os.PathLike[str], over: Mapping[str, Any] | None = None) -> CollectingSettings:
    """The settings in a TOML file. over: settings that count instead of the file's.

    Raises SettingsError for whatever is wrong with them.
    """
    import tomllib

    file = os.fspath(path)
    try:
        given = tomllib.loads(Path(file).read_bytes().decode())
    except OSError as error:
        raise SettingsError(f"cannot be read: {error.strerror or error}", file=file) from None
    except UnicodeDecodeError as error:
        raise SettingsError(f"octet {error.start} is no UTF-8, and a TOML file is", file=file) from None
    except (tomllib.TOMLDecodeError, RecursionError, ValueError) as error:
        raise SettingsError(f"is no TOML: {str(error)[:1].lower()}{str(error)[1:]}", file=file) from None
    return _settled({**given, **(over or {})}, file)


def _settled(given: Mapping[str, Any], file: str) -> CollectingSettings:
    settings = convert(_written_out(given), CollectingSettings, file)
    from headwater.process.collecting.settings_checks import check

    try:
        check(settings)
    except SettingsError as error:
        raise SettingsError(error.reason, path=error.path, file=file) from None
    return settings


def _written_out(given: Mapping[str, Any]) -> dict[str, Any]:
    """The same with one text for a list of texts, and a text for a sink."""
    made = dict(given)
    for name in ("listen", "sinks", "allow", "select", "provenance", "derived"):
        value = made.get(name)
        if isinstance(value, str) and name in ("listen", "sinks", "allow"):
            made[name] = [value]
        elif isinstance(value, Iterable) and not isinstance(value, str | Mapping | list):
            made[name] = list(value)
    if isinstance(made.get("sinks"), list):
        made["sinks"] = [_sink(one) for one in made["sinks"]]
    limits, log = made.get("limits"), made.get("log")
    if isinstance(limits, Limits | LimitSettings):
        made["limits"] = {name: getattr(limits, name) for name in LimitSettings.__struct_fields__}
    if isinstance(log, LogSettings):
        made["log"] = structs.asdict(log)
    return made


def _sink(one: Any) -> Any:
    if isinstance(one, SinkSettings):
        return {name: value for name, value in structs.asdict(one).items() if value is not None}
    return {"to": one} if isinstance(one, str) else {"to": os.fspath(one)} if isinstance(one, os.PathLike) else one


def _with_query(to: str, options: Mapping[str, str]) -> str:
    query = "&".join(f"{name}={value}" for name, value in options.items())
    return to if not query else f"{to}{'&' if '?' in to else '?'}{query}"


def _host_and_port(text: str) -> tuple[str, int]:
    """Raises ValueError for what is none."""
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdecimal() or int(port[:6]) > 0xFFFF or (":" in host and not host.startswith("[")):
        raise ValueError(f"{text!r} is not of the form HOST:PORT, such as 127.0.0.1:9739")
    return host.strip("[]"), int(port)


def _needs_restart(name: str, old: CollectingSettings, new: CollectingSettings) -> str:
    before, after = getattr(old, name), getattr(new, name)
    if name not in ("listen", "sinks"):
        return f"{name} has changed, which needs a restart"
    kind = "listening on" if name == "listen" else "writing to"
    was = [one.target if isinstance(one, SinkSettings) else one for one in before]
    now = [one.target if isinstance(one, SinkSettings) else one for one in after]
    more, less = [one for one in now if one not in was], [one for one in was if one not in now]
    parts = [f"begin {kind} {', '.join(more)}"] if more else []
    parts += [f"stop {kind} {', '.join(less)}"] if less else []
    return f"to {' and '.join(parts) or f'change the order of {name}'} needs a restart"


__all__ = [
    "AUTO",
    "LIVE",
    "Changes",
    "CollectingSettings",
    "LimitSettings",
    "LogSettings",
    "Octets",
    "Seconds",
    "SettingsError",
    "SinkSettings",
    "load_settings",
    "settings_of",
]
