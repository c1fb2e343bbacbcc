"""What the rows of a queue must be, in plain Python: the model of the state machine."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from chat.transitions import MAX_STRIKES

RUNNING_PER_USER = 2


@dataclass
class Known:
    """What a generation's row must be."""

    pk: int
    author: int
    line: str
    turn: int
    parent: int | None
    first_in_line: bool
    state: str = "waiting"
    worker: str = ""
    attempt: int = 0
    reply: str = ""
    strikes: int = 0
    claimed: int = 0


class KnownQueue:
    """All generations, by id."""

    def __init__(self) -> None:
        self.rows: dict[int, Known] = {}

    def of(self, state: str) -> list[Known]:
        return [row for row in self.rows.values() if row.state == state]

    def eligible(self) -> list[Known]:
        """In the order in which they must be claimed."""
        running = Counter(row.author for row in self.of("running"))
        ready = [
            row
            for row in self.of("waiting")
            if running[row.author] < RUNNING_PER_USER
            and (row.parent is None or self.rows[row.parent].state not in ("waiting", "running"))
        ]
        return sorted(ready, key=lambda row: (row.turn, row.pk))

    def tries_a_suspect(self, worker: str) -> bool:
        return any(row.strikes for row in self.of("running") if row.worker == worker)

    def run(self, pk: int, worker: str) -> Known:
        """Claimed by `worker`."""
        row = self.rows[pk]
        assert row in self.eligible()
        row.state, row.worker, row.claimed = "running", worker, len(row.reply)
        row.attempt += 1
        return row

    def hold(self, parent: int) -> None:
        for row in self.of("waiting"):
            if row.parent == parent:
                row.state = "cancelled"
                self.hold(row.pk)

    def rescue(self, worker: str) -> int:
        """What a dead worker had goes back; suspects that it tried are to blame, or else all."""
        lost = [row for row in self.of("running") if row.worker == worker]
        tried = [row for row in lost if row.strikes and len(row.reply) == row.claimed]
        for row in lost:
            if row in tried or not tried:
                self.count_strike(row)
            if row.state == "running":
                row.state = "waiting"
        return len(lost)

    def count_strike(self, row: Known) -> None:
        row.strikes += len(row.reply) == row.claimed
        row.claimed = len(row.reply)
        if row.strikes >= MAX_STRIKES:
            row.state = "failed"
            self.hold(row.pk)
