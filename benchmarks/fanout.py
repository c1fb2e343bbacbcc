"""How fast, and how dearly, replies reach those who read them.

    python -m benchmarks.fanout

50 and 200 replies at 30 tokens a second with one and with three readers each, through one process
(SQLite, memory) or two (PostgreSQL, Redis and a worker of its own); idle sockets; a thousand people
in line. The engine is the echo engine. See README.md in this folder for what each figure means.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import time
from bisect import bisect_left
from collections.abc import Callable
from datetime import datetime
from itertools import pairwise, product
from pathlib import Path
from typing import Any

import psutil

from benchmarks import models
from benchmarks.contenders import Child, Meter
from benchmarks.echo_site import Site
from benchmarks.report import surroundings

RAMP = 4.0
"""Seconds in which all have asked, one after the other; delays count from then on."""
BOUND = 0.150  # seconds, wanted of the 99th percentile


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parts", default="streams,idle,line")
    parser.add_argument("--streams", default="50,200")
    parser.add_argument("--viewers", default="1,3")
    parser.add_argument("--processes", default="1", help='web processes, as in "1,2"')
    parser.add_argument("--seconds", type=float, default=20.0, help="length of each reply")
    parser.add_argument("--idle", default="1000,5000", help="idle sockets")
    parser.add_argument("--people", type=int, default=1_000, help="in line")
    parser.add_argument(
        "--postgresql", default="postgres://postgres@127.0.0.1:5432/chatsite_bench",
        help="for two processes: a database that may be emptied",
    )  # fmt: skip
    parser.add_argument("--redis", default="redis://127.0.0.1:6379/13")
    parser.add_argument("--out", type=Path, help="a file for the table")
    asked = parser.parse_args()
    for name in ("streams", "viewers", "processes", "idle"):
        setattr(asked, name, [int(part) for part in getattr(asked, name).split(",")])
    asked.parts = asked.parts.split(",")
    return asked


def delays(
    made: list[tuple[float, int]], seen: list[tuple[float, int]], since: float
) -> list[float]:
    """Seconds from the engine to the reader, of each character made `since` a moment."""
    ends = [end for _, end in made]
    found = []
    for (_, before), (at, end) in pairwise([(0.0, 0), *seen]):
        for character in range(before + 1, end + 1):
            place = bisect_left(ends, character)
            if place < len(made) and made[place][0] >= since:
                found.append(at - made[place][0])
    return found


def told(
    replies: list[dict[str, Any]], made: dict[int, list[tuple[float, int]]], since: float = 0.0
) -> str:
    """Delay of what came `since` a moment, and losses of all, in words."""
    views = [(reply["generation"], view) for reply in replies for view in reply["views"]]
    late = sorted(d for pk, view in views for d in delays(made.get(pk, []), view["marks"], since))
    if not late:
        return "nothing was read"
    lost = sum(made[pk][-1][1] - view["end"] for pk, view in views if pk in made)
    gaps = sum(view["gaps"] for _, view in views)
    p50, p99 = (late[int(len(late) * part)] * 1e3 for part in (0.5, 0.99))
    return f"delay median {p50:4.0f} ms, p99 {p99:5.0f} ms; lost {lost}, gaps {gaps}"


def streams(asked: argparse.Namespace, web: int, count: int, viewers: int) -> str:
    """One measurement of many replies at once."""
    site = Site(asked, web, count, asked.seconds, count)
    child = Child(
        [sys.executable, "-m", "benchmarks.fanout_readers"], models.cache() / "fanout.log"
    )
    try:
        child.answer()
        meter = Meter({**site.pids, "readers": child.pid})
        began = time.monotonic()
        replies = child.ask(
            do="streams", urls=site.urls, cookies=site.cookies, streams=count, viewers=viewers,
            deadline=asked.seconds * 4 + 60, ramp=RAMP,
        )["replies"]  # fmt: skip
        wall = time.monotonic() - began
        spent, others, _ = meter.read()
    finally:
        made, _ = site.stop()
        child.stop()
    deltas = sum(view["deltas"] for reply in replies for view in reply["views"])
    tokens = [mark for marks in made.values() for mark in (marks[0][0], marks[-1][0])]
    steady = max(marks[0][0] for marks in made.values()) + 1.0
    lasted = max(tokens) - min(tokens)
    readers = spent.pop("readers")
    engine = sum(part for role, part in spent.items() if role.startswith("engine"))
    server = sum(spent.values()) - engine
    return (
        f"  {web} web, {count:3} replies × {viewers}: {deltas / lasted:6.0f} deltas/s, "
        f"{told(replies, made, steady)}; server {server / deltas * 1e6:4.0f} µs a delta, "
        f"{server / wall:.2f} cores (engine {engine / wall:.2f}, readers {readers / wall:.2f}, "
        f"others {others:.1f})"
    )


def idle(asked: argparse.Namespace) -> list[str]:
    """Memory of sockets that do nothing."""
    lines = []
    site = Site(asked, 1, 4, 2.0, 1)
    child = Child(
        [sys.executable, "-m", "benchmarks.fanout_readers"], models.cache() / "fanout.log"
    )
    try:
        child.answer()
        web = psutil.Process(site.pids["site-0"])
        before, opened = web.memory_info().rss, 0
        for count in asked.idle:
            child.ask(do="idle", urls=site.urls, cookies=site.cookies, sockets=count - opened)
            opened = count
            time.sleep(2)
            grown = web.memory_info().rss - before
            spent = sum(web.cpu_times()[:2])
            time.sleep(10)
            load = (sum(web.cpu_times()[:2]) - spent) / 10
            lines.append(
                f"  {count} idle sockets: {grown / count / 1024:.0f} kB each, "
                f"{load:.3f} cores to keep them"
            )
        child.ask(do="leave")
    finally:
        site.stop()
        child.stop()
    return lines


def line(asked: argparse.Namespace) -> str:
    """Many people in line while twenty are claimed a second."""
    slots, seconds = 40, 2.0
    site = Site(asked, 1, slots, seconds, asked.people + slots)
    child = Child(
        [sys.executable, "-m", "benchmarks.fanout_readers"], models.cache() / "fanout.log"
    )
    try:
        child.answer()
        meter = Meter({**site.pids, "readers": child.pid})
        began = time.monotonic()
        answer = child.ask(
            do="line", urls=site.urls, cookies=site.cookies, people=asked.people + slots,
            seconds=40.0,
        )  # fmt: skip
        wall = time.monotonic() - began
        spent, others, _ = meter.read()
    finally:
        made, share = site.stop()
        child.stop()
    return (
        f"  {asked.people} in line: {len(answer['replies']) / wall:.1f} replies/s, refused "
        f"{answer['refused']}; places took {share:.1%} of a core; "
        f"{told(answer['replies'], made)}; server {spent['site-0'] / wall:.2f} cores, readers "
        f"{spent['readers'] / wall:.2f}, others {others:.1f}"
    )


def apart(measure: Callable[..., Any], *arguments: Any) -> Any:
    """Measure in a process of its own: Django has one site, and one database, in each process."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(measure, arguments)


def main() -> None:
    asked = arguments()
    lines: list[str] = []

    def say(*said: str) -> None:
        print(*said, sep="\n", flush=True)
        lines.extend(said)

    say(*surroundings({})[:1])
    if "streams" in asked.parts:
        for web, count, viewers in product(asked.processes, asked.streams, asked.viewers):
            say(apart(streams, asked, web, count, viewers))
    if "idle" in asked.parts:
        say(*apart(idle, asked))
    if "line" in asked.parts:
        say(apart(line, asked))
    wanted = f"wanted: 200 replies, p99 below {BOUND * 1e3:.0f} ms, nothing lost"
    say(f"ended {datetime.now():%H:%M}; {wanted}")
    if asked.out:
        asked.out.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
