"""Everybody's place in line, computed for a whole queue at once.

Never one query per person: on a deep queue each would walk past everybody before them.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from chat.estimate import expected_wait
from chat.models import Generation, Queue, Worker
from chat.transitions import ENDED

SAMPLES = 50
"""Finished generations that the expected wait is measured from."""


@dataclass(frozen=True, slots=True)
class Ranking:
    """A queue at one moment. `places` counts eligible ones from 1; None is "after your reply"."""

    queue: Queue
    places: dict[int, int | None] = field(default_factory=dict)
    running: int = 0
    slots: int = 0
    seconds: tuple[float, ...] = ()

    @property
    def at_once(self) -> int:
        """How many can run at the same time: limit or slots, whichever is smaller."""
        return 0 if self.queue.paused else min(self.queue.limit, self.slots)

    def wait(self, generation: int) -> tuple[int, int] | None:
        """The expected wait of a waiting generation in seconds, (low, high); None if unknown."""
        place = self.places.get(generation)
        return self.wait_at(place) if place else None

    def wait_at(self, place: int) -> tuple[int, int] | None:
        """The expected wait of whoever stands at `place`."""
        if self.running < self.at_once and place <= self.at_once - self.running:
            return (0, 1)
        return expected_wait(place, self.at_once, self.seconds)


def rank(queue: Queue) -> Ranking:
    """Rank the waiting generations of `queue`: all of them, even when fewer may wait by now."""
    running: dict[int, int] = {}
    for author in queue.generations.running().values_list("author_id", flat=True):
        running[author] = running.get(author, 0) + 1
    free = {author: queue.running_per_user - count for author, count in running.items()}
    places: dict[int, int | None] = {}
    eligible = 0
    rows = queue.generations.waiting().in_order().values_list("id", "author_id", "parent__state")
    for pk, author, parent in rows:
        left = free.get(author, queue.running_per_user)
        if left < 1 or (parent is not None and parent not in ENDED):
            places[pk] = None
            continue
        free[author] = left - 1
        eligible += 1
        places[pk] = eligible
    slots = sum(queue.workers.filter(state=Worker.State.READY).values_list("slots", flat=True))
    return Ranking(queue, places, sum(running.values()), slots, recent_seconds(queue))


def recent_seconds(queue: Queue) -> tuple[float, ...]:
    """How long the latest finished generations of the models that run now took, newest first."""
    models = queue.workers.filter(state=Worker.State.READY).values("fingerprint")
    rows = (
        Generation.objects.filter(queue=queue, state="done", fingerprint__in=models)
        .order_by("-ended_at")
        .values_list("claimed_at", "ended_at")[:SAMPLES]
    )
    return tuple((ended - claimed).total_seconds() for claimed, ended in rows if claimed and ended)
