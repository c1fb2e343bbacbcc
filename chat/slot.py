"""One slot of a worker: a claimed generation, what its reply is, and what of it is stored."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

from chat.claims import Batch, Claim, Ending, Growth, Preparation
from chat.engine.base import Piece, Prepared, Sampling, Task, Turn
from chat.models import Generation, State


@dataclass(slots=True)
class Slot:
    """A claim and its reply so far. `stored_*` is what the row has, the rest is ahead of it."""

    row: Generation
    turns: tuple[Turn, ...] = ()
    text: str = ""
    ids: list[int] = field(default_factory=list)
    reasoning_end: int = 0
    stored_end: int = 0
    stored_ids: int = 0
    prepared: Prepared | None = None
    ending: Ending | None = None
    started: float = field(default_factory=time.monotonic)
    in_engine: bool = False
    entries: int = 0
    grew: bool = False
    seen: bool = False

    @classmethod
    def of(cls, row: Generation, turns: tuple[Turn, ...]) -> Slot:
        """A slot that goes on from what the row has stored."""
        ids = [int(token) for token in row.reply_ids.split()]
        return cls(
            row,
            turns,
            row.reply,
            ids,
            row.reasoning_end,
            row.reply_end,
            len(ids),
            seen=bool(row.reply),
        )

    @property
    def claim(self) -> Claim:
        return Claim(self.row.pk, self.row.attempt)

    @property
    def key(self) -> str:
        """Its name in the engine. Each entry has another one: pieces of the one before, still on
        their way when it enters again, are made anew."""
        return f"{self.row.pk}/{self.row.attempt}/{self.entries}"

    @property
    def suspect(self) -> bool:
        """An engine died with it and it has gained nothing since: it must be tried alone."""
        return self.row.strikes > 0 and not self.grew

    @property
    def pending(self) -> bool:
        """Whether something is not stored yet."""
        return (
            self.ending is not None
            or self.prepared is not None
            or self.stored_end < len(self.text)
            or self.stored_ids < len(self.ids)
        )

    @property
    def urgent(self) -> bool:
        """Whether it should be stored at once: a reply's first text, or its end."""
        return self.ending is not None or (not self.seen and len(self.text) > self.stored_end)

    def task(self) -> Task:
        """What the engine is asked to do: the whole prompt, or to go on from the last token."""
        parameters = self.row.parameters
        return Task(
            key=self.key,
            turns=self.turns,
            sampling=Sampling(
                temperature=parameters["temperature"],
                top_k=parameters["top_k"],
                top_p=parameters["top_p"],
                repetition_penalty=parameters["repetition_penalty"],
                max_new_tokens=parameters["max_new_tokens"],
                seed=parameters["seed"],
                stop=tuple(parameters["stop"]),
            ),
            prompt_ids=tuple(map(int, self.row.prompt_ids.split())) or None,
            reply_ids=tuple(self.ids),
            reply_text=self.text,
            reasoning_end=self.reasoning_end,
            fingerprint=self.row.fingerprint,
        )

    def prepare(self, prepared: Prepared) -> None:
        """The engine took it in; store what it made of the prompt, unless that is stored."""
        if self.row.prompt_ids and self.row.fingerprint == prepared.fingerprint:
            return
        self.prepared = prepared
        self.ids = list(prepared.reply_ids)
        self.stored_ids = len(self.ids)
        self.row.prompt_ids = " ".join(map(str, prepared.prompt_ids))
        self.row.fingerprint = prepared.fingerprint
        self.row.dropped_turns = prepared.dropped_turns

    def grow(self, piece: Piece) -> None:
        """The engine made something."""
        self.text += piece.text
        self.ids += piece.token_ids
        self.reasoning_end += piece.reasoning
        self.grew = self.grew or bool(piece.token_ids)
        if piece.end:
            self.end(State.DONE, piece.end)

    def end(self, state: State, reason: str, detail: dict[str, Any] | None = None) -> None:
        """It is over; what it has made is stored with its end."""
        self.ending = self.ending or Ending(self.claim, state, reason, detail or {})

    def batch(self, found: int | None = None) -> Batch:
        """Everything that is not stored yet.

        `found` is the stored length of a reply of which the database lost a flush: then the
        growth replaces the whole, and what was made of the prompt is stored again, too.
        """
        offset = self.stored_end
        text = self.text[offset:]
        growth = None
        if found is not None:
            growth = Growth(
                self.claim, found, self.text, tuple(self.ids), self.reasoning_end, whole=True
            )
        elif text or self.stored_ids < len(self.ids) or self.ending is not None:
            # With an end also when nothing grew: it holds only if no flush was lost before.
            known, ids = self.stored_ids, tuple(self.ids[self.stored_ids :])
            growth = Growth(self.claim, offset, text, ids, self.reasoning_end, known_ids=known)
        answers = 0 < self.reasoning_end < len(self.text) and offset <= self.reasoning_end
        return Batch(
            self.row,
            self._preparation(again=found is not None),
            growth,
            self.ending,
            offset,
            text,
            max(0, min(self.reasoning_end - offset, len(text))),
            staged=bool(text) and (not self.seen or answers),
        )

    def _preparation(self, again: bool) -> Preparation | None:
        made, row = self.prepared, self.row
        if made is None and not (again and row.fingerprint):
            return None
        prompt_ids = tuple(map(int, row.prompt_ids.split()))
        reply_ids = made.reply_ids if made else ()
        return Preparation(self.claim, prompt_ids, reply_ids, row.fingerprint, row.dropped_turns)

    def stored(self, batch: Batch) -> None:
        """A batch was written: remember what the row has now."""
        if batch.preparation is not None:
            self.prepared = None
        self.stored_end = batch.offset + len(batch.text)
        if batch.growth is not None:
            before = 0 if batch.growth.whole else self.stored_ids
            self.stored_ids = before + len(batch.growth.ids)
            self.row.strikes = 0
        self.seen = self.seen or bool(batch.text)
