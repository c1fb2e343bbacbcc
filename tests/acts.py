"""What people and workers do to the queue, in one line each."""

from __future__ import annotations

import uuid
from typing import Any

from chat import generation_queue, operators
from chat.admission import Draft
from chat.claims import Batch, Claim, Ending, Growth
from chat.database import DatabaseThreads, web
from chat.models import Generation, Queue, State, Worker


async def say(user: Any, text: str = "hello", after: Generation | None = None) -> Generation:
    """`user` sends a message: in a conversation of its own, or as the next turn of `after`."""
    return (await generation_queue.enqueue(draft(user, text, after))).generation


def draft(user: Any, text: str = "hello", after: Generation | None = None) -> Draft:
    conversation = after.conversation_id if after else None
    return Draft(user.pk, uuid.uuid4(), text, conversation, after.pk if after else None)


async def fresh(row: Generation) -> Generation:
    """The row as it is stored now."""
    return await web(Generation.objects.get, pk=row.pk)


class Bench:
    """A queue, and workers without engines that claim from it."""

    def __init__(self, queue: Queue, db: DatabaseThreads) -> None:
        self.queue = queue
        self.db = db

    async def worker(self, name: str = "w1", slots: int = 8) -> Worker:
        return await web(
            Worker.objects.create,
            name=name,
            queue=self.queue,
            slots=slots,
            state=Worker.State.READY,
        )

    async def set(self, **values: int | bool) -> None:
        """Set the queue's row, past the operators' door."""
        await web(Queue.objects.filter(pk=self.queue.pk).update, **values)
        await web(self.queue.refresh_from_db)

    async def claim(self, worker: Worker, most: int = 100) -> list[Generation]:
        return await generation_queue.claim(worker, most, self.db)

    async def append(self, row: Generation, text: str, expected: int | None = None) -> bool:
        """One more token for each character."""
        end = (await fresh(row)).reply_end if expected is None else expected
        growth = Growth(claim_of(row), end, text, tuple(map(ord, text)), 0)
        return await self.write(row, growth=growth)

    async def finish(
        self, row: Generation, state: State = State.DONE, reason: str = "stop"
    ) -> bool:
        return await self.write(row, ending=Ending(claim_of(row), state, reason, {}))

    async def fail(self, row: Generation, reason: str = "prompt_too_long") -> bool:
        return await self.finish(row, State.FAILED, reason)

    async def write(
        self, row: Generation, growth: Growth | None = None, ending: Ending | None = None
    ) -> bool:
        text = growth.text if growth else ""
        offset = growth.expected if growth else 0
        batch = Batch(row, None, growth, ending, offset, text, 0, staged=bool(text))
        (held,) = await generation_queue.write([batch], self.db)
        return held

    async def release(self, row: Generation) -> None:
        await generation_queue.release([claim_of(row)], self.db)

    async def strike(self, row: Generation) -> str:
        return (await generation_queue.strike([claim_of(row)], self.db))[row.pk]

    async def rescue(self, worker: Worker, heartbeat: int | None = None) -> int:
        beat = worker.heartbeat if heartbeat is None else heartbeat
        return await generation_queue.rescue(worker, beat, self.db)

    async def configure(self, user: Any, **changes: Any) -> Queue:
        return await operators.configure(self.queue.pk, operators.Actor(user), **changes)


def claim_of(row: Generation) -> Claim:
    return Claim(row.pk, row.attempt)
