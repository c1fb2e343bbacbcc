"""R16: pages, then workers are restarted one after the other, under load; readers lose nothing."""

from __future__ import annotations

import asyncio
import signal
import time
from dataclasses import dataclass, field
from typing import Any

from chat.database import web
from chat.models import Generation
from tests.reader import Page
from tests.served import Site
from tests.tabs import Tab, Tabs
from tests.waiting import until
from tests.worker_process import WorkerProcess

TEXT = "A restart is a short pause for a reader, and nothing else: no gap, nothing twice. " * 2


@dataclass
class Rolling:
    """What readers saw. `resumed` and `pause` in seconds: from the moment that all processes are
    up again to the next text, and the longest time without any."""

    rounds: int
    replies: int = 0
    lost: int = 0
    taken_back: int = 0
    codes: list[int] = field(default_factory=list)
    exits: list[int] = field(default_factory=list)
    slowest_exit: float = 0.0
    resumed: float = 0.0
    pause: float = 0.0

    def __str__(self) -> str:
        return (
            f"R16 rolling restart of pages and {len(self.exits) // self.rounds - 1} workers, "
            f"{self.rounds} rounds: {self.replies} replies, characters lost {self.lost}, "
            f"taken back {self.taken_back}, closed with {sorted(set(self.codes))}, "
            f"slowest exit {self.slowest_exit:.1f} s, resumed within {self.resumed:.1f} s, "
            f"longest pause {self.pause:.1f} s"
        )


async def rolling(
    pages: Site, workers: list[WorkerProcess], tabs: Tabs, users: list[Any], rounds: int
) -> Rolling:
    """Everybody talks without end while all processes are restarted `rounds` times."""
    result, ending = Rolling(rounds), asyncio.Event()
    open_tabs = [await tabs.of(pages.port, user) for user in users]
    talks = [
        asyncio.create_task(_talk(tab, ending, result), name=f"talk {number}")
        for number, tab in enumerate(open_tabs)
    ]
    watch = asyncio.create_task(_watch(open_tabs, result), name="watch")
    for _ in range(rounds):
        await _text_everywhere(open_tabs)
        await _timed(pages.stop(), result)
        await pages.start()
        await _resume(open_tabs, result)
        for process in workers:
            process.signal(signal.SIGTERM)
            await _timed(process.ended(), result)
            await process.start()
            await _resume(open_tabs, result)
    ending.set()
    await asyncio.gather(*talks)
    watch.cancel()
    await asyncio.wait([watch])
    result.codes = [code for tab in open_tabs for code in tab.closed]
    result.taken_back = sum(bool(tab.page.taken_back) for tab in open_tabs)
    return result


async def _talk(tab: Tab, ending: asyncio.Event, result: Rolling) -> None:
    """One reply after the other; each must be exactly what was to be said."""
    while not ending.is_set():
        turn = await tab.final(await tab.say(TEXT), 90)
        result.replies += 1
        result.lost += len(TEXT.strip()) - len(turn.text.strip())
        assert turn.text.strip() == TEXT.strip()


async def _watch(open_tabs: list[Tab], result: Rolling) -> None:
    """Measure the longest time in which any of the tabs saw no new text."""
    seen = {tab: (0, time.monotonic()) for tab in open_tabs}
    while True:
        await asyncio.sleep(0.05)
        for tab in open_tabs:
            length, since = seen[tab]
            if (now := shown(tab.page)) != length:
                result.pause = max(result.pause, time.monotonic() - since)
                seen[tab] = (now, time.monotonic())


def shown(page: Page) -> int:
    """Characters of all replies that this page shows."""
    return sum(turn.end for turn in page.turns.values())


async def _text_everywhere(open_tabs: list[Tab]) -> None:
    before = {tab: shown(tab.page) for tab in open_tabs}
    for tab in open_tabs:
        await until(lambda t=tab: shown(t.page) > before[t], "there is text in every tab", 60)


async def _resume(open_tabs: list[Tab], result: Rolling) -> None:
    up = time.monotonic()
    await _text_everywhere(open_tabs)
    result.resumed = max(result.resumed, time.monotonic() - up)


async def _timed(end: Any, result: Rolling) -> None:
    began = time.monotonic()
    result.exits.append(await end)
    result.slowest_exit = max(result.slowest_exit, time.monotonic() - began)


async def holder_of(generation: int) -> str:
    """The name of the worker that runs it."""
    rows = Generation.objects.filter(pk=generation)
    return await web(rows.values_list("worker__name", flat=True).get) or ""
