"""How many sockets and frames one person may use; counted per process, and said so."""

from __future__ import annotations

import math
import time
from collections import Counter, deque
from collections.abc import Iterable

from django.conf import settings

from chat.frames import FrameError

WINDOW_SECONDS = 60.0

_open: Counter[str] = Counter()


class OpenSockets:
    """Counts one socket under its user and its address while it is open."""

    def __init__(self) -> None:
        self._names: Iterable[str] = ()

    def enter(self, user: int, address: str) -> None:
        """Count this socket; raises FrameError, and counts nothing, if there are too many."""
        per_user, per_address = f"user {user}", f"address {address}"
        if _open[per_user] >= settings.CHATSITE_SOCKETS_PER_USER:
            raise FrameError("too_many_tabs", most=settings.CHATSITE_SOCKETS_PER_USER)
        if _open[per_address] >= settings.CHATSITE_SOCKETS_PER_ADDRESS:
            raise FrameError("too_many_here", most=settings.CHATSITE_SOCKETS_PER_ADDRESS)
        self._names = (per_user, per_address)
        _open.update(self._names)

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

    def count(self) -> None:
        """Count one more frame; raises FrameError if there are too many."""
        now = time.monotonic()
        while self._times and self._times[0] < now - WINDOW_SECONDS:
            self._times.popleft()
        self._times.append(now)
        most = int(settings.CHATSITE_FRAMES_PER_MINUTE)
        if len(self._times) > most:
            # Frames that are refused count, too: this is when the next one is within the limit.
            ends = self._times[-most] + WINDOW_SECONDS - now
            raise FrameError("too_many_frames", retry=max(1, math.ceil(ends)), most=most)

    def flooded(self) -> bool:
        """Whether there were twice as many as are allowed: whoever goes on does not listen."""
        return len(self._times) > 2 * int(settings.CHATSITE_FRAMES_PER_MINUTE)

    def forgive(self) -> None:
        """The newest frame was one that the server itself made necessary."""
        if self._times:
            self._times.pop()
