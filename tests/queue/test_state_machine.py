"""Random interleavings of everything that people, workers and operators can do to the queue.

After every step the rows are compared with a model in plain Python: states, attempts, replies and
strikes; never more run than the limit lets (P3); nobody is overtaken who was first in line (P5).
Every worker has a connection of its own, and some steps are taken on several at the same time.
"""

from __future__ import annotations

import asyncio
import uuid

import pytest
from django.contrib.auth import get_user_model
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    precondition,
    rule,
    run_state_machine_as_test,
)

from chat import generation_queue, operators
from chat.admission import Draft, Enqueued, QueueRefusal
from chat.claims import Growth
from chat.database import DatabaseThreads
from chat.models import Generation, Worker
from tests.acts import claim_of
from tests.cast import guest, person
from tests.queue.machine import WORKERS, QueueBase
from tests.sizes import size

PEOPLE = 4
EXAMPLES = size(40, 500)  # of 40 steps each


class QueueMachine(QueueBase):
    """What people, operators and workers do."""

    # -- what people do ----------------------------------------------------------------------

    @rule(who=st.integers(0, PEOPLE - 1), follow=st.booleans(), pick=st.integers(0, 99))
    def enqueue(self, who: int, follow: bool, pick: int) -> None:
        user = self.people[who]
        mine = [row for row in self.known.rows.values() if row.author == user.pk]
        parent = mine[pick % len(mine)].pk if follow and mine else None
        home = Generation.objects.get(pk=parent).conversation_id if parent else None
        draft = Draft(user.pk, uuid.uuid4(), "hello", home, parent)
        full = not self.room_of(user.pk)
        try:
            row = self.do(generation_queue.enqueue(draft)).generation
        except QueueRefusal as refusal:
            assert full and refusal.code in ("too_many_waiting", "queue_full")
            return
        assert not full
        self.joined(draft, row)

    @rule(who=st.integers(0, PEOPLE - 1))
    def two_messages_at_once(self, who: int) -> None:
        user, room = self.people[who], self.room_of(self.people[who].pk)
        drafts = [Draft(user.pk, uuid.uuid4(), "hello") for _ in range(2)]
        answers = self.at_once(*map(generation_queue.enqueue, drafts))
        pairs = zip(drafts, answers, strict=True)
        rows = [(one, said.generation) for one, said in pairs if isinstance(said, Enqueued)]
        assert len(rows) == max(0, min(2, room))
        for one, row in sorted(rows, key=lambda pair: pair[1].pk):
            self.joined(one, row)

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
        busy = self.known.tries_a_suspect(name)
        room = 0 if self.paused else max(0, self.limit - len(self.known.of("running")))
        rows = self.do(self.benches[name].claim(self.workers[name], most))
        assert not (busy and rows)
        for row in rows:
            assert row.pk == self.known.eligible()[0].pk, "the first eligible one is taken"
            self.claimed(row, name)
        suspects = [row for row in rows if self.known.rows[row.pk].strikes]
        assert not suspects or len(rows) == 1, "a suspect comes alone"
        if len(rows) < min(most, room):
            held_up = busy or suspects or (rows and self.suspects_wait())
            assert held_up or not self.known.eligible(), "nobody waits beside a free place"
        assert len(rows) <= room

    @rule(most=st.integers(1, 3))
    def all_workers_claim_at_once(self, most: int) -> None:
        room = 0 if self.paused else max(0, self.limit - len(self.known.of("running")))
        simple = not self.suspects_wait() and not any(map(self.known.tries_a_suspect, WORKERS))
        claims = (self.benches[name].claim(self.workers[name], most) for name in WORKERS)
        answers = zip(WORKERS, self.at_once(*claims), strict=True)
        taken = {row.pk: (row, name) for name, rows in answers for row in rows}
        count = len(taken)
        assert count <= room, "several workers together keep to the limit"
        while taken:  # in the order of the queue, whichever worker was first
            first = next(row for row in self.known.eligible() if row.pk in taken or simple)
            self.claimed(*taken.pop(first.pk))
        full = count == min(room, most * len(WORKERS))
        assert full or not simple or not self.known.eligible()

    @precondition(lambda self: self.claims)
    @rule(
        pick=st.integers(0, 99), text=st.text("ab日😀", min_size=1, max_size=3), off=st.booleans()
    )
    def append(self, pick: int, text: str, off: bool) -> None:
        row, known = self.holder(pick)
        end = len(known.reply) if known else 0
        held = self.do(self.bench_of(row).append(row, text, expected=end + off))
        assert held == (known is not None and not off)
        if known and held:
            known.reply, known.strikes = known.reply + text, 0

    @precondition(lambda self: self.claims)
    @rule(pick=st.integers(0, 99))
    def write_whole(self, pick: int) -> None:
        row, known = self.holder(pick)
        end = len(known.reply) if known else 0
        growth = Growth(claim_of(row), end, "whole", tuple(map(ord, "whole")), 0, whole=True)
        assert self.do(self.bench_of(row).write(row, growth=growth)) == (known is not None)
        if known:
            known.reply, known.strikes = "whole", 0

    @precondition(lambda self: self.claims)
    @rule(pick=st.integers(0, 99), well=st.booleans())
    def finish(self, pick: int, well: bool) -> None:
        row, known = self.holder(pick)
        held = self.do(self.bench_of(row).finish(row) if well else self.bench_of(row).fail(row))
        assert held == (known is not None)
        if known:
            known.state = "done" if well else "failed"
            if not well:
                self.known.hold(known.pk)

    @precondition(lambda self: self.claims)
    @rule(pick=st.integers(0, 99), text=st.text("ab", min_size=1, max_size=3))
    def written_ended_and_stopped_at_once(self, pick: int, text: str) -> None:
        row, known = self.holder(pick)
        if known is None:
            return
        wrote, ended, stopped = self.at_once(
            self.benches["w1"].append(row, text, expected=len(known.reply)),
            self.benches["w2"].finish(row),
            generation_queue.cancel(row.pk, row.author_id),
        )
        assert ended != stopped, "exactly one of them ends it"
        if wrote:
            known.reply, known.strikes = known.reply + text, 0
        known.state = "done" if ended else "cancelled"
        if stopped:
            self.known.hold(known.pk)

    @precondition(lambda self: self.claims)
    @rule(pick=st.integers(0, 99))
    def release(self, pick: int) -> None:
        row, known = self.holder(pick)
        self.do(self.bench_of(row).release(row))
        if known:
            known.state = "waiting"

    @precondition(lambda self: self.claims)
    @rule(pick=st.integers(0, 99))
    def engine_dies(self, pick: int) -> None:
        row, known = self.holder(pick)
        said = self.do(self.bench_of(row).strike(row))
        if known:
            self.known.count_strike(known)
        assert said == (known.state if known else "")

    @rule(name=st.sampled_from(WORKERS), moved=st.booleans())
    def rescue(self, name: str, moved: bool) -> None:
        worker = self.workers[name]
        touched = self.do(self.benches[name].rescue(worker, worker.heartbeat + moved))
        lost = 0 if moved else self.known.rescue(name)
        assert touched >= lost and bool(touched) == bool(lost)
        self.workers[name] = Worker.objects.get(pk=worker.pk)


@pytest.mark.timeout(900)
def test_every_interleaving_keeps_the_promises(database: str, settings_unhurried: None) -> None:
    QueueMachine.loop = asyncio.new_event_loop()
    QueueMachine.threads = {name: DatabaseThreads(name, 1) for name in WORKERS}
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
        for threads in QueueMachine.threads.values():
            QueueMachine.loop.run_until_complete(threads.close())
        QueueMachine.loop.close()
