"""From a snapshot to what pages are told, in one language; and what differs between two boards.

Pure: no database, no sockets. The caller has chosen the language.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, TypeVar

from chat.heartbeats import BEAT_SECONDS
from chat.models import Worker
from queueadmin import words
from queueadmin.frames import (
    PROTOCOL,
    Alert,
    Board,
    Changes,
    Figures,
    Hand,
    Line,
    Running,
    Waiting,
)
from queueadmin.snapshot import Snapshot

V = TypeVar("V")

USUAL_SECONDS = 2 * BEAT_SECONDS
"""A heartbeat that is this old is nothing to speak of."""


def board(
    seen: Snapshot, silences: Mapping[int, float], dead: set[int], now: float, deaf: bool = False
) -> Board:
    """What every page shows. `silences` are seconds since each worker's heart was seen to beat,
    rounded so that a living one changes nothing; `dead` are those silent for too long."""
    living = [row for row in seen.workers if row.pk not in dead]
    return Board(
        protocol=PROTOCOL,
        queue=seen.queue.pk,
        name=seen.queue.name,
        may=(),
        now=now,
        figures=_figures(seen, living),
        running={row["id"]: _running(row) for row in seen.running},
        tokens={row["id"]: row["token_count"] for row in seen.running},
        waiting={row["id"]: _waiting(row) for row in seen.waiting},
        order=tuple(row["id"] for row in seen.waiting),
        held=tuple(row["id"] for row in seen.waiting if not seen.ranking.places[row["id"]]),
        workers={row.pk: _hand(row, seen, dead, silences, now) for row in seen.workers},
        alerts=tuple(_alerts(seen, living, dead, deaf)),
        trail={
            row.pk: Line(row.at.timestamp(), row.actor_name, words.recorded(row))
            for row in seen.trail
        },
    )


def _figures(seen: Snapshot, living: list[Worker]) -> Figures:
    queue, running = seen.queue, len(seen.running)
    ready = [row for row in living if row.state == Worker.State.READY]
    slots = sum(row.slots for row in ready)
    binds = (
        "paused"
        if queue.paused
        else "worker"
        if not slots
        else "slots"
        if slots < queue.limit
        else "limit"
    )
    ranking = replace(seen.ranking, running=running, slots=slots)
    eligible = max((place for place in ranking.places.values() if place), default=0)
    return Figures(
        waiting=seen.count,
        running=running,
        limit=queue.limit,
        size=queue.size,
        running_per_user=queue.running_per_user,
        waiting_per_user=queue.waiting_per_user,
        paused=queue.paused,
        slots=slots,
        binds=binds,
        alive=len(ready),
        workers=len(seen.workers) + len(seen.lost),
        speed=round(sum(row.speed for row in ready), 1),
        oldest=seconds(seen.oldest),
        wait=words.wait(ranking.wait_at(eligible + 1)),
        effect=words.effect(running, queue.limit, slots, binds),
        notes={
            "waiting": words.room(seen.count, queue.size),
            "running": words.binding(binds, full=running >= min(queue.limit, slots)),
            "alive": words.places(slots),
        },
    )


def _running(row: dict[str, Any]) -> Running:
    created = seconds(row["created_at"]) or 0.0
    return Running(
        user=row["author__username"],
        guest=row["author__guest"] is not None,
        created=created,
        claimed=seconds(row["claimed_at"]) or created,
        before=row["claimed_tokens"],
        strikes=row["strikes"],
        worker=row["worker__name"] or "",
    )


def _waiting(row: dict[str, Any]) -> Waiting:
    return Waiting(
        user=row["author__username"],
        guest=row["author__guest"] is not None,
        created=seconds(row["created_at"]) or 0.0,
        tokens=row["token_count"],
    )


def _hand(
    row: Worker, seen: Snapshot, dead: set[int], silences: Mapping[int, float], now: float
) -> Hand:
    gone = row.pk in dead
    return Hand(
        name=row.name,
        state="dead" if gone else row.state,
        words=words.worker_state(row, gone),
        model=row.model,
        device=row.device,
        host=row.host,
        slots=row.slots,
        capacity=row.capacity,
        running=sum(1 for one in seen.running if one["worker_id"] == row.pk),
        speed=round(row.speed, 1),
        # Whole mebibytes: finer figures would be sent, and read by nobody.
        memory=row.memory >> 20,
        quiet=int(silence) if (silence := silences.get(row.pk, 0.0)) > USUAL_SECONDS else 0,
        beat=round(now - silence) if gone else 0.0,
    )


def _alerts(seen: Snapshot, living: list[Worker], dead: set[int], deaf: bool) -> list[Alert]:
    alerts = []
    ready = [row for row in living if row.state == Worker.State.READY]
    broken = [row for row in living if row.state == Worker.State.BROKEN]
    if not ready and not broken:
        loading = any(row.state == Worker.State.LOADING for row in living)
        level = "note" if loading else "danger"
        alerts.append(Alert("worker", level, *words.no_worker(seen.count, loading)))
    for row in broken:
        alerts.append(Alert(f"broken-{row.pk}", "danger", *words.broken(row)))
    if ready:
        for row in (*(one for one in seen.workers if one.pk in dead), *seen.lost):
            alerts.append(Alert(f"silent-{row.pk}", "warn", *words.silent(row)))
    if deaf:
        alerts.append(Alert("events", "warn", *words.no_events()))
    if seen.count >= seen.queue.size:
        alerts.append(Alert("full", "danger", *words.full(seen.queue.size)))
    if seen.queue.paused:
        since = seconds(seen.paused_by.at) if seen.paused_by else None
        alerts.append(Alert("paused", "warn", *words.paused(seen.paused_by), since=since))
    return alerts


def changes(before: Board, after: Board) -> Changes | None:
    """What a page that shows `before` must be told to show `after`; None if nothing."""
    frame = Changes(
        now=after.now,
        figures=after.figures if after.figures != before.figures else None,
        running=_differing(before.running, after.running),
        tokens=_differing(before.tokens, after.tokens),
        waiting=_differing(before.waiting, after.waiting),
        order=after.order if after.order != before.order else None,
        held=after.held if after.held != before.held else None,
        workers=_differing(before.workers, after.workers),
        alerts=after.alerts if after.alerts != before.alerts else None,
        trail=_differing(before.trail, after.trail),
    )
    return frame if frame != Changes(now=after.now) else None


def _differing(before: Mapping[int, V], after: Mapping[int, V]) -> dict[int, V | None]:
    changed: dict[int, V | None] = dict.fromkeys(before.keys() - after.keys())
    changed.update({pk: row for pk, row in after.items() if before.get(pk) != row})
    return changed


def seconds(moment: datetime | None) -> float | None:
    """A moment in seconds since 1970, to the tenth."""
    return round(moment.timestamp(), 1) if moment else None
