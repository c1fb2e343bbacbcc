"""The fair order: first come, first served, but in turns between people; and who is eligible."""

from __future__ import annotations

import pytest

from chat import generation_queue
from chat.admission import QueueRefusal
from chat.database import web
from chat.models import Generation, State
from tests.acts import Bench, fresh, say
from tests.cast import Cast, guest


async def order(bench: Bench) -> list[str]:
    """Claim and finish one by one; the prompts in the order in which they ran."""
    worker = await bench.worker("order")
    prompts = []
    while rows := await bench.claim(worker, 1):
        prompts.append(rows[0].prompt)
        assert await bench.finish(rows[0])
    return prompts


async def test_different_people_are_served_as_they_came(cast: Cast, bench: Bench) -> None:
    for user in (cast.bob, cast.alice, cast.charlie):
        await say(user, user.username)
    assert await order(bench) == ["bob", "alice", "charlie"]


async def test_ones_tenth_message_never_goes_before_anothers_first(
    cast: Cast, bench: Bench
) -> None:
    await bench.set(waiting_per_user=20)
    for number in range(1, 11):
        await say(cast.alice, f"a{number}")
    await say(cast.bob, "b1")
    await say(cast.charlie, "c1")
    await say(cast.bob, "b2")
    expected = ["a1", "b1", "c1", "a2", "b2", *(f"a{number}" for number in range(3, 11))]
    assert await order(bench) == expected


async def test_who_comes_later_starts_at_the_turn_that_is_served_now(
    cast: Cast, bench: Bench
) -> None:
    await bench.set(waiting_per_user=20)
    for number in range(1, 6):
        await say(cast.alice, f"a{number}")
    worker = await bench.worker()
    for _ in range(3):
        (row,) = await bench.claim(worker, 1)
        await bench.finish(row)
    await say(cast.bob, "b1")
    await say(cast.bob, "b2")
    # Bob is not paid back for the turns at which he had nothing to say.
    assert await order(bench) == ["b1", "a4", "b2", "a5"]


async def test_a_stopped_message_gives_its_turn_back(cast: Cast, bench: Bench) -> None:
    await say(cast.alice, "a1")
    regretted = await say(cast.alice, "a2")
    await generation_queue.cancel(regretted.pk, cast.alice.pk)
    await say(cast.bob, "b1")
    await say(cast.alice, "a3")
    await say(cast.bob, "b2")
    assert await order(bench) == ["a1", "b1", "a3", "b2"]


async def test_guests_of_one_address_share_a_line(cast: Cast, bench: Bench) -> None:
    twin = await web(guest, "guest-2")
    stranger = await web(guest, "guest-3", "203.0.113.9")
    for user in (cast.guest, twin, twin, stranger, cast.alice):
        await say(user, user.username)
    assert await order(bench) == ["guest-1", "guest-3", "alice", "guest-2", "guest-2"]


async def test_a_higher_priority_goes_first(cast: Cast, bench: Bench) -> None:
    await say(cast.alice, "usual")
    urgent = await say(cast.bob, "urgent")
    await web(Generation.objects.filter(pk=urgent.pk).update, priority=1)
    assert await order(bench) == ["urgent", "usual"]


async def test_a_follow_up_waits_for_the_reply_it_answers(cast: Cast, bench: Bench) -> None:
    await bench.set(running_per_user=5)
    first = await say(cast.alice, "first")
    await say(cast.alice, "second", after=first)
    worker = await bench.worker()
    rows = await bench.claim(worker)
    assert [row.prompt for row in rows] == ["first"]
    assert await bench.claim(worker) == []
    await bench.finish(rows[0])
    assert [row.prompt for row in await bench.claim(worker)] == ["second"]


@pytest.mark.parametrize("end", ["failed", "stopped", "stopped while waiting", "struck out"])
async def test_follow_ups_of_a_reply_that_did_not_end_well_are_held(
    cast: Cast, bench: Bench, end: str
) -> None:
    first = await say(cast.alice, "first")
    second = await say(cast.alice, "second", after=first)
    third = await say(cast.alice, "third", after=second)
    elsewhere = await say(cast.alice, "elsewhere")
    if end != "stopped while waiting":
        (row,) = await bench.claim(await bench.worker())
    if end == "failed":
        assert await bench.fail(row)
    elif end == "struck out":
        assert [await bench.strike(row) for _ in range(3)][-1] == State.FAILED
    else:
        await generation_queue.cancel(first.pk, cast.alice.pk)
    for held in (second, third):
        held = await fresh(held)
        assert (held.state, held.reason) == (State.CANCELLED, "parent_ended")
    assert (await fresh(elsewhere)).state == State.WAITING


async def test_one_who_runs_as_many_as_allowed_lets_the_others_pass(
    cast: Cast, bench: Bench
) -> None:
    await say(cast.alice, "a1")
    await say(cast.alice, "a2")
    await say(cast.bob, "b1")
    worker = await bench.worker()
    rows = await bench.claim(worker)
    assert [row.prompt for row in rows] == ["a1", "b1"]
    await bench.finish(rows[0])
    assert [row.prompt for row in await bench.claim(worker)] == ["a2"]


async def test_only_the_author_stops_a_message(cast: Cast, bench: Bench) -> None:
    hers = await say(cast.alice)
    for user in (cast.bob, cast.guest, cast.operator):
        with pytest.raises(QueueRefusal, match="not_found"):
            await generation_queue.cancel(hers.pk, user.pk)
    assert (await fresh(hers)).state == State.WAITING
    assert await generation_queue.cancel(hers.pk, cast.alice.pk)
    assert not await generation_queue.cancel(hers.pk, cast.alice.pk), "it had ended"
