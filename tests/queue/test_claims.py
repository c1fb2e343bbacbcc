"""A claim: at most the limit, only by the living worker of a name, and fenced by its attempt."""

from __future__ import annotations

import pytest

from chat import conversations, generation_queue
from chat.claims import Growth
from chat.database import web
from chat.models import Generation, Queue, State, Worker
from tests.acts import Bench, claim_of, fresh, say
from tests.cast import Cast, person


async def crowd(size: int) -> list[Generation]:
    """Messages of as many people."""
    return [await say(await web(person, f"p{number}"), f"p{number}") for number in range(size)]


async def test_a_claim_takes_no_more_than_the_limit_over_all_workers(bench: Bench) -> None:
    await bench.set(limit=3)
    await crowd(5)
    one, other = await bench.worker("w1"), await bench.worker("w2")
    assert len(await bench.claim(one, 2)) == 2
    assert len(await bench.claim(other, 8)) == 1
    assert await bench.claim(one) == []


async def test_a_claim_takes_no_more_than_the_free_slots(bench: Bench) -> None:
    await crowd(3)
    assert len(await bench.claim(await bench.worker(), 2)) == 2


async def test_a_claim_makes_the_row_running_and_counts_the_attempt(bench: Bench) -> None:
    await crowd(1)
    worker = await bench.worker()
    (row,) = await bench.claim(worker)
    stored = await fresh(row)
    assert (stored.state, stored.attempt, stored.worker_id) == (State.RUNNING, 1, worker.pk)
    assert row.attempt == 1 and stored.claimed_at is not None


async def test_a_paused_queue_gives_nothing_and_goes_on_when_resumed(bench: Bench) -> None:
    await crowd(1)
    worker = await bench.worker()
    await bench.set(paused=True)
    assert await bench.claim(worker) == []
    await bench.set(paused=False)
    assert len(await bench.claim(worker)) == 1


async def test_a_lowered_limit_lets_running_ones_finish_and_starts_none(bench: Bench) -> None:
    await bench.set(limit=4)
    await crowd(6)
    worker = await bench.worker()
    running = await bench.claim(worker)
    await bench.set(limit=2)
    for row in running[:2]:
        assert await bench.claim(worker) == []
        assert await bench.finish(row)
    assert await bench.claim(worker) == []
    await bench.finish(running[2])
    assert len(await bench.claim(worker)) == 1


async def test_a_process_whose_name_was_taken_over_claims_nothing(bench: Bench) -> None:
    await crowd(1)
    old = await bench.worker()
    new = await web(Worker.objects.get, pk=old.pk)
    assert await bench.rescue(new) == 0  # another process starts under this name
    assert await bench.claim(old) == []
    await web(new.refresh_from_db)
    assert len(await bench.claim(new)) == 1


async def test_an_append_stores_text_ids_and_the_first_token_s_time(bench: Bench) -> None:
    await crowd(1)
    (row,) = await bench.claim(await bench.worker())
    assert await bench.append(row, "日本")
    assert await bench.append(row, "語 😀")
    stored = await fresh(row)
    assert (stored.reply, stored.reply_end, stored.token_count) == ("日本語 😀", 5, 5)
    assert [int(token) for token in stored.reply_ids.split()] == list(map(ord, "日本語 😀"))
    assert stored.first_token_at is not None


async def test_an_append_with_another_expected_end_writes_nothing(bench: Bench) -> None:
    await crowd(1)
    (row,) = await bench.claim(await bench.worker())
    await bench.append(row, "abc")
    for wrong in (0, 2, 4):
        assert not await bench.append(row, "x", expected=wrong)
    assert (await fresh(row)).reply == "abc"


async def test_a_reply_of_which_a_flush_was_lost_is_written_whole(bench: Bench) -> None:
    await crowd(1)
    (row,) = await bench.claim(await bench.worker())
    await bench.append(row, "abc")
    whole = Growth(claim_of(row), 3, "abcdef", tuple(map(ord, "abcdef")), 2, whole=True)
    assert await bench.write(row, growth=whole)
    stored = await fresh(row)
    assert (stored.reply, stored.reply_end, stored.token_count) == ("abcdef", 6, 6)
    assert len(stored.reply_ids.split()) == 6 and stored.reasoning_end == 2


@pytest.mark.parametrize("loss", ["cancelled", "released", "rescued", "done", "deleted"])
async def test_a_lost_claim_writes_nothing_any_more(bench: Bench, cast: Cast, loss: str) -> None:
    row = await say(cast.alice)
    worker = await bench.worker()
    (row,) = await bench.claim(worker)
    await bench.append(row, "kept")
    if loss == "cancelled":
        await generation_queue.cancel(row.pk, cast.alice.pk)
    elif loss == "released":
        await bench.release(row)
    elif loss == "rescued":
        assert await bench.rescue(worker) == 1
    elif loss == "done":
        await bench.finish(row)
    else:
        await conversations.delete(row.conversation_id, cast.alice.pk)
    before = await web(list, Generation.objects.values())
    assert not await bench.append(row, "zombie", expected=4)
    assert not await bench.finish(row)
    assert not await bench.fail(row)
    assert await bench.strike(row) == ""
    await bench.release(row)
    assert await web(list, Generation.objects.values()) == before


