"""The queue: the one module that changes generations. It writes the row, then tells.

Writing happens in threads of chat/database.py, telling on the caller's event loop. Nothing here
knows sockets, engines or pages.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from datetime import datetime

from django.db import transaction
from django.utils import timezone

from chat import events
from chat.admission import Draft, Enqueued, QueueRefusal, admit
from chat.claiming import claim as _claim
from chat.claiming import rescue as _rescue
from chat.claims import Batch, Claim, Preparation
from chat.database import DatabaseThreads, commit_soon, web
from chat.events import Message
from chat.models import Generation, State, Worker

log = logging.getLogger(__name__)

# -- enqueue ----------------------------------------------------------------------------------


async def enqueue(draft: Draft) -> Enqueued:
    """Store a message as a waiting generation; raises QueueRefusal. The same draft twice is one."""
    enqueued = await web(admit, draft)
    row = enqueued.generation
    if not enqueued.again:
        log.info("generation %d enqueued by user %d", row.pk, row.author_id)
        await tell_all([row])
    return enqueued


# -- what workers do ---------------------------------------------------------------------------


async def claim(worker: Worker, most: int, db: DatabaseThreads) -> list[Generation]:
    """Take the first eligible generations, at most `most` and never more than the limit allows."""
    rows = await db(_claim, worker, most)
    for row in rows:
        log.info("generation %d claimed, attempt %d, by %s", row.pk, row.attempt, worker.name)
    await tell_all(rows)
    return rows


async def write(batches: Sequence[Batch], db: DatabaseThreads) -> list[bool]:
    """Store what a worker's slots made, all in one transaction, then tell the readers.

    Says of each batch whether it held. False: the claim is lost, or the stored reply has not the
    length that its growth expects; then no text and no end of the batch was stored.
    """
    held, orphans = await db(_write, sorted(batches, key=lambda batch: batch.row.pk))
    told = [event for batch in batches if batch.row.pk in held for event in _events_of(batch)]
    await events.publish_all([*told, *map(_changed, orphans)])
    return [batch.row.pk in held for batch in batches]


def _write(
    batches: Sequence[Batch], now: datetime | None = None
) -> tuple[set[int], list[Generation]]:
    now = now or timezone.now()
    held: set[int] = set()
    orphans: list[Generation] = []
    with transaction.atomic():
        if all(batch.ending is None and batch.preparation is None for batch in batches):
            commit_soon()  # the next append of a reply finds what got lost of it
        for batch in batches:
            rows = Generation.objects
            if batch.preparation is not None and not _prepare(batch.preparation):
                continue
            if batch.growth is not None and not rows.append(batch.growth, now):
                continue
            if end := batch.ending:
                if not rows.end(end.claim, end.state, end.reason, end.detail, now):
                    continue
                if end.state == State.FAILED:
                    orphans += rows.hold(batch.row.pk, now)
            held.add(batch.row.pk)
    return held, orphans


def _prepare(made: Preparation) -> bool:
    return Generation.objects.prepare(
        made.claim,
        " ".join(map(str, made.prompt_ids)),
        " ".join(map(str, made.reply_ids)),
        made.fingerprint,
        made.dropped_turns,
    )


def _events_of(batch: Batch) -> list[Message]:
    """What readers are told of a batch that was stored."""
    row, conversation = batch.row, str(batch.row.conversation_id)
    told: list[Message] = []
    if batch.text:
        delta = events.reply_delta(
            user=row.author_id,
            conversation=conversation,
            generation=row.pk,
            offset=batch.offset,
            end=batch.offset + len(batch.text),
            text=batch.text,
            reasoning=batch.reasoning,
        )
        told.append((events.conversation_group(conversation), delta))
    if (end := batch.ending) is not None:
        log.info("generation %d attempt %d %s: %s", row.pk, row.attempt, end.state, end.reason)
        told += [_changed(row), *_nudges([row])]
    elif batch.staged:
        told.append(_changed(row))
    return told


async def held_by(worker: Worker, db: DatabaseThreads) -> dict[Claim, int]:
    """The claims that this worker has, as the rows say, and whose each is now."""
    running = Generation.objects.running().filter(worker=worker)
    rows = await db(list, running.values_list("pk", "attempt", "author_id"))
    return {Claim(pk, attempt): author for pk, attempt, author in rows}


async def release(claims: Sequence[Claim], db: DatabaseThreads) -> None:
    """Give running generations back, politely; they go on from what is stored."""
    rows = await db(_release, sorted(claims, key=lambda claim: claim.generation))
    for row in rows:
        log.info("generation %d attempt %d released", row.pk, row.attempt)
    await tell_all(rows)


def _release(claims: Sequence[Claim]) -> list[Generation]:
    with transaction.atomic():
        released = [claim.generation for claim in claims if Generation.objects.release(claim)]
    return list(Generation.objects.filter(pk__in=released))


async def strike(claims: Sequence[Claim], db: DatabaseThreads) -> dict[int, str]:
    """An engine died with these in it: count it; returns generation → state, "" if lost."""
    states, ended = await db(_strike, sorted(claims, key=lambda claim: claim.generation))
    for row in ended:
        log.warning("generation %d attempt %d failed: %s", row.pk, row.attempt, row.reason)
    await tell_all(ended)
    return states


def _hold(parent: int, now: datetime) -> list[int]:
    return [row.pk for row in Generation.objects.hold(parent, now)]


def _strike(claims: Sequence[Claim]) -> tuple[dict[int, str], list[Generation]]:
    states: dict[int, str] = {}
    ended: list[int] = []
    now = timezone.now()
    with transaction.atomic():
        for item in claims:
            states[item.generation] = Generation.objects.strike(item, now)
            if states[item.generation] == State.FAILED:
                ended += [item.generation, *_hold(item.generation, now)]
    return states, list(Generation.objects.filter(pk__in=ended))


async def rescue(worker: Worker, heartbeat: int, db: DatabaseThreads) -> int:
    """Give back what a dead worker left running; returns how many.

    Nothing happens if its heartbeat has moved since it was read as `heartbeat`.
    """
    rows = await db(_rescue, worker, heartbeat)
    for row in rows:
        log.warning("generation %d attempt %d rescued from %s", row.pk, row.attempt, worker.name)
    await tell_all(rows)
    return len(rows)


# -- what people do ----------------------------------------------------------------------------


async def cancel(generation: int, author: int) -> bool:
    """Stop a generation of `author`; False if it had ended. Raises QueueRefusal("not_found")."""
    mine = await web(Generation.objects.filter(pk=generation, author_id=author).exists)
    if not mine:
        raise QueueRefusal("not_found")
    return await cancel_row(generation, "stopped")


async def cancel_row(
    generation: int, reason: str, record: Callable[[], None] | None = None
) -> bool:
    """Stop a generation for `reason`; False if it had ended. The caller has checked who asks.

    `record` is called in the same transaction, if anything was stopped.
    """
    rows = await web(_cancel_rows, generation, reason, record)
    for row in rows:
        log.info("generation %d attempt %d cancelled: %s", row.pk, row.attempt, row.reason)
    await tell_all(rows)
    return bool(rows)


def _cancel_rows(
    generation: int, reason: str, record: Callable[[], None] | None, now: datetime | None = None
) -> list[Generation]:
    now = now or timezone.now()
    with transaction.atomic():
        if not Generation.objects.cancel(generation, reason, {}, now):
            return []
        ended = [generation, *_hold(generation, now)]
        if record is not None:
            record()
    return list(Generation.objects.filter(pk__in=ended))


# -- telling -----------------------------------------------------------------------------------


async def tell(row: Generation) -> None:
    """Tell the author's tabs to look at this row."""
    await events.publish_all([_changed(row)])


async def tell_all(rows: Sequence[Generation]) -> None:
    """Tell the authors' tabs, and the workers and dashboards of the rows' queues, to look."""
    await events.publish_all([*map(_changed, rows), *_nudges(rows)])


def _changed(row: Generation) -> Message:
    event = events.generation_changed(row.author_id, str(row.conversation_id), row.pk)
    return events.user_group(row.author_id), event


def _nudges(rows: Sequence[Generation]) -> list[Message]:
    queues = {row.queue_id for row in rows}
    return [(events.queue_group(queue), events.queue_changed(queue)) for queue in queues]


async def tell_workers_changed(worker: Worker) -> None:
    """A worker came, went or broke: dashboards and waiting pages look."""
    await events.publish(events.queue_group(worker.queue_id), events.queue_changed(worker.queue_id))
