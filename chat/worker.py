"""The worker: fills its slots from the queue, stores what its engine makes, and tells.

It knows rows and engines, never sockets. One Worker is one engine on one event loop; how it is
embedded into a server or run by a command is decided elsewhere.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from functools import partial

from django.conf import settings

from chat import generation_queue
from chat.database import DatabaseThreads
from chat.engine.base import Dead, EngineDead, Model, Piece, Prepared, Progress, Refused, Step
from chat.engine.spec import EngineSpec
from chat.feed import Feed
from chat.flusher import AWAY, Flusher, until_stored
from chat.history import turns_before
from chat.models import State
from chat.registration import NameTaken, Registration
from chat.slot import Slot
from chat.watch import Watch

log = logging.getLogger(__name__)

POLL_SECONDS = 1.0
"""Nudges are haste, this is the promise: as often the worker looks without one."""
RESTART_SECONDS = (0.2, 1.0, 3.0, 10.0, 30.0)
"""Pauses before the engine is started again, after each failure in a row."""
STOP_SECONDS = 15.0
"""What is not stored and released by then is left to a rescue."""
CLOSE_SECONDS = 2.0
"""A database that does not answer by then is left behind."""


class Worker:
    """Runs up to as many generations as its engine has slots and the queue's limit allows."""

    def __init__(self, name: str, spec: EngineSpec) -> None:
        self.name = name
        self.spec = spec
        self.model: Model | None = None
        self.slots: dict[str, Slot] = {}
        self._feed = Feed(spec)
        self._db = DatabaseThreads(f"worker-{name}", 1)
        self._registration = Registration(
            name, "echo" if spec.kind == "echo" else spec.model, spec.device
        )
        self._awake = asyncio.Event()
        self._watch = Watch(self._registration, self._db, self._awake.set)
        self._filling = asyncio.Lock()
        self._flusher = Flusher(self.slots, self._db, self._drop)
        self._ready = False
        self._stopping = False
        self._running: asyncio.Task[None] | None = None

    # -- its life ----------------------------------------------------------------------------

    async def start(self, progress: Progress | None = None) -> None:
        """Register, load the engine, take back what an earlier process of this name left."""
        try:
            row = await self._db(self._registration.register)
            await generation_queue.rescue(row, row.heartbeat, self._db)
            await self._db(self._registration.take_over)
            await self._load(progress)
            await self._engine_ready()
        except BaseException as error:
            with contextlib.suppress(Exception):
                async with asyncio.timeout(CLOSE_SECONDS):
                    await self._db(self._registration.not_started, error)
            await self._close()
            raise
        self._running = asyncio.create_task(self._run(), name=f"worker {self.name}")

    async def _load(self, progress: Progress | None) -> None:
        """Loading takes minutes, in which nobody may think us dead."""
        beat = asyncio.create_task(
            self._watch.beat(lambda: self._feed), name=f"worker {self.name} beat while loading"
        )
        try:
            self.model = await self._feed.start(progress)
        finally:
            beat.cancel()
            await asyncio.wait([beat])

    async def wait(self) -> None:
        """Return when the worker was stopped; raises what a bug in it raised, or NameTaken."""
        if self._running is not None:
            await asyncio.shield(self._running)

    async def stop(self) -> None:
        """Claim nothing more, store what is there, release what runs, end the engine."""
        if self._stopping or self._running is None:
            return
        self._stopping = True
        if not self._running.done():  # else a bug ended it, and the next start counts the strikes
            await self._give_back()
        self._running.cancel()
        await asyncio.wait([self._running])
        await self._close()

    async def _give_back(self) -> None:
        with contextlib.suppress(Exception):
            async with asyncio.timeout(STOP_SECONDS), self._filling:
                await self._flusher.flush()
                await self._release_all()
                await self._db(self._registration.stopped)

    async def _close(self) -> None:
        """Leave no process and no connection; never raises."""
        await self._feed.stop()
        with contextlib.suppress(Exception):
            async with asyncio.timeout(CLOSE_SECONDS):
                await self._db.close()

    async def _run(self) -> None:
        try:
            async with asyncio.TaskGroup() as tasks:
                for name, loop in (
                    ("receive", self._receive()),
                    ("flush", self._flusher.run()),
                    ("claim", self._claim_loop()),
                    ("beat", self._watch.beat(lambda: self._feed)),
                    ("listen", self._watch.listen()),
                ):
                    tasks.create_task(loop, name=f"worker {self.name} {name}")
        except ExceptionGroup as errors:
            if errors.subgroup(NameTaken):
                raise NameTaken(self.name) from None
            raise

    # -- what the engine makes ----------------------------------------------------------------

    async def _receive(self) -> None:
        while True:
            match await self._feed.receive():
                case Step(pieces=pieces):
                    self._take(pieces)
                case Prepared() as prepared:
                    if slot := self.slots.get(prepared.key):
                        slot.prepare(prepared)
                        self._flusher.wake(slot)
                case Refused(key=key, reason=reason, detail=detail):
                    if slot := self.slots.get(key):
                        slot.end(State.FAILED, reason, dict(detail))
                        self._flusher.wake(slot)
                case Dead() as dead:
                    await self._engine_died(dead)

    def _take(self, pieces: tuple[Piece, ...]) -> None:
        cleared = False
        for piece in pieces:
            slot = self.slots.get(piece.key)
            if slot is None or slot.ending is not None:
                continue
            cleared = cleared or slot.suspect
            try:
                slot.grow(piece)
            except Exception:  # a bug fails this one, and the worker lives
                log.exception("generation %d attempt %d", slot.row.pk, slot.row.attempt)
                slot.end(State.FAILED, "bug")
            self._watch.tokens += len(piece.token_ids)
            self._flusher.wake(slot)
        if cleared:
            self._arrange()

    def _arrange(self) -> None:
        """Decide which slots run in the engine: all of them, or one suspect alone.

        The others keep their claim and their text and go on when the suspect has proved itself.
        """
        suspects = [slot for slot in self.slots.values() if slot.suspect]
        # One that is being tried goes on until it has proved itself.
        suspect = max(suspects, key=lambda slot: slot.in_engine, default=None)
        for slot in list(self.slots.values()):
            wanted = self._ready and slot.ending is None and (suspect is None or slot is suspect)
            if wanted and not slot.in_engine:
                self._enter(slot)
            elif slot.in_engine and not wanted:
                self._feed.cancel(slot.key)
            slot.in_engine = wanted

    def _enter(self, slot: Slot) -> None:
        del self.slots[slot.key]
        slot.entries += 1
        self.slots[slot.key] = slot
        self._feed.add(slot.task())

    async def _engine_died(self, dead: Dead) -> None:
        """Count the death against those that were in it, and start another engine."""
        log.error("worker %s: the engine died: %s %s", self.name, dead.reason, dead.detail)
        self._ready = False
        blamed = set(dead.suspects or ())
        inside = [slot for slot in self.slots.values() if slot.in_engine and slot.key in blamed]
        await until_stored(self._flusher.flush)
        for slot in self.slots.values():
            slot.in_engine = False
        await until_stored(lambda: self._strike(inside))
        await self._restart()

    async def _strike(self, inside: list[Slot]) -> None:
        states = await generation_queue.strike([slot.claim for slot in inside], self._db)
        for slot in inside:
            if states.get(slot.row.pk) != State.RUNNING:
                self.slots.pop(slot.key, None)
            elif not slot.grew:
                slot.row.strikes += 1
            slot.grew = False

    async def _restart(self) -> None:
        failures = 0
        while True:
            await asyncio.sleep(RESTART_SECONDS[min(failures, len(RESTART_SECONDS) - 1)])
            self._feed = Feed(self.spec)
            try:
                self.model = await self._feed.start()
            except EngineDead as error:
                failures += 1
                log.error("worker %s: no engine: %s %s", self.name, error.reason, error.detail)
                if failures == 3:  # others may have a working one
                    await until_stored(self._release_all)
                await until_stored(partial(self._db, self._registration.broken, error))
                continue
            await until_stored(self._engine_ready)
            return

    async def _release_all(self) -> None:
        """Give back what the rows say is ours: also a claim that has no slot yet."""
        held = await generation_queue.held_by(self._registration.row, self._db)
        await generation_queue.release(sorted(held), self._db)
        self.slots.clear()

    async def _engine_ready(self) -> None:
        assert self.model is not None
        await self._db(self._registration.ready, self.model)
        await generation_queue.tell_workers_changed(self._registration.row)
        self._ready = True
        self._arrange()
        self._awake.set()

    # -- filling slots ------------------------------------------------------------------------

    def _drop(self, slot: Slot) -> None:
        if self.slots.pop(slot.key, None) is not None and slot.in_engine:
            self._feed.cancel(slot.key)
            slot.in_engine = False
        self._arrange()
        self._awake.set()

    async def _claim_loop(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(POLL_SECONDS):
                    await self._awake.wait()
            self._awake.clear()
            await until_stored(self._check_claims)
            await until_stored(self._fill)

    async def _check_claims(self) -> None:
        """Let go of what was cancelled or taken away, and of what has run for too long."""
        async with self._filling:
            held = await generation_queue.held_by(self._registration.row, self._db)
            known = {slot.claim for slot in self.slots.values()}
            # A claim whose answer got lost on the way from the database.
            if orphans := held.keys() - known:
                await generation_queue.release(sorted(orphans), self._db)
        for slot in list(self.slots.values()):
            if slot.claim in held:
                slot.row.author_id = held[slot.claim]  # a guest may have become somebody
            elif slot.claim in known and slot.ending is None:
                self._drop(slot)
            if time.monotonic() - slot.started > settings.CHATSITE_MAX_SECONDS:
                slot.end(State.DONE, "time", {"seconds": settings.CHATSITE_MAX_SECONDS})
                self._flusher.wake(slot)

    async def _fill(self) -> None:
        async with self._filling:  # a stop waits for this: nothing claimed is left behind
            free = (self.model.slots if self.model else 0) - len(self.slots)
            if free < 1 or not self._ready or self._stopping:
                return
            for row in await generation_queue.claim(self._registration.row, free, self._db):
                slot = Slot(row)
                try:
                    slot = Slot.of(row, await self._db(turns_before, row))
                    slot.task()
                except AWAY:
                    raise  # a claim without a slot is released by the next look at the claims
                except Exception:
                    log.exception("generation %d attempt %d", row.pk, row.attempt)
                    await self._flusher.fail(slot)
                else:
                    self.slots[slot.key] = slot
            self._arrange()
