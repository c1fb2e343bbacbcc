"""Places in line, honest waits, the pace of one person, and who is alive: mostly arithmetic."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from chat.database import web
from chat.estimate import expected_wait
from chat.heartbeats import SILENT_SECONDS, Heartbeats
from chat.models import Generation, State, Worker
from chat.pace import seconds_to_wait
from chat.ranking import rank
from chat.words import stage
from tests.acts import Bench, say
from tests.cast import Cast


async def places(bench: Bench) -> dict[str, int | None]:
    ranking = await web(rank, bench.queue)
    return {
        (await web(Generation.objects.get, pk=pk)).prompt: p for pk, p in ranking.places.items()
    }


async def test_places_count_those_who_may_be_taken_before(cast: Cast, bench: Bench) -> None:
    first = await say(cast.alice, "a1")
    await say(cast.alice, "a2", after=first)
    await say(cast.bob, "b1")
    await say(cast.charlie, "c1")
    assert await places(bench) == {"a1": 1, "b1": 2, "c1": 3, "a2": None}
    await bench.set(limit=1)
    await bench.claim(await bench.worker())
    assert await places(bench) == {"b1": 1, "c1": 2, "a2": None}


async def test_places_are_the_order_in_which_claims_take(cast: Cast, bench: Bench) -> None:
    await bench.set(running_per_user=2)
    for user, text in ((cast.alice, "a1"), (cast.alice, "a2"), (cast.alice, "a3"), (cast.bob, "b")):
        await say(user, text)
    seen = await places(bench)
    taken = [row.prompt for row in await bench.claim(await bench.worker())]
    assert taken == sorted((t for t, p in seen.items() if p), key=lambda text: seen[text] or 0)
    assert seen["a3"] is None


async def test_everybody_who_waits_has_a_place_even_beyond_a_size_lowered_since(
    cast: Cast, bench: Bench
) -> None:
    for user in (cast.alice, cast.bob, cast.charlie):
        await say(user, user.username)
    await bench.set(size=1, limit=1)
    assert await places(bench) == {"alice": 1, "bob": 2, "charlie": 3}


async def test_whoever_can_start_at_once_is_told_a_moment(cast: Cast, bench: Bench) -> None:
    await bench.set(limit=2)
    await bench.worker(slots=8)
    row = await say(cast.alice)
    assert (await web(rank, bench.queue)).wait(row.pk) == (0, 1)


async def test_nobody_is_told_a_wait_that_nobody_knows(cast: Cast, bench: Bench) -> None:
    row = await say(cast.alice)
    assert (await web(rank, bench.queue)).wait(row.pk) is None, "there is no worker"
    await bench.worker()
    await bench.set(paused=True)
    assert (await web(rank, bench.queue)).wait(row.pk) is None, "it is paused"


async def test_the_wait_is_measured_from_the_latest_finished(cast: Cast, bench: Bench) -> None:
    now = timezone.now()
    for seconds in (10, 10, 10, 10):
        row = await say(cast.bob)
        await web(
            Generation.objects.filter(pk=row.pk).update,
            state=State.DONE,
            claimed_at=now - timedelta(seconds=seconds),
            ended_at=now,
        )
    await bench.set(limit=1)
    await say(cast.alice)
    waiting = await say(cast.charlie)
    await bench.claim(await bench.worker(), 1)
    low, high = (await web(rank, bench.queue)).wait(waiting.pk) or (0, 0)
    assert low <= 10 <= high and high > 0


def test_a_wait_needs_slots_a_place_and_three_samples() -> None:
    assert expected_wait(1, 0, [10] * 5) is None
    assert expected_wait(0, 1, [10] * 5) is None
    assert expected_wait(1, 1, [10] * 2) is None
    assert expected_wait(1, 1, [10] * 3) is not None


@given(
    st.integers(1, 1_000), st.integers(1, 64), st.lists(st.floats(0, 600), min_size=3, max_size=50)
)
def test_a_wait_is_a_range_around_the_middle(place: int, slots: int, seconds: list[float]) -> None:
    low, high = expected_wait(place, slots, seconds) or (-1, -1)
    middle = place * sum(seconds) / len(seconds) / slots
    assert 0 <= low <= middle + 1e-6 and middle <= high + 1e-6 and low < high


@pytest.mark.parametrize(
    ("sent", "wait"),
    [([], 0), ([0.0] * 4, 0), ([0.0] * 5, 3), ([-3.0] * 5, 0), ([-1.5] * 5, 2), ([-60.0] * 5, 0)],
)
def test_a_burst_of_five_then_one_every_three_seconds(sent: list[float], wait: int) -> None:
    assert seconds_to_wait([100 + at for at in sent], 100.0, per_minute=20, burst=5) == wait


@given(st.lists(st.floats(0, 60), max_size=30))
def test_after_the_wait_one_may_send(times: list[float]) -> None:
    wait = seconds_to_wait(times, 60.0, per_minute=20, burst=5)
    later = 60.0 + wait
    recent = [at for at in times if at >= later - 60]
    assert wait == 0 or seconds_to_wait(recent, later, per_minute=20, burst=5) == 0


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_heart_that_stands_still_for_ten_seconds_of_ours_is_silent() -> None:
    clock = Clock()
    hearts = Heartbeats(clock)
    row = Worker(pk=1, heartbeat=5)
    assert hearts.silent([row]) == []
    clock.now = SILENT_SECONDS - 1
    assert hearts.silent([row]) == []
    row.heartbeat = 6
    assert hearts.silent([row]) == []
    clock.now += SILENT_SECONDS
    assert hearts.silent([row]) == [row]


def test_after_an_absence_of_our_own_nobody_is_silent() -> None:
    clock = Clock()
    hearts = Heartbeats(clock)
    row = Worker(pk=1, heartbeat=5)
    hearts.silent([row])
    clock.now = 60.0
    hearts.forget()
    assert hearts.silent([row]) == []


async def test_a_deep_line_is_ranked_as_far_as_places_are_told(
    cast: Cast, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chat.ranking.RANKED", 2)
    rows = [await say(user) for user in (cast.alice, cast.bob, cast.charlie)]
    ranking = await web(rank, bench.queue)
    assert list(ranking.places.values()) == [1, 2] and not ranking.whole
    far = stage(rows[2], ranking)
    assert "behind more than 1 " in far.words and far.position is None
    assert not ranking.misses(rows[2].pk), "another look finds no place either"


async def test_who_is_held_back_for_a_while_counts_for_those_far_behind(
    cast: Cast, bench: Bench
) -> None:
    await bench.set(limit=1, running_per_user=1)
    await bench.worker(slots=1)
    for user in (cast.alice, cast.alice, cast.bob, cast.charlie):
        await say(user)
    await web(Generation.objects.update, turn=0)  # all of them as they came
    ranking = await web(rank, bench.queue)
    assert list(ranking.places.values()) == [1, None, 2, 3]
    assert list(ranking.ahead.values()) == [1, 3, 4], "hers starts when her first has ended"


async def test_newcomers_who_are_served_before_make_the_wait_longer(
    cast: Cast, bench: Bench
) -> None:
    await bench.set(limit=1)
    first, second = await say(cast.alice), await say(cast.alice)
    bobs = await say(cast.bob)
    now = timezone.now()
    await web(Generation.objects.update, created_at=now - timedelta(seconds=10))
    ranking = await web(rank, bench.queue, now)
    assert (first.turn, second.turn, bobs.turn) == (0, 1, 0)
    assert ranking.joining == {}, "hers is held back, and nobody passes the others"
    await web(Generation.objects.filter(pk=first.pk).delete)
    ranking = await web(rank, bench.queue, now)
    assert ranking.joining == {second.pk: pytest.approx(0.1)}
    alone, passed = (expected_wait(9, 1, [10.0] * 5, joining=rate) for rate in (0.0, 0.1))
    assert alone and passed and passed[0] > alone[0] and passed[1] > alone[1]
