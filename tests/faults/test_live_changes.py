"""Stops and changes of the limit act on what runs, within a second."""

from __future__ import annotations

import time
from collections.abc import Callable

from chat import conversations, generation_queue
from chat.database import web
from chat.models import Generation, State
from tests.acts import Bench, fresh, say
from tests.cast import Cast, person
from tests.faults import r14
from tests.faults.conftest import Workers
from tests.listening import Listener
from tests.waiting import until


async def running() -> int:
    return await web(Generation.objects.running().count)


async def test_r14_a_hundred_stops_free_their_slots_within_a_second(
    bench: Bench, workers: Workers, figure: Callable[[str], None]
) -> None:
    await bench.set(limit=4)
    worker = await workers.start(step_delay=0.02)
    stops = await r14.stop_at_random(worker, 100, seed=14)
    figure(str(stops))
    assert stops.waiting >= 10 and stops.running >= 30
    assert max(stops.freed) < 1 and not stops.late_deltas and not stops.lost_text


async def test_stopping_twice_and_stopping_what_is_over_does_nothing(
    cast: Cast, bench: Bench, workers: Workers
) -> None:
    await workers.start(step_delay=0)
    row = await say(cast.alice, "short")
    await until(lambda: state_is(row, State.DONE), "it is done")
    assert not await generation_queue.cancel(row.pk, cast.alice.pk)
    assert (await fresh(row)).state == State.DONE


async def state_is(row: Generation, state: State) -> bool:
    return (await fresh(row)).state == state


async def test_a_stopped_reply_makes_room_for_the_next(
    cast: Cast, bench: Bench, workers: Workers
) -> None:
    await bench.set(limit=1)
    await workers.start(step_delay=0.02)
    first, second = await say(cast.alice, r14.LONG), await say(cast.bob, "next")
    await until(lambda: state_is(first, State.RUNNING), "the first runs")
    await generation_queue.cancel(first.pk, cast.alice.pk)
    stopped = time.monotonic()
    await until(lambda: state_is(second, State.DONE), "the second is answered", 3)
    assert time.monotonic() - stopped < 2


async def test_deleting_a_conversation_stops_its_reply(
    cast: Cast, bench: Bench, workers: Workers
) -> None:
    worker = await workers.start(step_delay=0.02)
    row = await say(cast.alice, r14.LONG)
    await until(lambda: r14.holds(worker, row.pk), "it runs")
    await conversations.delete(row.conversation_id, cast.alice.pk)
    await until(lambda: not worker.slots, "its slot is free", 1)
    left = await web(Generation.objects.get)
    assert (left.conversation_id, left.prompt, left.reply) == (None, "", ""), "not a word is left"
    assert left.ended


async def test_r13_the_limit_holds_live(
    cast: Cast, bench: Bench, workers: Workers, figure: Callable[[str], None]
) -> None:
    await bench.set(limit=8)
    people = [await web(person, f"p{number}") for number in range(40)]
    rows = [await say(user, f"{user.username} " * 30) for user in people]
    await workers.start(step_delay=0.01)
    await until(lambda: count_is(8), "eight run")

    await bench.configure(cast.operator, limit=2)
    before = {row.pk for row in await web(list, Generation.objects.running())}
    above = 0

    async def obeyed() -> bool:
        nonlocal above
        now = {row.pk for row in await web(list, Generation.objects.running())}
        above += len(now) > 2 and bool(now - before)
        return len(now) <= 2

    await until(obeyed, "the eight end and none starts", 20)
    await until(lambda: web(lambda: some_done(9)), "it goes on with two", 20)
    await obeyed()

    await bench.configure(cast.operator, limit=16)
    raised = time.monotonic()
    await until(lambda: count_is(16), "sixteen run", 5)
    took = time.monotonic() - raised
    await until(lambda: web(lambda: some_done(len(rows))), "all are answered", 30)
    figure(f"R13 limit 8 to 2 to 16: started above the limit {above}, 16 ran after {took:.2f} s")
    assert above == 0 and took < 1


async def count_is(count: int) -> bool:
    return await running() == count


def some_done(count: int) -> bool:
    return Generation.objects.filter(state=State.DONE).count() >= count


async def test_pausing_starts_none_and_lets_running_ones_finish(
    cast: Cast, bench: Bench, workers: Workers
) -> None:
    await workers.start(step_delay=0.02)
    first = await say(cast.alice, "a reply of some length")
    await until(lambda: state_is(first, State.RUNNING), "it runs")
    await bench.configure(cast.operator, paused=True)
    second = await say(cast.bob, "later")
    async with Listener() as listener:
        await listener.join(second)
        await until(lambda: state_is(first, State.DONE), "the running one finishes")
        assert (await fresh(second)).state == State.WAITING
        await bench.configure(cast.operator, paused=False)
        await until(lambda: state_is(second, State.DONE), "it goes on", 2)
        assert listener.text(second) == "later"
