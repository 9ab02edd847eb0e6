"""`headwater collect`: from exporters to files, day and night."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from headwater.cli.options import added_of, column_options, examples, key_rule_option, names_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from headwater.process.collecting.settings import CollectingSettings

_NO_SINK = "say where records go: --to flows/ (Parquet files in a folder) or --to - (JSON lines on stdout)"
_NO_URL = "say where to listen: 'headwater collect udp://0.0.0.0:4739 --to flows/'"


class _Quantity(click.ParamType[str]):
    """Text that the settings check."""

    def __init__(self, name: str) -> None:
        self.name = name


_DURATION, _SIZE = _Quantity("duration"), _Quantity("size")


@click.command(
    epilog=examples(
        "headwater collect udp://0.0.0.0:4739 --to flows/",
        "headwater collect udp://0.0.0.0:2055 tcp://0.0.0.0 --to 'flows/?rotate=1h&partition=%Y/%m/%d' --state state/",
        "headwater collect udp://127.0.0.1:4739 --to - -s sourceIPv4Address,octetDeltaCount | jq .octetDeltaCount",
        "headwater collect 'tls://0.0.0.0?cert=me.pem&key=me.key&ca=ca.pem' --to flows/ --allow 192.0.2.0/24",
        "headwater collect --config collector.toml --check    what these settings mean",
    )
)
@click.argument("listen", metavar="[URL]...", nargs=-1)
@click.option(
    "-t", "--to", "sinks", metavar="TARGET", multiple=True, help="Where records go: flows/, csv:flows/, -, …."
)
@click.option("-c", "--config", type=click.Path(), metavar="FILE", help="Settings in TOML; options count before them.")
@click.option("--check", is_flag=True, help="Check the settings, print them as TOML (--json: as JSON), open nothing.")
@click.option("--seconds", type=click.FloatRange(0, min_open=True), metavar="S", help="End after S seconds.")
@click.option("--records", type=click.IntRange(1), metavar="N", help="End after N records, or a few more.")
@click.option("--json", "is_json", is_flag=True, help="The final report as JSON on stdout.")
@click.option("-q", "--quiet", is_flag=True, help="Tell only what is wrong.")
@column_options
@key_rule_option
@click.option("--provenance", metavar="NAME,...", multiple=True, help="Facts of messages to add, instead of the usual.")
@click.option("--allow", metavar="NETWORK", multiple=True, help="Only exporters of these networks.")
@click.option("--state", metavar="FOLDER", help="Templates and options are kept here from one run to the next.")
@click.option("--buffer", type=_SIZE, metavar="SIZE", help="What may wait to be decoded (64M).")
@click.option("--latency", type=_DURATION, metavar="TIME", help="How long a record waits to be decoded (250ms).")
@click.option("--drain", type=_DURATION, metavar="TIME", help="How long the end may take (30s).")
@click.option("--workers", type=int, metavar="N", help="Processes that share the load (1).")
@click.option("--idle-exporter", type=_DURATION, metavar="TIME", help="Forget who was not heard of so long (1h).")
@click.option("--limit", metavar="NAME=VALUE", multiple=True, help="A bound, such as templates=1000.")
@click.option("--control", metavar="PATH", help="The control socket (auto: in the runtime directory); '' = none.")
@click.option("--metrics", metavar="HOST:PORT", help="Serve /metrics, /healthz and /status there.")
@click.option("--log-level", type=click.Choice(["debug", "info", "warning", "error"]), help="What to tell (info).")
@click.option("--log-json", is_flag=True, default=None, help="Tell it as JSON lines.")
@click.pass_context
def collect(
    ctx: click.Context,
    /,
    config: str | None,
    check: bool,
    seconds: float | None,
    records: int | None,
    is_json: bool,
    quiet: bool,
    **asked: Any,
) -> None:
    """Receive IPFIX and NetFlow at URL and store it: udp, tcp, tls, dtls or sctp://HOST:PORT.

    All versions may come to one port. file:PATH reads files and captures, follow:FOLDER those that come into a folder.

    TARGET is a folder (Parquet files), arrow:, ndjson:, csv:, ipfix:, ipfix-raw: or
    spool: before a folder, or - for stdout; options follow as in flows/?rotate=5m.

    Ctrl-C ends it when all that has come is stored; SIGHUP lets it read its settings and certificates again.

    The exit code is 0 if nothing was lost, 1 if something was, 2 if it could not start.
    """
    over = _given(asked)
    settings = _settings(config, over)
    if check:
        from headwater.cli.screen import echo_json

        if is_json:
            echo_json(settings.to_dict())
        else:
            click.echo(settings.to_toml(), nl=False)
        return
    if not settings.sinks:
        raise click.UsageError(_NO_SINK, ctx)
    from headwater.cli.collect_running import Running
    from headwater.process.collecting.settings_checks import place_of

    if is_json and any(place_of(sink.to) == "-" for sink in settings.sinks):
        raise click.UsageError("--json and a sink both want stdout", ctx)

    running = Running(settings, reread=lambda: _settings(config, over), is_quiet=quiet)
    code = running.run(seconds, records)
    if is_json:
        from headwater.cli.screen import echo_json

        echo_json(running.report)
    ctx.exit(code)


def _given(asked: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that were given as options. Raises click.BadParameter."""
    from headwater.process.collecting.settings import PROVENANCE

    given = {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in asked.items()
        if name not in ("add", "key_rule", "limit", "log_level", "log_json")
        and not (value is None or value is False or value == ())
    }
    for name in ("select", "provenance"):
        if name in given:
            given[name] = names_of(given[name], f"--{name}")
    facts, derived = added_of(asked["add"])
    if facts:
        given["provenance"] = list(dict.fromkeys([*given.get("provenance", PROVENANCE), *facts]))
    if derived:
        given["derived"] = derived
    rules = dict(asked["key_rule"])
    if rules:
        given["key_policy"] = rules[""] if list(rules) == [""] else rules
    if asked["limit"]:
        given["limits"] = dict(_pair(text) for text in asked["limit"])
    log = {name: asked[f"log_{name}"] for name in ("level", "json") if asked[f"log_{name}"] is not None}
    return given | ({"log": log} if log else {})


def _pair(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals:
        raise click.BadParameter(f"{text!r} is not of the form NAME=VALUE", param_hint="--limit")
    return name, int(value) if value.isdecimal() and len(value) < 16 else value


def _settings(config: str | None, over: Mapping[str, Any]) -> CollectingSettings:
    """The settings. Raises click.ClickException with the name of the option that is wrong, or HeadwaterError."""
    from msgspec.structs import replace

    from headwater.process.collecting.settings import AUTO, SettingsError, load_settings, settings_of

    try:
        if config is None and "listen" not in over:
            raise click.UsageError(_NO_URL)
        settings = settings_of(**over) if config is None else load_settings(config, over)
        return replace(settings, control=AUTO) if settings.control is None else settings
    except SettingsError as error:
        top = error.path.partition("[")[0].partition(".")[0]
        if top not in over:
            raise
        options = {"listen": "", "sinks": "--to", "key_policy": "--key-rule", "limits": "--limit", "log": "--log-level"}
        option = options.get(top, f"--{top.replace('_', '-')}")
        raise click.UsageError(f"{option}: {error.reason}" if option else error.reason) from None
