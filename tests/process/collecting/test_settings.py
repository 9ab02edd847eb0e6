"""Settings of a Collecting Process."""

from __future__ import annotations

import tomllib
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

import headwater as hw
from headwater.process.collecting.settings import (
    CollectingSettings,
    LimitSettings,
    SettingsError,
    SinkSettings,
    load_settings,
    settings_of,
)
from headwater.session.key import KeyRule

URL = "udp://127.0.0.1:4739"


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "collector.toml"
    path.write_text(text)
    return path


def test_a_url_and_a_target_are_enough() -> None:
    settings = settings_of(URL, "flows/")
    assert settings.listen == [URL]
    assert settings.sinks == [SinkSettings(to="flows/")]
    assert settings.latency == 0.25
    assert settings.buffer == 64 << 20
    assert settings.session_limits == hw.Limits()


def test_durations_and_sizes_are_read_as_people_write_them(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        """
        listen = ["udp://127.0.0.1:4739"]
        latency = "100ms"
        buffer = "1G"
        drain = 5
        limits.held_s = "2m"
        limits.template_octets = "8M"
        [[sinks]]
        to = "flows/"
        rotate = "5m"
        rotate_size = "256M"
        """,
    )
    settings = load_settings(path)
    assert (settings.latency, settings.buffer, settings.drain) == (0.1, 1 << 30, 5.0)
    assert settings.session_limits == hw.Limits(held_s=120.0, template_octets=8 << 20)
    assert settings.sinks[0].rotate == 300.0
    assert settings.sinks[0].target == "flows/?rotate=5m&rotate_size=256M"


def test_limits_are_those_of_a_session() -> None:
    assert LimitSettings.__struct_fields__ == tuple(field.name for field in fields(hw.Limits))


def test_what_python_has_is_taken() -> None:
    settings = settings_of(
        (URL,), [Path("flows"), {"to": "csv:more/", "rotate": 60}], limits=hw.Limits(domains=3), log={"json": True}
    )
    assert [sink.target for sink in settings.sinks] == ["flows", "csv:more/?rotate=1m"]
    assert settings.session_limits.domains == 3
    assert settings.log.json


def test_what_counts_instead_of_the_file_is_checked_alike(tmp_path: Path) -> None:
    path = written(tmp_path, 'listen = ["udp://127.0.0.1:4739"]\nlatency = "1s"\n')
    assert load_settings(path, {"latency": "2s"}).latency == 2.0
    with pytest.raises(SettingsError, match="at `latency`: 'often' is no number with a unit"):
        load_settings(path, {"latency": "often"})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("listen = 3", "at `listen`: Expected a list, got 3"),
        ("", "the setting `listen` is missing"),
        ("listen = []", "at `listen`: is empty; give at least one URL such as 'udp://0.0.0.0:4739'"),
        ('{}\nlatancy = "1s"', "no setting is called 'latancy'; did you mean `latency`?"),
        ("{}\nxyzzy = 1", "no setting is called 'xyzzy'; there are listen, sinks, "),
        ('{}\nlatency = "1 parsec"', "at `latency`: '1 parsec' is not a duration such as 250ms"),
        ("{}\nlatency = 0", "at `latency`: is 0s; it must be more than 0 and at most 60s"),
        ("{}\nlatency = -1", "at `latency`: -1 is no quantity"),
        (f"{{}}\nlatency = {10**400}", "at `latency`: 1000000"),
        ("{}\nlatency = nan", "at `latency`: nan is no quantity"),
        ("{}\nbuffer = [1]", "at `buffer`: [1] is no quantity"),
        ("{}\nbuffer = true", "at `buffer`: True is no quantity"),
        ('{}\nbuffer = "1k"', "at `buffer`: is 1k; it must be 1M at least"),
        ("{}\nworkers = 0", "at `workers`: Expected a whole number >= 1, got 0"),
        ('{}\nworkers = "many"', "at `workers`: Expected a whole number, got 'many'"),
        ("{}\nresolve_time = 1", "at `resolve_time`: Expected true or false, got 1"),
        ('{}\nsinks = [{to = "flows/", rotate = "soon"}]', "at `sinks[0].rotate`: 'soon' is no number with a unit"),
        ('{}\nsinks = [{to = "a/"}, {to = "b/", rotat = 1}]', "at `sinks[1]`: no setting is called 'rotat'; did you"),
        ('{}\nsinks = [{rotate = "5m"}]', "at `sinks[0]`: the setting `to` is missing"),
        ('{}\nsinks = [""]', "at `sinks[0].to`: '' names no place to write to"),
        ('{}\nsinks = ["flows/", "arrow:flows"]', "at `sinks[1].to`: "),
        ('{}\nsinks = ["-", "csv:-"]', "at `sinks[1].to`: standard output is written by `sinks[0]` already"),
        ('{}\nallow = ["192.0.2.0/33"]', "at `allow[0]`: '192.0.2.0/33' does not appear to be an IPv4 or IPv6 network"),
        ('{}\nkey_policy = "port"', "at `key_policy`: key rule must be one of auto, rfc, address, not 'port'"),
        (
            '{}\nprovenance = ["exportTime", "exporter"]',
            "at `provenance[1]`: no Information Element is named 'exporter'",
        ),
        ('{}\nselect = ["octetDeltacount"]', "did you mean 'octetDeltaCount'"),
        ("{}\nselect = []", "at `select`: names no column"),
        ('{}\nmetrics = "9739"', "at `metrics`: '9739' is not of the form HOST:PORT, such as 127.0.0.1:9739"),
        ('{}\nmetrics = "::1:99999"', "at `metrics`: "),
        ('{}\ncontrol = "/does/not/exist/x.sock"', "at `control`: is in the folder '/does/not/exist', which does not"),
        (f'{{}}\ncontrol = "{"x" * 200}"', "at `control`: is longer than 107 octets"),
        ('{}\nlog.level = "loud"', "at `log.level`: 'loud' is none of debug, error, info, warning"),
        ("{}\nlimits.sessions = 0", "at `limits.sessions`: Expected a whole number >= 1, got 0"),
        ("{}\nlimits.sesions = 0", "at `limits`: no setting is called 'sesions'; did you mean `sessions`?"),
        ("listen = [", "is no TOML: "),
        ("listen = " + "[" * 5000, "is no TOML: "),
    ],
)
def test_what_is_wrong_is_told_with_file_and_path(tmp_path: Path, text: str, message: str) -> None:
    path = written(tmp_path, text.replace("{}", f'listen = ["{URL}"]'))
    with pytest.raises(SettingsError) as raised:
        load_settings(path)
    assert message in str(raised.value)
    assert str(raised.value).startswith(f"{path}: ")
    assert "\n" not in str(raised.value)
    assert len(str(raised.value)) < 600


