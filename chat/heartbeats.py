"""Who is alive, judged by heartbeat counters and one's own clock: clocks are never compared."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from chat.models import Worker

BEAT_SECONDS = 2.0
SILENT_SECONDS = 10.0


class Heartbeats:
    """Remembers when each worker's counter was last seen to move, in seconds of our clock."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._moved: dict[int, tuple[int, float]] = {}

    def silent(self, workers: Iterable[Worker]) -> list[Worker]:
        """Note the counters just read; returns those that have stood still for too long."""
        now = self._clock()
        return [row for row in workers if self._age(row, now) >= SILENT_SECONDS]

    def age(self, worker: Worker) -> float:
        """Seconds since we saw this worker's counter move."""
        return self._age(worker, self._clock())

    def _age(self, worker: Worker, now: float) -> float:
        count, since = self._moved.get(worker.pk, (-1, now))
        if count != worker.heartbeat:
            since = now
            self._moved[worker.pk] = (worker.heartbeat, now)
        return now - since

    def forget(self) -> None:
        """Start again: we could not look for a while, so nothing is known of the others."""
        self._moved.clear()
