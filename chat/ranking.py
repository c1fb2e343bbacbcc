"""Everybody's place in line, computed for a whole queue at once.

Never one query per person: on a deep queue each would walk past everybody before them.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime

from django.utils import timezone

from chat.estimate import expected_wait
from chat.models import Generation, Queue, Worker

RANKED = 5_000
"""So many of those who wait are told their place: some milliseconds, however deep the line."""

SAMPLES = 100
"""Finished generations that the expected wait is measured from."""

ARRIVALS = 100
"""Latest messages that the rate of newcomers is measured from."""


@dataclass(frozen=True, slots=True)
class Ranking:
    """A queue at one moment. `places` counts eligible ones from 1; None is "after your reply".

    `ahead` counts, for the eligible ones, also those before them that become eligible in time;
    `joining` is how many newcomers a second get a place before theirs, where there are any.
    Not `whole` if more wait than were ranked: the others are behind all of these.
    """

    queue: Queue
    places: dict[int, int | None] = field(default_factory=dict)
    ahead: dict[int, int] = field(default_factory=dict)
    joining: dict[int, float] = field(default_factory=dict)
    running: int = 0
    slots: int = 0
    seconds: tuple[float, ...] = ()
    whole: bool = True

    @property
    def at_once(self) -> int:
        """How many can run at the same time: limit or slots, whichever is smaller."""
        return 0 if self.queue.paused else min(self.queue.limit, self.slots)

    def misses(self, generation: int) -> bool:
        """Whether a look at the queue may find a place for a waiting generation that has none."""
        return self.whole and generation not in self.places

    def wait(self, generation: int) -> tuple[int, int] | None:
        """The expected wait of a waiting generation in seconds, (low, high); None if unknown."""
        place = self.places.get(generation)
        if not place:
            return None
        joining = self.joining.get(generation, 0.0)
        return self.wait_at(place, self.ahead.get(generation), joining)

    def wait_at(
        self, place: int, ahead: int | None = None, joining: float = 0.0
    ) -> tuple[int, int] | None:
        """The expected wait of whoever stands at `place`, and is served as the `ahead`-th unless
        newcomers join before."""
        if self.running < self.at_once and place <= self.at_once - self.running:
            return (0, 1)
        return expected_wait(ahead or place, self.at_once, self.seconds, joining)


def rank(queue: Queue, now: datetime | None = None) -> Ranking:
    """Rank those who wait, the first RANKED of them, even when fewer may wait by now."""
    newcomers = _Newcomers(queue, now or timezone.now())
    line = queue.generations.waiting().in_order()
    waiting = list(line.values_list("id", "author_id", "parent_id", "turn")[:RANKED])
    running = dict(queue.generations.running().values_list("id", "author_id"))
    # Without a join, for which PostgreSQL would read and sort all that wait.
    unfinished = running.keys() | {row[0] for row in waiting}
    slots = sum(queue.workers.filter(state=Worker.State.READY).values_list("slots", flat=True))
    walk = _Walk(queue.running_per_user, min(queue.limit, slots), Counter(running.values()))
    joining: dict[int, float] = {}
    for pk, author, parent, turn in waiting:
        if pk in running:
            continue  # claimed between the two looks
        walk.pass_by(pk, author, ready=parent not in unfinished)
        if walk.places[pk] and (rate := newcomers.before(turn)):
            joining[pk] = rate
    count = len(running)
    whole = len(waiting) < RANKED
    return Ranking(
        queue, walk.places, walk.ahead, joining, count, slots, recent_seconds(queue), whole
    )


class _Newcomers:
    """How fast messages come that are served before a turn: whoever has had many turns lets those
    pass who have had few."""

    def __init__(self, queue: Queue, now: datetime) -> None:
        latest = queue.generations.order_by("-id").values_list("turn", "created_at")[:ARRIVALS]
        rows = list(latest)
        self._turns = sorted(turn for turn, _ in rows)
        self._seconds = max(1.0, (now - rows[-1][1]).total_seconds()) if rows else 1.0

    def before(self, turn: int) -> float:
        """Newcomers a second that are served before `turn`."""
        return bisect_left(self._turns, turn) / self._seconds


class _Walk:
    """Goes along the line once, from its head, and finds everybody's place."""

    def __init__(self, cap: int, at_once: int, running: Counter[int]) -> None:
        self.places: dict[int, int | None] = {}
        self.ahead: dict[int, int] = {}
        self._cap = cap
        self._at_once = at_once
        self._taken = running
        """How many of each author's run, or are eligible so far."""
        self._held: Counter[int] = Counter()
        """How many of each author's are held back so far."""
        self._rounds: Counter[int] = Counter()
        """How many of those become eligible when so many of their author's have ended."""
        self._eligible = 0

    def pass_by(self, pk: int, author: int, ready: bool) -> None:
        """The next one in the line."""
        if not ready or self._taken[author] >= self._cap:
            self.places[pk] = None
            self._held[author] += 1
            self._rounds[-(-self._held[author] // self._cap)] += 1
            return
        self._taken[author] += 1
        self._eligible += 1
        self.places[pk] = self._eligible
        self.ahead[pk] = self._eligible + self._freed_before(self._eligible)

    def _freed_before(self, place: int) -> int:
        """How many of those held back come before this place after all.

        A reply of their author's ends in the middle of a round of the slots, the one after it a
        round later; and whoever comes before us makes our wait longer, so more of them do.
        """
        freed = 0
        for rounds, count in sorted(self._rounds.items()):
            if not self._at_once or rounds - 0.5 > (place + freed) / self._at_once:
                break
            freed += count
        return freed


def recent_seconds(queue: Queue) -> tuple[float, ...]:
    """How long the latest finished generations of the models that run now took, newest first."""
    models = queue.workers.filter(state=Worker.State.READY).values("fingerprint")
    rows = (
        Generation.objects.filter(queue=queue, state="done", fingerprint__in=models)
        .order_by("-ended_at")
        .values_list("claimed_at", "ended_at")[:SAMPLES]
    )
    return tuple((ended - claimed).total_seconds() for claimed, ended in rows if claimed and ended)
