"""Runs tasks in an engine and collects what they said."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from msgspec.structs import replace

from chat.engine.base import Model, Piece, Prepared, Sampling, Task, Turn
from chat.engine.spec import EngineSpec
from chat.engine.transformers_engine import TransformersEngine

GREEDY = Sampling(0.0, 0, 1.0, 1.0, max_new_tokens=24, seed=1)
SAMPLED = Sampling(0.9, 40, 0.95, 1.0, max_new_tokens=24, seed=5)


@dataclass
class Said:
    """A reply as its reader would have it."""

    ids: list[int] = field(default_factory=list)
    text: str = ""
    reasoning: int = 0
    end: str = ""
    pieces: list[Piece] = field(default_factory=list)

    def hear(self, piece: Piece) -> None:
        self.pieces.append(piece)
        if piece.reasoning:
            assert self.reasoning == len(self.text), "reasoning after an answer"
        self.ids += piece.token_ids
        self.reasoning += piece.reasoning
        self.text += piece.text
        self.end = piece.end


def engine_for(folder: Path, **settings: object) -> tuple[TransformersEngine, Model]:
    """A loaded engine with float32 weights."""
    spec = EngineSpec(model=str(folder), dtype="float32", slots=8, memory_share=0.1)
    engine = TransformersEngine(replace(spec, **settings))
    return engine, engine.load(lambda fraction, what: None)


def ask(key: str, text: str, sampling: Sampling = GREEDY) -> Task:
    return Task(key, (Turn("user", text),), sampling)


def run(engine: TransformersEngine, *tasks: Task) -> dict[str, Said]:
    """All replies, to their ends."""
    said = {task.key: Said() for task in tasks}
    for task in tasks:
        engine.add(task)
    while not engine.idle():
        for piece in engine.step(1.0):
            said[piece.key].hear(piece)
    return said


def resumed(task: Task, prepared: Prepared, said: Said, ids: int, text: int) -> Task:
    """The task as it would come back with so many stored ids and characters."""
    return replace(
        task,
        prompt_ids=prepared.prompt_ids,
        reply_ids=tuple(said.ids[:ids]),
        reply_text=said.text[:text],
        reasoning_end=min(text, said.reasoning),
        fingerprint=prepared.fingerprint,
    )
