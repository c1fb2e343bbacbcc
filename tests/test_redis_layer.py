"""The Redis layer when Redis dies, hangs and comes back: it stalls nobody, and comes back, too."""

from __future__ import annotations

import asyncio
import logging
import signal
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from channels.layers import channel_layers
from redis.asyncio.client import PubSub

from chat import events, redis_layer
from chat.events import Breaker
from chat.redis_layer import RedisLayer
from tests.redis_server import RedisServer, redis_server
from tests.waiting import until

__all__ = ["redis_server"]


@pytest_asyncio.fixture
async def layer(redis_server: RedisServer, settings: Any) -> AsyncIterator[RedisLayer]:
    """The site's layer, over a Redis of this test's own."""
    config = {"hosts": [{"address": redis_server.url, "socket_timeout": None}]}
    backend = {"BACKEND": "chat.redis_layer.RedisLayer", "CONFIG": config}
    settings.CHANNEL_LAYERS = {"default": backend}
    channel_layers.backends.clear()
    layer = events.get_channel_layer()
    yield layer
    await layer.flush()


@pytest.fixture(autouse=True)
def breaker(monkeypatch: pytest.MonkeyPatch) -> Breaker:
    made = Breaker()
    monkeypatch.setattr(events, "breaker", made)
    return made


class Ear:
    """Counts what one channel hears of a group."""

    def __init__(self, layer: RedisLayer) -> None:
        self.heard: list[Any] = []
        self._layer = layer

    async def __aenter__(self) -> Ear:
        self.channel = await self._layer.new_channel()
        await self._layer.group_add("c.1", self.channel)
        self._task = asyncio.create_task(self._listen(), name="ear")
        return self

    async def __aexit__(self, *exception: object) -> None:
        self._task.cancel()
        await asyncio.wait([self._task])
        await self._layer.group_discard("c.1", self.channel)

    async def _listen(self) -> None:
        while True:
            self.heard.append((await self._layer.receive(self.channel))["number"])

    async def hears(self, seconds: float) -> None:
        """Publish until one arrives."""

        async def tried() -> bool:
            before = len(self.heard)
            await events.publish("c.1", {"type": "x", "number": "probe"})
            await asyncio.sleep(0.05)
            return len(self.heard) > before

        await until(tried, "an event arrives", seconds)


async def test_a_redis_that_is_killed_and_comes_back_is_listened_to_again(
    layer: RedisLayer, redis_server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    async with Ear(layer) as ear:
        await ear.hears(5)
        redis_server.kill()
        began = time.monotonic()
        for number in range(50):
            await events.publish("c.1", {"type": "x", "number": number})
        assert time.monotonic() - began < 5, "nobody waits for what is away"
        await until(events.is_away, "it is known to be away")
        late = await asyncio.wait_for(layer.new_channel(), 1)
        await asyncio.wait_for(layer.group_add("c.1", late), 1)
        redis_server.start()
        await ear.hears(10)
        assert not events.is_away() and layer.returns == 1
        assert (await asyncio.wait_for(layer.receive(late), 5))["number"] == "probe"
    warned = [record.message for record in caplog.records if record.levelno == logging.WARNING]
    assert sum("events are lost" in line for line in warned) <= 2, "said once, not 50 times"


async def test_a_connection_that_cannot_even_be_closed_does_not_end_the_listening(
    layer: RedisLayer, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails(pubsub: PubSub) -> None:
        raise KeyError("the pool does not know this connection")

    async with Ear(layer) as ear:
        await ear.hears(5)
        with monkeypatch.context() as meanwhile:
            meanwhile.setattr(PubSub, "aclose", fails)
            redis_server.kill()
            await until(events.is_away, "it is known to be away")
            redis_server.start()
            await ear.hears(10)


async def test_a_redis_that_hangs_stalls_no_flush_and_no_socket(
    layer: RedisLayer, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_layer, "QUIET_SECONDS", 0.5)
    monkeypatch.setattr(redis_layer, "ANSWER_SECONDS", 0.5)
    async with Ear(layer) as ear:
        await ear.hears(5)
        redis_server.signal(signal.SIGSTOP)
        began = time.monotonic()
        for number in range(100):
            await events.publish("c.1", {"type": "x", "number": number})
        took = time.monotonic() - began
        assert took < 3 * events.PUBLISH_SECONDS, "one publish waits, the others are dropped"
        channel = await asyncio.wait_for(layer.new_channel(), 2)
        await asyncio.wait_for(layer.group_add("c.2", channel), 2)
        await asyncio.wait_for(layer.group_discard("c.2", channel), 2)
        await asyncio.sleep(1.5)  # long enough for the listener to notice, on its own clock
        redis_server.signal(signal.SIGCONT)
        await ear.hears(10)


async def test_events_are_dropped_for_a_while_and_then_one_tries_again(
    breaker: Breaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert breaker.lets_through()
    breaker.failed(OSError("gone"))
    assert not breaker.lets_through()
    monkeypatch.setattr(events.time, "monotonic", lambda: clock)
    clock = time.perf_counter() + 1e9
    assert breaker.lets_through() and not breaker.lets_through(), "one tries for all"
    breaker.worked()
    assert breaker.lets_through() and breaker.since is None


async def test_nothing_is_left_open_after_hanging_up(
    layer: RedisLayer, redis_server: RedisServer
) -> None:
    async with Ear(layer) as ear:
        await ear.hears(5)
    await events.hang_up()
    await until(lambda: redis_server.clients() == 0, "all connections are closed")
    assert not [task for task in asyncio.all_tasks() if task.get_name() == "redis listener"]
