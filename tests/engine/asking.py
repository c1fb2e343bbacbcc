"""What tests ask of an engine that asks a server, and what they hear of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from msgspec.structs import replace

from chat.engine.base import (
    Piece,
    Prepared,
    Refused,
    Sampling,
    Task,
    Turn,
)
from chat.engine.openai_engine import OpenAIEngine

from .running import Said

PLAIN = Sampling(0.0, 0, 1.0, 1.0, max_new_tokens=100, seed=1)
Engines = Callable[..., OpenAIEngine]


@dataclass
class Heard:
    """What an engine made of some tasks."""

    said: dict[str, Said] = field(default_factory=dict)
    refused: dict[str, Refused] = field(default_factory=dict)
    prepared: list[Prepared] = field(default_factory=list)

    def take(self, told: Piece | Prepared | Refused) -> None:
        if isinstance(told, Piece):
            assert told.key not in self.refused, "a piece after a refusal"
            self.said.setdefault(told.key, Said()).hear(told)
        elif isinstance(told, Refused):
            self.refused[told.key] = told
        else:
            self.prepared.append(told)


def ask(text: str, key: str = "a", **more: Any) -> Task:
    return Task(key, (Turn("user", text),), replace(PLAIN, **more))


def begun(text: str, shown: str, reasoning: int = 0, ids: int = 0, **more: Any) -> Task:
    """A task that another worker has begun, with another model."""
    return replace(
        ask(text, **more),
        prompt_ids=(7, 8),
        reply_ids=tuple(range(ids or len(shown.split()))),
        reply_text=shown,
        reasoning_end=reasoning,
        fingerprint="another",
    )


def hear(engine: OpenAIEngine, *tasks: Task) -> Heard:
    """Everything that comes of the tasks."""
    heard = Heard(prepared=[engine.add(task) for task in tasks])
    while not engine.idle():
        for told in engine.step(0.05):
            heard.take(told)
    return heard
