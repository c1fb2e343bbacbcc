"""How long somebody will wait, as an honest range.

Known are how many are served before, how many run at once, and how long recent generations took.
The p-th starts when the p-th of the running ones and those before it has ended: with s slots busy
and service times of mean m and deviation d, after about p·m/s, give or take d·√p/s; and m itself,
known from n samples, may be off by d/√n. Newcomers who pass take a part of the slots for
themselves. benchmarks/simulate says how often the range is right.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

SPREAD = 1.3
"""Deviations to either side; about four of five waits fall inside."""

MIN_SAMPLES = 3
"""Fewer finished generations than this say nothing about the next."""


PASSING = 0.3
"""Of those who are placed before, how many really pass: the others wait behind replies of their
own, or come when our turn is served already. Fitted to a simulated day (docs/scale.md)."""

MOST_PASSING = 0.8
"""Of the slots' time that newcomers can take: else nobody behind them would ever be served."""


def expected_wait(
    position: int, slots: int, seconds: Sequence[float], joining: float = 0.0
) -> tuple[int, int] | None:
    """Seconds until the one at `position` (from 1) starts, as (low, high); None if unknown.

    `slots` is how many generations run at once, `seconds` how long recent ones ran, `joining` how
    many newcomers a second are placed before.
    """
    if slots < 1 or position < 1 or len(seconds) < MIN_SAMPLES:
        return None
    mean = statistics.fmean(seconds)
    deviation = statistics.pstdev(seconds)
    taken = min(MOST_PASSING, PASSING * joining * mean / slots)
    place = position / (1 - taken)
    middle = place * mean / slots
    # With one ahead of us, the wait is anything from now to a whole service time.
    around = mean / 2 * math.sqrt(place)
    spread = SPREAD * (deviation * math.sqrt(place + place**2 / len(seconds)) + around) / slots
    return _rounded(max(0.0, middle - spread), down=True), _rounded(middle + spread, down=False)


def _rounded(seconds: float, *, down: bool) -> int:
    """A number of seconds that a person would say: in fives up to a minute, then tens, halves."""
    step = 1 if seconds < 10 else 5 if seconds < 60 else 10 if seconds < 300 else 30
    turn = math.floor if down else math.ceil
    return max(0 if down else 1, turn(seconds / step) * step)
