"""How fast one person may send: a token bucket, read from the times of what they sent before."""

from __future__ import annotations

import math
from collections.abc import Iterable


def seconds_to_wait(times: Iterable[float], now: float, per_minute: int, burst: int) -> int:
    """Whole seconds until the next send is allowed; 0 for now.

    `times` are seconds of the sends of the last minute, in any order. The bucket holds `burst`
    sends and gains one every 60 / per_minute seconds.
    """
    gain = per_minute / 60
    level = float(burst)
    before = now - 60
    for at in [*sorted(times), now]:
        level = min(float(burst), level + max(0.0, at - before) * gain)
        before = max(before, at)
        if at is not now:
            level -= 1
    return 0 if level >= 1 else math.ceil((1 - level) / gain)
