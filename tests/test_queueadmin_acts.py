"""What operators do over the dashboard's socket: stored, recorded, told, or refused in words."""

from __future__ import annotations

from typing import Any

import pytest

from chat.database import web
from chat.models import Queue, QueueChange, State, Worker
from tests.acts import Bench, fresh, say
from tests.cast import Cast, person
from tests.dashboards import Dashboard


async def stored(bench: Bench) -> Queue:
    return await web(Queue.objects.get, pk=bench.queue.pk)


async def trail() -> list[QueueChange]:
    return await web(list, QueueChange.objects.order_by("id"))


async def test_a_changed_limit_is_stored_recorded_and_told_to_others(
    bench: Bench, cast: Cast
) -> None:
    async with Dashboard(cast.operator) as page, Dashboard(cast.watcher) as other:
        await other.until(bool)
        answer = await page.set("limit", 9)
        assert answer["type"] == "done"
        assert "9" in answer["words"]
        board = await other.until(lambda board: board["figures"]["limit"] == 9 and board["trail"])
    assert (await stored(bench)).limit == 9
    (change,) = await trail()
    assert (change.actor_id, change.source, change.act) == (cast.operator.pk, "page", "configure")
    assert (change.before, change.after) == ({"limit": 4}, {"limit": 9})
    (line,) = board["trail"].values()
    assert line["who"] == "operator"
    assert "4" in line["words"] and "9" in line["words"]


@pytest.mark.parametrize("name", ["size", "running_per_user", "waiting_per_user"])
async def test_size_and_caps_are_changed_alike(bench: Bench, cast: Cast, name: str) -> None:
    async with Dashboard(cast.operator) as page:
        assert (await page.set(name, 3))["type"] == "done"
    assert getattr(await stored(bench), name) == 3


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("limit", 0, "zero"),
        ("limit", -1, "bad_value"),
        ("limit", 10**6, "bad_value"),
        ("limit", 10**40, "bad_value"),
        ("limit", "x", "unknown_frame"),
        ("limit", None, "unknown_frame"),
        ("limit", 4.5, "unknown_frame"),
        ("size", 0, "bad_value"),
        ("turn_served", 1, "unknown_frame"),
    ],
)
async def test_a_value_that_makes_no_sense_changes_nothing(
    bench: Bench, cast: Cast, name: str, value: Any, code: str
) -> None:
    async with Dashboard(cast.operator) as page:
        await page.until(bool)
        answer = await page.act("set", name=name, value=value, seen=4)
        assert answer["code"] == code
        assert answer["words"]
        assert (await page.set("size", 77))["type"] == "done", "the socket stays"
    assert (await stored(bench)).limit == 4
    assert len(await trail()) == 1


async def test_a_limit_of_zero_is_answered_with_the_way_to_stop_work(
    bench: Bench, cast: Cast
) -> None:
    async with Dashboard(cast.operator) as page:
        assert "pause" in (await page.set("limit", 0))["words"]


async def test_of_two_operators_at_once_the_second_is_told_who_was_first(
    bench: Bench, cast: Cast
) -> None:
    second = await web(person, "second", is_staff=True, is_superuser=True)
    async with Dashboard(cast.operator) as page, Dashboard(second) as other:
        await page.until(bool)
        await other.until(bool)
        assert (await page.set("limit", 6))["type"] == "done"
        answer = await other.act("set", name="limit", value=3, seen=4)
    assert (answer["type"], answer["code"]) == ("refused", "changed")
    assert "operator" in answer["words"] and "6" in answer["words"]
    assert (await stored(bench)).limit == 6
    assert len(await trail()) == 1


async def test_pause_and_resume_are_stored_and_recorded(bench: Bench, cast: Cast) -> None:
    await bench.worker()
    async with Dashboard(cast.operator) as page:
        assert (await page.act("pause"))["type"] == "done"
        assert (await stored(bench)).paused
        board = await page.until(lambda board: board["figures"]["paused"])
        (alert,) = board["alerts"]
        assert alert["kind"] == "paused"
        assert "operator" in alert["words"]
        assert (await page.act("resume"))["type"] == "done"
        await page.until(lambda board: not board["figures"]["paused"] and not board["alerts"])
    assert [change.after for change in await trail()] == [{"paused": True}, {"paused": False}]


