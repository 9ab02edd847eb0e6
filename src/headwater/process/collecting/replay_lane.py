"""The lane of a replay: files through the sessions that they need, to batches."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from headwater.process.collecting.lane import Lane

if TYPE_CHECKING:
    from collections.abc import Iterator

    from headwater.batch.batch import Batch
    from headwater.process.collecting.replay import FeedWork, Replay


class ReplayLane(Lane):
    """What a Replay reads. Its sessions are those of the files; it has a Lane's outline."""

    listener: Replay

    @property
    def has_state(self) -> bool:
        """What a folder needs to know the next time, the Replay writes down itself."""
        return False

    def take(self, work: FeedWork, now: float, *, decode: bool) -> Iterator[Batch]:  # type: ignore[override]
        """Batches of a window of a file."""
        try:
            yield from self._batches(work.events(), decode=decode)
        finally:  # whatever became of its data, it has ended
            self.exporters.ended(work.ledgers)

    def tick(self, now: float, idle_s: float) -> None:
        """Time brings nothing: files are as old as they are."""

    def close(self) -> Iterator[Batch]:
        """The end: what waited for its Template in spools is told."""
        yield from self._batches(self.listener.memory.close(), decode=False)

    def to_dicts(self) -> list[dict[str, Any]]:
        """Its exporters, as JSON."""
        return self.exporters.to_dicts(
            self.listener.ledgers, transport=str(self.listener.transport), listener=self.name
        )
