"""How far a page is behind: what it was sent of replies and has not acknowledged, in bytes.

A socket delivers in order, so an acknowledged position stands for everything sent before it.
Knows neither frames nor sockets.
"""

from __future__ import annotations

import time
from collections import deque

WINDOW_BYTES = 256 * 1024
"""A page that has more than this unacknowledged gets no more until it has caught up."""

SILENCE_SECONDS = 45.0
"""A page that is behind and acknowledges nothing for so long does not read."""

GRAIN_BYTES = 4 * 1024
"""Small frames of one reply are counted together up to this, so that the books stay short."""


class Window:
    """The unacknowledged frames of one socket."""

    def __init__(self) -> None:
        self.unread = 0
        """Bytes that were sent and are not acknowledged."""
        self._sent: deque[tuple[int, int, int]] = deque()
        """Generation, the end that it was sent up to, bytes; oldest first."""
        self._moved = 0.0
        """When the page acknowledged something last, or fell behind, by the monotonic clock."""

    @property
    def behind(self) -> bool:
        return self.unread > WINDOW_BYTES

    def sent(self, generation: int, end: int, size: int) -> None:
        """A frame of `size` bytes went out, which tells a reply up to `end`."""
        before = self.behind
        self.unread += size
        if self._sent and self._sent[-1][0] == generation and self._sent[-1][2] < GRAIN_BYTES:
            _, last, grown = self._sent.pop()
            end, size = max(last, end), size + grown
        self._sent.append((generation, end, size))
        if self.behind and not before:
            self._moved = time.monotonic()

    def acknowledged(self, generation: int, end: int) -> int:
        """The page has shown this reply up to `end`; returns how many bytes that settles."""
        count = 0
        for at, (pk, upto, _) in enumerate(self._sent, start=1):
            if pk == generation and upto <= end:
                count = at
        return self._settle(count)

    def silent(self) -> bool:
        """Whether the page is behind and has been silent for too long."""
        return self.behind and time.monotonic() - self._moved > SILENCE_SECONDS

    def _settle(self, count: int) -> int:
        if not count:
            return 0
        settled = sum(self._sent.popleft()[2] for _ in range(count))
        self.unread -= settled
        self._moved = time.monotonic()
        return settled
