"""Workers with an engine's process each: on the event loop of the test, or in a process."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from django.conf import settings

from chat import worker as worker_module
from chat.background import start_queue_worker
from chat.engine.base import Message, Step
from chat.engine.spec import EchoSpec, EngineSpec
from chat.feed import Feed
from chat.worker import Worker
from tests.redis_server import RedisServer
from tests.worker_process import WorkerProcess

MakeWorker = Callable[..., WorkerProcess]


def echo(hang_after: float = 60.0, slots: int = 0, **more: Any) -> EngineSpec:
    """The engine without a model, a character every 10 ms unless `step_delay` says otherwise."""
    more.setdefault("step_delay", 0.01)
    return EngineSpec(kind="echo", hang_after=hang_after, slots=slots, echo=EchoSpec(**more))


class Workers:
    """Starts workers and ends them with the test."""

    def __init__(self) -> None:
        self.running: list[Worker] = []

    async def start(self, name: str = "w1", spec: EngineSpec | None = None, **more: Any) -> Worker:
        worker = await start_queue_worker(name, spec or echo(**more))
        self.running.append(worker)
        return worker

    async def stop(self) -> None:
        for worker in self.running:
            await worker.stop()


@pytest_asyncio.fixture
async def workers(queue: Any) -> AsyncIterator[Workers]:
    workers = Workers()
    yield workers
    await workers.stop()


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> list[Step]:
    """Every step of every engine that said something, in order, as its worker received it."""
    seen: list[Step] = []

    class Recording(Feed):
        async def receive(self) -> Message:
            message = await super().receive()
            if isinstance(message, Step) and message.pieces:
                seen.append(message)
            return message

    monkeypatch.setattr(worker_module, "Feed", Recording)
    return seen


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The Redis that processes of one site share: the environment's, or one of this run's own."""
    if settings.REDIS_URL:
        yield settings.REDIS_URL
        return
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    server.start()
    yield server.url
    server.kill()


@pytest.fixture
def worker(database: str, served_folder: Path, redis_url: str) -> Iterator[MakeWorker]:
    """Makes worker processes; they end with the test, and must not have logged a bug."""
    made: list[WorkerProcess] = []

    def make(name: str, *options: str, **more: str) -> WorkerProcess:
        more = {"REDIS_URL": redis_url, "CHATSITE_ECHO_DELAY": "0.02", **more}
        made.append(WorkerProcess(served_folder, database, name, *options, **more))
        return made[-1]

    yield make
    for process in made:
        process.close()
        assert "Traceback" not in process.log, process.log[-6_000:]
