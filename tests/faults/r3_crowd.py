"""R3 on connections of one process: everybody does everything at once, in a hurry.

Claims, ends, stops, follow-ups, deletions and changes of the owner, each on a connection of its
own: nothing may exceed the limit, wait in a circle, or be told that the database is locked.
"""

from __future__ import annotations

import random
import threading
import time
import uuid
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from django.db import OperationalError, connections
from django.utils import timezone

from chat import claiming, conversations, generation_queue
from chat.admission import Draft, QueueRefusal, admit
from chat.claims import Batch, Claim, Ending, Growth
from chat.models import Generation, Queue, State, Worker
from tests.cast import person

CONNECTIONS = 8


@dataclass
class Crowd:
    """What eight connections saw."""

    claimed: Counter[tuple[int, int]] = field(default_factory=Counter)
    above: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    acts: Counter[str] = field(default_factory=Counter)

    def __str__(self) -> str:
        double = sum(count - 1 for count in self.claimed.values())
        locked = sum(n for said, n in self.errors.items() if "locked" in said)
        circles = sum(n for said, n in self.errors.items() if "deadlock" in said)
        return (
            f"R3 {CONNECTIONS} connections, {self.acts.total()} acts: {len(self.claimed)} claims, "
            f"double claims {double}, above the limit {self.above}, "
            f'"database is locked" {locked}, deadlocks {circles}'
        )


def crowd(queue: Queue, limit: int, acts: int, seed: int) -> Crowd:
    """Let each connection do so many random things; several people and workers share them."""
    Queue.objects.update(limit=limit, size=10_000, waiting_per_user=1_000, running_per_user=limit)
    people = [person(f"crowd-{number}") for number in range(6)]
    workers = [Worker.objects.create(name=f"crowd-{n}", queue=queue) for n in range(CONNECTIONS)]
    seen, lock, gate = Crowd(), threading.Lock(), threading.Barrier(CONNECTIONS)

    def one(number: int) -> None:
        someone = _Someone(workers[number], people, limit, random.Random(seed + number))
        gate.wait(20)
        try:
            for _ in range(acts):
                try:
                    someone.act()
                except OperationalError as error:
                    someone.seen.errors[str(error)] += 1
        finally:
            connections.close_all()
        with lock:
            seen.claimed += someone.seen.claimed
            seen.acts += someone.seen.acts
            seen.errors += someone.seen.errors
            seen.above += someone.seen.above

    with ThreadPoolExecutor(CONNECTIONS) as threads:
        for job in [threads.submit(one, number) for number in range(CONNECTIONS)]:
            job.result()
    return seen


class _Someone:
    """One connection: a worker, and whoever sends, stops and deletes through it."""

    def __init__(
        self, worker: Worker, people: list[Any], limit: int, chance: random.Random
    ) -> None:
        self.worker, self.people, self.limit, self.chance = worker, people, limit, chance
        self.seen = Crowd()
        self.mine: list[Generation] = []

    def act(self) -> None:
        acts = (
            "send",
            "follow",
            "claim",
            "write",
            "write",
            "end",
            "fail",
            "stop",
            "delete",
            "move",
        )
        name = self.chance.choices(acts, weights=(6, 3, 6, 3, 3, 3, 2, 2, 1, 1))[0]
        self.seen.acts[name] += 1
        getattr(self, f"_{name}")()

    def _any(self) -> Generation | None:
        rows = list(Generation.objects.unfinished().exclude(conversation=None).order_by("id")[:50])
        return self.chance.choice(rows) if rows else None

    def _send(self) -> None:
        admit(Draft(self.chance.choice(self.people).pk, uuid.uuid4(), "hello"))

    def _follow(self) -> None:
        if (row := self._any()) is not None:
            draft = Draft(row.author_id, uuid.uuid4(), "and then?", row.conversation_id, row.pk)
            try:
                admit(draft)
            except QueueRefusal as refusal:  # deleted, or somebody else's, a moment ago
                assert refusal.code == "not_found"

    def _claim(self) -> None:
        rows = claiming.claim(self.worker, 2)
        self.seen.above += Generation.objects.running().count() > self.limit
        self.seen.claimed.update((row.pk, row.attempt) for row in rows)
        self.mine += rows

    def _write(self) -> None:
        batches = []
        for row in sorted(self.mine, key=lambda row: row.pk):
            growth = Growth(Claim(row.pk, row.attempt), len(row.reply), "x", (120,), 0)
            batches.append(Batch(row, None, growth, None, len(row.reply), "x", 0, staged=False))
        held, _ = generation_queue._write(batches)
        self.mine = [row for row in self.mine if row.pk in held]
        for row in self.mine:
            row.reply += "x"

    def _end(self, state: State = State.DONE) -> None:
        rows, self.mine = sorted(self.mine, key=lambda row: row.pk), []
        batches = [
            Batch(
                row, None, None, Ending(Claim(row.pk, row.attempt), state, "x", {}), 0, "", 0, False
            )
            for row in rows
        ]
        generation_queue._write(batches)

    def _fail(self) -> None:
        self._end(State.FAILED)

    def _stop(self) -> None:
        if (row := self._any()) is not None:
            generation_queue._cancel_rows(row.pk, "stopped", None)

    def _delete(self) -> None:
        if (row := self._any()) is not None:
            try:
                conversations._delete(row.conversation_id, row.author_id)
            except QueueRefusal as refusal:
                assert refusal.code == "not_found"

    def _move(self) -> None:
        one, other = self.chance.sample(self.people, 2)
        conversations._adopt(one.pk, other.pk)


def settle(queue: Queue) -> int:
    """Claim and end all that is left; how many could not be, because they wait for ever."""
    last = Worker.objects.create(name="crowd-last", queue=queue)
    now = timezone.now()
    began = time.monotonic()
    Generation.objects.running().update(state="done", ended_at=now, worker=None)
    while rows := claiming.claim(last, 10):
        assert time.monotonic() - began < 60
        for row in rows:
            Generation.objects.end(Claim(row.pk, row.attempt), "done", "x", {}, now)
    return Generation.objects.unfinished().count()
