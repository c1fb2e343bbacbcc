"""What operators change is stored at once, refused when it makes no sense, and on record."""

from __future__ import annotations

from typing import Any

import pytest

from chat import operators
from chat.admission import QueueRefusal
from chat.database import web
from chat.models import Generation, Queue, QueueChange, State
from chat.operators import Actor
from tests.acts import Bench, fresh, say
from tests.cast import Cast


async def trail() -> list[QueueChange]:
    return await web(list, QueueChange.objects.order_by("id"))


async def test_a_change_is_stored_and_recorded_with_before_and_after(
    bench: Bench, cast: Cast
) -> None:
    row = await bench.configure(cast.operator, limit=7, paused=True)
    assert (row.limit, row.paused) == (7, True)
    (change,) = await trail()
    assert (change.actor_id, change.actor_name) == (cast.operator.pk, "operator")
    assert change.before == {"limit": bench.queue.limit, "paused": False}
    assert change.after == {"limit": 7, "paused": True}
    assert (change.act, change.source) == ("configure", "page")


async def test_a_change_to_what_already_is_leaves_no_trail(bench: Bench, cast: Cast) -> None:
    await bench.configure(cast.operator, limit=bench.queue.limit)
    assert await trail() == []


@pytest.mark.parametrize(
    "change",
    [
        {"limit": 0},
        {"limit": -1},
        {"limit": 10**6},
        {"limit": "x"},
        {"limit": 2.5},
        {"limit": None},
        {"limit": True},
        {"size": 0},
        {"running_per_user": 0},
        {"waiting_per_user": -5},
        {"paused": 1},
        {"paused": "yes"},
        {"name": "mine"},
        {"turn_served": 5},
        {"limit": 5, "size": 0},
    ],
    ids=str,
)
async def test_a_value_that_makes_no_sense_changes_nothing(
    bench: Bench, cast: Cast, change: dict[str, Any]
) -> None:
    with pytest.raises(QueueRefusal, match="bad_value"):
        await bench.configure(cast.operator, **change)
    stored = await web(Queue.objects.get)
    assert (stored.limit, stored.size, stored.paused) == (
        bench.queue.limit,
        bench.queue.size,
        False,
    )
    assert await trail() == []


async def test_of_two_operators_at_once_the_second_hears_of_the_first(
    bench: Bench, cast: Cast
) -> None:
    actor, seen = Actor(cast.operator), {"limit": bench.queue.limit}
    await operators.configure(bench.queue.pk, actor, expected=seen, limit=9)
    with pytest.raises(QueueRefusal) as refusal:
        await operators.configure(bench.queue.pk, actor, expected=seen, limit=2)
    assert (refusal.value.code, refusal.value.detail["now"]) == ("changed", 9)
    assert (await web(Queue.objects.get)).limit == 9
    assert len(await trail()) == 1


async def test_an_unknown_queue_is_not_found(bench: Bench, cast: Cast) -> None:
    with pytest.raises(QueueRefusal, match="not_found"):
        await operators.configure(4711, Actor(cast.operator), limit=2)


async def test_stopping_somebody_s_message_is_on_record(bench: Bench, cast: Cast) -> None:
    row = await say(cast.alice, "secret words")
    assert await operators.cancel_for(row.pk, Actor(cast.operator))
    assert not await operators.cancel_for(row.pk, Actor(cast.operator)), "it had ended"
    stored = await fresh(row)
    assert (stored.state, stored.reason) == (State.CANCELLED, "stopped_by_operator")
    (change,) = await trail()
    assert (change.act, change.subject) == ("cancel", f"alice #{row.pk}")
    assert "secret" not in f"{change.before}{change.after}{change.subject}"


async def test_a_recorded_change_cannot_be_changed(bench: Bench, cast: Cast) -> None:
    await bench.configure(cast.operator, limit=7)
    (change,) = await trail()
    change.actor_name = "somebody else"
    with pytest.raises(TypeError):
        await web(change.save)


async def test_the_trail_outlives_the_operator(bench: Bench, cast: Cast) -> None:
    await bench.configure(cast.operator, limit=7)
    await web(cast.operator.delete)
    (change,) = await trail()
    assert (change.actor_id, change.actor_name) == (None, "operator")


async def test_stopping_an_unknown_generation_is_not_found(bench: Bench, cast: Cast) -> None:
    with pytest.raises(QueueRefusal, match="not_found"):
        await operators.cancel_for(4711, Actor(cast.operator))
    assert await web(Generation.objects.count) == 0
