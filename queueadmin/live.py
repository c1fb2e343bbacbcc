"""One board for each watched queue and process: looked at once, told to all dashboards.

A nudge makes it look within a fifth of a second, the clock once a second. Knows neither frames
from pages nor permissions.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from typing import Protocol

from django.utils import translation
from msgspec.structs import replace

from chat import events
from chat.database import web
from chat.heartbeats import Heartbeats
from queueadmin.boards import board, changes
from queueadmin.frames import Board, Changes, encode
from queueadmin.snapshot import Snapshot, look

log = logging.getLogger(__name__)

LOOK_SECONDS = 1.0
"""Tokens grow all the time and nudge nobody."""

SPACING_SECONDS = 0.2
"""At least this between two looks, and four times what a look took: a slow database is looked at
less often."""

PULSE_SECONDS = 2.0
"""A page that hears nothing for longer knows that its line is cut."""

DEADLINE_SECONDS = 15.0

_boards: dict[int, LiveBoard] = {}


class Watcher(Protocol):
    """A dashboard's socket."""

    language: str

    async def push(self, text: str) -> None:
        """Send an encoded frame."""

    async def queue_gone(self) -> None:
        """The queue was deleted."""


class LiveBoard:
    """Everything that the dashboards of one queue show, as long as there is one."""

    def __init__(self, queue: int) -> None:
        self.queue = queue
        self._watchers: set[Watcher] = set()
        self._shown: set[Watcher] = set()
        """Those that have the whole board, and so can be told what changed."""
        self._heartbeats = Heartbeats()
        self._nudged = asyncio.Event()
        self._lock = asyncio.Lock()
        self._told: dict[str, Board] = {}
        self._seen: Snapshot | None = None
        self._looked = 0.0
        self._spacing = SPACING_SECONDS
        self._pushed = 0.0
        self._task: asyncio.Task[None] | None = None

    def nudge(self) -> None:
        """Something changed: look soon."""
        self._nudged.set()

    async def join(self, watcher: Watcher, may: tuple[str, ...]) -> None:
        """Send the whole board now, and changes from now on. Nothing falls between the two."""
        self._watchers.add(watcher)  # from here on nobody else's leaving ends the looking
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name=f"board {self.queue}")
        async with self._lock:
            await self._look()
            if self._seen is None:
                return
            whole = self._told.get(watcher.language) or self._board(watcher.language)
            self._told[watcher.language] = whole
            await watcher.push(encode(replace(whole, may=may, now=time.time())))
            if watcher in self._watchers:
                self._shown.add(watcher)

    async def leave(self, watcher: Watcher) -> None:
        """Forget a socket; the last one ends the looking."""
        self._watchers.discard(watcher)
        self._shown.discard(watcher)
        if self._watchers:
            return
        if _boards.get(self.queue) is self:
            del _boards[self.queue]
        if self._task is not None:
            task, self._task = self._task, None
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def refresh(self) -> None:
        """Look and tell now. Whoever has just changed something hears of it before the answer,
        and nothing older afterwards."""
        try:
            async with self._lock:
                await self._look()
        except Exception:
            log.exception("a look at queue %d failed; the next one tries again", self.queue)

    async def _run(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_SECONDS):
                    await self._nudged.wait()
            await asyncio.sleep(max(0.0, self._looked + self._spacing - time.monotonic()))
            self._nudged.clear()
            await self.refresh()

    async def _look(self) -> None:
        began = time.monotonic()
        async with asyncio.timeout(DEADLINE_SECONDS):
            self._seen = await web(look, self.queue)
        self._looked = time.monotonic()
        self._spacing = max(SPACING_SECONDS, 4 * (self._looked - began))
        if self._seen is None:
            for watcher in list(self._watchers):
                await watcher.queue_gone()
            return
        due = self._looked - self._pushed >= PULSE_SECONDS
        for language in list(self._told):
            await self._tell(language, due)

    def _board(self, language: str) -> Board:
        assert self._seen is not None
        workers = self._seen.workers
        silences = {row.pk: self._heartbeats.age(row) for row in workers}
        dead = {row.pk for row in self._heartbeats.silent(workers)}
        with translation.override(language):
            return board(self._seen, silences, dead, time.time(), deaf=events.is_away())

    async def _tell(self, language: str, due: bool) -> None:
        fresh = self._board(language)
        frame = changes(self._told[language], fresh)
        self._told[language] = fresh
        if frame is None and not due:
            return
        self._pushed = self._looked
        text = encode(frame or Changes(now=fresh.now))
        for watcher in [one for one in self._shown if one.language == language]:
            try:
                await watcher.push(text)
            except Exception as error:
                log.debug("a dashboard could not be told: %s", error)


def live_board(queue: int) -> LiveBoard:
    """The board that all dashboards of this process share."""
    return _boards.get(queue) or _boards.setdefault(queue, LiveBoard(queue))
