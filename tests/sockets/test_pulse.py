"""The clock of a web process: what it tells its sockets, and what must not hold it up."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from chat import pulse as pulse_module
from chat.database import web
from chat.models import Generation
from chat.pulse import Pulse
from chat.ranking import Ranking
from chat.tab import Tab
from tests.acts import say
from tests.cast import Cast


async def drop(what: object) -> None:
    """Send nothing anywhere."""


class Deaf:
    """A socket whose page does not read, on a server that waits for it when it closes."""

    def silent(self) -> bool:
        return True

    async def drop(self) -> None:
        await asyncio.Event().wait()

    def unsettled(self) -> set[int]:
        return set()

    async def ranked(self, ranking: Ranking, alive: bool) -> None: ...

    async def remind(self, rows: dict[int, Generation | None]) -> None: ...


class Hearing(Deaf):
    """A socket beside it."""

    def __init__(self) -> None:
        self.told = asyncio.Event()

    def silent(self) -> bool:
        return False

    def unsettled(self) -> set[int]:
        return {1}

    async def ranked(self, ranking: Ranking, alive: bool) -> None:
        self.told.set()


async def test_pages_that_do_not_read_hold_up_nobody_by_their_closing(
    queue: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pulse_module, "RANK_SECONDS", 0.01)
    monkeypatch.setattr(pulse_module, "CLOSE_SECONDS", 0.05)
    pulse, hearing = Pulse(), Hearing()
    sockets = [Deaf(), Deaf(), hearing]
    for socket in sockets:
        pulse.join(socket)
    try:
        await asyncio.wait_for(hearing.told.wait(), 10)
    finally:
        for socket in sockets:
            pulse.leave(socket)


async def test_a_message_that_came_while_the_rows_were_read_is_not_taken_for_deleted(
    cast: Cast, queue: Any
) -> None:
    tab = Tab(cast.alice.pk, "en", drop, drop)
    rows = [await say(cast.alice, "one"), await say(cast.alice, "two")]
    tab.follow(str(rows[0].conversation_id))
    shown = [
        await web(Generation.objects.select_related("conversation").get, pk=r.pk) for r in rows
    ]
    await tab.show(shown[0])
    before = tab.unsettled()
    await tab.show(shown[1])  # between the beat's look at the tab and its telling
    await tab.remind(dict.fromkeys(before))
    assert tab.unsettled() == {rows[1].pk}, "the deleted one is forgotten, the new one is not"
