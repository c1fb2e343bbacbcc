"""One process that enqueues, claims and ends through the queue's own functions; see queue.py.

Answers lines of JSON. No sockets, no events, no engine: what the database and the code in front of
it can do.
"""

from __future__ import annotations

import json
import os
import random
import sys
import time
import uuid
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "chatsite.settings")

import django

django.setup()

from django.contrib.auth import get_user_model  # noqa: E402

from chat.admission import Draft, admit, default_queue  # noqa: E402
from chat.claiming import claim  # noqa: E402
from chat.claims import Batch, Claim, Ending  # noqa: E402
from chat.generation_queue import _write  # noqa: E402
from chat.models import Generation, Worker  # noqa: E402
from chat.ranking import rank  # noqa: E402


class Hand:
    """A person and a worker in one."""

    def __init__(self, name: str) -> None:
        self.worker = Worker.objects.create(
            name=f"{name}-{os.getpid()}", queue=default_queue(), state=Worker.State.READY, slots=64
        )
        self.people = list(get_user_model().objects.values_list("pk", flat=True))
        self.draw = random.Random(os.getpid())

    def enqueue(self) -> None:
        person = self.draw.choice(self.people)
        admit(Draft(person, uuid.UUID(int=self.draw.getrandbits(128)), "hello"))

    def claim(self, most: int) -> list[Generation]:
        return claim(self.worker, most)

    def end(self, rows: list[Generation]) -> None:
        endings = [Ending(Claim(row.pk, row.attempt), "done", "stop", {}) for row in rows]
        batches = [
            Batch(row, None, None, ending, 0, "", 0, staged=False)
            for row, ending in zip(rows, endings, strict=True)
        ]
        held, _ = _write(batches)
        assert len(held) == len(rows)

    def rank(self) -> None:
        rank(default_queue())

    # -- what is measured ---------------------------------------------------------------------

    def alone(self, what: str, seconds: float) -> list[float]:
        """How long single ones take, one after the other, in seconds."""
        took: list[float] = []
        until = time.perf_counter() + seconds
        while time.perf_counter() < until and len(took) < 500:
            began = time.perf_counter()
            if what == "claim":
                rows = self.claim(1)
                took.append(time.perf_counter() - began)
                self.end(rows)
                if not rows:
                    self.enqueue()
            else:
                {"enqueue": self.enqueue, "rank": self.rank}[what]()
                took.append(time.perf_counter() - began)
        return took

    def many(self, what: str, seconds: float, most: int) -> dict[str, float]:
        """As many as can be done; how many, in how long and with how much processor time."""
        done, began, spent = 0, time.perf_counter(), time.process_time()
        until = began + seconds
        while time.perf_counter() < until:
            if what != "drain":
                for _ in range(most):
                    self.enqueue()
                    if time.perf_counter() > until and what == "enqueue":
                        break
                    done += what == "enqueue"
            if what != "enqueue":
                rows = self.claim(most)
                if not rows:
                    break  # nothing is left to take
                self.end(rows)
                done += len(rows)
        wall = time.perf_counter() - began
        return {"done": done, "wall": wall, "processor": time.process_time() - spent}


def main() -> None:
    hand = Hand(sys.argv[1])
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        ask: dict[str, Any] = json.loads(line)
        try:
            if ask["do"] == "alone":
                reply: dict[str, Any] = {"took": hand.alone(ask["what"], ask["seconds"])}
            else:
                reply = hand.many(ask["what"], ask["seconds"], ask["most"])
        except Exception as error:
            reply = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(reply), flush=True)


if __name__ == "__main__":
    main()
