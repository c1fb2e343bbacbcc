"""What operators change, live, and the record of it. The caller has checked the permission."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

from django.db import transaction

from chat import events, generation_queue
from chat.admission import QueueRefusal
from chat.database import web
from chat.models import Generation, Queue, QueueChange, Worker

log = logging.getLogger(__name__)

CHANGEABLE = {
    "limit": 10_000,
    "size": 1_000_000,
    "running_per_user": 1_000,
    "waiting_per_user": 10_000,
}
"""What operators may set on a queue, and the greatest value that makes sense. 0 is never one:
pausing is said by pausing."""


@dataclass(frozen=True, slots=True)
class Actor:
    """Who changes a queue, and from where; the caller has checked the permission."""

    user: Any
    source: str = QueueChange.Source.PAGE
    name: str = ""


async def configure(
    queue: int,
    actor: Actor,
    expected: dict[str, int | bool] | None = None,
    **changes: int | bool,
) -> Queue:
    """Change limit, size, caps or pause of a queue, live; raises QueueRefusal("bad_value").

    `expected` is what the operator saw: if a row has another value now, nothing is changed and
    QueueRefusal("changed") is raised.
    """
    row = await web(_configure, queue, actor, expected or {}, changes)
    log.info("queue %s: %s set %s", row.name, actor.name or actor.user, changes)
    await events.publish(events.queue_group(row.pk), events.queue_changed(row.pk))
    return row


def _configure(
    queue: int, actor: Actor, expected: dict[str, int | bool], changes: dict[str, int | bool]
) -> Queue:
    for name, value in changes.items():
        if name == "paused" and isinstance(value, bool):
            continue
        if type(value) is not int or not 1 <= value <= CHANGEABLE.get(name, 0):
            raise QueueRefusal("bad_value", name=name, most=CHANGEABLE.get(name, 0))
    with transaction.atomic():
        row = Queue.objects.select_for_update(no_key=True).filter(pk=queue).first()
        if row is None:
            raise QueueRefusal("not_found")
        for name, seen in expected.items():
            if (now := getattr(row, name)) != seen:
                raise QueueRefusal("changed", name=name, now=now)
        before = {name: getattr(row, name) for name in changes}
        after = dict(changes)
        if before != after:
            Queue.objects.filter(pk=queue).update(**changes)
            _record(row, actor, "configure", "", before, after)
    row.refresh_from_db()
    return row


async def set_slots(worker: int, queue: int, actor: Actor, slots: int, seen: int) -> Worker:
    """Let a worker run `slots` generations at once, up to its engine's capacity; live. What runs
    beyond that ends first. Raises QueueRefusal: "worker_gone", "bad_value", "changed"."""
    row = await web(_set_slots, worker, queue, actor, slots, seen)
    log.info("worker %s: %s set slots to %d", row.name, actor.name or actor.user, slots)
    await events.publish(events.queue_group(queue), events.queue_changed(queue))
    return row


def _set_slots(worker: int, queue: int, actor: Actor, slots: int, seen: int) -> Worker:
    with transaction.atomic():
        rows = Worker.objects.select_for_update(no_key=True).select_related(None)
        row = rows.filter(pk=worker, queue=queue, state=Worker.State.READY).first()
        if row is None:
            raise QueueRefusal("worker_gone")
        if type(slots) is not int or not 1 <= slots <= row.capacity:
            raise QueueRefusal("bad_value", name="slots", most=row.capacity)
        if row.slots != seen:
            raise QueueRefusal("changed", name="slots", now=row.slots)
        before, row.slots = row.slots, slots
        if before != slots:
            # All that it has: then it also uses what a larger engine brings.
            row.wanted = slots if slots < row.capacity else None
            row.save(update_fields=["slots", "wanted"])
            was, now = {"slots": before}, {"slots": slots}
            _record(Queue.objects.get(pk=queue), actor, "slots", row.name, was, now)
    return row


async def cancel_for(generation: int, actor: Actor) -> bool:
    """An operator stops somebody's generation; False if it had ended."""
    row = await web(
        Generation.objects.select_related("queue", "author").filter(pk=generation).first
    )
    if row is None:
        raise QueueRefusal("not_found")
    subject = f"{row.author.get_username()} #{row.pk}"
    before, after = {"state": row.state}, {"state": "cancelled"}
    return await generation_queue.cancel_row(
        generation,
        "stopped_by_operator",
        record=lambda: _record(row.queue, actor, "cancel", subject, before, after),
    )


def _record(
    queue: Queue,
    actor: Actor,
    act: str,
    subject: str,
    before: dict[str, Any],
    after: dict[str, Any],
) -> None:
    QueueChange.objects.create(
        actor=actor.user,
        actor_name=actor.name or str(actor.user),
        source=actor.source,
        queue=queue,
        act=act,
        subject=subject,
        before=before,
        after=after,
    )