@pytest.mark.parametrize("running", [True, False])
async def test_a_reply_is_stopped_and_what_it_wrote_is_kept(
    bench: Bench, cast: Cast, running: bool
) -> None:
    row = await say(cast.alice)
    if running:
        (row,) = await bench.claim(await bench.worker())
        await bench.append(row, "part")
    async with Dashboard(cast.operator) as page:
        answer = await page.act("cancel", generation=row.pk)
        assert answer["type"] == "done"
        assert "alice" in answer["words"]
        await page.until(lambda board: not board["running"] and not board["order"])
        assert (await page.act("cancel", generation=row.pk))["code"] == "ended"
    now = await fresh(row)
    assert (now.state, now.reason) == (State.CANCELLED, "stopped_by_operator")
    assert now.reply == ("part" if running else "")
    (change,) = await trail()
    assert change.act == "cancel"
    assert "alice" in change.subject


async def test_a_reply_of_another_queue_cannot_be_stopped_here(bench: Bench, cast: Cast) -> None:
    row = await say(cast.alice)
    other = await web(Queue.objects.create, name="other")
    async with Dashboard(cast.operator, f"?queue={other.pk}") as page:
        assert (await page.act("cancel", generation=row.pk))["code"] == "not_found"
        assert (await page.act("cancel", generation=10**9))["code"] == "not_found"
    assert (await fresh(row)).state == State.WAITING


async def a_worker(bench: Bench, capacity: int = 32) -> int:
    row = await bench.worker(slots=capacity)
    await web(Worker.objects.filter(pk=row.pk).update, capacity=capacity)
    return row.pk


async def test_a_worker_s_slots_are_set_recorded_and_hold_at_the_next_claim(
    bench: Bench, cast: Cast
) -> None:
    await bench.set(limit=10, running_per_user=10)
    pk = await a_worker(bench)
    rows = [await say(cast.alice) for _ in range(4)]
    worker = await web(Worker.objects.get, pk=pk)
    async with Dashboard(cast.operator) as page:
        await page.until(lambda board: board["workers"][str(pk)]["capacity"] == 32)
        answer = await page.act("slots", worker=pk, value=3, seen=32)
        assert answer["type"] == "done" and "3" in answer["words"]
        assert len(await bench.claim(worker)) == 3
        assert (await page.act("slots", worker=pk, value=1, seen=3))["type"] == "done"
        assert await bench.claim(worker) == []
        assert [(await fresh(row)).state for row in rows].count(State.RUNNING) == 3
        assert (await page.act("slots", worker=pk, value=32, seen=1))["type"] == "done"
        assert len(await bench.claim(worker)) == 1
    changes = [
        (change.act, change.subject, change.before, change.after) for change in await trail()
    ]
    assert changes[0] == ("slots", "w1", {"slots": 32}, {"slots": 3})
    assert len(changes) == 3
    assert (await web(Worker.objects.get, pk=pk)).wanted is None, "all that its engine has"


@pytest.mark.parametrize(
    ("value", "seen", "code"),
    [(0, 32, "bad_value"), (33, 32, "bad_value"), (-1, 32, "bad_value"), (4, 7, "changed")],
)
async def test_slots_beyond_the_engine_or_unseen_change_nothing(
    bench: Bench, cast: Cast, value: int, seen: int, code: str
) -> None:
    pk = await a_worker(bench)
    async with Dashboard(cast.operator) as page:
        answer = await page.act("slots", worker=pk, value=value, seen=seen)
    assert (answer["type"], answer["code"]) == ("refused", code)
    row = await web(Worker.objects.get, pk=pk)
    assert (row.slots, row.wanted) == (32, None) and not await trail()


async def test_slots_of_no_worker_and_of_a_watcher_are_refused(bench: Bench, cast: Cast) -> None:
    pk = await a_worker(bench)
    async with Dashboard(cast.operator) as page:
        assert (await page.act("slots", worker=pk + 1, value=2, seen=32))["code"] == "worker_gone"
    async with Dashboard(cast.watcher) as page:
        assert (await page.act("slots", worker=pk, value=2, seen=32))["code"] == "not_permitted"
    assert not await trail()
