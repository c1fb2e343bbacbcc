"""What the state machine of the queue is built on: its beginning, its words, what always holds."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any, TypeVar

from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant

from chat.admission import Draft, QueueRefusal
from chat.database import DatabaseThreads
from chat.models import Conversation, Generation, Queue
from chat.ranking import rank
from tests.acts import Bench
from tests.queue.model import RUNNING_PER_USER, Known, KnownQueue

T = TypeVar("T")
WORKERS = ("w1", "w2", "w3")
WAITING_PER_USER, SIZE = 4, 10


class QueueBase(RuleBasedStateMachine):
    """Every worker has a thread with a connection of its own."""

    loop: asyncio.AbstractEventLoop
    threads: dict[str, DatabaseThreads]
    people: list[Any]

    def __init__(self) -> None:
        super().__init__()
        Generation.objects.order_by("-id").delete()
        Conversation.objects.all().delete()
        Queue.objects.all().delete()
        self.queue = Queue.objects.create(
            name="default",
            limit=2,
            size=SIZE,
            running_per_user=RUNNING_PER_USER,
            waiting_per_user=WAITING_PER_USER,
        )
        self.benches = {name: Bench(self.queue, db) for name, db in self.threads.items()}
        self.bench = self.benches["w1"]
        self.known = KnownQueue()
        self.claims: list[Generation] = []
        self.drafts: list[tuple[Draft, int]] = []
        self.limit, self.paused, self.allowed, self.served = 2, False, 2, 0

    def do(self, work: Awaitable[T]) -> T:
        return self.loop.run_until_complete(work)

    def at_once(self, *works: Awaitable[Any]) -> list[Any]:
        """Each on a connection of its own; the answers, in this order. A refusal is an answer."""

        async def gather() -> list[Any]:
            return await asyncio.gather(*works, return_exceptions=True)

        answers = self.do(gather())
        for answer in answers:
            if isinstance(answer, BaseException) and not isinstance(answer, QueueRefusal):
                raise answer
        return answers

    def bench_of(self, row: Generation | Known) -> Bench:
        return self.benches[WORKERS[row.pk % len(WORKERS)]]

    @initialize()
    def workers_come(self) -> None:
        self.workers = {name: self.do(self.bench.worker(name, slots=3)) for name in WORKERS}

    def room_of(self, user: int) -> int:
        """How many more messages this person may send."""
        waiting = self.known.of("waiting")
        return min(
            WAITING_PER_USER - sum(row.author == user for row in waiting), SIZE - len(waiting)
        )

    def joined(self, draft: Draft, row: Generation) -> None:
        unfinished = self.known.of("waiting") + self.known.of("running")
        same = [other for other in unfinished if other.line == row.line]
        assert row.turn >= self.served and all(row.turn > other.turn for other in same)
        first = not same and row.turn == self.served
        self.known.rows[row.pk] = Known(
            row.pk, row.author_id, row.line, row.turn, row.parent_id, first
        )
        self.drafts.append((draft, row.pk))

    def suspects_wait(self) -> bool:
        return any(row.strikes for row in self.known.of("waiting"))

    def claimed(self, row: Generation, name: str) -> None:
        for other in self.known.eligible():
            overtaken = other.first_in_line and other.pk < row.pk
            assert not overtaken, f"{row.pk} went before {other.pk}"
        known = self.known.run(row.pk, name)
        assert (row.attempt, row.reply) == (known.attempt, known.reply)
        self.served = max(self.served, row.turn)
        self.claims.append(row)

    def holder(self, pick: int) -> tuple[Generation, Known | None]:
        """A claim given out some time, and its row if the claim still holds."""
        row = self.claims[pick % len(self.claims)]
        known = self.known.rows[row.pk]
        holds = known.state == "running" and known.attempt == row.attempt
        return row, known if holds else None

    # -- what always holds -------------------------------------------------------------------

    @invariant()
    def rows_are_as_known(self) -> None:
        rows = Generation.objects.order_by("id").values_list(
            "id", "state", "attempt", "reply", "reply_end", "token_count", "strikes", "worker__name"
        )
        assert list(rows) == [
            (
                row.pk,
                row.state,
                row.attempt,
                row.reply,
                len(row.reply),
                len(row.reply),
                row.strikes,
                row.worker if row.state == "running" else None,
            )
            for row in self.known.rows.values()
        ]

    @invariant()
    def never_more_than_the_limit_run(self) -> None:
        running = Generation.objects.running().count()
        # A lowered limit lets running ones finish: what is allowed only shrinks towards it.
        self.allowed = max(self.limit, min(self.allowed, running))
        assert running <= self.allowed
        if running > self.limit:
            self.allowed = running

    @invariant()
    def everybody_s_place_is_the_order_of_claims(self) -> None:
        places = rank(Queue.objects.get(pk=self.queue.pk)).places
        assert set(places) == {row.pk for row in self.known.of("waiting")}
        counted = [pk for pk, place in places.items() if place is not None]
        assert [places[pk] for pk in counted] == list(range(1, len(counted) + 1))
        takable = [row.pk for row in self.known.eligible()]
        assert counted == [pk for pk in takable if pk in counted]
        assert takable[:1] == counted[:1]
