"""Both channel layers: at most once, in order, and they forget who left."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from chat.layer import InMemoryLayer
from chat.redis_layer import CAPACITY, RedisLayer
from tests.redis_server import RedisServer, redis_server
from tests.waiting import until

__all__ = ["redis_server"]


@pytest_asyncio.fixture(params=["memory", "redis"])
async def layer(request: pytest.FixtureRequest) -> AsyncIterator[Any]:
    """A layer of each kind."""
    if request.param == "memory":
        yield InMemoryLayer(capacity=CAPACITY)
        return
    server: RedisServer = request.getfixturevalue("redis_server")
    layer = RedisLayer(hosts=[{"address": server.url, "socket_timeout": None}])
    yield layer
    await layer.flush()
    await until(lambda: server.clients() == 0, "all connections are closed")


async def joined(layer: Any, *groups: str) -> str:
    """A new channel in these groups, that the layer surely delivers to."""
    channel: str = await layer.new_channel()
    for group in groups:
        await layer.group_add(group, channel)
    return channel


async def heard(layer: Any, channel: str) -> dict[str, Any]:
    message: dict[str, Any] = await layer.receive(channel)
    return message


async def test_every_member_of_a_group_gets_each_message_in_order(layer: Any) -> None:
    channels = [await joined(layer, "c.1") for _ in range(3)]
    for number in range(5):
        await layer.group_send("c.1", {"type": "x", "number": number})
    for channel in channels:
        got = [(await heard(layer, channel))["number"] for _ in range(5)]
        assert got == list(range(5))


async def test_messages_for_several_groups_go_out_together_and_in_order(layer: Any) -> None:
    one, both = await joined(layer, "c.1"), await joined(layer, "c.1", "c.2")
    sent = [(f"c.{number % 2 + 1}", {"type": "x", "number": number}) for number in range(6)]
    await layer.group_send_all(sent)
    assert [(await heard(layer, both))["number"] for _ in range(6)] == list(range(6))
    assert [(await heard(layer, one))["number"] for _ in range(3)] == [0, 2, 4]


async def test_who_left_gets_nothing_and_leaves_nothing_behind(layer: Any) -> None:
    channel, other = await joined(layer, "c.1"), await joined(layer, "c.2")
    await layer.group_discard("c.1", channel)
    await layer.group_send("c.1", {"type": "x"})
    await layer.group_send("c.1", {"type": "y"})
    await layer.group_add("c.2", channel)
    await layer.group_send("c.2", {"type": "z"})
    assert (await heard(layer, other))["type"] == "z"
    assert (await heard(layer, channel))["type"] == "z", "the first that it gets"


async def test_a_full_channel_loses_the_newest_and_harms_nobody(layer: Any) -> None:
    slow = await joined(layer, "c.1")
    for number in range(CAPACITY + 1):
        await layer.group_send("c.1", {"type": "x", "number": number})
    quick = await joined(layer, "c.1")
    await layer.group_send("c.1", {"type": "x", "number": "last"})
    assert (await heard(layer, quick))["number"] == "last"
    assert [(await heard(layer, slow))["number"] for _ in range(CAPACITY)] == list(range(CAPACITY))


async def test_the_memory_layer_keeps_nothing_of_a_group_that_all_have_left() -> None:
    layer = InMemoryLayer()
    channel = await joined(layer, "c.1")
    await layer.group_discard("c.1", channel)
    await layer.group_send("c.1", {"type": "x"})
    assert not layer.groups
    assert not layer.channels
