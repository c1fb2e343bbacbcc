"""A worker's eyes and pulse: it beats, watches the other workers' hearts and hears nudges."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

import psutil
from channels.layers import get_channel_layer
from django.db import Error as DatabaseError

from chat import events, generation_queue
from chat.database import DatabaseThreads
from chat.feed import Feed
from chat.heartbeats import BEAT_SECONDS, Heartbeats
from chat.registration import Registration

log = logging.getLogger(__name__)

DEAF_SECONDS = 1.0
"""A pause before a channel layer that is away is asked again; the worker's own poll goes on."""


class Watch:
    """Keeps one registration alive; calls `wake` when there may be something to claim."""

    def __init__(
        self, registration: Registration, db: DatabaseThreads, wake: Callable[[], None]
    ) -> None:
        self._registration = registration
        self._db = db
        self._wake = wake
        self._heartbeats = Heartbeats()
        self.tokens = 0
        """Tokens made since the process started; whoever owns this watch counts them up."""

    async def beat(self, engine: Callable[[], Feed]) -> None:
        """Prove life every two seconds, and rescue what workers without a heartbeat hold."""
        before, tokens = time.monotonic(), 0
        while True:
            await asyncio.sleep(BEAT_SECONDS)
            now = time.monotonic()
            speed = (self.tokens - tokens) / (now - before)
            before, tokens = now, self.tokens
            memory = psutil.Process().memory_info().rss + engine().memory()
            try:
                others = await self._db(self._registration.beat, memory, speed)
                if time.monotonic() - now > BEAT_SECONDS:
                    self._heartbeats.forget()  # what held us up may have held up the others
                for row in self._heartbeats.silent(others):
                    await generation_queue.rescue(row, row.heartbeat, self._db)
            except DatabaseError as error:
                log.warning("worker %s: no heartbeat: %s", self._registration.name, error)
                self._heartbeats.forget()  # we could not look: nothing is known of the others

    async def listen(self) -> None:
        """Wake on every nudge of the queue's group; never ends."""
        group = events.queue_group(self._registration.row.queue_id)
        while True:
            try:
                layer = get_channel_layer()
                channel = await layer.new_channel("worker")
                await layer.group_add(group, channel)
                try:
                    while True:
                        await layer.receive(channel)
                        self._wake()
                finally:
                    await layer.group_discard(group, channel)
            except Exception as error:
                log.warning("worker %s: no nudges: %s", self._registration.name, error)
                await asyncio.sleep(DEAF_SECONDS)
