"""What a process does besides pages: a worker that lasts, and the daily purge."""

from __future__ import annotations

import asyncio
import logging
import os
import threading

from chat.engine.base import Progress
from chat.engine.spec import EngineSpec
from chat.registration import NameTaken
from chat.retention import purge_daily
from chat.worker import Worker

log = logging.getLogger(__name__)

AGAIN_SECONDS = 2.0
LEAVE_SECONDS = 19.5
"""By then a process that was asked to end is gone: service managers kill after 20 s or more."""


async def start_queue_worker(
    name: str, spec: EngineSpec, progress: Progress | None = None
) -> Worker:
    """Load the engine and start working on the queue; raises EngineDead if it cannot be loaded.

    The caller owns the worker: it awaits `wait` to learn of a bug that ended it, and `stop`.
    """
    worker = Worker(name, spec)
    await worker.start(progress)
    return worker


class Background:
    """Owns the purge and, unless `spec` is None, one worker, for as long as its process runs."""

    def __init__(self, name: str = "", spec: EngineSpec | None = None) -> None:
        self.name = name
        self.spec = spec
        self.worker: Worker | None = None
        self._keeping: asyncio.Task[None] | None = None
        self._purging: asyncio.Task[None] | None = None

    async def start(self, progress: Progress | None = None) -> None:
        """Load the model and begin to work; raises EngineDead."""
        if self.spec is not None:
            self.worker = await start_queue_worker(self.name, self.spec, progress)
            self._keeping = asyncio.create_task(self._keep(self.spec), name="lasting worker")
        self._purging = asyncio.create_task(purge_daily(), name="daily purge")

    async def wait(self) -> None:
        """Return when the worker is stopped; raises NameTaken."""
        if self._keeping is not None:
            await asyncio.shield(self._keeping)

    async def _keep(self, spec: EngineSpec) -> None:
        """A bug may end a worker; the process goes on, and so does the queue."""
        while self.worker is not None:
            try:
                await self.worker.wait()
                return
            except NameTaken:
                log.error("another worker has taken the name %s; this one ends", self.name)
                await self.worker.stop()
                raise
            except Exception:
                log.exception("the worker ended by a bug; another one starts")
            await self.worker.stop()
            self.worker = await self._another(spec)

    async def _another(self, spec: EngineSpec) -> Worker:
        while True:
            await asyncio.sleep(AGAIN_SECONDS)
            try:
                return await start_queue_worker(self.name, spec)
            except Exception as error:
                log.error("no worker could be started, it is tried again: %s", error)

    async def stop(self) -> None:
        """Store, release and end; may be called before `start` has ended."""
        tasks = [task for task in (self._keeping, self._purging) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self.worker is not None:
            await self.worker.stop()


def leave_soon() -> None:
    """End this process by force after LEAVE_SECONDS, should something outside hold it up.

    The interpreter waits for its threads, and a thread may wait for a database that is gone.
    """
    timer = threading.Timer(LEAVE_SECONDS, _leave)
    timer.daemon = True
    timer.start()


def _leave() -> None:
    log.error("something did not end in time; what is not stored is left to a rescue")
    os._exit(1)
