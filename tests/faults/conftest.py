"""Workers with an engine's process each, on the event loop of the test."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from chat import worker as worker_module
from chat.engine.base import Message, Step
from chat.engine.spec import EchoSpec, EngineSpec
from chat.feed import Feed
from chat.worker import Worker, start_queue_worker


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
