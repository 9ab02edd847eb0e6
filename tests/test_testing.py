"""headwater.testing: any Message in one line, right or wrong, and the same octets as the tests' own builder writes."""

from __future__ import annotations

import ast
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from headwater import testing as t
from headwater.errors import FaultKind
from tests import build
from tests.oracle import listen
from tests.spec.vectors import VECTORS, octets

ROW = t.record(t.ipv4("192.0.2.1"), t.uint(80, 2))
SERVER = t.template(256, (8, 4), (7, 2))
BUILT: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = [
    (
        "message",
        (t.template_set(SERVER), t.data_set(256, ROW)),
        {"domain": 3, "sequence": 9, "version": 9, "length": 5},
    ),
    ("file", (b"a", b"b"), {}),
    ("any_set", (255, b"abc"), {"padding": 1, "length": 3}),
    ("options_template_set", (t.options_template(300, (149, 4), (41, 8, 29305), scope=1, count=7),), {"padding": 2}),
    ("template", (256, (1, 8), (82, t.VARIABLE), (1, 4, 35566)), {"count": 9}),
    ("withdrawal", (2,), {}),
    ("sint", (-5, 3), {}),
    ("float32", (0.1,), {}),
    ("float64", (0.1,), {}),
    ("ipv6", ("2001:db8::1",), {}),
    ("mac", ("00:11:22:33:44:55",), {}),
    ("ntp", (2_500_000_000, 7), {}),
    ("var", (b"x" * 300,), {}),
    ("var", (b"x",), {"long": True, "length": 9}),
    ("basic_list", ((1, 2, 9), b"12", b"34"), {"semantic": t.ORDERED}),
    ("sub_template_list", (256, ROW, ROW), {}),
    ("sub_template_multi_list", (t.group(256, ROW), t.group(257, length=4)), {"semantic": t.UNDEFINED}),
    ("netflow5", (bytes(48),), {"sequence": 7, "engine": 258, "sampling": 100}),
    ("netflow5_record", ("192.0.2.1", "192.0.2.2"), {"first_ms": 1, "last_ms": 2}),
    ("netflow9", (t.netflow9_template(256, (1, 4)),), {"count": 1, "sequence": 3, "source_id": 4}),
    ("netflow9_options_template", (256, [(1, 4)], (34, 4)), {}),
]


@pytest.mark.parametrize(("name", "given", "options"), BUILT)
def test_it_writes_what_the_builder_of_the_tests_writes(
    name: str, given: tuple[Any, ...], options: dict[str, Any]
) -> None:
    assert getattr(t, name)(*given, **options) == getattr(build, name)(*given, **options)


def test_many_records_become_messages_of_the_mtu() -> None:
    made = list(t.messages([(256, ROW)] * 20, t.template_set(SERVER), mtu=100))
    assert made == list(build.messages([(256, ROW)] * 20, t.template_set(SERVER), mtu=100))
    assert len(listen(*made).records) == 20


def test_it_has_all_that_the_builder_of_the_tests_has_but_for_its_streams() -> None:
    source = ast.parse(Path(build.__file__).read_text())
    names = [node.name for node in source.body if isinstance(node, ast.FunctionDef)]
    streams = ("flow", "flows", "mixed_flows", "string", "strings", "list", "lists", "_")
    missing = [name for name in names if not hasattr(t, name) and not name.split("_values")[0].startswith(streams)]
    assert missing == []


def test_a_vector_is_one_expression() -> None:
    (printed,) = octets(VECTORS["RFC7011-4.4"])
    assert printed == t.message(
        t.template_set(t.template(256, (8, 4), (12, 4), (15, 4), (2, 4), (1, 4))),
        t.options_template_set(t.options_template(300, (145, 2), (173, 8))),
        t.data_set(300, t.uint(256, 2), t.uint(3, 8)),
        export_time=0x52C35A80,
    )


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        (t.message(version=11), FaultKind.VERSION),
        (t.message(length=15), FaultKind.BAD_LENGTH),
        (t.cut(t.message(t.template_set(SERVER)), -1), FaultKind.TRUNCATED),
        (t.message(t.any_set(256, b"", length=3)), FaultKind.SET_LENGTH),
        (t.message(t.any_set(256, b"", length=5)), FaultKind.SET_OVERRUN),
        (t.message(t.any_set(4, b"")), FaultKind.RESERVED_SET),
        (t.message(t.template_set(t.template(255, (1, 4)))), FaultKind.TEMPLATE_ID),
        (t.message(t.template_set(t.template(256, (1, 4), count=2))), FaultKind.TEMPLATE_OVERRUN),
        (t.message(t.options_template_set(t.options_template(256, (1, 4), scope=0))), FaultKind.SCOPE_ZERO),
        (t.patched(t.message(t.template_set(SERVER)), 20, b"\0\1"), FaultKind.TEMPLATE_ID),
    ],
)
def test_malformed_messages_are_one_expression_too(message: bytes, kind: FaultKind) -> None:
    assert kind in listen(message).kinds


def test_what_is_patched_keeps_its_length() -> None:
    assert t.patched(b"abcdef", 2, b"XY") == b"abXYef"
    assert t.cut(b"abcdef", 2) == b"ab"


def test_netflow_headers_say_what_they_are_told() -> None:
    assert t.netflow5(count=31, export_time=1, nanoseconds=2)[:16].hex() == "0005001f0000ea600000000100000002"
    assert t.netflow9(export_time=1, uptime_ms=5)[:12].hex() == "000900010000000500000001"


def test_nothing_of_headwater_is_needed() -> None:
    source = ast.parse(Path(t.__file__).read_text())
    imports = [node for node in ast.walk(source) if isinstance(node, ast.Import | ast.ImportFrom)]
    modules = {alias.name for node in imports if isinstance(node, ast.Import) for alias in node.names}
    modules |= {str(node.module) for node in imports if isinstance(node, ast.ImportFrom)}
    assert modules == {"__future__", "collections.abc", "ipaddress", "struct"}


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: t.template(256, (8, 4), count=70000), "count is 70000, which does not fit its 16 bits"),
        (lambda: t.message(bytes(70000)), "length is 70016, which does not fit its 16 bits"),
        (lambda: t.message(domain=1 << 32), "domain is 4294967296, which does not fit its 32 bits"),
        (lambda: t.var(bytes(70000)), "length is 70000, which does not fit its 16 bits"),
        (lambda: t.field(-1, 4), "id is -1"),
        (lambda: t.uint(256, 1), "256 is no unsigned integer of 1 octets"),
        (lambda: t.sint(-129, 1), "-129 is no signed integer of 1 octets"),
        (lambda: t.netflow5(sampling=1 << 16), "sampling is 65536"),
        (lambda: t.netflow9(count=-1), "count is -1"),
    ],
)
def test_what_a_field_has_no_bits_for_is_refused_with_its_name(make: Callable[[], bytes], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        make()
