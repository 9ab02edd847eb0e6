"""Where a running Collecting Process can be asked: its control socket, and metrics over HTTP."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from headwater.errors import HeadwaterError
from headwater.process.collecting.settings import AUTO
from headwater.process.collecting.settings_checks import place_of

if TYPE_CHECKING:
    from headwater.process.collecting.collector import Collector
    from headwater.process.collecting.control_server import ControlServer
    from headwater.process.collecting.metrics import MetricsServer


class Endpoints:
    """What the settings `control` and `metrics` ask for. reload: what a request for it does; what needs a restart."""

    def __init__(self, collector: Collector, reload: Callable[[], list[str]]) -> None:
        self._collector, self._reload = collector, reload
        self._control: ControlServer | None = None
        self._metrics: MetricsServer | None = None

    @property
    def control(self) -> str:
        """The path of the control socket, "" = there is none."""
        return "" if self._control is None else self._control.path

    @property
    def metrics_url(self) -> str:
        """Where metrics are, "" = nowhere."""
        return "" if self._metrics is None else self._metrics.url

    def start(self) -> list[str]:
        """Begin to answer; warnings. Raises HeadwaterError: `close` is to be called then too."""
        settings, said = self._collector.settings, lambda: self._collector.report().to_dict()
        if settings.metrics_address is not None:
            from headwater.process.collecting.metrics import MetricsServer

            metrics = MetricsServer(settings.metrics_address, said)
            metrics.start()
            self._metrics = metrics
        if not settings.control:
            return []
        from headwater.process.collecting.control_server import ControlServer

        folders = [place for place in (place_of(sink.to) for sink in settings.sinks) if place != "-"]
        path = None if settings.control == AUTO else settings.control
        control = ControlServer(self._collector, path, folders=folders, reload=self._reload)
        try:
            control.start()
        except HeadwaterError as error:
            if path is not None:
                raise
            return [f"'headwater status' will not find this collector: {error}"]  # which is no reason to end
        self._control = control
        return []

    def close(self) -> None:
        """Answer nothing more."""
        for one in (self._control, self._metrics):
            if one is not None:
                one.close()
        self._control = self._metrics = None
