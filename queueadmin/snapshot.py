"""What the rows of one queue say at this moment, read once for all dashboards of a process.

Knows the database, but no sockets, no languages and nobody's permissions.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Min, QuerySet
from django.utils import timezone

from chat.claiming import SILENT
from chat.models import Queue, QueueChange, Worker
from chat.ranking import Ranking, rank

WINDOW = 200
"""Waiting rows that are shown; the rest is a number."""

TRAIL = 12
"""Recorded changes that are shown beside the queue; all of them are in the admin."""

LOST = timedelta(days=1)
"""For how long a worker that fell silent is missed, unless it comes back."""

ROW = ("id", "author__username", "author__guest", "created_at", "token_count")
RUNNING_ROW = (*ROW, "claimed_at", "claimed_tokens", "strikes", "worker__name", "worker_id")


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One queue at one moment. `waiting` holds the first ones in order, `count` how many there
    are; `lost` are workers that others have rescued from and that have not come back;
    `paused_by` is the change that paused it."""

    queue: Queue
    ranking: Ranking
    running: tuple[dict[str, Any], ...]
    waiting: tuple[dict[str, Any], ...]
    count: int
    oldest: datetime | None
    workers: tuple[Worker, ...]
    lost: tuple[Worker, ...]
    trail: tuple[QueueChange, ...]
    paused_by: QueueChange | None


def look(queue_id: int) -> Snapshot | None:
    """Read everything that a dashboard shows; None if there is no such queue.

    Not one transaction: on SQLite it would take the write lock. So a row may be caught between
    two states; then it is shown as running.
    """
    queue = Queue.objects.filter(pk=queue_id).first()
    if queue is None:
        return None
    ranking = rank(queue)
    running = tuple(queue.generations.running().order_by("claimed_at", "id").values(*RUNNING_ROW))
    under_way = {row["id"] for row in running}
    line = [pk for pk in ranking.places if pk not in under_way]
    rows = {
        row["id"]: row
        for row in queue.generations.waiting().filter(pk__in=line[:WINDOW]).values(*ROW)
    }
    waiting = tuple(rows[pk] for pk in line[:WINDOW] if pk in rows)
    return Snapshot(
        queue=queue,
        ranking=ranking,
        running=running,
        waiting=waiting,
        count=queue.generations.waiting().count() if len(line) > WINDOW else len(waiting),
        oldest=queue.generations.waiting().aggregate(oldest=Min("created_at"))["oldest"],
        workers=tuple(queue.workers.exclude(state=Worker.State.STOPPED).order_by("name")),
        lost=tuple(_lost(queue)),
        trail=tuple(queue.changes.order_by("-id")[:TRAIL]),
        paused_by=_paused_by(queue),
    )


def _lost(queue: Queue) -> QuerySet[Worker]:
    silent = queue.workers.filter(state=Worker.State.STOPPED, reason=SILENT)
    return silent.filter(seen_at__gt=timezone.now() - LOST).order_by("name")


def _paused_by(queue: Queue) -> QueueChange | None:
    if not queue.paused:
        return None
    return queue.changes.filter(act="configure", after__paused=True).order_by("-id").first()
