"""Clients that do not read, or that write too much: the others do not notice, memory stays flat."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import pytest

from chat.database import web
from tests.cast import person
from tests.faults import r17
from tests.served import Site
from tests.sizes import FULL, size
from tests.tabs import make_session
from tests.waiting import until

MakeSite = Callable[..., Site]


@pytest.mark.timeout(size(120, 400))
async def test_r17_slow_readers_hurt_nobody(site: MakeSite, figure: Callable[[str], None]) -> None:
    count, seconds = size(8, 50), size(5, 20)
    served = site()
    await served.start()
    slow = [await web(person, f"slow-{n}") for n in range(count)]
    normal = [await web(person, f"normal-{n}") for n in range(count)]
    sessions = [await web(make_session, user) for user in slow + normal]
    conversations = [await web(r17.long_conversation, user) for user in slow]

    async def measure() -> float:
        trips = (r17.round_trips(served.port, one, seconds) for one in sessions[count:])
        return r17.p99([took for group in await asyncio.gather(*trips) for took in group])

    await measure()  # everything is imported and warm
    before = await measure()
    async with r17.Memory(served.pid) as memory:
        pairs = zip(sessions[:count], conversations, strict=True)
        began = time.monotonic()
        clients = await asyncio.gather(*(r17.slow_client(served.port, *pair) for pair in pairs))
        beside = await measure()
        each, closed = memory.grown / count, ""
        if FULL:
            await until(lambda: r17.connections(served.pid, served.port) == 0, "all closed", 90, 1)
            closed = f", all closed after {time.monotonic() - began:.0f} s"
    for client in clients:
        client.transport.abort()
    figure(
        f"R17 {count} clients never read: {each:.2f} MiB each, others' p99 {before * 1e3:.0f} ms "
        f"before and {beside * 1e3:.0f} ms beside them{closed}"
    )
    assert each < 2.5, "three times the conversation would be 3 MiB and more"
    assert beside < max(5 * before, 1), "the others go on"


async def test_r18_a_flood_is_bounded_and_closed(
    site: MakeSite, figure: Callable[[str], None]
) -> None:
    served = site(CHATSITE_FRAMES_PER_MINUTE="240")
    await served.start()
    flooder, other = await web(person, "flooder"), await web(person, "other")
    session = await web(make_session, other)
    await r17.round_trips(served.port, session, 1)
    async with r17.Memory(served.pid) as memory:
        beside = asyncio.create_task(
            r17.round_trips(served.port, session, size(3, 10)), name="beside"
        )
        count = size(2_000, 10_000)
        sent, code = await r17.flood(served.port, await web(make_session, flooder), count)
        trips = await beside
    figure(
        f"R18 flood of {count} frames of 60 kB: {sent} went out, closed with {code}, "
        f"RSS +{memory.grown:.1f} MB, others' p99 {r17.p99(trips) * 1e3:.0f} ms"
    )
    assert code == 4004 and memory.grown < 40
