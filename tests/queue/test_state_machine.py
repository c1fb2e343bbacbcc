"""Random interleavings of everything that people, workers and operators can do to the queue.

After every step the rows are compared with a model in plain Python: states, attempts, replies and
strikes; never more run than the limit lets (P3); nobody is overtaken who was first in line (P5).
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable
from typing import Any, TypeVar

import pytest
from django.contrib.auth import get_user_model
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from chat import generation_queue, operators
from chat.admission import Draft, QueueRefusal
from chat.claims import Growth
from chat.database import DatabaseThreads
from chat.models import Conversation, Generation, Queue, Worker
from chat.ranking import rank
from tests.acts import Bench, claim_of
from tests.cast import guest, person
from tests.queue.model import RUNNING_PER_USER, Known, KnownQueue
from tests.sizes import size

T = TypeVar("T")
PEOPLE = 4
EXAMPLES = size(40, 500)  # of 40 steps each
WORKERS = ("w1", "w2", "w3")
WAITING_PER_USER, SIZE = 4, 10


class QueueMachine(RuleBasedStateMachine):
    loop: asyncio.AbstractEventLoop
    db: DatabaseThreads
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
        self.bench = Bench(self.queue, self.db)
        self.known = KnownQueue()
        self.claims: list[Generation] = []
        self.drafts: list[tuple[Draft, int]] = []
        self.limit, self.paused, self.allowed, self.served = 2, False, 2, 0

    def do(self, work: Awaitable[T]) -> T:
        return self.loop.run_until_complete(work)

    @initialize()
    def workers_come(self) -> None:
        self.workers = {name: self.do(self.bench.worker(name, slots=3)) for name in WORKERS}

    # -- what people do ----------------------------------------------------------------------

    @rule(who=st.integers(0, PEOPLE - 1), follow=st.booleans(), pick=st.integers(0, 99))
    def enqueue(self, who: int, follow: bool, pick: int) -> None:
        user = self.people[who]
        mine = [row for row in self.known.rows.values() if row.author == user.pk]
        parent = mine[pick % len(mine)].pk if follow and mine else None
        home = Generation.objects.get(pk=parent).conversation_id if parent else None
        draft = Draft(user.pk, uuid.uuid4(), "hello", home, parent)
        waiting = self.known.of("waiting")
        full = (
            sum(row.author == user.pk for row in waiting) >= WAITING_PER_USER
            or len(waiting) >= SIZE
        )
        try:
            row = self.do(generation_queue.enqueue(draft)).generation
        except QueueRefusal as refusal:
            assert full and refusal.code in ("too_many_waiting", "queue_full")
            return
        assert not full
        unfinished = self.known.of("waiting") + self.known.of("running")
        same = [other for other in unfinished if other.line == row.line]
        assert row.turn >= self.served and all(row.turn > other.turn for other in same)
        first = not same and row.turn == self.served
        self.known.rows[row.pk] = Known(row.pk, user.pk, row.line, row.turn, parent, first)
        self.drafts.append((draft, row.pk))

    @precondition(lambda self: self.drafts)
    @rule(pick=st.integers(0, 99))
    def enqueue_again(self, pick: int) -> None:
        draft, pk = self.drafts[pick % len(self.drafts)]
        again = self.do(generation_queue.enqueue(draft))
        assert again.again and again.generation.pk == pk

    @precondition(lambda self: self.known.rows)
    @rule(pick=st.integers(0, 99))
    def cancel(self, pick: int) -> None:
        row = list(self.known.rows.values())[pick % len(self.known.rows)]
        unfinished = row.state in ("waiting", "running")
        assert self.do(generation_queue.cancel(row.pk, row.author)) == unfinished
        if unfinished:
            row.state = "cancelled"
            self.known.hold(row.pk)

    # -- what operators do -------------------------------------------------------------------

    @rule(limit=st.integers(1, 6))
    def change_limit(self, limit: int) -> None:
        self.do(operators.configure(self.queue.pk, operators.Actor(None, name="o"), limit=limit))
        self.limit = limit

    @rule(paused=st.booleans())
    def pause(self, paused: bool) -> None:
        self.do(operators.configure(self.queue.pk, operators.Actor(None, name="o"), paused=paused))
        self.paused = paused

    # -- what workers do ---------------------------------------------------------------------

    @rule(name=st.sampled_from(WORKERS), most=st.integers(1, 3))
    def claim(self, name: str, most: int) -> None:
        rows = self.do(self.bench.claim(self.workers[name], most))
        room = max(0, self.limit - len(self.known.of("running")))
        for row in rows:
            expected = self.known.eligible()[0]
            assert row.pk == expected.pk, "the first eligible one is taken"
            for other in self.known.eligible()[1:]:
                overtaken = other.first_in_line and other.pk < row.pk
                assert not overtaken, f"{row.pk} went before {other.pk}"
            expected.state, expected.worker = "running", name
            expected.claimed = len(expected.reply)
            expected.attempt += 1
            assert (row.attempt, row.reply) == (expected.attempt, expected.reply)
            self.served = max(self.served, row.turn)
            self.claims.append(row)
        left = len(self.known.eligible())
        most = 0 if self.paused else min(most, room)
        assert len(rows) == most or (len(rows) < most and not left)

    def holder(self, pick: int) -> tuple[Generation, Known | None]:
        """A claim given out some time, and its row if the claim still holds."""
        row = self.claims[pick % len(self.claims)]
        known = self.known.rows[row.pk]
        holds = known.state == "running" and known.attempt == row.attempt
        return row, known if holds else None

    @precondition(lambda self: self.claims)
    @rule(
        pick=st.integers(0, 99), text=st.text("ab日😀", min_size=1, max_size=3), off=st.booleans()
    )
    def append(self, pick: int, text: str, off: bool) -> None:
        row, known = self.holder(pick)
        end = len(known.reply) if known else 0
        held = self.do(self.bench.append(row, text, expected=end + off))
        assert held == (known is not None and not off)
        if known and held:
            known.reply, known.strikes = known.reply + text, 0

    @precondition(lambda self: self.claims)
    @rule(pick=st.integers(0, 99))
    def write_whole(self, pick: int) -> None:
        row, known = self.holder(pick)
        end = len(known.reply) if known else 0
        growth = Growth(claim_of(row), end, "whole", tuple(map(ord, "whole")), 0, whole=True)
        assert self.do(self.bench.write(row, growth=growth)) == (known is not None)
        if known:
            known.reply, known.strikes = "whole", 0

    @precondition(lambda self: self.claims)
    @rule(pick=st.integers(0, 99), well=st.booleans())
    def finish(self, pick: int, well: bool) -> None:
        row, known = self.holder(pick)
        held = self.do(self.bench.finish(row) if well else self.bench.fail(row))
        assert held == (known is not None)
        if known:
            known.state = "done" if well else "failed"
            if not well:
                self.known.hold(known.pk)

    @precondition(lambda self: self.claims)
    @rule(pick=st.integers(0, 99))
    def release(self, pick: int) -> None:
        row, known = self.holder(pick)
        self.do(self.bench.release(row))
        if known:
            known.state = "waiting"

    @precondition(lambda self: self.claims)
    @rule(pick=st.integers(0, 99))
    def engine_dies(self, pick: int) -> None:
        row, known = self.holder(pick)
        said = self.do(self.bench.strike(row))
        if known:
            self.known.count_strike(known)
        assert said == (known.state if known else "")

    @rule(name=st.sampled_from(WORKERS), moved=st.booleans())
    def rescue(self, name: str, moved: bool) -> None:
        worker = self.workers[name]
        lost = [row for row in self.known.of("running") if row.worker == name and not moved]
        touched = self.do(self.bench.rescue(worker, worker.heartbeat + moved))
        for row in lost:
            self.known.count_strike(row)
            if row.state == "running":
                row.state = "waiting"
        assert touched >= len(lost) and bool(touched) == bool(lost)
        self.workers[name] = Worker.objects.get(pk=worker.pk)

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


@pytest.mark.timeout(900)
def test_every_interleaving_keeps_the_promises(database: str, settings_unhurried: None) -> None:
    QueueMachine.loop = asyncio.new_event_loop()
    QueueMachine.db = DatabaseThreads("machine", 1)
    people = [person("p1"), person("p2"), guest("g1"), guest("g2")]
    QueueMachine.people = people
    assert get_user_model().objects.count() == PEOPLE
    try:
        run_state_machine_as_test(
            QueueMachine,
            settings=settings(
                max_examples=EXAMPLES,
                stateful_step_count=40,
                deadline=None,
                suppress_health_check=list(HealthCheck),
            ),
        )
    finally:
        QueueMachine.loop.run_until_complete(QueueMachine.db.close())
        QueueMachine.loop.close()