async def test_an_old_attempt_writes_nothing_into_a_new_one(bench: Bench) -> None:
    await crowd(1)
    worker = await bench.worker()
    (old,) = await bench.claim(worker)
    await bench.append(old, "ab")
    await bench.release(old)
    (new,) = await bench.claim(worker)
    assert (new.pk, new.attempt, new.reply) == (old.pk, 2, "ab")
    assert not await bench.append(old, "c", expected=2)
    assert await bench.append(new, "C")
    assert (await fresh(new)).reply == "abC"


async def test_one_lost_claim_in_a_flush_does_not_hold_up_the_others(
    bench: Bench, cast: Cast
) -> None:
    rows = [await say(user) for user in (cast.alice, cast.bob)]
    rows = await bench.claim(await bench.worker())
    await generation_queue.cancel(rows[0].pk, rows[0].author_id)
    growths = [Growth(claim_of(row), 0, "x", (120,), 0) for row in rows]
    batches = [
        generation_queue.Batch(row, None, growth, None, 0, "x", 0, staged=True)
        for row, growth in zip(rows, growths, strict=True)
    ]
    assert await generation_queue.write(batches, bench.db) == [False, True]
    assert [(await fresh(row)).reply for row in rows] == ["", "x"]


async def test_a_released_one_keeps_its_place_before_later_ones(bench: Bench) -> None:
    await bench.set(limit=1)
    await crowd(3)
    worker = await bench.worker()
    (first,) = await bench.claim(worker)
    await bench.append(first, "half")
    await bench.release(first)
    stored = await fresh(first)
    assert (stored.state, stored.worker_id, stored.reply) == (State.WAITING, None, "half")
    (again,) = await bench.claim(worker)
    assert (again.pk, again.strikes) == (first.pk, 0)


async def test_three_releases_are_no_strikes(bench: Bench) -> None:
    await crowd(1)
    worker = await bench.worker()
    for _ in range(5):
        (row,) = await bench.claim(worker)
        await bench.release(row)
    assert (await fresh(row)).strikes == 0


async def test_the_third_strike_fails_with_a_reason(bench: Bench) -> None:
    await crowd(1)
    (row,) = await bench.claim(await bench.worker())
    assert [await bench.strike(row) for _ in range(3)] == ["running", "running", "failed"]
    stored = await fresh(row)
    assert (stored.state, stored.reason, stored.strikes) == (State.FAILED, "engine_died", 3)
    assert stored.ended_at is not None and stored.worker_id is None


async def test_a_stored_token_takes_the_strikes_away(bench: Bench) -> None:
    await crowd(1)
    (row,) = await bench.claim(await bench.worker())
    for letter in "abcd":
        assert await bench.strike(row) == "running"
        assert await bench.strike(row) == "running"
        assert await bench.append(row, letter)
        assert (await fresh(row)).strikes == 0
        assert await bench.strike(row) == "running"
        assert (await fresh(row)).strikes == 0, "it grew since the last death"


async def test_strikes_follow_a_generation_to_other_workers(bench: Bench) -> None:
    await crowd(1)
    for name in ("w1", "w2", "w3"):
        worker = await bench.worker(name)
        assert len(await bench.claim(worker)) == 1
        assert await bench.rescue(worker) == 1
    stored = await web(Generation.objects.get)
    assert (stored.state, stored.reason) == (State.FAILED, "engine_died")


async def test_a_rescue_gives_back_everything_of_the_dead_worker_only(bench: Bench) -> None:
    await bench.set(limit=4)
    await crowd(4)
    dead, living = await bench.worker("dead"), await bench.worker("living")
    mine, theirs = await bench.claim(dead, 2), await bench.claim(living, 2)
    await bench.append(mine[0], "text")
    assert await bench.rescue(dead) == 2
    states = [(await fresh(row)).state for row in (*mine, *theirs)]
    assert states == [State.WAITING] * 2 + [State.RUNNING] * 2
    assert [(await fresh(row)).strikes for row in mine] == [0, 1]
    stopped = await web(Worker.objects.get, pk=dead.pk)
    assert (stopped.state, stopped.slots) == (Worker.State.STOPPED, 0)


async def test_nobody_whose_heart_moved_meanwhile_is_rescued(bench: Bench) -> None:
    await crowd(1)
    worker = await bench.worker()
    (row,) = await bench.claim(worker)
    await web(Worker.objects.filter(pk=worker.pk).update, heartbeat=worker.heartbeat + 1)
    assert await bench.rescue(worker) == 0
    assert (await fresh(row)).state == State.RUNNING
    assert await bench.append(row, "still mine")


async def test_stopping_keeps_the_partial_reply(bench: Bench, cast: Cast) -> None:
    await say(cast.alice)
    (row,) = await bench.claim(await bench.worker())
    await bench.append(row, "half a sen")
    assert await generation_queue.cancel(row.pk, cast.alice.pk)
    stored = await fresh(row)
    assert (stored.state, stored.reason, stored.reply) == (
        State.CANCELLED,
        "stopped",
        "half a sen",
    )


async def test_the_turn_that_is_served_never_goes_back(bench: Bench, cast: Cast) -> None:
    for _ in range(3):
        await say(cast.alice)
    worker = await bench.worker()
    for expected in (0, 1, 2):
        (row,) = await bench.claim(worker)
        assert (await web(Queue.objects.get)).turn_served == expected
        if expected < 2:
            await bench.finish(row)
    await bench.release(row)
    await bench.claim(worker)
    assert (await web(Queue.objects.get)).turn_served == 2
