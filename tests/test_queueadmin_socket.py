"""What the dashboard's socket shows: the rows as they are, live, and nothing that people wrote."""

from __future__ import annotations

import asyncio
import json
import uuid
from typing import Any

import pytest
from django.utils import timezone

from chat.claiming import rescue
from chat.database import web
from chat.models import Generation, Worker
from chat.registration import Registration
from tests.acts import Bench, say
from tests.cast import Cast
from tests.dashboards import Dashboard
from tests.waiting import until

# -- what is shown ----------------------------------------------------------------------------


async def test_the_board_shows_running_and_waiting_with_their_figures(
    bench: Bench, cast: Cast
) -> None:
    await bench.set(limit=2)
    worker = await bench.worker(slots=8)
    first, second, third = [await say(user) for user in (cast.alice, cast.bob, cast.guest)]
    after = await say(cast.alice)
    claimed = await bench.claim(worker)
    await bench.append(claimed[0], "hello")
    async with Dashboard(cast.watcher) as page:
        board = await page.until(bool)
    assert set(board["running"]) == {str(first.pk), str(second.pk)}
    assert board["running"][str(first.pk)]["user"] == "alice"
    assert board["tokens"] == {str(first.pk): 5, str(second.pk): 0}
    assert board["order"] == [third.pk, after.pk]
    assert board["held"] == [after.pk], "alice has a reply in progress"
    assert board["waiting"][str(third.pk)]["guest"] is True
    figures = board["figures"]
    assert (figures["waiting"], figures["running"], figures["limit"]) == (2, 2, 2)
    assert (figures["slots"], figures["binds"], figures["alive"]) == (8, "limit", 1)
    assert board["alerts"] == []


async def test_nothing_that_people_wrote_or_read_is_sent(bench: Bench, cast: Cast) -> None:
    worker = await bench.worker()
    await say(cast.alice, "my secret prompt")
    await say(cast.bob, "my secret prompt too")
    await bench.set(limit=1)
    (row,) = await bench.claim(worker)
    await bench.append(row, "a secret reply")
    async with Dashboard(cast.operator) as page:
        assert "secret" not in json.dumps(await page.until(bool))
        await bench.append(row, ", more secret")
        assert "secret" not in json.dumps(await page.until(lambda b: b["tokens"][str(row.pk)] > 20))


async def test_slots_bind_when_workers_have_fewer_than_the_limit(bench: Bench, cast: Cast) -> None:
    await bench.worker(slots=2)
    async with Dashboard(cast.operator) as page:
        figures = (await page.until(bool))["figures"]
    assert figures["binds"] == "slots"
    assert "2" in figures["effect"]


@pytest.mark.parametrize(
    ("state", "kind", "level"),
    [
        ("loading", "worker", "note"),
        ("broken", "broken", "danger"),
        ("stopped", "worker", "danger"),
    ],
)
async def test_a_queue_without_a_ready_worker_says_so(
    bench: Bench, cast: Cast, state: str, kind: str, level: str
) -> None:
    worker = await bench.worker()
    await web(Worker.objects.filter(pk=worker.pk).update, state=state, reason="out_of_memory")
    async with Dashboard(cast.operator) as page:
        (alert,) = (await page.until(bool))["alerts"]
    assert (alert["kind"].split("-")[0], alert["level"]) == (kind, level)
    assert alert["words"] and alert["remedy"]


async def test_a_worker_that_was_rescued_from_is_missed_until_it_comes_back(
    bench: Bench, cast: Cast
) -> None:
    await bench.worker("left")
    lost = await bench.worker("lost")
    await web(Worker.objects.filter(pk=lost.pk).update, seen_at=timezone.now())
    await web(rescue, lost, lost.heartbeat)
    async with Dashboard(cast.operator) as page:
        board = await page.until(bool)
        (alert,) = board["alerts"]
        assert (alert["kind"], alert["level"]) == (f"silent-{lost.pk}", "warn")
        assert "lost" in alert["words"]
        assert (board["figures"]["alive"], board["figures"]["workers"]) == (1, 2)
    await web(Registration("lost", "some model", "cpu").register)
    async with Dashboard(cast.operator) as page:
        board = await page.until(bool)
        assert board["alerts"] == [] and board["figures"]["workers"] == 2


async def test_what_is_over_the_slots_is_counted_to_the_next_start(
    bench: Bench, cast: Cast
) -> None:
    await bench.set(limit=4)
    worker = await bench.worker(slots=8)
    for user in (cast.alice, cast.bob, cast.guest):
        await say(user)
    assert len(await bench.claim(worker)) == 3
    await web(Worker.objects.filter(pk=worker.pk).update, slots=2)
    async with Dashboard(cast.operator) as page:
        figures = (await page.until(bool))["figures"]
    assert "2 end before another starts" in figures["effect"]


