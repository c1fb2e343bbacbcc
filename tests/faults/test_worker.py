"""A worker and its engine's process: replies in turn, nothing lost when an engine dies or stops."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
from collections.abc import Callable
from typing import Any

import pytest
from django.db import OperationalError

from chat import events
from chat import worker as worker_module
from chat.database import web
from chat.engine.base import EngineDead, Model, Step
from chat.engine.spec import EngineSpec
from chat.feed import Feed
from chat.models import Generation, State, Worker
from chat.ranking import rank
from chat.registration import Registration
from tests.acts import Bench, fresh, say
from tests.cast import Cast, person
from tests.faults.conftest import Workers
from tests.listening import Listener
from tests.waiting import until

TEXT = "The quick brown fox jumps over the lazy dog, twice. 素早い狐 🦊 e\u0301!"


async def is_done(row: Generation) -> bool:
    return (await fresh(row)).state == State.DONE


async def nothing(worker: worker_module.Worker) -> None:
    """In place of a look at the claims."""


async def has_grown(row: Generation, tokens: int) -> bool:
    return (await fresh(row)).token_count >= tokens


async def test_two_replies_alternate_token_by_token_and_a_third_waits(
    cast: Cast, bench: Bench, workers: Workers, steps: list[Step]
) -> None:
    await bench.set(limit=2)
    users = (cast.alice, cast.bob, cast.charlie)
    one, two, three = [await say(u, u.username * (5 + 5 * n)) for n, u in enumerate(users)]
    await workers.start(step_delay=0.02)
    await until(lambda: has_grown(two, 5), "both grow")
    assert (await web(rank, bench.queue)).places == {three.pk: 1}
    await until(lambda: is_done(three), "the third is done")
    spoken = [[int(piece.key.split("/")[0]) for piece in step.pieces] for step in steps]
    began = next(at for at, step in enumerate(spoken) if two.pk in step)
    ended = max(at for at, step in enumerate(spoken) if one.pk in step)
    both = spoken[began : ended + 1]
    assert len(both) >= 5
    assert all({one.pk, two.pk} == set(step) for step in both), "each step gives both a token"
    assert all(len(step) == len(set(step)) <= 2 for step in spoken)
    rows = [await fresh(row) for row in (one, two, three)]
    assert [row.reply for row in rows] == [row.prompt for row in rows]
    wait = (rows[2].claimed_at - rows[0].ended_at).total_seconds()
    assert 0 <= wait < 0.5, "the third starts as soon as the first ends"


async def test_first_text_is_stored_at_once_and_told_after(
    cast: Cast, workers: Workers, bench: Bench
) -> None:
    await workers.start(step_delay=0.5)
    row = await say(cast.alice, "slow")
    async with Listener() as listener:
        await listener.join(row)
        await until(lambda: listener.deltas[row.pk], "the first delta", 2)
        assert (await fresh(row)).reply.startswith(listener.text(row))


@pytest.mark.parametrize("kills", [1, 4])
async def test_a_reply_survives_the_death_of_its_engine(
    cast: Cast, workers: Workers, bench: Bench, kills: int
) -> None:
    worker = await workers.start(step_delay=0.02)
    row = await say(cast.alice, TEXT)
    async with Listener() as listener:
        await listener.join(row)
        for number in range(1, kills + 1):
            await until(lambda n=number: has_grown(row, 10 * n), "it grew on")
            os.kill(worker._feed.pid or 0, signal.SIGKILL)
        await until(lambda: is_done(row), "the reply is finished")
        await until(lambda: len(listener.text(row)) == len(TEXT), "readers have it all")
        assert listener.text(row) == TEXT
    stored = await fresh(row)
    assert (stored.reply, stored.attempt, stored.strikes) == (TEXT, 1, 0)


async def test_replies_in_waiting_outlive_an_idle_engine_s_death(
    cast: Cast, workers: Workers, bench: Bench
) -> None:
    worker = await workers.start()
    os.kill(worker._feed.pid or 0, signal.SIGKILL)
    row = await say(cast.alice, TEXT)
    await until(lambda: is_done(row), "the new engine answers")
    assert (await fresh(row)).strikes == 0


@pytest.mark.parametrize("word", ["crash", "hang"])
@pytest.mark.parametrize("after", [0, 3])
async def test_r12_poison_stops_and_spares_its_neighbours(
    bench: Bench, workers: Workers, figure: Callable[[str], None], word: str, after: int
) -> None:
    await bench.set(limit=8)
    people = [await web(person, f"p{number}") for number in range(8)]
    at = random.randrange(8)
    texts = [f"innocent {n} says something long enough" for n in range(8)]
    texts[at] = "p0ison"
    rows = [await say(user, text) for user, text in zip(people, texts, strict=True)]
    began = time.monotonic()
    await workers.start(hang_after=1.5, poison_after=after, **{f"{word}_word": "p0ison"})
    bad = rows.pop(at)
    for row in rows:
        await until(lambda r=row: is_done(r), "the innocent are answered", 40)
    await until(lambda: fresh_state(bad, State.FAILED), "the poison fails", 40)
    took = time.monotonic() - began
    stored = await fresh(bad)
    assert (stored.reason, stored.strikes) == ("engine_died", 3)
    finished = [(await fresh(row)).reply == row.prompt for row in rows]
    figure(
        f"R12 poison ({word} after {after} tokens): 3 strikes then failed, "
        f"innocent finished {sum(finished)}/7, all over in {took:.1f} s"
    )
    assert all(finished)


async def fresh_state(row: Generation, state: State) -> bool:
    return (await fresh(row)).state == state


async def test_a_graceful_stop_releases_and_another_worker_goes_on(
    cast: Cast, bench: Bench, workers: Workers
) -> None:
    row = await say(cast.alice, TEXT)
    async with Listener() as listener:
        await listener.join(row)
        for number in range(1, 5):
            worker = await workers.start(f"w{number}", step_delay=0.02)
            await until(lambda n=number: has_grown(row, 10 * n), "it grew")
            await worker.stop()
            stored = await fresh(row)
            assert (stored.state, stored.strikes, stored.worker_id) == (State.WAITING, 0, None)
            assert stored.reply == listener.text(row) == TEXT[: stored.reply_end]
        await workers.start("last", step_delay=0)
        await until(lambda: is_done(row), "the reply is finished")
        await until(lambda: len(listener.text(row)) == len(TEXT), "readers have it all")
        assert listener.text(row) == (await fresh(row)).reply == TEXT
    states = await web(list, Worker.objects.order_by("id").values_list("state", flat=True))
    assert states == [Worker.State.STOPPED] * 4 + [Worker.State.READY]


async def test_a_flush_that_the_database_lost_is_healed(
    cast: Cast, bench: Bench, workers: Workers
) -> None:
    await workers.start(step_delay=0.02)
    row = await say(cast.alice, TEXT)
    async with Listener() as listener:
        await listener.join(row)
        await until(lambda: has_grown(row, 20), "it grew")
        await web(
            Generation.objects.filter(pk=row.pk).update,
            reply=TEXT[:5],
            reply_end=5,
            reply_ids="".join(f" {ord(letter)}" for letter in TEXT[:5]),
            token_count=5,
        )
        await until(lambda: is_done(row), "the reply is finished")
        await until(lambda: len(listener.text(row)) == len(TEXT), "readers have it all")
    stored = await fresh(row)
    assert stored.reply == TEXT
    assert [int(token) for token in stored.reply_ids.split()] == list(map(ord, TEXT))
    assert stored.token_count == len(TEXT)


async def test_without_any_nudge_the_poll_starts_a_reply_within_two_seconds(
    cast: Cast, bench: Bench, workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def lost(messages: object) -> None:
        return None

    await workers.start()
    monkeypatch.setattr(events, "publish_all", lost)
    row = await say(cast.alice, TEXT)
    await until(lambda: has_grown(row, 1), "the poll found it", 2)


async def test_a_prompt_that_cannot_run_fails_with_its_reason(
    cast: Cast, bench: Bench, workers: Workers
) -> None:
    await workers.start()
    row, other = await say(cast.alice, "x" * 5_000), await say(cast.bob, TEXT)
    await until(lambda: fresh_state(row, State.FAILED), "it is refused")
    stored = await fresh(row)
    assert (stored.reason, stored.detail) == ("prompt_too_long", {"tokens": 5_000, "limit": 4_095})
    await until(lambda: is_done(other), "the neighbour is answered")


async def test_a_reply_is_cut_after_the_longest_time(
    cast: Cast, bench: Bench, workers: Workers, settings: Any
) -> None:
    settings.CHATSITE_MAX_SECONDS = 1
    await workers.start(step_delay=0.05)
    row = await say(cast.alice, "long " * 100)
    await until(lambda: is_done(row), "it is cut", 4)
    stored = await fresh(row)
    assert stored.reason == "time" and 10 < stored.token_count < 100


async def test_a_follow_up_starts_when_the_reply_it_answers_has_ended(
    cast: Cast, bench: Bench, workers: Workers
) -> None:
    await workers.start()
    first = await say(cast.alice, "first")
    second = await say(cast.alice, "second", after=first)
    await until(lambda: is_done(second), "both are answered")
    rows = [await fresh(row) for row in (first, second)]
    assert rows[0].ended_at <= rows[1].claimed_at


async def test_a_model_that_is_missing_is_said_and_recorded(queue: Any, workers: Workers) -> None:
    with pytest.raises(EngineDead, match="model_missing"):
        await workers.start(spec=EngineSpec(kind="echo", model="missing"))
    row = await web(Worker.objects.get)
    assert (row.state, row.reason) == (Worker.State.BROKEN, "model_missing")


async def test_a_claim_without_a_slot_is_given_back_by_a_stop(
    cast: Cast, workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = asyncio.Event()

    def away(row: Generation) -> None:
        loop.call_soon_threadsafe(asked.set)
        raise OperationalError("the database went away after the claim")

    loop = asyncio.get_running_loop()
    monkeypatch.setattr(worker_module, "turns_before", away)
    monkeypatch.setattr(worker_module.Worker, "_check_claims", nothing)
    worker = await workers.start()
    row = await say(cast.alice, TEXT)
    await asyncio.wait_for(asked.wait(), 10)
    await worker.stop()
    assert (await fresh(row)).state == State.WAITING, "else nobody would ever take it"


async def test_a_start_that_fails_after_loading_leaves_no_engine(
    queue: Any, workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Feed] = []

    class Recorded(Feed):
        def __init__(self, spec: EngineSpec) -> None:
            super().__init__(spec)
            made.append(self)

    def away(registration: Registration, model: Model) -> None:
        assert made[0].pid is not None, "it is loaded"
        raise OperationalError("away")

    monkeypatch.setattr(worker_module, "Feed", Recorded)
    monkeypatch.setattr(Registration, "ready", away)
    with pytest.raises(OperationalError):
        await workers.start()
    assert [feed.pid for feed in made] == [None]
    assert (await web(Worker.objects.get)).state == Worker.State.STOPPED
