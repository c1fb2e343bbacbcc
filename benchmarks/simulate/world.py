"""The clock of a simulated day: people send, workers claim and end, all through the queue's code.

Only time, people and engines are made up. Rows are in an SQLite database in memory; what may be
sent, who is next, places and expected waits come from chat/admission.py, generation_queue.py,
transitions.py, ranking.py and estimate.py.
"""

from __future__ import annotations

import heapq
import math
import random
import time
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from benchmarks.simulate import crowd
from benchmarks.simulate.judge import Record, Told
from chat import generation_queue
from chat.admission import Draft, QueueRefusal, admit
from chat.claiming import claim
from chat.claims import Batch, Claim, Ending
from chat.models import Generation, Queue, Worker
from chat.ranking import Ranking, rank

MIDNIGHT = datetime(2030, 1, 1, tzinfo=UTC)
TICK = 0.25
"""Seconds between two rounds of claims: a flush and a nudge take about so long in all."""
LOOK = 30.0
"""Seconds between two looks at what everybody who waits is told."""
FULL_PAUSE = 45.0
"""Seconds until somebody who was told that the line is full tries again."""
TRIES = 4


@dataclass(slots=True)
class Person:
    """Somebody on the site now."""

    pk: int
    heavy: bool
    left: int
    waiting: int = 0
    tries: int = 0
    stalled: bool = False
    conversation: uuid.UUID | None = None
    last: int | None = None


@dataclass(slots=True)
class Message:
    """A message on its way: since when, and what was told of its wait, (when, place, range)."""

    person: Person
    sent: float
    claimed: float = math.nan
    told: list[tuple[float, int, tuple[int, int], bool]] = field(default_factory=list)


@dataclass(slots=True)
class Station:
    """A worker with its row and the claims that it has."""

    row: Worker
    running: set[Claim] = field(default_factory=set)


