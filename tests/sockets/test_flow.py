"""A page that does not read: it gets no more, then the whole again, or is let go."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import pytest_asyncio

from chat import window
from chat.background import start_queue_worker
from chat.database import web
from chat.engine.spec import EchoSpec, EngineSpec
from chat.models import Generation, Queue
from tests import reader
from tests.acts import fresh
from tests.cast import Cast
from tests.sockets.direct import DirectTab
from tests.waiting import until

TEXT = "Nobody has to read as fast as a model writes, and nothing is lost by it. " * 20


@pytest_asyncio.fixture
async def tabs(queue: Queue) -> AsyncIterator[Callable[..., Any]]:
    """Makes tabs beside a worker that answers."""
    opened: list[DirectTab] = []
    worker = await start_queue_worker(
        "here", EngineSpec(kind="echo", echo=EchoSpec(step_delay=0.002))
    )

    async def make(user: Any, conversation: str | None = None) -> DirectTab:
        opened.append(DirectTab(user, conversation))
        return await opened[-1].open()

    yield make
    for tab in opened:
        await tab.close()
    await worker.stop()


@pytest.fixture(autouse=True)
def small_window(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(window, "WINDOW_BYTES", 3_000)
    monkeypatch.setattr(window, "GRAIN_BYTES", 200)
    monkeypatch.setattr(reader, "ACKNOWLEDGE", 600)


async def is_done(pk: int) -> bool:
    return (await fresh(Generation(pk=pk))).ended


async def test_who_falls_behind_gets_no_more_and_then_the_whole(
    cast: Cast, tabs: Callable[..., Any]
) -> None:
    tab = await tabs(cast.alice)
    tab.reads = False
    pk = await tab.say(TEXT)
    await until(lambda: is_done(pk), "the reply is complete in the database", 30)
    await until(lambda: tab.size_of(pk) > window.WINDOW_BYTES, "the window is full")
    shown = tab.page.turns[pk].end
    assert shown < len(TEXT) and not tab.page.turns[pk].final
    assert tab.size_of(pk) < 2 * window.WINDOW_BYTES, "no more than the window and a frame"

    tab.reads = True
    await tab.send({"type": "ack", "generation": pk, "end": shown})
    await until(lambda: tab.shows(pk, len(TEXT), final=True), "it has caught up")
    assert tab.page.turns[pk].text.strip() == TEXT.strip()
    assert not tab.page.taken_back and not tab.page.duplicates and not tab.page.gaps


async def test_a_reader_beside_one_that_does_not_read_misses_nothing(
    cast: Cast, tabs: Callable[..., Any]
) -> None:
    slow = await tabs(cast.alice)
    slow.reads = False
    pk = await slow.say(TEXT)
    quick = await tabs(cast.alice, slow.page.conversation)
    await until(lambda: quick.shows(pk, len(TEXT), final=True), "the other tab has it all", 30)
    assert quick.page.turns[pk].text.strip() == TEXT.strip() and not quick.page.gaps
    assert slow.page.turns[pk].end < len(TEXT)


async def test_a_long_conversation_is_sent_as_fast_as_it_is_read(
    cast: Cast, tabs: Callable[..., Any]
) -> None:
    first = await tabs(cast.alice)
    pks = [await first.say(TEXT[:600])]
    for _ in range(7):
        await until(lambda: is_done(pks[-1]), "answered", 20)
        frame = first.page.prompt(TEXT[:600], pks[-1])
        await first.send(frame)
        await until(lambda f=frame: f["id"] in first.page.accepted, "accepted")
        pks.append(int(first.page.accepted[frame["id"]]["generation"]))
    await until(lambda: is_done(pks[-1]), "all are answered", 20)

    slow = DirectTab(cast.alice, first.page.conversation)
    slow.reads = False
    await slow.open()
    await until(lambda: len(slow.page.turns) >= 2, "some turns are shown")
    await slow.send({"type": "rename", "conversation": first.page.conversation, "title": "x"})
    await until(lambda: any(f.get("title") == "x" for f in slow.frames), "frames are answered")
    assert len(slow.page.turns) < 8, "the rest waits until these are read"
    slow.reads = True
    last = slow.page.turns[max(slow.page.turns)]
    await slow.send({"type": "ack", "generation": last.pk, "end": last.end, "final": True})
    await until(lambda: all(slow.shows(pk, final=True) for pk in pks), "all turns are shown")
    assert list(slow.page.turns) == pks == slow.page.path
    await slow.close()


async def test_who_is_behind_and_silent_is_closed_with_a_code_of_its_own(
    cast: Cast, tabs: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(window, "SILENCE_SECONDS", 1.0)
    tab, other = await tabs(cast.alice), await tabs(cast.bob)
    tab.reads = False
    await tab.say(TEXT)
    await until(lambda: tab.closed, "the socket is closed", 15)
    assert tab.closed == 4006 and other.closed is None


async def test_a_reply_that_was_deleted_meanwhile_is_owed_no_more(
    cast: Cast, tabs: Callable[..., Any]
) -> None:
    tab = await tabs(cast.alice)
    tab.reads = False
    pk = await tab.say(TEXT)
    await until(lambda: tab.size_of(pk) > window.WINDOW_BYTES, "the window is full", 20)
    await web(Generation.objects.filter(pk=pk).delete)
    tab.reads = True
    await tab.send({"type": "ack", "generation": pk, "end": tab.page.turns[pk].end})
    await tab.send({"type": "look", "generation": pk})
    await until(lambda: tab.page.errors, "the socket answers")
    assert [error["code"] for error in tab.page.errors] == ["not_found"]
