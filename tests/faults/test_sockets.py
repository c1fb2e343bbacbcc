"""What one socket does to the others, and what it leaves behind."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Callable
from typing import Any

import psutil
import pytest
from channels.layers import get_channel_layer
from django.contrib.sessions.models import Session
from django.db import connection

from chat import caps
from chat.consumers import ChatConsumer
from chat.database import web
from chat.identity_watch import identity_watch
from chat.models import Queue
from chat.pulse import pulse
from tests.cast import Cast
from tests.dashboards import Dashboard
from tests.sizes import size
from tests.sockets.direct import DirectTab
from tests.waiting import until

Figure = Callable[[str], None]
MARK = 2**50
"""The generation that a test's own handler is for."""


def slow_query(seconds: float) -> None:
    """A statement that keeps its connection, and its thread, for so long."""
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            connection.connection.create_function("sleep", 1, time.sleep)
            cursor.execute("SELECT sleep(%s)", [seconds])
        else:
            cursor.execute("SELECT pg_sleep(%s)", [seconds])


async def test_r19_one_slow_query_stalls_nobody(
    cast: Cast, queue: Queue, monkeypatch: pytest.MonkeyPatch, figure: Figure
) -> None:
    look = ChatConsumer._look

    async def slow(self: Any, generation: int) -> None:
        if generation == MARK:
            await web(slow_query, 3.0)
        await look(self, generation)

    monkeypatch.setattr(ChatConsumer, "_look", slow)
    stuck, *others = [await DirectTab(user).open() for user in list(cast)[:4]]
    await stuck.send({"type": "look", "generation": MARK})
    took: list[float] = []

    async def ask(tab: DirectTab) -> None:
        while not stuck.page.errors:
            tab.page.errors.clear()
            asked = time.monotonic()
            await tab.send({"type": "look", "generation": 1})
            await until(lambda: tab.page.errors, "it is answered", 3, 0.002)
            took.append(time.monotonic() - asked)
            await asyncio.sleep(0.06)

    began = time.monotonic()
    await asyncio.gather(*map(ask, others))
    blocked, p99 = time.monotonic() - began, sorted(took)[int(len(took) * 0.99)]
    figure(
        f"R19 a query of {blocked:.1f} s in one consumer: {len(took)} answers for the others, "
        f"p99 {p99 * 1e3:.0f} ms"
    )
    assert blocked > 2.5 and len(took) > 60 and p99 < 1
    for tab in (stuck, *others):
        await tab.close()


class Held:
    """What the process holds on to, now."""

    def __init__(self) -> None:
        layer = get_channel_layer()
        self.groups = len(layer.groups)
        self.channels = len(layer.channels)
        self.tasks = len(asyncio.all_tasks())
        self.sockets = sum(caps._open.values()) + len(identity_watch._sockets)
        self.listeners = len(pulse._listeners)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Held) and vars(self) == vars(other)

    def __repr__(self) -> str:
        return str(vars(self))


def database_connections() -> int:
    """Connections to the test database, of whatever thread."""
    if connection.vendor == "sqlite":
        name = str(connection.settings_dict["NAME"])
        return sum(one.path == name for one in psutil.Process().open_files())
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()")
        return int(cursor.fetchone()[0])


@pytest.mark.timeout(size(180, 3_000))
async def test_r21_sockets_and_crashes_leave_nothing_behind(
    cast: Cast, queue: Queue, monkeypatch: pytest.MonkeyPatch, settings: Any, figure: Figure
) -> None:
    settings.CHATSITE_SOCKETS_PER_USER = settings.CHATSITE_SOCKETS_PER_ADDRESS = 100
    look, bugs = ChatConsumer._look, 0

    async def broken(self: Any, generation: int) -> None:
        nonlocal bugs
        if generation == MARK:
            bugs += 1
            raise RuntimeError("a bug of ours")
        await look(self, generation)

    monkeypatch.setattr(ChatConsumer, "_look", broken)

    async def come_and_go(rounds: int) -> None:
        for _ in range(rounds):
            tabs = await asyncio.gather(*(DirectTab(user).open() for user in list(cast)[:5]))
            await asyncio.gather(*(tab.close() for tab in tabs))

    async def crash(count: int) -> None:
        for _ in range(count):
            tab = await DirectTab(cast.alice).open()
            await tab.send({"type": "look", "generation": MARK})
            with pytest.raises(RuntimeError):
                await tab.ended()

    await come_and_go(4)
    await crash(2)
    await web(Session.objects.all().delete)
    gc.collect()
    before, opened = Held(), await web(database_connections)
    memory = psutil.Process().memory_info().rss

    connects, crashes = size(60, 2_000), size(40, 1_000)
    await come_and_go(connects)
    await crash(crashes)
    await until(lambda: Held() == before, "all is as it was", 15)
    assert await web(database_connections) <= opened
    gc.collect()
    grown = psutil.Process().memory_info().rss / memory - 1
    figure(
        f"R21 {5 * connects} connects and {crashes} crashes: groups, channels, tasks, sockets and "
        f"connections back to {before}, RSS {grown:+.1%}"
    )
    assert bugs == crashes + 2 and grown < 0.3


def log_out(user: Any) -> None:
    """As `log_out` of Django does: the session goes, then everybody is told."""
    from django.contrib.auth.signals import user_logged_out
    from django.http import HttpRequest

    request = HttpRequest()
    for row in Session.objects.all():
        if row.get_decoded().get("_auth_user_id") == str(user.pk):
            request.session = Session.get_session_store_class()(row.pk)  # type: ignore[assignment]
            user_logged_out.send(type(user), request=request, user=user)


def deactivate(user: Any) -> None:
    user.is_active = False
    user.save()


def change_password(user: Any) -> None:
    user.set_password("another one 77")
    user.save()


@pytest.mark.parametrize("change", [log_out, deactivate, change_password])
async def test_r22_a_change_of_identity_closes_chats_and_dashboards(
    cast: Cast, queue: Queue, figure: Figure, change: Callable[[Any], None]
) -> None:
    tab, other = await DirectTab(cast.operator).open(), await DirectTab(cast.alice).open()
    async with Dashboard(cast.operator) as page:
        await page.until(bool)
        began = time.monotonic()
        await web(change, cast.operator)
        await until(lambda: tab.closed, "the chat is closed", 5)
        assert (tab.closed, await page.is_closed()) == (4001, 4001)
        took = time.monotonic() - began
    frames = len(tab.frames)
    await tab.send(tab.page.prompt("is anybody there?"))
    await other.send({"type": "look", "generation": 1})
    await until(lambda: other.page.errors, "the others are answered")
    assert len(tab.frames) == frames and other.closed is None, "the next act is refused"
    figure(f"R22 {change.__name__}: chat and dashboard closed within {took:.2f} s")
    for one in (tab, other):
        await one.close()
