"""Which worker may run what: the claim, and the rescue of what a dead worker had.

Only chat/generation_queue.py calls this; it tells what was written here.
"""

from __future__ import annotations

import uuid
from collections import Counter
from datetime import datetime

from django.db import transaction
from django.utils import timezone

from chat.claims import Claim
from chat.models import Generation, Queue, State, Worker


def claim(worker: Worker, most: int, now: datetime | None = None) -> list[Generation]:
    """Claim for `worker` at most `most` generations, and never more than the limit allows."""
    if not worker.queue.generations.waiting().exists():
        return []
    with transaction.atomic():
        # Two statements: what others took is seen by the second only because the first one waited
        # for their lock. On SQLite the transaction itself is the lock (BEGIN IMMEDIATE).
        queue = Queue.objects.select_for_update().get(pk=worker.queue_id)
        mine = Worker.objects.filter(pk=worker.pk, incarnation=worker.incarnation)
        wanted = mine.values_list("wanted", flat=True)
        if queue.paused or not wanted:
            return []
        taken = _take(queue, worker, most, wanted[0], now or timezone.now())
        if taken:
            served = max(row.turn for row in taken)
            Queue.objects.filter(pk=queue.pk, turn_served__lt=served).update(turn_served=served)
    return taken


def _take(
    queue: Queue, worker: Worker, most: int, wanted: int | None, now: datetime
) -> list[Generation]:
    """Claim as many as fit, in order. One look finds many; the cap of an author who got one in
    it is respected here, and the next look finds whom that lets pass.

    A suspect comes alone, and nothing comes while the worker has one: whoever dies then has died
    of it, and of nothing that only waited beside it.
    """
    running = list(queue.generations.running().values_list("author_id", "worker_id", "strikes"))
    authors = Counter(author for author, _, _ in running)
    mine = [strikes for _, holder, strikes in running if holder == worker.pk]
    room = min(most, queue.limit - len(running))
    if wanted is not None:
        room = min(room, wanted - len(mine))
    taken: list[Generation] = []
    before = -1
    while before < len(taken) < room and not any(mine):
        before = len(taken)
        rows = Generation.objects.eligible(queue).select_related("conversation")
        for row in rows[: room - before]:
            if row.strikes and taken:
                return taken
            fits = authors[row.author_id] < queue.running_per_user
            if fits and Generation.objects.claim(row.pk, worker, now):
                authors[row.author_id] += 1
                row.attempt += 1
                row.claimed_tokens = row.token_count
                row.state = State.RUNNING
                taken.append(row)
                mine.append(row.strikes)
                if row.strikes:
                    break
    return taken


def rescue(worker: Worker, heartbeat: int) -> list[Generation]:
    """Take everything from a worker whose heartbeat still is `heartbeat`; returns what changed."""
    touched: list[int] = []
    with transaction.atomic():
        same = Worker.objects.select_for_update().filter(pk=worker.pk, heartbeat=heartbeat)
        if not same.exists():
            return []
        # A new incarnation: should the old process wake up, it can claim nothing any more.
        same.update(state=Worker.State.STOPPED, slots=0, incarnation=uuid.uuid4())
        rows = list(Generation.objects.running().filter(worker=worker).order_by("id"))
        # While a suspect is tried, nothing else is in the engine: the others are not to blame.
        tried = [row for row in rows if row.strikes and row.token_count == row.claimed_tokens]
        for row in rows:
            lost = Claim(row.pk, row.attempt)
            touched.append(row.pk)
            blamed = row in tried or not tried
            if blamed and Generation.objects.strike(lost, timezone.now()) == State.FAILED:
                touched += [one.pk for one in Generation.objects.hold(row.pk, timezone.now())]
            else:
                Generation.objects.release(lost)
    return list(Generation.objects.filter(pk__in=touched))
