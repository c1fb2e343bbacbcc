"""Every tab shows the stored reply, each delta once and in order, over real WebSockets."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import Any

import pytest

from chat.database import web
from chat.markdown import render
from chat.models import Generation, Queue, State
from tests.cast import Cast, person
from tests.served import Site
from tests.sizes import size
from tests.sockets import r4
from tests.tabs import Tab, Tabs
from tests.waiting import until

PROSE = "Plain words, one after the other, in one long line. " * 4


@pytest.mark.timeout(size(180, 900))
async def test_r4_every_tab_shows_each_delta_once_in_order(
    served: Site, tabs: Tabs, figure: Callable[[str], None]
) -> None:
    count = size(12, 50)
    reading = await r4.read(tabs, served.port, conversations=count, each=3, size=size(200, 1_000))
    figure(str(reading))
    assert reading.replies == 3 * count and reading.deltas > 5 * reading.replies
    assert not (reading.lost or reading.duplicates or reading.gaps or reading.taken_back)


async def test_r15_closing_all_tabs_does_not_stop_a_reply(
    served: Site, cast: Cast, tabs: Tabs, figure: Callable[[str], None]
) -> None:
    opened = [await tabs.of(served.port, user) for user in (cast.alice, cast.bob, cast.guest)]
    pks = [await tab.say(PROSE) for tab in opened]
    for tab, pk in zip(opened, pks, strict=True):
        await grown(tab, pk, 10)
    await tabs.close()
    await until(lambda: web(lambda: done(pks)), "all are done")
    replies = await web(list, Generation.objects.filter(pk__in=pks).values_list("reply", flat=True))
    again = await tabs.of(served.port, cast.alice, opened[0].page.conversation)
    turn = await again.final(pks[0])
    assert turn.text.strip() == PROSE.strip()
    figure(f"R15 tabs closed in mid-reply: complete {replies.count(PROSE)}/{len(pks)}")
    assert replies == [PROSE] * 3


async def grown(tab: Tab, pk: int, end: int) -> None:
    turn = await tab.turn(pk)
    await until(lambda: tab.page.turns[pk].end >= end, f"{turn.end} grows to {end}")


def done(pks: list[int]) -> bool:
    return Generation.objects.filter(pk__in=pks, state=State.DONE).count() == len(pks)


async def test_markdown_ends_as_the_rendering_of_the_whole(
    served: Site, cast: Cast, tabs: Tabs
) -> None:
    text = r4.text_of(7, 300) + "\n\n[late] and `code` and **bold**\n\n[late]: /address\n"
    tab = await tabs.of(served.port, cast.alice)
    turn = await tab.final(await tab.say(text))
    assert turn.html == [(block.start, block.end, block.html) for block in render(text)]


async def test_a_second_tab_that_comes_in_the_middle_shows_the_same(
    served: Site, cast: Cast, tabs: Tabs
) -> None:
    first = await tabs.of(served.port, cast.alice)
    pk = await first.say(PROSE)
    await grown(first, pk, 50)
    second = await tabs.of(served.port, cast.alice, first.page.conversation)
    shown = await second.turn(pk)
    assert PROSE.startswith(shown.text) and shown.end >= 50
    for tab in (first, second):
        assert (await tab.final(pk)).text.strip() == PROSE.strip()
        assert not tab.page.gaps and not tab.page.taken_back


async def test_what_happens_in_one_tab_shows_in_the_sidebar_of_another(
    served: Site, cast: Cast, tabs: Tabs
) -> None:
    elsewhere = await tabs.of(served.port, cast.alice)
    stranger = await tabs.of(served.port, cast.bob)
    tab = await tabs.of(served.port, cast.alice)
    await tab.final(await tab.say("hello there"))
    conversation = tab.page.conversation or ""
    await until(lambda: elsewhere.page.listed[conversation]["stage"] == "done", "its end is told")
    await tab.send({"type": "rename", "conversation": conversation, "title": "  A new  name "})
    await until(
        lambda: elsewhere.page.listed[conversation]["title"] == "A new name", "the name is told"
    )
    await tab.send({"type": "delete", "conversation": conversation})
    await until(lambda: elsewhere.page.listed[conversation].get("gone"), "its end is told")
    assert not stranger.page.listed and not elsewhere.page.turns


@pytest.mark.timeout(size(120, 600))
async def test_r8_a_socket_that_is_cut_again_and_again_shows_the_same(
    served: Site, cast: Cast, tabs: Tabs, figure: Callable[[str], None]
) -> None:
    chance, count, text = random.Random(8), size(3, 50), PROSE * size(3, 8)
    await web(Queue.objects.update, limit=64)
    users = [await web(person, f"r8-{number}") for number in range(count)]
    opened = [await tabs.of(served.port, user) for user in users]
    pks = [await tab.say(text) for tab in opened]

    async def cut(tab: Tab, pk: int) -> None:
        while not (pk in tab.page.turns and tab.page.turns[pk].final):
            await asyncio.sleep(chance.uniform(*size((0.3, 0.8), (2.0, 5.0))))
            await tab.cut()

    pairs = list(zip(opened, pks, strict=True))
    await asyncio.wait_for(asyncio.gather(*(cut(*pair) for pair in pairs)), size(60, 300))
    cuts = sum(len(tab.closed) for tab in opened)
    texts = [tab.page.turns[pk].text.strip() for tab, pk in pairs]
    back = sum(tab.page.taken_back for tab in opened)
    complete = texts.count(text.strip())
    figure(f"R8 sockets cut {cuts} times: complete {complete}/{count}, taken back {back}")
    assert cuts > 2 * count and not back and complete == count


async def test_a_stop_in_one_tab_stops_in_all(served: Site, cast: Cast, tabs: Tabs) -> None:
    first = await tabs.of(served.port, cast.alice)
    pk = await first.say(PROSE)
    second = await tabs.of(served.port, cast.alice, first.page.conversation)
    await grown(first, pk, 20)
    await second.send({"type": "stop", "generation": pk})
    ends = [(await tab.final(pk, 2)) for tab in (first, second)]
    assert [turn.stage["name"] for turn in ends] == ["stopped"] * 2
    stored = await web(Generation.objects.get, pk=pk)
    assert {turn.end for turn in ends} == {stored.reply_end}
    assert {turn.text.strip() for turn in ends} == {stored.reply.strip()}


async def test_waiting_people_are_told_their_places(served: Site, cast: Cast, tabs: Tabs) -> None:
    await web(Queue.objects.update, limit=1)
    opened = [await tabs.of(served.port, user) for user in (cast.alice, cast.bob, cast.charlie)]
    pks = [await tab.say(PROSE[:100]) for tab in opened]
    seen: list[int | None] = []
    opened[2].on_frame = lambda frame: seen.append(place_in(frame))
    waiting = await opened[2].turn(pks[2])
    assert waiting.stage["position"] == 2 and waiting.stage["name"] == "waiting"
    await asyncio.gather(*(tab.final(pk) for tab, pk in zip(opened, pks, strict=True)))
    places = [place for place in seen if place]
    assert places[-1] == 1 and places == sorted(places, reverse=True), "it only gets better"


def place_in(frame: dict[str, Any]) -> int | None:
    return frame["stage"].get("position") if frame["type"] in ("staged", "snapshot") else None
