"""How many sockets and frames one person may use; counted per process, and said so."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Iterable, Mapping

WINDOW_SECONDS = 60.0

_open: Counter[str] = Counter()


class OpenSockets:
    """Counts one socket under several names (its user, its address) while it is open."""

    def __init__(self) -> None:
        self._names: Iterable[str] = ()

    def enter(self, most: Mapping[str, int]) -> bool:
        """Count this socket under each name; False, and not counted, if one is full."""
        if any(_open[name] >= limit for name, limit in most.items()):
            return False
        self._names = tuple(most)
        _open.update(self._names)
        return True

    def leave(self) -> None:
        """Count it no more; may be called twice."""
        _open.subtract(self._names)
        for name in self._names:
            if _open[name] <= 0:
                del _open[name]
        self._names = ()


class FrameRate:
    """The frames of one socket in the last minute."""

    def __init__(self) -> None:
        self._times: deque[float] = deque()

    def count(self) -> int:
        """Count one more frame; returns how many came in the last minute, this one included."""
        now = time.monotonic()
        while self._times and self._times[0] < now - WINDOW_SECONDS:
            self._times.popleft()
        self._times.append(now)
        return len(self._times)
