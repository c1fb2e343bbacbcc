"""R14: stop means stop, waiting or running."""

from __future__ import annotations

import asyncio
import random
import time
from dataclasses import dataclass, field

from chat import generation_queue
from chat.database import web
from chat.models import Generation, Queue, State
from chat.worker import Worker
from tests.acts import fresh, say
from tests.cast import person
from tests.listening import Listener
from tests.waiting import until

LONG = "a reply that nobody will read to its end, " * 40


@dataclass
class Stops:
    """What stopping so many generations showed; times in seconds."""

    waiting: int = 0
    running: int = 0
    late_deltas: int = 0
    lost_text: int = 0
    freed: list[float] = field(default_factory=list)

    def __str__(self) -> str:
        return (
            f"R14 stop: {self.running} running and {self.waiting} waiting stopped, slot free after "
            f"at most {max(self.freed):.2f} s, deltas after 1 s {self.late_deltas}, "
            f"partial texts lost {self.lost_text}"
        )


async def stop_at_random(worker: Worker, count: int, seed: int) -> Stops:
    """Stop `count` generations of as many people, one after the other, some before they start."""
    chance, stops = random.Random(seed), Stops()
    await web(Queue.objects.update, paused=True)  # nothing starts before somebody listens
    async with Listener() as listener:
        rows = [await say(await web(person, f"r14-{n}"), LONG) for n in range(count)]
        await listener.join(*rows)
        await web(Queue.objects.update, paused=False)
        await until(lambda: worker.slots, "the first one runs")
        stopped: list[tuple[Generation, float]] = []
        while rows:
            await asyncio.sleep(chance.random() * 0.06)
            row = await fresh(rows.pop(chance.randrange(min(len(rows), 6))))
            stops.running += row.state == State.RUNNING
            stops.waiting += row.state == State.WAITING
            began = time.monotonic()
            assert await generation_queue.cancel(row.pk, row.author_id)
            if row.state == State.RUNNING:
                await until(lambda pk=row.pk: not holds(worker, pk), "the slot is free", 5)
                stops.freed.append(time.monotonic() - began)
            stopped.append((row, began))
        await asyncio.sleep(1.5)  # nothing is to be awaited: the figure is that nothing comes
        for row, began in stopped:
            stored, shown = await fresh(row), listener.text(row)
            stops.late_deltas += sum(at - began > 1 for at, _ in listener.deltas[row.pk])
            stops.lost_text += stored.reply != shown or stored.state != State.CANCELLED
    return stops


def holds(worker: Worker, pk: int) -> bool:
    return any(slot.row.pk == pk for slot in worker.slots.values())