class World:
    """One simulated day; `run` plays it. `sample` is the share of messages asked what they were
    told."""

    def __init__(self, queue: Queue, stations: list[Station], seed: int, sample: float) -> None:
        self.queue = queue
        self.stations = stations
        self.record = Record()
        self._draw = random.Random(seed)
        self._sample = sample
        self._now = 0.0
        self._events: list[tuple[float, int, Callable[..., None], tuple[Any, ...]]] = []
        self._order = count()
        self._messages: dict[int, Message] = {}
        self._waiting = 0
        self._ends: dict[int, list[tuple[Station, Claim]]] = {}
        self._fresh: list[int] = []
        self._took: dict[str, float] = defaultdict(float)

    # -- the clock ---------------------------------------------------------------------------

    def run(self, people: list[tuple[crowd.Visit, int]]) -> Record:
        """Let everybody come and have their messages answered."""
        for visit, pk in people:
            self._at(visit.at, self._send, Person(pk, visit.heavy, visit.messages))
        began = self._events[0][0]
        next_look = began
        while self._events or self._messages:
            tick = self._next_tick()
            while self._events and self._events[0][0] <= tick:
                self._now, _, act, arguments = heapq.heappop(self._events)
                act(*arguments)
            self._now = tick
            self._finish(self._ends.pop(round(tick / TICK), []))
            self._fill()
            self._tell_fresh()
            if tick >= next_look and self._waiting:
                next_look = tick + LOOK
                self._look()
            self.record.deepest = max(self.record.deepest, self._waiting)
        self.record.seconds = self._now - began
        self.record.took = dict(self._took)
        return self.record

    def _next_tick(self) -> float:
        """The next round at which anything happens."""
        candidates = [min(self._ends) * TICK] if self._ends else []
        if self._events:
            candidates.append(math.ceil(self._events[0][0] / TICK) * TICK)
        return max(self._now, min(candidates))

    def _at(self, when: float, act: Callable[..., None], *arguments: Any) -> None:
        heapq.heappush(self._events, (when, next(self._order), act, arguments))

    @property
    def _clock(self) -> datetime:
        return MIDNIGHT + timedelta(seconds=self._now)

    @contextmanager
    def _timed(self, what: str) -> Iterator[None]:
        began = time.process_time()
        yield
        self._took[what] += time.process_time() - began

    # -- people ------------------------------------------------------------------------------

    def _send(self, person: Person) -> None:
        draft = Draft(
            person.pk, uuid.UUID(int=self._draw.getrandbits(128)), "?", person.conversation,
            None if person.heavy else person.last,
        )  # fmt: skip
        try:
            with self._timed("enqueue"):
                row = admit(draft, self._clock).generation
        except QueueRefusal as refusal:
            self._refused(person, refusal)
            return
        person.left, person.tries, person.waiting = person.left - 1, 0, person.waiting + 1
        person.conversation, person.last = row.conversation_id, row.pk
        self._messages[row.pk] = Message(person, self._now)
        self._waiting += 1
        if self._draw.random() < self._sample:
            self._fresh.append(row.pk)
        patience = crowd.patience(self._draw)
        if patience < math.inf:
            self._at(self._now + patience, self._give_up, row.pk)
        more = person.heavy or self._draw.random() < crowd.FOLLOW_UP_SHARE
        # A script knows the cap, and waits for the end of one of its own.
        if person.left and more and person.waiting < self.queue.waiting_per_user:
            self._at(self._now + self._draw.uniform(0.5, 5.0), self._send, person)
        else:
            person.stalled = True

    def _refused(self, person: Person, refusal: QueueRefusal) -> None:
        self.record.refused[refusal.code] = self.record.refused.get(refusal.code, 0) + 1
        if refusal.code == "too_fast":
            self._at(self._now + refusal.retry, self._send, person)
        elif refusal.code == "too_many_waiting":
            person.stalled = True  # goes on when one of theirs has ended
        elif person.tries < TRIES:
            person.tries += 1
            self._at(self._now + self._draw.uniform(0.5, 1.5) * FULL_PAUSE, self._send, person)

    def _give_up(self, pk: int) -> None:
        message = self._messages.get(pk)
        if message is None or not math.isnan(message.claimed):
            return
        for row in generation_queue._cancel_rows(pk, "stopped", None, self._clock):
            self.record.stopped += 1
            self._waiting -= 1
            message = self._messages.pop(row.pk)
            message.person.waiting -= 1
            self._go_on(message.person)

    def _go_on(self, person: Person) -> None:
        """One of theirs has ended: the next message, after reading it."""
        if not person.stalled or not person.left:
            return
        person.stalled = False
        pause = 1.0 if person.heavy else crowd.think(self._draw)
        self._at(self._now + pause, self._send, person)

    # -- workers -----------------------------------------------------------------------------

    def _finish(self, ends: list[tuple[Station, Claim]]) -> None:
        if not ends:
            return
        batches = [
            Batch(
                Generation(pk=ended.generation), None, None, Ending(ended, "done", "stop", {}),
                0, "", 0, staged=False,
            )
            for _, ended in ends
        ]  # fmt: skip
        with self._timed("finish"):
            held, _ = generation_queue._write(batches, self._clock)
        assert len(held) == len(ends), "a claim was lost, and nobody had taken it"
        for station, ended in ends:
            station.running.discard(ended)
            message = self._messages.pop(ended.generation)
            self.record.done += 1
            self.record.wholes.append(self._now - message.sent)
            self._go_on(message.person)

    def _fill(self) -> None:
        """Whoever has room claims, in any order, as long as there is something to take."""
        if not self._waiting:
            return
        free = [s for s in self.stations if len(s.running) < s.row.slots]
        self._draw.shuffle(free)
        # The least busy look first: an engine with fewer rows comes sooner to its next step.
        for station in sorted(free, key=lambda one: len(one.running)):
            with self._timed("claim"):
                rows = claim(station.row, station.row.slots - len(station.running), self._clock)
            if not rows:
                return
            for row in rows:
                self._begin(station, row)
            if not self._waiting:
                return

    def _begin(self, station: Station, row: Generation) -> None:
        held = Claim(row.pk, row.attempt)
        station.running.add(held)
        self._waiting -= 1
        message = self._messages[row.pk]
        message.claimed = self._now
        message.person.waiting -= 1
        kind = "heavy" if message.person.heavy else "light"
        self.record.waits[kind].append(self._now - message.sent)
        for at, place, (low, high), first in message.told:
            told = Told(place, low, high, self._now - at, message.person.heavy)
            (self.record.first if first else self.record.later).append(told)
        length = crowd.reply_tokens(self._draw)
        end = self._now + crowd.seconds(length, len(station.running))
        self._ends.setdefault(math.ceil(end / TICK), []).append((station, held))

    # -- what people are told ------------------------------------------------------------------

    def _tell_fresh(self) -> None:
        waiting = [pk for pk in self._fresh if pk in self._messages]
        waiting = [pk for pk in waiting if math.isnan(self._messages[pk].claimed)]
        self._fresh.clear()
        if waiting:
            ranking = self._rank()
            for pk in waiting:
                self._tell(pk, ranking, first=True)

    def _look(self) -> None:
        ranking = self._rank()
        for pk in ranking.places:
            if self._draw.random() < self._sample:
                self._tell(pk, ranking, first=False)

    def _rank(self) -> Ranking:
        with self._timed("rank"):
            self.queue.refresh_from_db()
            return rank(self.queue, self._clock)

    def _tell(self, pk: int, ranking: Ranking, first: bool) -> None:
        place = ranking.places.get(pk)
        if place is None:
            self.record.after += 1
            return
        wait = ranking.wait(pk)
        if wait is None:
            self.record.unknown += 1
        else:
            self._messages[pk].told.append((self._now, place, wait, first))