def test_a_file_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"missing.toml: cannot be read: No such file or directory"):
        load_settings(tmp_path / "missing.toml")
    (tmp_path / "latin.toml").write_bytes(b'listen = ["\xe9"]')
    with pytest.raises(SettingsError, match=r"latin.toml: octet 11 is no UTF-8"):
        load_settings(tmp_path / "latin.toml")


@pytest.mark.parametrize(
    ("urls", "is_clash"),
    [
        (["udp://127.0.0.1:4739", "udp://127.0.0.1:4739"], True),
        (["udp://127.0.0.1:4739", "tcp://127.0.0.1:4739"], False),
        (["udp://127.0.0.1:4739", "udp://127.0.0.2:4739"], False),
        (["udp://0.0.0.0:4739", "udp://127.0.0.2:4739"], True),
        (["udp://[::]:4739", "udp://127.0.0.2:4739"], True),
        (["udp://0.0.0.0:4739", "udp://[::1]:4739"], False),
        (["udp://*:4739", "udp://0.0.0.0:4739"], True),
        (["udp://127.0.0.1:0", "udp://127.0.0.1:0"], False),
        (["udp://127.0.0.1:4739", "udp://127.0.0.1:4740"], False),
        (["udp://localhost:4739", "udp://127.0.0.1:4739"], True),
        (["sctp://127.0.0.1:4739", "tcp://127.0.0.1:4739", "udp://127.0.0.1"], False),
    ],
)
def test_two_listeners_do_not_want_the_same_port(urls: list[str], is_clash: bool) -> None:
    if is_clash:
        with pytest.raises(SettingsError, match=r"at `listen\[1\]`: .* is taken by `listen\[0\]`"):
            settings_of(urls)
    else:
        assert settings_of(urls).listen == urls


def test_certificates_that_are_not_there_are_told(tmp_path: Path) -> None:
    cert = tmp_path / "cert.pem"
    cert.write_text("")
    with pytest.raises(SettingsError, match=r"at `listen\[0\]`: .*the file 'missing.key' of key does not exist"):
        settings_of(f"tls://127.0.0.1:4740?cert={cert}&key=missing.key&ca={cert}")


def test_the_effective_settings_can_be_read_again(tmp_path: Path) -> None:
    settings = settings_of(
        [URL, "tcp://127.0.0.1:0"],
        [{"to": "flows/", "rotate": "90s", "partition": "%Y/%m/%d"}, "-"],
        key_policy={"192.0.2.1": "rfc"},
        allow=["192.0.2.0/24"],
        state='a "strange"\n\x7ffolder',
        limits={"held_sets": 0},
    )
    text = settings.to_toml()
    assert load_settings(written(tmp_path, text)) == settings
    assert tomllib.loads(text)["sinks"][0]["rotate"] == "90s"
    assert tomllib.loads(text) == settings.to_dict()


def test_networks_and_policy_are_made_of_their_text() -> None:
    settings = settings_of(URL, allow=["192.0.2.1/24", "2001:db8::/32"], key_policy={"192.0.2.1": "rfc"})
    assert [str(one) for one in settings.networks] == ["192.0.2.0/24", "2001:db8::/32"]
    assert settings.policy.exporters == {"192.0.2.1": KeyRule.RFC}


@pytest.mark.parametrize(("text", "address"), [("127.0.0.1:9739", ("127.0.0.1", 9739)), ("[::1]:0", ("::1", 0))])
def test_the_address_of_metrics_is_host_and_port(text: str, address: tuple[str, int]) -> None:
    assert settings_of(URL, metrics=text).metrics_address == address


def changed(**options: Any) -> CollectingSettings:
    return settings_of(options.pop("listen", URL), options.pop("sinks", "flows/"), **options)


def test_a_change_takes_effect_at_once_or_says_that_it_does_not() -> None:
    old = changed()
    assert old.changes(changed()).live == {}
    live = old.changes(changed(allow=["192.0.2.0/24"], latency="1s", log={"level": "debug"}))
    assert set(live.live) == {"allow", "latency", "log"}
    assert live.restart == []
    both = old.changes(changed(listen=[URL, "tcp://127.0.0.1:4739"], drain=1, workers=2, sinks="more/"))
    assert both.live == {"drain": 1.0}
    assert both.restart == [
        "to begin listening on tcp://127.0.0.1:4739 needs a restart",
        "to begin writing to more/ and stop writing to flows/ needs a restart",
        "workers has changed, which needs a restart",
    ]


def test_all_options_of_targets_can_be_settings_of_a_sink() -> None:
    from headwater.sinks import targets

    known = {name for form in targets._FORMATS.values() for name in form.options} | set(targets._ROTATION)
    assert known | {"to", "format"} == set(SinkSettings.__struct_fields__)
