"""Stores what a worker's slots have made, and finds out which claims still hold.

All slots in one transaction. A write that does not hold is looked into: the claim is lost, or the
database lost a flush; one that cannot be written at all fails alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable

from django.db import InterfaceError, OperationalError

from chat import generation_queue
from chat.claims import Batch, Ending
from chat.database import DatabaseThreads
from chat.models import Generation, State
from chat.slot import Slot

log = logging.getLogger(__name__)

FLUSH_SECONDS = 0.045
"""Between two flushes: a reader sees no difference, a database and a channel layer do."""
AWAY = (OperationalError, InterfaceError)
"""The database cannot do anything now; later it can do the same."""


async def until_stored(work: Callable[[], Awaitable[None]]) -> None:
    """Do `work` until the database lets us: what was generated waits in memory."""
    pause = 0.1
    while True:
        try:
            return await work()
        except AWAY as error:
            log.warning("the database is away: %s", error)
            await asyncio.sleep(pause)
            pause = min(pause * 2, 2.0)


class Flusher:
    """Looks after the slots in `slots`; `drop` takes one out that has ended or lost its claim."""

    def __init__(
        self, slots: dict[str, Slot], db: DatabaseThreads, drop: Callable[[Slot], None]
    ) -> None:
        self._slots = slots
        self._db = db
        self._drop = drop
        self._pending = asyncio.Event()
        self._urgent = asyncio.Event()
        self._flushing = asyncio.Lock()

    def wake(self, slot: Slot) -> None:
        """This slot has something to store."""
        self._pending.set()
        if slot.urgent:
            self._urgent.set()

    async def run(self) -> None:
        """Flush when there is something, at most about twenty times a second; never ends."""
        while True:
            await self._pending.wait()
            self._pending.clear()
            self._urgent.clear()
            began = time.monotonic()
            await until_stored(self.flush)
            # A slow database gets longer pauses: it is busy at most half of the time.
            took = time.monotonic() - began
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(FLUSH_SECONDS, took)):
                    await self._urgent.wait()

    async def flush(self) -> None:
        """Store what all slots have gained; the queue tells the readers."""
        async with self._flushing:
            pending = [slot for slot in self._slots.values() if slot.pending]
            try:
                await self._store(pending)
            except AWAY:
                raise
            except Exception:
                log.exception("a flush cannot be written; each of its slots is tried alone")
                for slot in pending:
                    await self._store_alone(slot)

    async def _store(self, slots: list[Slot]) -> None:
        batches = [slot.batch() for slot in slots]
        held = await generation_queue.write(batches, self._db) if batches else []
        for slot, batch, holds in zip(slots, batches, held, strict=True):
            if holds:
                self._stored(slot, batch)
            else:
                await self._mend(slot)

    async def _store_alone(self, slot: Slot) -> None:
        try:
            await self._store([slot])
        except AWAY:
            raise
        except Exception:
            log.exception("generation %d attempt %d", slot.row.pk, slot.row.attempt)
            await self.fail(slot)

    async def fail(self, slot: Slot) -> None:
        """A bug of ours: this one fails with what is stored of it, and the others go on."""
        ending = Ending(slot.claim, State.FAILED, "bug", {})
        last = Batch(slot.row, None, None, ending, slot.stored_end, "", 0, staged=False)
        await generation_queue.write([last], self._db)
        self._drop(slot)

    def _stored(self, slot: Slot, batch: Batch) -> None:
        slot.stored(batch)
        if batch.ending is not None:
            self._drop(slot)

    async def _mend(self, slot: Slot) -> None:
        """A write did not hold: the claim is lost, or the database lost a flush."""
        found = await self._db(
            Generation.objects.claimed(slot.claim).values_list("reply_end", flat=True).first
        )
        if found is None:
            log.info("generation %d attempt %d: claim lost", slot.row.pk, slot.row.attempt)
            self._drop(slot)
            return
        log.warning("generation %d: the database lost a flush, writing all", slot.row.pk)
        batch = slot.batch(found=found)
        if all(await generation_queue.write([batch], self._db)):
            self._stored(slot, batch)
        else:
            self._pending.set()  # lost since we looked
