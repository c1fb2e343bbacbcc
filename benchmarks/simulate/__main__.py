"""A simulated day of the queue.

    python -m benchmarks.simulate

Waiting times of light and heavy users with and without fair turns, how good the shown expected
waits were, and what one limit or another gives. See README.md in the folder above.
"""

from __future__ import annotations

import argparse
import math
import os
import random
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from unittest.mock import patch

os.environ["DATABASE_URL"] = "sqlite://:memory:"
os.environ.pop("REDIS_URL", None)
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "chatsite.settings")

import django

django.setup()

from django.contrib.auth import get_user_model  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.db import connection  # noqa: E402

from benchmarks.simulate import crowd, judge, picture  # noqa: E402
from benchmarks.simulate.world import MIDNIGHT, Station, World  # noqa: E402
from chat.models import Conversation, Generation, Guest, Queue, Worker  # noqa: E402

BUSY = 0.75
"""Of what the workers can do, on the average of the day: at the peaks it is too much."""
LIMITS = (4, 8, 32)
"""Of each worker, whose engine has WIDE_SLOTS. The more at once, the slower each."""
WIDE_SLOTS = 32
WIDE_BUSY_AT = 8
"""The limit at which the workers are as busy as BUSY says."""


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--generations", type=int, default=20_000)
    parser.add_argument("--slots", type=int, default=2, help="of each worker")
    parser.add_argument("--workers", type=int, default=0, help="default: as many as it needs")
    parser.add_argument("--size", type=int, default=1_000, help="how many may wait")
    parser.add_argument("--sample", type=float, default=0.0, help="share asked what they are told")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--parts", default="fair,unfair,limits", help="what is simulated")
    parser.add_argument("--out", type=Path, help="a name for table and plot, without its ending")
    asked = parser.parse_args()
    asked.parts = asked.parts.split(",")
    return asked


def workers_for(generations: int, slots: int) -> int:
    """Workers that such a day keeps as busy as BUSY says."""
    each = crowd.seconds(round(crowd.mean_tokens()), slots)
    return max(1, math.ceil(generations * each / crowd.DAY / slots / BUSY))


def new_world(asked: argparse.Namespace, workers: int, slots: int, limit: int) -> World:
    """An empty site with a queue and its workers."""
    for model in (Generation, Conversation, Worker, Queue, Guest, get_user_model()):
        model.objects.all()._raw_delete("default")  # type: ignore[attr-defined]
    queue = Queue.objects.create(name="default", limit=limit, size=asked.size)
    stations = [
        Station(
            Worker.objects.create(
                name=f"worker-{number}", queue=queue, slots=slots, state=Worker.State.READY
            )
        )
        for number in range(workers)
    ]
    sample = asked.sample or min(1.0, 10_000 / asked.generations)
    return World(queue, stations, asked.seed, sample)


def settled(visits: list[crowd.Visit]) -> list[tuple[crowd.Visit, int]]:
    """Everybody with an account, or as a guest of an address."""
    User = get_user_model()
    users = [User(pk=n, username=f"p{n}", password="!") for n in range(1, len(visits) + 1)]
    User.objects.bulk_create(users, batch_size=1_000)
    people = [(visit, user.pk) for visit, user in zip(visits, users, strict=True)]
    address = crowd.addresses()
    Guest.objects.bulk_create(
        (
            Guest(user_id=pk, address=next(address), created_at=MIDNIGHT)
            for visit, pk in people
            if visit.guest
        ),
        batch_size=1_000,
    )
    return people


def day(
    name: str, asked: argparse.Namespace, generations: int, each: int = 0
) -> tuple[judge.Record, list[str]]:
    """Play one day and say what came of it. `each` is a limit per worker, all with wide engines."""
    busy_at = WIDE_BUSY_AT if each else asked.slots
    workers = asked.workers or workers_for(generations, busy_at)
    slots, most = (WIDE_SLOTS, each * workers) if each else (asked.slots, asked.slots * workers)
    began, spent = time.perf_counter(), time.process_time()
    world = new_world(asked, workers, slots, most)
    people = settled(crowd.visits(generations, random.Random(asked.seed)))
    record = world.run(people)
    took, spent = time.perf_counter() - began, time.process_time() - spent
    parts = ", ".join(f"{what} {part:.0f}" for what, part in record.took.items())
    title = f"{name} ({workers} workers × {slots} slots, limit {most}, {len(people)} people)"
    lines = judge.table(title, record)
    lines.append(
        f"  simulated in {took:.0f} s, {spent:.0f} s of processor: "
        f"{spent / record.done * 1e3:.2f} ms each, {parts}"
    )
    return record, lines


def limits(asked: argparse.Namespace, say: Callable[..., None]) -> dict[int, judge.Record]:
    """A day of the same people with one limit after the other."""
    workers = max(1, workers_for(asked.generations // 20, WIDE_BUSY_AT))
    mean = crowd.seconds(round(crowd.mean_tokens()), WIDE_BUSY_AT)
    generations = round(workers * WIDE_BUSY_AT * BUSY * crowd.DAY / mean)
    say(f"limits: {generations} messages a day, {workers} workers with {WIDE_SLOTS} slots each")
    found = {}
    for each in LIMITS:
        record, _ = day("limit", asked, generations, each)
        found[each] = record
        waits = record.waits["light"] + record.waits["heavy"]
        say(
            f"  limit {each:2} a worker: {record.done:6} replies, refused "
            f"{sum(record.refused.values()):6}, wait median {judge.percentile(waits, 50):6.1f} s, "
            f"P95 {judge.percentile(waits, 95):7.1f} s; to the whole reply median "
            f"{judge.percentile(record.wholes, 50):6.1f} s, P95 "
            f"{judge.percentile(record.wholes, 95):7.1f} s"
        )
    return found


def main() -> None:
    asked = arguments()
    connection.ensure_connection()
    call_command("migrate", verbosity=0)
    lines: list[str] = []

    def say(*said: str) -> None:
        print(*said, sep="\n", flush=True)
        lines.extend(said)

    say(f"{datetime.now():%Y-%m-%d %H:%M}, {asked.generations} messages, seed {asked.seed}")
    days: dict[str, judge.Record] = {}
    if "fair" in asked.parts:
        days["fair turns"], said = day("fair turns", asked, asked.generations)
        say(*said)
    if "unfair" in asked.parts:
        with patch("chat.admission._turn", lambda *_: 0):  # then only the id decides
            days["as they came"], said = day("as they came", asked, asked.generations)
        say(*said)
    widths = limits(asked, say) if "limits" in asked.parts else {}
    if asked.out:
        asked.out.parent.mkdir(parents=True, exist_ok=True)
        asked.out.with_suffix(".txt").write_text("\n".join(lines) + "\n")
        try:
            picture.draw(days, widths, asked.out.with_suffix(".png"))
        except ImportError:
            print("no plot: pip install -r benchmarks/requirements.txt")


if __name__ == "__main__":
    main()
