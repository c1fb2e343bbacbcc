"""A worker's slots beside an engine that is only noted down: what enters, and what counts."""

from __future__ import annotations

from typing import Any

from chat.engine.base import Piece, Task
from chat.engine.spec import EngineSpec
from chat.models import Generation
from chat.slot import Slot
from chat.worker import Worker

PARAMETERS = {
    "temperature": 0.0,
    "top_k": 0,
    "top_p": 1.0,
    "repetition_penalty": 1.0,
    "max_new_tokens": 100,
    "seed": 1,
    "stop": [],
}


class Noted:
    """Stands for the engine."""

    def __init__(self) -> None:
        self.tasks: list[Task] = []
        self.cancelled: list[str] = []

    def add(self, task: Task) -> None:
        self.tasks.append(task)

    def cancel(self, key: str) -> None:
        self.cancelled.append(key)


def make_slot(worker: Worker, pk: int, strikes: int = 0) -> Slot:
    row = Generation(pk=pk, attempt=1, strikes=strikes, parameters=PARAMETERS)
    slot = Slot.of(row, ())
    worker.slots[slot.key] = slot
    return slot


async def test_a_piece_that_was_on_its_way_when_its_slot_entered_again_counts_for_nothing() -> None:
    worker: Any = Worker("slots", EngineSpec(kind="echo"))
    worker._feed, worker._ready = (engine := Noted()), True
    slot = make_slot(worker, 1)
    worker._arrange()
    first = engine.tasks[-1].key
    worker._take((Piece(first, (65,), "A"),))

    suspect = make_slot(worker, 2, strikes=1)
    worker._arrange()
    assert engine.cancelled == [first]
    worker._drop(suspect)  # its author stopped it before the engine has seen any of this

    again = engine.tasks[-1]
    assert again.reply_ids == (65,)
    worker._take((Piece(first, (66,), "B"),))
    worker._take((Piece(again.key, (66,), "B"),))
    assert (slot.ids, slot.text) == ([65, 66], "AB")
