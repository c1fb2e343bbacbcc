"""A worker whose server dies of one message, again and again, and is always started again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from chat.background import start_queue_worker
from chat.engine.spec import EngineSpec, OpenAISpec
from chat.models import State
from tests.acts import Bench, fresh, say
from tests.cast import Cast
from tests.waiting import until

from .bad_server import STORY
from .servers import Server, bad_server


@asynccontextmanager
async def supervised(server: Server) -> AsyncIterator[None]:
    """Start the server again whenever it has died, as a service manager does."""

    async def watch() -> None:
        while True:
            await until(
                lambda: server.process and server.process.poll() is not None, "it dies", 300
            )
            await asyncio.to_thread(server.start)

    task = asyncio.create_task(watch(), name="supervisor")
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


@pytest.mark.timeout(180)
async def test_a_message_that_kills_its_server_fails_and_its_neighbours_finish(
    cast: Cast, bench: Bench, tmp_path: Path
) -> None:
    server = bad_server(tmp_path)
    spec = EngineSpec(kind="openai", slots=4, openai=OpenAISpec(url=server.url))
    poison = await say(cast.alice, "die 0")
    innocent = [await say(user, "slow 9") for user in (cast.bob, cast.charlie)]
    async with supervised(server):
        worker = await start_queue_worker("w1", spec)
        try:
            await until(lambda: _ended(poison), "the third strike", 90)
            for row in innocent:
                await until(lambda row=row: _ended(row), "a neighbour is done", 60)
        finally:
            await worker.stop()
    server.kill()
    row = await fresh(poison)
    assert (row.state, row.reason, row.reply) == (State.FAILED, "engine_died", "")
    for row in [await fresh(row) for row in innocent]:
        assert (row.state, row.reply, row.strikes) == (State.DONE, STORY, 0)


async def _ended(row: object) -> bool:
    return (await fresh(row)).ended  # type: ignore[arg-type]
