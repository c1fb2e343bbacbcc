"""What each web process tells its sockets by the clock: places in line, and what they missed.

Reads the rows once a second for all sockets of the process, never once for each.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable
from dataclasses import replace
from typing import Protocol

from django.db import Error as DatabaseError

from chat.admission import default_queue
from chat.database import web
from chat.heartbeats import Heartbeats
from chat.models import Generation, Worker
from chat.ranking import Ranking, rank

log = logging.getLogger(__name__)

RANK_SECONDS = 1.0
REMIND_EVERY = 5
"""Beats between two reminders of state and end, for whoever missed an event."""
CLOSE_SECONDS = 1.0
"""Some servers let whoever closes a socket wait for an answer, and these pages do not read."""


class Listener(Protocol):
    """A socket that shows generations."""

    def unsettled(self) -> set[int]:
        """What is unfinished, or has an end that the page has not acknowledged."""

    async def ranked(self, ranking: Ranking, alive: bool) -> None:
        """The queue was looked at: tell changed places."""

    def silent(self) -> bool:
        """Whether the page has fallen behind and does not read."""

    async def drop(self) -> None:
        """Close, since it is silent."""

    async def remind(self, rows: dict[int, Generation | None]) -> None:
        """State and end as stored, of what was unsettled before the look; None if deleted."""


class Pulse:
    """One for each process; beats while there are sockets."""

    def __init__(self) -> None:
        self._listeners: set[Listener] = set()
        self._task: asyncio.Task[None] | None = None
        self._heartbeats = Heartbeats()
        self._looking = asyncio.Lock()
        self._looks = 0
        self.ranking: Ranking | None = None
        self.alive = True

    def join(self, listener: Listener) -> None:
        """Tell this socket from now on."""
        self._listeners.add(listener)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run(), name="pulse")

    def leave(self, listener: Listener) -> None:
        """Forget a socket; the last one stops the clock."""
        self._listeners.discard(listener)
        if not self._listeners and self._task is not None:
            self._task.cancel()
            self._task = None
            self._looking = asyncio.Lock()  # it belongs to the loop that these sockets lived on
            self.ranking = None

    async def refresh(self) -> None:
        """Look at the queue now: somebody needs their place.

        Those who ask during a look share the next one: theirs must begin after they asked.
        """
        asked = self._looks
        async with self._looking:
            if self._looks == asked:
                self._looks += 1
                await self._refresh()

    async def _refresh(self) -> None:
        ranking, workers = await web(_look)
        silent = {row.pk for row in self._heartbeats.silent(workers)}
        ready = [r for r in workers if r.state == Worker.State.READY and r.pk not in silent]
        self.ranking = replace(ranking, slots=sum(row.slots for row in ready))
        self.alive = bool(ready)

    async def _run(self) -> None:
        beats = 0
        while True:
            await asyncio.sleep(RANK_SECONDS)
            beats += 1
            if silent := [listener for listener in self._listeners if listener.silent()]:
                await _drop(silent)
            try:
                await self._beat(remind=beats % REMIND_EVERY == 0)
            except DatabaseError as error:
                log.warning("a beat of the pulse failed, the next one tries again: %s", error)
            except Exception:
                log.exception("a beat of the pulse failed; the next one tries again")

    async def _beat(self, remind: bool) -> None:
        unsettled = {listener: listener.unsettled() for listener in self._listeners}
        busy = {listener: ids for listener, ids in unsettled.items() if ids}
        if not busy:
            return
        await self.refresh()
        rows: dict[int, Generation] = {}
        if remind:
            wanted = set().union(*busy.values())
            rows = await web(
                Generation.objects.select_related("conversation").in_bulk, list(wanted)
            )
        for listener, ids in busy.items():
            if self.ranking is not None:
                await _one(listener.ranked(self.ranking, self.alive))
            if remind:
                await _one(listener.remind({pk: rows.get(pk) for pk in ids}))


async def _drop(silent: list[Listener]) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(CLOSE_SECONDS):
            await asyncio.gather(*(_one(listener.drop()) for listener in silent))


async def _one(telling: Awaitable[None]) -> None:
    """What goes wrong with one socket keeps nothing from the others."""
    try:
        await telling
    except DatabaseError as error:
        log.warning("a socket could not be told, the next beat tries again: %s", error)
    except Exception:
        log.exception("a socket could not be told; the next beat tries again")


def _look() -> tuple[Ranking, list[Worker]]:
    queue = default_queue()
    return rank(queue), list(queue.workers.all())


pulse = Pulse()
