"""Which worker may run what: the claim, and the rescue of what a dead worker had.

Only chat/generation_queue.py calls this; it tells what was written here.
"""

from __future__ import annotations

import uuid
from collections import Counter
from datetime import datetime
from typing import Any

from django.db import connection, transaction
from django.utils import timezone

from chat.claims import Claim
from chat.models import Generation, Queue, State, Worker

SILENT = "silent"
"""The reason in the row of a worker that was rescued from, until its process is back."""


def claim(worker: Worker, most: int, now: datetime | None = None) -> list[Generation]:
    """Claim for `worker` at most `most` generations, and never more than the limit allows."""
    anybody = "SELECT 1 FROM chat_generation WHERE state = 'waiting' AND queue_id = %s LIMIT 1"
    if not _rows(anybody, worker.queue_id):
        return []
    with transaction.atomic():
        # Two statements: what others took is seen by the second only because the first one waited
        # for their lock. On SQLite the transaction itself is the lock (BEGIN IMMEDIATE).
        queue = _locked(worker.queue_id)
        # Locked, so that a rescue comes before or after: never between this look and the claim.
        mine = "SELECT wanted FROM chat_worker WHERE id = %s AND incarnation = %s" + _for_update()
        stored = Worker._meta.get_field("incarnation").get_db_prep_value(
            worker.incarnation, connection
        )
        wanted = _rows(mine, worker.pk, stored)
        if queue.paused or not wanted:
            return []
        taken = _take(queue, worker, most, wanted[0][0], now or timezone.now())
        if taken:
            served = max(row.turn for row in taken)
            Queue.objects.filter(pk=queue.pk, turn_served__lt=served).update(turn_served=served)
    return taken


def _locked(queue: int) -> Queue:
    """The queue's row as it is now, and nobody else's until the transaction ends."""
    return Queue.objects.raw("SELECT * FROM chat_queue WHERE id = %s" + _for_update(), [queue])[0]


def _for_update() -> str:
    """How a row is locked without keeping anybody from referring to it; SQLite needs nothing."""
    able = connection.features.has_select_for_update
    return f" {connection.ops.for_update_sql(no_key=True)}" if able else ""


def _rows(sql: str, *values: Any) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        return list(cursor.fetchall())


def _take(
    queue: Queue, worker: Worker, most: int, wanted: int | None, now: datetime
) -> list[Generation]:
    """Claim as many as fit, in order. One look finds many; the cap of an author who got one in
    it is respected here, and the next look finds whom that lets pass.

    A suspect comes alone, and nothing comes while the worker has one: whoever dies then has died
    of it, and of nothing that only waited beside it.
    """
    running = _rows(
        "SELECT author_id, worker_id, strikes FROM chat_generation "
        "WHERE state = 'running' AND queue_id = %s",
        queue.pk,
    )
    authors = Counter(author for author, _, _ in running)
    mine = [strikes for _, holder, strikes in running if holder == worker.pk]
    room = min(most, queue.limit - len(running))
    if wanted is not None:
        room = min(room, wanted - len(mine))
    taken: list[Generation] = []
    again = True
    while again and len(taken) < room and not any(mine):
        before, again = len(taken), False
        full = [author for author, count in authors.items() if count >= queue.running_per_user]
        for row in Generation.objects.eligible(queue, room - before, full):
            if row.strikes and taken:
                return taken
            fits = authors[row.author_id] < queue.running_per_user
            if not fits or not Generation.objects.claim(row.pk, worker, now):
                again = True  # somebody behind may fit
                continue
            authors[row.author_id] += 1
            row.attempt += 1
            row.claimed_tokens = row.token_count
            row.state = State.RUNNING
            taken.append(row)
            mine.append(row.strikes)
            if row.strikes:
                break
        again = again and len(taken) > before
    return taken


def rescue(worker: Worker, heartbeat: int) -> list[Generation]:
    """Take everything from a worker whose heartbeat still is `heartbeat`; returns what changed."""
    touched: list[int] = []
    with transaction.atomic():
        locked = Worker.objects.select_for_update(no_key=True)
        same = locked.filter(pk=worker.pk, heartbeat=heartbeat)
        if not same.exists():
            return []
        # A new incarnation: should the old process wake up, it can claim nothing any more.
        same.update(state=Worker.State.STOPPED, reason=SILENT, slots=0, incarnation=uuid.uuid4())
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
