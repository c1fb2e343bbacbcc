"""Several web processes over Redis: all tabs alike, also when Redis dies; nobody idle is closed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from channels.layers import channel_layers

from chat.database import web
from chat.models import Generation, Queue
from tests.cast import Cast, person
from tests.redis_server import RedisServer, redis_server
from tests.served import Site
from tests.sizes import size
from tests.sockets.r4 import text_of
from tests.tabs import Tab, Tabs, make_session, open_socket
from tests.waiting import until

__all__ = ["redis_server"]

MakeSite = Callable[..., Site]
Figure = Callable[[str], None]
AWAY_SECONDS = 5.0


@pytest.fixture
def over_redis(redis_server: RedisServer, settings: Any) -> Iterator[str]:
    """This process's own layer, too, is over the test's Redis; gives its address."""
    config = {
        "hosts": [{"address": redis_server.url, "socket_timeout": None}],
        "prefix": "chatsite/0",
    }
    settings.CHANNEL_LAYERS = {
        "default": {"BACKEND": "chat.redis_layer.RedisLayer", "CONFIG": config}
    }
    channel_layers.backends.clear()
    yield redis_server.url
    channel_layers.backends.clear()


async def two_sites(site: MakeSite, url: str, **more: str) -> tuple[Site, Site]:
    """Two web processes over one Redis; the first has the worker in it."""
    first, second = site(REDIS_URL=url, **more), site(server="pages", REDIS_URL=url)
    await first.start()
    await second.start()
    return first, second


@pytest.mark.timeout(size(180, 600))
async def test_r7_a_killed_redis_loses_nothing(
    site: MakeSite, over_redis: str, redis_server: RedisServer, tabs: Tabs, figure: Figure
) -> None:
    count = size(6, 50)
    sites = await two_sites(site, over_redis, CHATSITE_ECHO_DELAY="0.02", CHATSITE_SLOTS="64")
    await web(Queue.objects.update, limit=64, paused=True)  # all are to grow at the same time
    users = [await web(person, f"r7-{n}") for n in range(count)]
    first = [await tabs.of(sites[0].port, user) for user in users]
    pks = [await tab.say(text_of(n, size(600, 1_500))) for n, tab in enumerate(first)]
    second = [
        await tabs.of(sites[1].port, user, tab.page.conversation)
        for user, tab in zip(users, first, strict=True)
    ]
    await web(Queue.objects.update, paused=False)
    readers = list(zip(first + second, pks + pks, strict=True))
    await until(lambda: all(end_of(*one) > 50 for one in readers), "all grow, everywhere", 30)

    redis_server.kill()
    await asyncio.sleep(AWAY_SECONDS)
    redis_server.start()
    back, ends = time.monotonic(), [end_of(*one) for one in readers]
    await until(
        lambda: all(end_of(*one) > end for one, end in zip(readers, ends, strict=True)),
        "all tabs go on",
        60,
    )
    recovered = time.monotonic() - back
    rows = await finished(pks)
    await asyncio.gather(*(tab.final(pk, 90) for tab, pk in readers))
    lost = sum(len(rows[pk]) - end_of(tab, pk) for tab, pk in readers)
    wrong = sum(not same(tab, other, pk) for tab, other, pk in zip(first, second, pks, strict=True))
    back_taken = sum(tab.page.taken_back for tab, _ in readers)
    figure(
        f"R7 Redis killed, back after {AWAY_SECONDS:.0f} s: {len(pks)} of {count} replies "
        f"finished, {len(readers)} tabs in 2 processes, lost {lost}, differing {wrong}, taken back "
        f"{back_taken}, all grow again after {recovered:.1f} s"
    )
    assert not (lost or wrong or back_taken) and recovered < 30


def end_of(tab: Tab, pk: int) -> int:
    turn = tab.page.turns.get(pk)
    return turn.end if turn is not None else 0


def same(one: Tab, other: Tab, pk: int) -> bool:
    return one.page.turns[pk].html == other.page.turns[pk].html


async def finished(pks: list[int]) -> dict[int, str]:
    """The stored replies, once all are complete."""
    done = Generation.objects.filter(pk__in=pks, state="done")

    async def all_done() -> bool:
        return await web(done.count) == len(pks)

    await until(all_done, "all replies are finished", 120)
    return await web(lambda: dict(done.values_list("pk", "reply")))


async def test_two_web_processes_serve_the_tabs_of_one_person_alike(
    site: MakeSite, over_redis: str, cast: Cast, tabs: Tabs
) -> None:
    sites = await two_sites(site, over_redis, CHATSITE_ECHO_DELAY="0.01")
    one = await tabs.of(sites[0].port, cast.alice)
    pk = await one.say(text_of(1, 400))
    other = await tabs.of(sites[1].port, cast.alice, one.page.conversation)
    for tab in (one, other):
        await tab.final(pk, 30)
    assert same(one, other, pk) and one.page.turns[pk].end == other.page.turns[pk].end
    assert min(one.page.deltas, other.page.deltas) > 20, "both hear of it by deltas"
    assert not one.page.gaps and not other.page.gaps

    pk = await other.say(text_of(2, 2_000), pk)
    await until(lambda: end_of(one, pk) > 20, "it grows in the other process")
    await one.send({"type": "stop", "generation": pk})
    ends = [(await tab.final(pk, 5)) for tab in (one, other)]
    assert [turn.stage["name"] for turn in ends] == ["stopped"] * 2 and same(one, other, pk)


def deactivate(user: Any) -> None:
    user.is_active = False
    user.save()


def change_password(user: Any) -> None:
    user.set_password("another one 77")
    user.save()


async def test_r22_sockets_close_in_every_process(
    site: MakeSite, over_redis: str, cast: Cast, tabs: Tabs, figure: Figure
) -> None:
    sites = await two_sites(site, over_redis)
    changes = {cast.alice: change_password, cast.bob: deactivate}
    opened = {user: [await tabs.of(one.port, user) for one in sites] for user in changes}
    others = [await tabs.of(one.port, cast.charlie) for one in sites]
    key = await web(make_session, cast.watcher)
    boards = [await open_socket(one.port, key, path="/ws/queue") for one in sites]
    for board in boards:
        await board.recv()

    began = time.monotonic()
    for user, change in changes.items():
        await web(change, user)
    await web(cast.watcher.user_permissions.clear)
    shut = [tab for group in opened.values() for tab in group]
    await until(lambda: all(4001 in tab.closed for tab in shut), "the chats are closed", 5)
    for board in boards:
        await asyncio.wait_for(board.wait_closed(), 5)
    took = time.monotonic() - began
    figure(
        f"R22 rights lost: {len(shut) + len(boards)} sockets in 2 processes closed, {took:.2f} s"
    )
    assert took < 2 and [board.close_code for board in boards] == [4001, 4001]
    assert not any(tab.closed for tab in others)


@pytest.mark.timeout(size(120, 900))
async def test_r20_idle_sockets_stay_open_and_hear(
    site: MakeSite, over_redis: str, tabs: Tabs, figure: Figure
) -> None:
    count, seconds = size(40, 200), size(12, 600)
    served = site(REDIS_URL=over_redis)
    await served.start()
    user = await web(person, "idle")
    opened = [await tabs.of(served.port, user) for _ in range(count)]
    await asyncio.sleep(seconds)
    await opened[0].say("is anybody there?")
    conversation = opened[0].page.conversation or ""
    await until(
        lambda: all(conversation in tab.page.listed for tab in opened), "all hear of it", 10
    )
    closed = sum(len(tab.closed) for tab in opened)
    figure(f"R20 {count} sockets idle for {seconds} s on Redis: closed {closed}, deaf 0")
    assert not closed
