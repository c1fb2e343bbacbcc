"""Made-up people: when they come, how much they ask, how long the replies are. No queue in here.

A day of an organisation: two broad peaks, and bells (a lesson begins, a mail went round) at which
many come within two minutes. One in twenty sends in bulk, from a script, as fast as it is let.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass

DAY = 86_400.0  # seconds
PROFILE = (2, 1, 1, 1, 1, 2, 4, 8, 16, 24, 27, 25, 18, 22, 26, 25, 22, 17, 12, 10, 9, 8, 6, 4)
"""How many come in each hour of the day, as weights."""
BELLS, BELL_SHARE, BELL_SECONDS = 6, 0.06, 120.0
HEAVY_SHARE, HEAVY_MESSAGES = 0.05, 55.0
"""Of the people; of the messages they send about 40 %."""
LIGHT_MESSAGES = 4.0
GUEST_SHARE, GUESTS_PER_ADDRESS = 0.15, 3
TOKENS_MEDIAN, TOKENS_SIGMA, TOKENS_MOST = 260.0, 0.85, 2_048
THINK_MEDIAN, THINK_SIGMA = 25.0, 0.9
"""Seconds between a reply and the next message of the same chat."""
FOLLOW_UP_SHARE = 0.1
"""Of the light ones' messages: typed while the reply before is still on its way."""
PATIENCE_SHARE, PATIENCE_MEDIAN, PATIENCE_SIGMA = 0.05, 90.0, 0.8
"""Of the messages: stopped by their author if still waiting after so long."""


@dataclass(frozen=True, slots=True)
class Visit:
    """Somebody who comes `at` a second of the day and wants `messages` answered."""

    at: float
    messages: int
    heavy: bool
    guest: bool


def visits(messages: int, draw: random.Random) -> list[Visit]:
    """Enough visits for so many messages, in the order in which they come."""
    bells = [draw.uniform(8, 17) * 3_600 for _ in range(BELLS)]
    made: list[Visit] = []
    total = 0
    while total < messages:
        heavy = draw.random() < HEAVY_SHARE
        if heavy:
            count = max(5, round(draw.lognormvariate(math.log(HEAVY_MESSAGES), 0.6)))
        else:
            count = 1 + int(draw.expovariate(1 / (LIGHT_MESSAGES - 1)))
        guest = not heavy and draw.random() < GUEST_SHARE
        made.append(Visit(_moment(bells, draw), count, heavy, guest))
        total += count
    return sorted(made, key=lambda visit: visit.at)


def _moment(bells: list[float], draw: random.Random) -> float:
    if draw.random() < BELL_SHARE:
        return draw.choice(bells) + draw.uniform(0, BELL_SECONDS)
    (hour,) = draw.choices(range(24), PROFILE)
    return (hour + draw.random()) * 3_600


def reply_tokens(draw: random.Random) -> int:
    """The length of a reply."""
    length = round(draw.lognormvariate(math.log(TOKENS_MEDIAN), TOKENS_SIGMA))
    return min(TOKENS_MOST, max(5, length))


def mean_tokens() -> float:
    """Of reply_tokens, from a sample."""
    draw = random.Random(0)
    return sum(reply_tokens(draw) for _ in range(20_000)) / 20_000


def think(draw: random.Random) -> float:
    """Seconds until somebody has read a reply and typed the next message."""
    return draw.lognormvariate(math.log(THINK_MEDIAN), THINK_SIGMA)


def patience(draw: random.Random) -> float:
    """Seconds of waiting after which this message is stopped; infinite for most."""
    if draw.random() >= PATIENCE_SHARE:
        return math.inf
    return draw.lognormvariate(math.log(PATIENCE_MEDIAN), PATIENCE_SIGMA)


def addresses() -> Iterator[str]:
    """Where guests come from, a few of them from each address."""
    for number in range(1 << 24):
        place = number // GUESTS_PER_ADDRESS
        yield f"10.{place >> 16 & 255}.{place >> 8 & 255}.{place & 255}"


# -- the machines ------------------------------------------------------------------------------

PREFILL_SECONDS = 0.6
SPEED_ONE = 20.0
"""Tokens per second of one reply that has a worker to itself."""
SPEEDS = {1: 1.0, 2: 1.9, 4: 3.2, 8: 5.3, 16: 7.4, 32: 7.6}
"""What a worker makes with so many replies at once, as measured of continuous batching."""


def rate(width: int) -> float:
    """Tokens per second of a worker that runs so many replies, all together."""
    low = max(one for one in SPEEDS if one <= width)
    high = min((one for one in SPEEDS if one >= width), default=low)
    share = (width - low) / (high - low) if high > low else 0.0
    return SPEED_ONE * (SPEEDS[low] + share * (SPEEDS[high] - SPEEDS[low]))


def seconds(tokens: int, width: int) -> float:
    """How long a reply takes in a worker that runs so many."""
    return PREFILL_SECONDS + tokens * width / rate(width)
