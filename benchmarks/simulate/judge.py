"""What the people of a simulated day went through, as figures."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field

NEAR, FAR = 5, 50
"""Places up to which an expected wait is called near or middling."""


@dataclass(frozen=True, slots=True)
class Told:
    """What somebody was told at one moment, and how long it then really took; in seconds."""

    place: int
    low: int
    high: int
    wait: float
    heavy: bool

    @property
    def inside(self) -> bool:
        return self.low <= self.wait <= self.high


@dataclass(slots=True)
class Record:
    """Everything that one simulated day is judged by."""

    waits: dict[str, list[float]] = field(default_factory=lambda: {"light": [], "heavy": []})
    """From sending to the claim, of those that were claimed."""
    wholes: list[float] = field(default_factory=list)
    """From sending to the end of the reply."""
    first: list[Told] = field(default_factory=list)
    """What was told right after sending."""
    later: list[Told] = field(default_factory=list)
    """What was told while waiting, once in a while."""
    after: int = 0
    """How often "after your current reply" was told, which names no time."""
    unknown: int = 0
    """How often no wait was told."""
    refused: dict[str, int] = field(default_factory=dict)
    stopped: int = 0
    done: int = 0
    deepest: int = 0
    seconds: float = 0.0
    """Of virtual time, from the first message to the last end."""
    took: dict[str, float] = field(default_factory=dict)
    """Seconds of ours by what they were spent in."""


def percentile(values: Sequence[float], percent: float) -> float:
    """The value below which so many percent lie; 0 of nothing."""
    if not values:
        return 0.0
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


def inside(told: Sequence[Told]) -> float:
    """The share of waits that were inside of the range that was told; 1 of nothing."""
    return sum(one.inside for one in told) / len(told) if told else 1.0


def by_kind(told: Sequence[Told]) -> dict[str, list[Told]]:
    """The same by who it was told and how far back in line they stood."""
    return {
        "of light ones": [one for one in told if not one.heavy],
        "of heavy ones": [one for one in told if one.heavy],
        f"place 1–{NEAR}": [one for one in told if one.place <= NEAR],
        f"place {NEAR + 1}–{FAR}": [one for one in told if NEAR < one.place <= FAR],
        f"beyond {FAR}": [one for one in told if one.place > FAR],
    }


def table(name: str, record: Record) -> list[str]:
    """One day in words and numbers."""
    everybody = record.waits["light"] + record.waits["heavy"]
    lines = [
        f"{name}: {record.done} replies in {record.seconds / 3_600:.1f} h, at most "
        f"{record.deepest} waiting, {record.stopped} stopped while waiting, refused: "
        f"{', '.join(f'{c} {n}' for c, n in sorted(record.refused.items())) or 'none'}"
    ]
    for who, waits in (*record.waits.items(), ("all", everybody)):
        lines.append(
            f"  wait of {who:5} {len(waits):8} messages: median {percentile(waits, 50):7.1f} s, "
            f"P95 {percentile(waits, 95):7.1f} s, P99 {percentile(waits, 99):7.1f} s"
        )
    for when, told in (("on sending", record.first), ("while waiting", record.later)):
        lines.append(f"  told {when:13} {_quality(told)}")
        for where, some in by_kind(told).items():
            if some:
                lines.append(f"    {where:18}{_quality(some)}")
    lines.append(
        f"  told no time: {record.after} times after your current reply, "
        f"{record.unknown} times unknown"
    )
    return lines


def _quality(told: Sequence[Told]) -> str:
    if not told:
        return "nobody"
    above = sum(one.wait > one.high for one in told) / len(told)
    width = statistics.median(one.high - one.low for one in told)
    wait = statistics.median(one.wait for one in told)
    return (
        f"{len(told):7} ranges: {inside(told):4.0%} of waits inside, {above:4.0%} longer; "
        f"median width {width:.0f} s, median wait {wait:.0f} s"
    )
