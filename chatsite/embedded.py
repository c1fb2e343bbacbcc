"""What runs beside the pages in one process: the worker, watched and restarted, and the purge."""

from __future__ import annotations

import asyncio
import logging

from chat.engine.base import Progress
from chat.engine.spec import EngineSpec
from chat.retention import purge_daily
from chat.worker import Worker, start_queue_worker

log = logging.getLogger(__name__)

AGAIN_SECONDS = 2.0


class EmbeddedWorker:
    """Owns one worker for as long as the server runs."""

    def __init__(self, name: str, spec: EngineSpec) -> None:
        self.name = name
        self.spec = spec
        self.worker: Worker | None = None
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self, progress: Progress | None = None) -> None:
        """Load the model and begin to work; raises EngineDead."""
        self.worker = await start_queue_worker(self.name, self.spec, progress)
        self._tasks = [
            asyncio.create_task(self._keep(), name="embedded worker"),
            asyncio.create_task(purge_daily(), name="daily purge"),
        ]

    async def _keep(self) -> None:
        """A bug may end a worker; the site goes on, and so does the queue."""
        while self.worker is not None:
            try:
                await self.worker.wait()
                return
            except Exception:
                log.exception("the worker ended by a bug; another one starts")
            await self.worker.stop()
            await asyncio.sleep(AGAIN_SECONDS)
            try:
                self.worker = await start_queue_worker(self.name, self.spec)
            except Exception as error:
                log.error("no worker could be started, it is tried again: %s", error)

    async def stop(self) -> None:
        """Store, release and end; may be called before `start` has ended."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self.worker is not None:
            await self.worker.stop()
