"""The in-memory layer: at most once, in order, and it forgets who left."""

from __future__ import annotations

from chat.layer import InMemoryLayer


async def test_every_member_of_a_group_gets_each_message_in_order() -> None:
    layer = InMemoryLayer()
    channels = [await layer.new_channel() for _ in range(3)]
    for channel in channels:
        await layer.group_add("c.1", channel)
    for number in range(5):
        await layer.group_send("c.1", {"type": "x", "number": number})
    for channel in channels:
        got = [(await layer.receive(channel))["number"] for _ in range(5)]
        assert got == list(range(5))


async def test_who_left_gets_nothing_and_leaves_nothing_behind() -> None:
    layer = InMemoryLayer()
    channel = await layer.new_channel()
    await layer.group_add("c.1", channel)
    await layer.group_discard("c.1", channel)
    await layer.group_send("c.1", {"type": "x"})
    assert not layer.groups
    assert not layer.channels


async def test_a_full_channel_loses_the_newest_and_harms_nobody() -> None:
    layer = InMemoryLayer(capacity=2)
    slow, quick = await layer.new_channel(), await layer.new_channel()
    await layer.group_add("c.1", slow)
    for number in range(3):
        await layer.group_send("c.1", {"type": "x", "number": number})
    await layer.group_add("c.1", quick)
    await layer.group_send("c.1", {"type": "x", "number": 3})
    assert (await layer.receive(quick))["number"] == 3
    assert [(await layer.receive(slow))["number"] for _ in range(2)] == [0, 1]
