"""Every number of a report for Prometheus, health for load balancers, and the report itself, over HTTP."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Final

import msgspec

from headwater.errors import HeadwaterError
from headwater.process.collecting.logs import NAME

if TYPE_CHECKING:
    from prometheus_client.core import Metric

Said = Callable[[], Mapping[str, Any]]

_EXPORTERS: Final = 1000
"""Exporters with metrics of their own; all others are one, "others"."""
_CONNECTIONS: Final = 32
_TIMEOUT: Final = 10.0
_GAUGES: Final = frozenset({
    "sessions", "domains", "receive_buffer", "first_seen", "last_seen", "is_blocked", "is_over", "busy_s",
    "lost", "lost_messages", "undecodable_sets", "unknown_gaps",
})  # fmt: skip
"""Numbers that can fall; all others only grow."""
_LABELS: Final = {
    "exporter": ("exporter", "transport", "listener", "worker"),
    "listener": ("listener", "transport", "worker"),
    "sink": ("sink", "worker"),
}
_LOG: Final = logging.getLogger(NAME)


class ReportMetrics:
    """A Collector of prometheus_client: asked for its metrics, it looks at the report."""

    def __init__(self, said: Said) -> None:
        self._said = said

    def collect(self) -> Iterator[Metric]:
        """All metrics of the report as it is now."""
        report = self._said()
        families: dict[str, Metric] = {}
        for what, rows in (
            ("listener", [{**one, "listener": one.get("url", "")} for one in report.get("listeners", ())]),
            ("exporter", _bounded(report.get("exporters", ()))),
            ("sink", [{**one, "sink": one.get("name", "")} for one in report.get("sinks", ())]),
        ):
            for row in rows:
                _add_row(families, what, row, report.get("worker", 0))
        _add_whole(families, report)
        yield from families.values()


def _add_row(families: dict[str, Metric], what: str, row: Mapping[str, Any], worker: object) -> None:
    labels = _LABELS[what]
    values = [str(row.get(label, worker if label == "worker" else "")) for label in labels]
    for name, value in row.items():
        if isinstance(value, int | float) and name != "worker":
            _family(families, f"{what}_{name}", labels, is_gauge=name in _GAUGES).add_metric(values, value)
    for kind, count in row.get("faults", {}).items():
        _family(families, f"{what}_faults", (*labels, "kind"), is_gauge=False).add_metric([*values, str(kind)], count)


def _add_whole(families: dict[str, Metric], report: Mapping[str, Any]) -> None:
    """What is of the process and of no part of it."""
    for name, value in report.get("queue", {}).items():
        _family(families, f"queue_{name}", (), is_gauge=True).add_metric([], value)
    for part in ("pipeline", "totals"):
        for name, value in report.get(part, {}).items():
            if isinstance(value, int | float):
                prefix = "" if part == "totals" else "pipeline_"
                _family(families, f"{prefix}{name}", (), is_gauge=name in _GAUGES).add_metric([], value)
    for kind, count in report.get("faults", {}).items():
        _family(families, "faults", ("kind",), is_gauge=False).add_metric([str(kind)], count)
    for name, value in (
        ("start_time_seconds", report.get("started", 0)),
        ("up", int(report.get("state") == "running")),
        ("warnings", len(report.get("warnings", ()))),
        ("exporters", len(report.get("exporters", ()))),
    ):
        _family(families, name, (), is_gauge=True).add_metric([], value)


def _family(families: dict[str, Metric], name: str, labels: tuple[str, ...], *, is_gauge: bool) -> Any:
    found = families.get(name)
    if found is None:
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        kind = GaugeMetricFamily if is_gauge else CounterMetricFamily
        found = families[name] = kind(f"headwater_{name}", name.replace("_", " "), labels=labels)
    return found


def _bounded(exporters: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The exporters with the most records, and all others as one."""
    ranked = sorted(exporters, key=lambda one: (one.get("lost", 0) > 0, one.get("records", 0)), reverse=True)
    if len(ranked) <= _EXPORTERS:
        return ranked
    others: dict[str, Any] = {"exporter": "others", "transport": "", "listener": "", "worker": ""}
    faults: dict[str, int] = {}
    for one in ranked[_EXPORTERS:]:
        for name, value in one.items():
            if isinstance(value, int | float) and name not in ("first_seen", "last_seen", "worker"):
                others[name] = others.get(name, 0) + value
        for kind, count in one.get("faults", {}).items():
            faults[kind] = faults.get(kind, 0) + count
    return [*ranked[:_EXPORTERS], {**others, "faults": faults}]


