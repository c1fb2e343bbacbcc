"""R3: several processes claim from one queue; nothing is claimed twice, the limit holds.

`python -m tests.faults.r3 NAME COUNT` is one claimer, on the database of the environment.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
import uuid
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from tests.served import ROOT, environment

PEOPLE = 50


@dataclass
class Race:
    """What the claimers saw."""

    claimed: int
    double: int
    above: int
    locked: int
    seconds: float

    def __str__(self) -> str:
        return (
            f"R3 claims by 4 processes: {self.claimed} claimed in {self.seconds:.1f} s, "
            f"double claims {self.double}, above the limit {self.above}, "
            f'"database is locked" {self.locked}'
        )


def race(folder: Path, database: str, total: int, limit: int, claimers: int = 4) -> Race:
    """Fill the queue with `total` messages and let processes claim and finish them all."""
    fill(total, limit)
    began, processes = time.monotonic(), []
    for number in range(claimers):
        with (folder / f"claimer{number}.log").open("wb") as log:
            processes.append(
                subprocess.Popen(
                    [sys.executable, "-m", "tests.faults.r3", f"c{number}", str(limit)],
                    cwd=ROOT,
                    env=environment(folder, database),
                    stdout=log,
                    stderr=subprocess.STDOUT,
                )
            )
    codes = [process.wait(600) for process in processes]
    logs = [(folder / f"claimer{number}.log").read_text() for number in range(claimers)]
    assert codes == [0] * claimers, logs
    said = [line.split() for log in logs for line in log.splitlines()]
    claims = Counter(int(words[1]) for words in said if words[0] == "claimed")
    return Race(
        claimed=len(claims),
        double=sum(count - 1 for count in claims.values()),
        above=sum(words[0] == "above" for words in said),
        locked=sum("locked" in words for words in said),
        seconds=time.monotonic() - began,
    )


def fill(total: int, limit: int) -> None:
    from django.contrib.auth import get_user_model
    from django.utils import timezone

    from chat.models import Generation, Queue

    queue = Queue.objects.get()
    Queue.objects.update(limit=limit, size=total, running_per_user=limit)
    users = get_user_model().objects
    people = [users.create(username=f"r3-{number}") for number in range(PEOPLE)]
    Generation.objects.bulk_create(
        Generation(
            queue=queue,
            author=people[number % PEOPLE],
            client_id=uuid.uuid4(),
            prompt="x",
            line=f"user {number % PEOPLE}",
            turn=number // PEOPLE,
            created_at=timezone.now(),
        )
        for number in range(total)
    )


async def claim_all(name: str, limit: int) -> None:
    """Claim and finish until nothing waits; says what it claimed, and any breach it sees."""
    from chat import generation_queue
    from chat.claims import Batch, Claim, Ending
    from chat.database import DatabaseThreads
    from chat.models import Generation, Queue, State, Worker

    db = DatabaseThreads(name, 1)
    queue = await db(Queue.objects.get)
    worker = await db(Worker.objects.create, name=name, queue=queue)
    while await db(Generation.objects.waiting().exists):
        rows = await generation_queue.claim(worker, 2, db)
        if await db(Generation.objects.running().count) > limit:
            print("above", flush=True)
        for row in rows:
            print("claimed", row.pk, flush=True)
        endings = [Ending(Claim(row.pk, row.attempt), State.DONE, "stop", {}) for row in rows]
        pairs = zip(rows, endings, strict=True)
        batches = [Batch(row, None, None, ending, 0, "", 0, False) for row, ending in pairs]
        assert all(await generation_queue.write(batches, db))
    await db.close()


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "chatsite.settings")
    import django

    django.setup()
    import logging

    logging.disable(logging.WARNING)
    asyncio.run(claim_all(sys.argv[1], int(sys.argv[2])))
