"""Pages under any ASGI server, and workers beside them: one site of several processes."""

from __future__ import annotations

import asyncio
import re
import signal
import time
import urllib.request
from collections.abc import Callable

import pytest

from tests.cast import Cast
from tests.faults import r9, r16
from tests.faults.conftest import MakeWorker
from tests.served import Site
from tests.sizes import size
from tests.tabs import Tabs
from tests.waiting import until

MakeSite = Callable[..., Site]
CLOSED = {"pages": 1012, "uvicorn": 1012, "daphne": 1006}
"""How a socket learns that its server ends. Daphne by itself says nothing."""


def read(url: str) -> tuple[str, str]:
    """The type and the text of what is at `url`."""
    with urllib.request.urlopen(url, timeout=10) as answer:
        return answer.headers["Content-Type"], answer.read().decode()


@pytest.mark.timeout(180)
@pytest.mark.parametrize("server", ["pages", "daphne", "uvicorn"])
async def test_pages_under_any_server_survive_its_restart_in_mid_reply(
    site: MakeSite,
    worker: MakeWorker,
    redis_url: str,
    cast: Cast,
    tabs: Tabs,
    figure: Callable[[str], None],
    server: str,
) -> None:
    served = site(server=server, REDIS_URL=redis_url)
    await asyncio.gather(served.start(), worker("one", CHATSITE_ECHO_DELAY="0.05").start())
    _, page = await asyncio.to_thread(read, f"http://127.0.0.1:{served.port}/login")
    (sheet,) = re.findall(r'href="(/static/chat/chat\.\w+\.css)"', page)
    kind, _ = await asyncio.to_thread(read, f"http://127.0.0.1:{served.port}{sheet}")
    assert kind.startswith("text/css"), "static files are given out, under hashed names"

    tab = await tabs.of(served.port, cast.alice)
    pk = await tab.say(r9.TEXT)
    await until(lambda: pk in tab.page.turns and tab.page.turns[pk].end > 20, "it grows")
    began = time.monotonic()
    await served.stop()
    took = time.monotonic() - began
    seen = tab.page.turns[pk].text
    await served.start()
    turn = await tab.final(pk, 40)
    assert turn.text.startswith(seen) and turn.text.strip() == r9.TEXT.strip()
    assert tab.closed[:1] == [CLOSED[server]] and not tab.page.taken_back
    figure(f"R16 {server}: sigterm in mid-reply, closed with {tab.closed[0]}, gone in {took:.1f} s")
    assert took < 20


@pytest.mark.timeout(size(300, 3_000))
async def test_r16_a_rolling_restart_under_load_loses_nothing(
    site: MakeSite,
    worker: MakeWorker,
    redis_url: str,
    cast: Cast,
    tabs: Tabs,
    figure: Callable[[str], None],
) -> None:
    pages = site(server="pages", REDIS_URL=redis_url)
    workers = [worker(name, CHATSITE_ECHO_DELAY="0.03") for name in ("one", "two")]
    await asyncio.gather(pages.start(), *(process.start() for process in workers))
    result = await r16.rolling(
        pages, workers, tabs, [cast.alice, cast.bob, cast.charlie], size(2, 20)
    )
    figure(str(result))
    assert (result.lost, result.taken_back, set(result.codes)) == (0, 0, {1012})
    assert set(result.exits) == {0} and result.resumed < 5


@pytest.mark.timeout(size(180, 1_800))
async def test_r9_a_killed_worker_s_reply_goes_on_while_its_reader_looks_on(
    site: MakeSite,
    worker: MakeWorker,
    redis_url: str,
    cast: Cast,
    tabs: Tabs,
    figure: Callable[[str], None],
) -> None:
    pages = site(server="pages", REDIS_URL=redis_url)
    workers = {name: worker(name, "--slots=1", CHATSITE_ECHO_DELAY="0.05") for name in "ab"}
    await asyncio.gather(pages.start(), *(process.start() for process in workers.values()))
    tab = await tabs.of(pages.port, cast.alice)
    count, gaps = size(2, 20), []
    for _ in range(count):
        pk = await tab.say(r9.TEXT)
        await until(lambda p=pk: p in tab.page.turns and tab.page.turns[p].end > 10, "it grows")
        holder = workers[await r16.holder_of(pk)]
        seen, killed = tab.page.turns[pk].end, time.monotonic()
        holder.signal(signal.SIGKILL)
        await until(lambda p=pk, s=seen: tab.page.turns[p].end > s + 3, "it goes on", 20)
        gaps.append(time.monotonic() - killed)
        await holder.ended()
        restarted = asyncio.create_task(holder.start(), name="restart")
        turn = await tab.final(pk, 60)
        await restarted
        assert turn.text.strip() == r9.TEXT.strip()
    figure(f"R9 {count} killed workers: longest pause for the reader {max(gaps):.1f} s, lost 0")
    assert max(gaps) < 15 and not tab.page.taken_back
