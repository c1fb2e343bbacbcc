"""What a tab is told when the database or the channel layer fails it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest_asyncio
from channels.layers import channel_layers
from django.db import connection

from chat import generation_queue
from chat.background import start_queue_worker
from chat.database import web
from chat.engine.spec import EchoSpec, EngineSpec
from chat.models import Generation, Queue
from tests.acts import say
from tests.cast import Cast
from tests.sockets import layers
from tests.sockets.direct import DirectTab
from tests.waiting import until

UNKNOWN = "00000000-0000-4000-8000-000000000000"


def rename_table(before: str, after: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE {before} RENAME TO {after}")


@pytest_asyncio.fixture
async def without_generations(queue: Queue) -> AsyncIterator[Any]:
    """Takes the table of generations away: every look and every write is a database error."""
    taken: list[bool] = []

    async def take_away() -> None:
        await web(rename_table, "chat_generation", "chat_generation_away")
        taken.append(True)

    yield take_away
    if taken:
        await web(rename_table, "chat_generation_away", "chat_generation")


async def test_a_message_in_database_trouble_is_answered_in_words_and_the_page_tries_again(
    cast: Cast, without_generations: Any
) -> None:
    tab = await DirectTab(cast.alice).open()
    await without_generations()
    await tab.send(tab.page.prompt("does anybody hear me?"))
    await until(lambda: tab.closed, "the page is asked to come back")
    assert tab.closed == 4005
    assert tab.frames[-1]["type"] == "error" and tab.frames[-1]["code"] == "unavailable"
    await tab.close()


async def test_an_event_in_database_trouble_leaves_the_socket_open(
    cast: Cast, without_generations: Any
) -> None:
    tab = await DirectTab(cast.alice).open()
    await say(cast.alice, "first")
    await until(lambda: any(f["type"] == "listed" for f in tab.frames), "it is listed")
    await without_generations()
    await generation_queue.tell(Generation(pk=1, author_id=cast.alice.pk))
    await tab.send({"type": "rename", "conversation": UNKNOWN, "title": "x"})
    await until(lambda: any(f["type"] == "error" for f in tab.frames), "frames are answered")
    assert tab.closed is None
    await tab.close()


async def test_the_sidebar_hears_of_an_end_whose_event_was_lost(
    cast: Cast, queue: Queue, settings: Any
) -> None:
    backend = f"{layers.__name__}.{layers.LosingTheEnd.__qualname__}"
    settings.CHANNEL_LAYERS = {"default": {"BACKEND": backend, "CONFIG": {}}}
    channel_layers.backends.clear()
    layers.LosingTheEnd.losing = False
    worker = await start_queue_worker(
        "here", EngineSpec(kind="echo", echo=EchoSpec(step_delay=0.01))
    )
    tab = await DirectTab(cast.alice).open()

    def listed() -> list[str]:
        return [f.get("stage", "") for f in tab.frames if f["type"] == "listed"]

    try:
        await say(cast.alice, "a reply in another conversation than the one that is shown " * 6)
        await until(lambda: "generating" in listed(), "the sidebar says that it grows")
        layers.LosingTheEnd.losing = True
        await until(lambda: listed()[-1] == "done", "the sidebar says that it is done", 20)
        assert listed().count("done") == 1
    finally:
        layers.LosingTheEnd.losing = False
        await tab.close()
        await worker.stop()
