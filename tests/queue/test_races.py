"""What happens at the same moment on several connections: each race is constructed, not hoped for.

On SQLite the second transaction waits for the first as a whole, on PostgreSQL for its locks.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, connections
from django.db.models import QuerySet
from django.utils import timezone

from chat import admission, conversations, generation_queue, retention
from chat.admission import Draft, QueueRefusal, admit
from chat.claims import Batch, Ending
from chat.models import Conversation, Generation, Guest, Queue, State, Worker
from chat.standing import standing_of, times_since
from tests.acts import claim_of, draft
from tests.cast import Cast, guest
from tests.waiting import until_sync

pytestmark = pytest.mark.usefixtures("queue")


class Pause:
    """Stops a function of the code before it does anything, until it is let go."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, place: Any, name: str) -> None:
        self.reached, self._go = threading.Event(), threading.Event()
        sound = getattr(place, name)

        def paused(*arguments: Any, **more: Any) -> Any:
            self.reached.set()
            assert self._go.wait(20)
            return sound(*arguments, **more)

        monkeypatch.setattr(place, name, paused)

    def let_go(self) -> None:
        self._go.set()


Start = Callable[..., "Future[Any]"]


@pytest.fixture
def start() -> Iterator[Start]:
    """Runs functions on threads with connections of their own."""

    def call(work: Callable[..., Any], *arguments: Any) -> Any:
        try:
            return work(*arguments)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(4) as threads:
        yield lambda work, *arguments: threads.submit(call, work, *arguments)


def until_it_waits(second: Future[Any]) -> None:
    """Until somebody waits for a lock, or has not had to; SQLite tells nobody who waits."""
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"

    def look() -> bool:
        if connection.vendor == "sqlite":
            return second.running() or second.done()
        with connection.cursor() as cursor:
            cursor.execute(waiting + " AND datname = current_database()")
            return bool(cursor.fetchone()[0]) or second.done()

    until_sync(look, "the second one waits for the first")


def running(user: Any) -> Generation:
    """A reply that some worker writes."""
    row = admit(draft(user)).generation
    worker, _ = Worker.objects.get_or_create(name="w", queue=row.queue)
    assert Generation.objects.claim(row.pk, worker, timezone.now())
    row.refresh_from_db()
    return row


def test_a_parent_that_fails_while_its_follow_up_joins_holds_it(
    cast: Cast, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    parent = running(cast.alice)
    pause = Pause(monkeypatch, admission, "default_parameters")
    follow_up = start(admit, draft(cast.alice, "and then?", after=parent))
    assert pause.reached.wait(10)
    ending = Ending(claim_of(parent), State.FAILED, "prompt_too_long", {})
    last = Batch(parent, None, None, ending, 0, "", 0, staged=False)
    end = start(generation_queue._write, [last])
    until_it_waits(end)
    pause.let_go()
    child = follow_up.result(20).generation
    end.result(20)
    child.refresh_from_db()
    assert (child.state, child.reason) == (State.CANCELLED, "parent_ended")


def test_a_message_into_a_conversation_that_is_being_deleted_is_refused(
    cast: Cast, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = running(cast.alice)
    pause = Pause(monkeypatch, Conversation, "delete")
    gone = start(conversations._delete, first.conversation_id, cast.alice.pk)
    assert pause.reached.wait(10)
    follow_up = start(admit, draft(cast.alice, "and then?", after=first))
    until_it_waits(follow_up)
    pause.let_go()
    gone.result(20)
    with pytest.raises(QueueRefusal, match="not_found"):
        follow_up.result(20)
    assert not Generation.objects.unfinished().exists()


def old_guest() -> Any:
    someone = guest("guest-old")
    Guest.objects.update(created_at=timezone.now() - timedelta(days=400))
    return someone


def test_a_guest_who_writes_while_the_purge_looks_is_kept(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    someone = old_guest()
    pause = Pause(monkeypatch, retention, "_remove")
    purge = start(retention.purge, timezone.now())
    assert pause.reached.wait(10), "the guest was found silent"
    row = admit(draft(someone)).generation
    pause.let_go()
    assert purge.result(20) == 0
    assert Generation.objects.get(pk=row.pk).author_id == someone.pk


def test_a_guest_who_writes_while_being_purged_is_refused(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    someone = old_guest()
    removed = Pause(monkeypatch, QuerySet, "delete")
    purge = start(retention._remove, [someone.pk])
    assert removed.reached.wait(10)
    message = start(admit, draft(someone))
    until_it_waits(message)
    removed.let_go()
    assert purge.result(20) == 1
    with pytest.raises(QueueRefusal, match="not_allowed"):
        message.result(20)


def test_deleting_what_was_sent_gives_back_neither_pace_nor_turn(cast: Cast, queue: Queue) -> None:
    rows = [running(cast.alice) for _ in range(2)]
    waiting = admit(draft(cast.alice, "secret", after=rows[0])).generation
    ended = Ending(claim_of(rows[0]), State.DONE, "stop", {})
    last = Batch(rows[0], None, None, ended, 0, "", 0, staged=False)
    generation_queue._write([last])
    minute_ago = timezone.now() - timedelta(seconds=60)
    sent = times_since(cast.alice.pk, minute_ago)
    for row in rows:
        conversations._delete(row.conversation_id, cast.alice.pk)
    assert sorted(times_since(cast.alice.pk, minute_ago)) == sorted(sent) and len(sent) == 3
    standing = standing_of(cast.alice.pk, waiting.line, queue, minute_ago)
    # What ran was served; what only waited gives its turn back, as anything that is stopped does.
    assert (standing.waiting, standing.last_turn) == (0, rows[0].turn)
    left = Generation.objects.emptied()
    assert (
        left.count() == 3 and not left.unfinished().exists() and not Conversation.objects.exists()
    )
    texts = {text for row in left.values() for text in map(str, row.values())}
    assert not any("secret" in text or "hello" in text for text in texts)
    again = Draft(cast.alice.pk, waiting.client_id, "secret")
    with pytest.raises(QueueRefusal, match="id_used"):
        admit(again)


def test_what_is_left_of_deleted_conversations_goes_after_a_day(cast: Cast) -> None:
    row = running(cast.alice)
    conversations._delete(row.conversation_id, cast.alice.pk)
    kept = admit(draft(cast.alice)).generation
    retention.purge(timezone.now())
    assert Generation.objects.count() == 2
    retention.purge(timezone.now() + timedelta(days=2))
    assert list(Generation.objects.values_list("pk", flat=True)) == [kept.pk]
