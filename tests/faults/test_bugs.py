"""A bug of ours that one message brings out: the site goes on, and so do all the others."""

from __future__ import annotations

from typing import Any

import pytest

from chat import background
from chat.background import Background
from chat.models import Generation, State
from chat.slot import Slot
from chat.worker import Worker
from tests.acts import Bench, fresh, say
from tests.cast import Cast
from tests.faults.conftest import echo
from tests.waiting import until


async def has_ended(row: Generation) -> bool:
    return (await fresh(row)).ended


async def has_state(row: Generation, state: State) -> bool:
    return (await fresh(row)).state == state


@pytest.mark.parametrize(
    ("place", "reason", "strikes"),
    [
        ("grow", "bug", 0),
        ("batch", "bug", 0),
        ("task", "bug", 0),
    ],
)
async def test_a_message_that_breaks_the_worker_fails_and_the_others_are_answered(
    cast: Cast,
    bench: Bench,
    monkeypatch: pytest.MonkeyPatch,
    caplog: Any,
    place: str,
    reason: str,
    strikes: int,
) -> None:
    sound = getattr(Slot, place)

    def breaks(slot: Slot, *arguments: Any, **more: Any) -> Any:
        if slot.row.prompt == "bug":
            raise ValueError("the bug")
        return sound(slot, *arguments, **more)

    monkeypatch.setattr(Slot, place, breaks)
    monkeypatch.setattr(background, "AGAIN_SECONDS", 0.1)
    worker = Background("embedded", echo())
    await worker.start()
    try:
        bad, good = await say(cast.alice, "bug"), await say(cast.bob, "an innocent message " * 5)
        await until(lambda: has_ended(bad), "the bad one fails", 30)
        await until(lambda: has_ended(good), "the innocent one is answered", 30)
        later = await say(cast.charlie, "afterwards")
        await until(lambda: has_state(later, State.DONE), "it goes on")
    finally:
        await worker.stop()
    stored = await fresh(bad)
    assert (stored.state, stored.reason, stored.strikes) == (State.FAILED, reason, strikes)
    assert "the bug" in caplog.text, "a bug is logged"
    assert (await fresh(good)).reply == good.prompt


async def test_a_worker_that_a_bug_ended_is_started_until_one_starts(
    cast: Cast, bench: Bench, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    sound_start, sound_fill = background.start_queue_worker, Worker._fill
    troubles = [OSError("no memory"), OSError("still none")]

    async def starts(*arguments: Any) -> Worker:
        monkeypatch.setattr(Worker, "_fill", sound_fill)
        if troubles:
            raise troubles.pop()
        return await sound_start(*arguments)

    async def breaks(worker: Worker) -> None:
        raise ValueError("the bug")

    monkeypatch.setattr(background, "AGAIN_SECONDS", 0.01)
    monkeypatch.setattr(Worker, "_fill", breaks)
    worker = Background("embedded", echo())
    await worker.start()
    monkeypatch.setattr(background, "start_queue_worker", starts)
    try:
        row = await say(cast.alice, "hello")
        await until(lambda: has_state(row, State.DONE), "it is answered", 30)
    finally:
        await worker.stop()
    bugs = [record for record in caplog.records if record.exc_info]
    assert len(bugs) == 1 and not troubles, "the bug is told once, a failed start as what it is"