async def test_a_full_line_is_an_alert(bench: Bench, cast: Cast) -> None:
    await bench.worker()
    await say(cast.alice)
    await bench.set(size=1)
    async with Dashboard(cast.operator) as page:
        (alert,) = (await page.until(bool))["alerts"]
    assert alert["kind"] == "full"


async def test_a_process_that_hears_no_events_says_so(
    bench: Bench, cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    await bench.worker()
    async with Dashboard(cast.watcher) as page:
        assert (await page.until(bool))["alerts"] == []
        monkeypatch.setattr("chat.events.is_away", lambda: True)
        (alert,) = (await page.until(lambda board: board["alerts"]))["alerts"]
    assert alert["kind"] == "events" and "Redis" in alert["words"] and alert["remedy"]


async def test_only_a_window_of_a_deep_line_is_sent_with_the_whole_count(
    bench: Bench, cast: Cast
) -> None:
    row = await say(cast.alice)

    def many() -> None:
        rows = [
            Generation(
                queue_id=row.queue_id,
                author=cast.bob,
                client_id=uuid.uuid4(),
                prompt="x",
                turn=row.turn + n,
                line="user",
                created_at=row.created_at,
            )
            for n in range(1, 250)
        ]
        Generation.objects.bulk_create(rows)

    await web(many)
    async with Dashboard(cast.operator) as page:
        board = await page.until(bool)
    assert len(board["order"]) == len(board["waiting"]) == 200
    assert board["figures"]["waiting"] == 250


async def test_words_are_in_the_readers_language_and_both_are_told(
    bench: Bench, cast: Cast
) -> None:
    async with Dashboard(cast.operator, language="ja") as one, Dashboard(cast.watcher) as other:
        await one.until(bool)
        await other.until(bool)
        assert (await one.act("pause"))["type"] == "done"
        await one.until(lambda board: board["figures"]["paused"])
        await other.until(lambda board: board["figures"]["paused"])


# -- it is live -------------------------------------------------------------------------------


async def test_a_new_message_appears_by_a_nudge(bench: Bench, cast: Cast) -> None:
    await bench.worker()
    async with Dashboard(cast.watcher) as page:
        await page.until(bool)
        row = await say(cast.alice)
        board = await page.until(lambda board: board["order"])
    assert board["order"] == [row.pk]


async def test_growing_replies_are_told_without_any_nudge(bench: Bench, cast: Cast) -> None:
    worker = await bench.worker()
    await say(cast.alice)
    (row,) = await bench.claim(worker)
    async with Dashboard(cast.watcher) as page:
        await page.until(lambda board: board["tokens"] == {str(row.pk): 0})
        await bench.append(row, "abc")
        await page.until(lambda board: board["tokens"] == {str(row.pk): 3})
        await bench.finish(row)
        await page.until(lambda board: not board["running"] and not board["tokens"])


async def test_a_page_hears_something_even_when_nothing_happens(bench: Bench, cast: Cast) -> None:
    async with Dashboard(cast.watcher) as page:
        first = await page.until(bool)
        frame = await page.hear()
    assert frame["type"] == "changes"
    assert frame["now"] > first["now"]


async def test_all_sockets_of_a_process_share_one_look(
    bench: Bench, cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    from queueadmin import live

    looks = []

    def counted(queue: int) -> Any:
        looks.append(queue)
        return look(queue)

    look = live.look
    monkeypatch.setattr(live, "look", counted)
    async with Dashboard(cast.watcher) as one, Dashboard(cast.operator) as other:
        await one.until(bool)
        await other.until(bool)
        looks.clear()
        await say(cast.alice)
        await one.until(lambda board: board["order"])
        await other.until(lambda board: board["order"])
        assert len(looks) <= 2


async def test_who_comes_while_much_changes_gets_the_whole_board_first(
    bench: Bench, cast: Cast
) -> None:
    worker = await bench.worker()
    await say(cast.alice)
    (row,) = await bench.claim(worker)
    async with Dashboard(cast.watcher) as first:
        await first.until(bool)
        for _ in range(5):
            await bench.append(row, "more")
            async with Dashboard(cast.operator) as page:
                assert (await page.hear())["type"] == "board"


async def test_who_comes_when_the_last_one_leaves_is_told_on(bench: Bench, cast: Cast) -> None:
    await bench.worker()
    async with Dashboard(cast.watcher) as first:
        await first.until(bool)
        page = Dashboard(cast.operator)
        coming = asyncio.create_task(page.__aenter__())
    await coming
    await page.until(bool)
    row = await say(cast.alice)
    assert (await page.until(lambda board: board["order"]))["order"] == [row.pk]
    await page.__aexit__(None, None, None)


async def test_the_last_page_ends_the_looking(bench: Bench, cast: Cast) -> None:
    from queueadmin import live

    async with Dashboard(cast.watcher) as page:
        await page.until(bool)
        assert live._boards
    await until(lambda: not live._boards, "nobody is looked for any more")