def reasons(report: Mapping[str, Any]) -> list[str]:
    """Why a collector is not healthy; nothing if it is."""
    found = [f"the collector is {report.get('state')}"] if report.get("state") != "running" else []
    found += ["the thread that decodes does not answer"] if report.get("is_stale") else []
    for sink in report.get("sinks", ()):
        if sink.get("is_blocked"):
            found.append(f"{sink.get('name')} cannot be written: {sink.get('last_error') or 'no reason known'}")
    return found


class MetricsServer:
    """Serves /metrics, /healthz and /status in threads of its own. address: host and port, 0 = any."""

    def __init__(self, address: tuple[str, int], said: Said) -> None:
        self._address = address
        self._said = said
        self._server: _Server | None = None

    def start(self) -> None:
        """Bind and serve. Raises HeadwaterError."""
        try:
            import prometheus_client  # noqa: F401  # told here and not when it is first asked
        except ImportError:
            raise HeadwaterError(
                "metrics need prometheus-client, which is not installed: pip install 'headwater[metrics]'"
            ) from None
        host, port = self._address
        try:
            self._server = _Server(self._address, self._said)
        except OSError as error:
            raise HeadwaterError(f"metrics cannot be served at {host}:{port}: {error.strerror or error}") from None
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.2}, daemon=True).start()

    @property
    def url(self) -> str:
        """Where the metrics are."""
        assert self._server is not None, "it is not started"
        host, port = self._server.server_address[:2]
        shown = str(host)
        return f"http://{f'[{shown}]' if ':' in shown else shown}:{port}/metrics"

    def close(self) -> None:
        """Serve nothing more."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def __init__(self, address: tuple[str, int], said: Said) -> None:
        import socket as sockets

        from prometheus_client import CollectorRegistry

        self.said = said
        self.registry = CollectorRegistry(auto_describe=False)
        self.registry.register(_Registered(said))
        self.places = threading.BoundedSemaphore(_CONNECTIONS)
        self.address_family = sockets.AF_INET6 if ":" in address[0] else sockets.AF_INET
        super().__init__(address, _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Serve a connection in a thread, unless too many are served already."""
        if self.places.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """As the base class, and give the place free."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self.places.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away, or an error of ours, which is told."""
        _LOG.debug("metrics: %s", client_address, exc_info=True)


class _Registered(ReportMetrics):
    def describe(self) -> Iterable[Metric]:
        """Nothing: what there is changes."""
        return ()


class _Handler(BaseHTTPRequestHandler):
    server_version = "headwater"
    sys_version = ""
    timeout = _TIMEOUT

    def do_GET(self) -> None:
        """Answer."""
        assert isinstance(self.server, _Server)
        match self.path.partition("?")[0]:
            case "/metrics":
                from prometheus_client.exposition import choose_encoder

                encoder, kind = choose_encoder(self.headers.get("Accept", ""))
                self._send(200, encoder(self.server.registry), kind)
            case "/healthz":
                wrong = reasons(self.server.said())
                self._send(503 if wrong else 200, "".join(f"{one}\n" for one in wrong or ["ok"]).encode())
            case "/status":
                self._send(200, msgspec.json.encode(self.server.said()), "application/json")
            case _:
                self._send(404, b"there are /metrics, /healthz and /status\n")

    def _send(self, code: int, body: bytes, kind: str = "text/plain; charset=utf-8") -> None:
        self.send_response(code)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_HEAD = do_GET

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: it is asked every few seconds."""
