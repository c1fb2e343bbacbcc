"""From the times at which tokens came to the figures that are compared."""

from __future__ import annotations

import math
import statistics
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import accumulate, pairwise
from typing import Any

WINDOW_TOKENS, WINDOW_SECONDS = 16, 0.25
"""Over at least both an undisturbed gap is taken. Through the site several tokens come in one
delta, every 45 ms, so that the gap between two of them would be luck."""


@dataclass(frozen=True, slots=True)
class Stream:
    """One reply as its reader saw it: when it was asked for, and (time, tokens until then)."""

    sent: float
    marks: list[tuple[float, int]]


@dataclass(frozen=True, slots=True)
class Round:
    """What one contender did with so many chats at once."""

    contender: str
    streams: list[Stream]
    processor: dict[str, float]
    """Seconds by role."""
    others: float
    """Cores that processes outside of the measurement kept busy: noise."""
    memory: dict[str, int]
    frames: int = 0
    bytes: int = 0


@dataclass(frozen=True, slots=True)
class Figures:
    """A round in numbers; times in seconds, rates in new tokens per second of all chats."""

    contender: str
    width: int
    tokens: int
    total: float
    """All tokens by the time from the first prompt to the last token: reading prompts included."""
    decode: float
    """While every chat was receiving: after the last one's first token, before the first end."""
    undisturbed: float
    """Chats by the 10th percentile of the time per token."""
    first: float
    """Median time to the first token."""
    gap: float
    gap99: float
    cores: float
    """Processor time by wall time, all roles of the contender without the clients."""
    clients: float
    others: float
    memory: int
    processor: dict[str, float] = field(default_factory=dict)
    """Milliseconds per token by role."""
    deltas: float = 0.0
    """Frames to browsers per second."""


def figures(done: Round) -> Figures:
    """The numbers of one round."""
    streams = done.streams
    tokens = sum(stream.marks[-1][1] for stream in streams)
    began = min(stream.sent for stream in streams)
    wall = max(stream.marks[-1][0] for stream in streams) - began
    gaps = sorted(gap for stream in streams for gap in _gaps(stream))
    clients = done.processor.get("clients", 0.0)
    return Figures(
        contender=done.contender,
        width=len(streams),
        tokens=tokens,
        total=tokens / wall,
        decode=_decode_rate(streams),
        undisturbed=len(streams) / _undisturbed_gap(streams),
        first=statistics.median(stream.marks[0][0] - stream.sent for stream in streams),
        gap=_percentile(gaps, 50),
        gap99=_percentile(gaps, 99),
        cores=(sum(done.processor.values()) - clients) / wall,
        clients=clients / wall,
        others=done.others,
        memory=sum(size for role, size in done.memory.items() if role != "clients"),
        processor={role: spent * 1e3 / tokens for role, spent in done.processor.items()},
        deltas=done.frames / wall,
    )


def middle(rounds: list[Figures]) -> Figures:
    """The round that is in the middle by its decode rate: one real round, not a mixture."""
    return sorted(rounds, key=lambda one: one.decode)[len(rounds) // 2]


def tokens_at(tokenizer: Any, ids: list[int]) -> Callable[[int], int]:
    """How many tokens of a reply are shown when so many of its characters are."""
    texts = (tokenizer.decode(ids[:count], skip_special_tokens=False) for count in _to(len(ids)))
    ends = list(accumulate((len(text.rstrip("\ufffd")) for text in texts), max))
    return lambda end: bisect_right(ends, end) if end < ends[-1] else len(ids)


def _to(count: int) -> range:
    return range(1, count + 1)


def _gaps(stream: Stream) -> list[float]:
    """Time per token: one delta of n tokens after d seconds is n gaps of d/n."""
    gaps: list[float] = []
    for (before, had), (at, has) in pairwise(stream.marks):
        gaps += [(at - before) / (has - had)] * (has - had) if has > had else []
    return gaps


def _decode_rate(streams: list[Stream]) -> float:
    """Tokens by time over the longest while in which all replies were growing."""
    begin = max(stream.marks[0][0] for stream in streams)
    end = min(stream.marks[-1][0] for stream in streams)
    if end <= begin:
        return math.nan
    return sum(_at(stream, end) - _at(stream, begin) for stream in streams) / (end - begin)


def _at(stream: Stream, moment: float) -> float:
    """Tokens shown at a moment, as if they came evenly between two marks."""
    place = bisect_right(stream.marks, (moment, math.inf))
    at, has = stream.marks[place - 1]
    if place == len(stream.marks):
        return has
    later, will = stream.marks[place]
    return has + (will - has) * (moment - at) / (later - at)


def _undisturbed_gap(streams: list[Stream]) -> float:
    """10th percentile of the time per token over a window (a whole reply if that is shorter)."""
    gaps: list[float] = []
    for stream in streams:
        later = 0
        windows = []
        for at, has in stream.marks:
            while later < len(stream.marks) and not _apart((at, has), stream.marks[later]):
                later += 1
            if later == len(stream.marks):
                break
            then, had = stream.marks[later]
            windows.append((then - at) / (had - has))
        gaps += windows or [_whole(stream)]
    return _percentile(sorted(gaps), 10)


def _apart(before: tuple[float, int], after: tuple[float, int]) -> bool:
    """Whether two marks are a window apart."""
    return after[1] - before[1] >= WINDOW_TOKENS and after[0] - before[0] >= WINDOW_SECONDS


def _whole(stream: Stream) -> float:
    (at, has), (then, had) = stream.marks[0], stream.marks[-1]
    return (then - at) / (had - has) if had > has else math.inf


def _percentile(ordered: list[float], percent: int) -> float:
    if not ordered:
        return math.nan
    return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)]
