"""The consumer beside an unreliable layer, and what it grants one person."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import pytest_asyncio
from channels.layers import channel_layers

from chat import generation_queue
from chat.background import start_queue_worker
from chat.database import web
from chat.engine.spec import EchoSpec, EngineSpec
from chat.models import Generation, Queue, State
from chat.worker import Worker
from tests.acts import fresh, say
from tests.cast import Cast, person
from tests.sizes import size
from tests.sockets import layers
from tests.sockets.direct import DirectTab
from tests.waiting import until

TEXT = "Whatever the layer loses, the rows have it, and the page asks for it. " * 4
MakeTab = Callable[..., Any]


@pytest.fixture
def use_layer(settings: Any) -> Callable[[type], None]:
    def use(layer: type) -> None:
        name = f"{layer.__module__}.{layer.__qualname__}"
        config = {"capacity": 10_000, "expiry": 3_600}
        settings.CHANNEL_LAYERS = {"default": {"BACKEND": name, "CONFIG": config}}
        channel_layers.backends.clear()

    return use


@pytest_asyncio.fixture
async def worker(queue: Queue) -> AsyncIterator[Callable[[], Any]]:
    """Starts one worker in this process."""
    running: list[Worker] = []

    async def start() -> Worker:
        spec = EngineSpec(kind="echo", echo=EchoSpec(step_delay=0.01))
        running.append(await start_queue_worker("here", spec))
        return running[0]

    yield start
    for worker in running:
        await worker.stop()


@pytest_asyncio.fixture
async def tab() -> AsyncIterator[MakeTab]:
    tabs: list[DirectTab] = []

    async def make(user: Any, conversation: str | None = None) -> DirectTab:
        tabs.append(DirectTab(user, conversation))
        return await tabs[-1].open()

    yield make
    for one in tabs:
        await one.close()


async def test_r6_a_lost_last_event_is_healed_within_six_seconds(
    cast: Cast, use_layer: Any, worker: Any, tab: MakeTab, figure: Callable[[str], None]
) -> None:
    use_layer(layers.LosingTheEnd)
    layers.LosingTheEnd.losing = False
    await worker()
    page = await tab(cast.alice)
    pk = await page.say(TEXT)
    await until(lambda: page.shows(pk, 100), "it grows")
    layers.LosingTheEnd.losing = True
    row = await web(Generation.objects.get, pk=pk)
    await until(lambda: is_done(row), "it is done in the database")
    done = time.monotonic()
    assert not page.shows(pk, final=True)
    await until(lambda: page.shows(pk, len(TEXT), final=True), "the page shows the end", 10)
    took = time.monotonic() - done
    figure(f"R6 all last events lost: complete {took:.1f} s later")
    assert took < 6 and page.page.turns[pk].text.strip() == TEXT.strip()
    count = len(page.frames)
    await until(lambda: not consumer_waits(page), "the end is acknowledged", 8)
    assert len(page.frames) - count <= 1


def consumer_waits(page: DirectTab) -> bool:
    """Whether the server would still remind this page."""
    from chat.pulse import pulse

    return any(listener.unsettled() for listener in pulse._listeners)


async def is_done(row: Generation) -> bool:
    return (await fresh(row)).state == State.DONE


async def test_r5_a_layer_that_loses_half_and_doubles_and_delays_costs_nothing(
    cast: Cast, use_layer: Any, worker: Any, tab: MakeTab, figure: Callable[[str], None]
) -> None:
    use_layer(layers.Misbehaving)
    await worker()
    await web(Queue.objects.update, limit=64)
    count = size(6, 50)
    users = [await web(person, f"r5-{number}") for number in range(count)]
    pages = [await tab(user) for user in users]
    pks = [await page.say(TEXT) for page in pages]
    rows = [await web(Generation.objects.get, pk=pk) for pk in pks]
    late = []
    for page, row in zip(pages, rows, strict=True):
        await until(lambda r=row: is_done(r), "it is done in the database", 30)
        done = time.monotonic()
        await until(lambda p=page, r=row: p.shows(r.pk, len(TEXT), final=True), "it is shown")
        late.append(time.monotonic() - done)
    shown = [page.page.turns[row.pk].text for page, row in zip(pages, rows, strict=True)]
    looks = sum(frame["type"] == "snapshot" for page in pages for frame in page.frames) - count
    duplicates = sum(page.page.duplicates for page in pages)
    figure(
        f"R5 layer loses 50 %, doubles 10 %, delays 10 %: {looks} snapshots to heal, lost 0, "
        f"shown twice {duplicates}, caught up within {max(late):.1f} s"
    )
    assert [text.strip() for text in shown] == [TEXT.strip()] * count
    assert not any(page.page.taken_back for page in pages) and not duplicates and max(late) < 6


async def test_too_many_frames_are_refused_and_twice_as_many_close(
    cast: Cast, queue: Queue, tab: MakeTab, settings: Any
) -> None:
    settings.CHATSITE_FRAMES_PER_MINUTE = 10
    page = await tab(cast.alice)
    for _ in range(20):
        await page.send({"type": "look", "generation": 1})
    await until(lambda: len(page.page.errors) == 20, "all are answered")
    codes = [error["code"] for error in page.page.errors]
    assert codes == ["not_found"] * 10 + ["too_many_frames"] * 10
    refusal = page.page.errors[-1]
    assert "10 a minute" in refusal["words"] and 50 < refusal["retry"] <= 60
    await page.send({"type": "look", "generation": 1})
    await until(lambda: page.closed == 4004, "the socket is closed")


async def test_one_person_has_only_so_many_tabs_and_others_are_not_touched(
    cast: Cast, queue: Queue, tab: MakeTab, settings: Any
) -> None:
    settings.CHATSITE_SOCKETS_PER_USER = 2
    first, second = await tab(cast.alice), await tab(cast.alice)
    third = await tab(cast.alice)
    assert third.closed == 4002 and third.frames[0]["code"] == "too_many_tabs"
    assert "2 tabs" in third.frames[0]["words"], "it says which limit"
    assert (await tab(cast.bob)).closed is None
    await first.close()
    assert (await tab(cast.alice)).closed is None and second.closed is None


async def test_somebody_locked_out_gets_no_socket(cast: Cast, queue: Queue, tab: MakeTab) -> None:
    cast.alice.is_active = False
    await web(cast.alice.save)
    assert (await tab(cast.alice)).closed == 4001


async def test_a_page_that_comes_late_gets_snapshots_of_all_turns_in_order(
    cast: Cast, worker: Any, tab: MakeTab
) -> None:
    await worker()
    first = await say(cast.alice, "first")
    second = await say(cast.alice, "second", after=first)
    await until(lambda: is_done(second), "both are answered")
    page = await tab(cast.alice, str(first.conversation_id))
    await until(lambda: page.shows(second.pk, final=True), "the last turn is shown")
    assert page.page.path == [first.pk, second.pk] == list(page.page.turns)
    again = DirectTab(cast.alice, str(first.conversation_id))
    again.page.turns = dict(page.page.turns)
    await again.open()
    await until(lambda: again.page.path, "it is opened")
    await again.send({"type": "look", "generation": second.pk})
    await until(lambda: any(f["type"] == "snapshot" for f in again.frames), "looking still works")
    snapshots = [frame["generation"] for frame in again.frames if frame["type"] == "snapshot"]
    assert snapshots == [second.pk], "what the page has is not sent again"
    await again.close()


async def test_a_follow_up_is_after_the_current_reply_and_held_when_that_is_stopped(
    cast: Cast, worker: Any, tab: MakeTab
) -> None:
    await worker()
    page = await tab(cast.alice)
    pk = await page.say(TEXT)
    await until(lambda: page.shows(pk, 10), "it grows")
    follow = page.page.prompt("and then?", parent=pk)
    await page.send(follow)
    await until(lambda: follow["id"] in page.page.accepted, "it is accepted")
    after = int(page.page.accepted[follow["id"]]["generation"])
    await until(lambda: page.shows(after), "it is shown")
    assert page.page.turns[after].stage["name"] == "after"
    await generation_queue.cancel(pk, cast.alice.pk)
    await until(lambda: page.shows(after, final=True), "it is held")
    assert page.page.turns[after].stage["name"] == "held"
    assert page.page.turns[pk].stage["name"] == "stopped"
