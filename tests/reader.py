"""A page without a browser: applies frames as docs/protocol.md says, and counts what went wrong.

A page in Python, so that thousands of replies can be read; the real one has tests of its own.
"""

from __future__ import annotations

import html
import re
import uuid
from dataclasses import dataclass, field
from typing import Any

Frame = dict[str, Any]
GRAIN, ACKNOWLEDGE = 150, 16 * 1024
"""Bytes of a frame beside its text; after how many bytes a page acknowledges."""
_TAG = re.compile(r"<[^>]*>")


@dataclass
class Turn:
    """What a page shows of one generation."""

    pk: int
    end: int = 0
    prompt: str = ""
    reasoning: str = ""
    blocks: dict[int, tuple[int, str]] = field(default_factory=dict)
    open: tuple[int, str] | None = None
    stage: Frame = field(default_factory=dict)
    final: bool = False
    looking: bool = False

    @property
    def text(self) -> str:
        """What a person reads: the text of all blocks and of the open one."""
        closed = [_TAG.sub("", made) for _, (_, made) in sorted(self.blocks.items())]
        return html.unescape("".join(closed)) + (self.open[1] if self.open else "")

    @property
    def html(self) -> list[tuple[int, int, str]]:
        return [(start, end, made) for start, (end, made) in sorted(self.blocks.items())]

    def goes_on_from(self, old: Turn) -> bool:
        """Whether all that `old` showed is still there: its closed blocks, and its open text."""
        if self.end < old.end or self.html[: len(old.html)] != old.html:
            return False
        if old.open is None or (self.open and self.open[0] != old.open[0]) or not self.open:
            return True  # what was open is closed by now, in another shape
        return self.open[1].startswith(old.open[1])

    def put(self, blocks: list[Frame]) -> None:
        """Put closed blocks in place of what they cover."""
        for block in blocks:
            start, end = block["start"], block["end"]
            self.blocks = {at: old for at, old in self.blocks.items() if not start <= at < end}
            if self.open and start <= self.open[0] < end:
                self.open = None
            self.blocks[start] = (end, block["html"])

    def append(self, part: Frame) -> None:
        if part["kind"] == "reasoning":
            self.reasoning += part["text"]
        elif self.open and self.open[0] == part["block"]:
            self.open = (part["block"], self.open[1] + part["text"])
        else:
            self.open = (part["block"], part["text"])


class Page:
    """One conversation as it is shown. `apply` takes a frame and returns what the page answers."""

    def __init__(self, conversation: str | None = None) -> None:
        self.conversation = conversation
        self.turns: dict[int, Turn] = {}
        self.path: list[int] = []
        self.hello: Frame = {}
        self.errors: list[Frame] = []
        self.refused: dict[str, Frame] = {}
        self.accepted: dict[str, Frame] = {}
        self.outbox: dict[str, Frame] = {}
        self.listed: dict[str, Frame] = {}
        self._heard = 0
        self.deltas = self.gaps = self.ahead = self.duplicates = self.taken_back = 0

    # -- what the person does ------------------------------------------------------------------

    def prompt(self, text: str, parent: int | None = None) -> Frame:
        """A message to send; it stays in the outbox until it is accepted or refused."""
        frame: Frame = {"type": "prompt", "id": str(uuid.uuid4()), "text": text}
        if self.conversation:
            frame["conversation"] = self.conversation
        if parent:
            frame["parent"] = parent
        self.outbox[frame["id"]] = frame
        return frame

    def greeting(self) -> list[Frame]:
        """What the page says when it is connected: reconnecting is connecting."""
        frames: list[Frame] = []
        if self.conversation:
            known = [pk for pk, turn in self.turns.items() if turn.final]
            frames.append({"type": "open", "conversation": self.conversation, "known": known})
        return frames + list(self.outbox.values())

    # -- what the server says ------------------------------------------------------------------

    def apply(self, frame: Frame) -> list[Frame]:
        answers: list[Frame] = getattr(self, f"_{frame['type']}")(frame) or []
        return answers + self._acknowledge(frame)

    def _acknowledge(self, frame: Frame) -> list[Frame]:
        """Say how far it was read, now and then: the server sends no more to whoever is behind."""
        self._heard += GRAIN + sum(len(part["text"]) for part in frame.get("parts", []))
        self._heard += sum(len(block["html"]) for block in frame.get("blocks", []))
        turn = self.turns.get(frame.get("generation", 0))
        if turn is None or turn.final or self._heard < ACKNOWLEDGE:
            return []
        self._heard = 0
        return [{"type": "ack", "generation": turn.pk, "end": turn.end}]

    def _hello(self, frame: Frame) -> None:
        self.hello = frame

    def _error(self, frame: Frame) -> None:
        self.errors.append(frame)

    def _listed(self, frame: Frame) -> None:
        self.listed[frame["conversation"]] = frame

    def _refused(self, frame: Frame) -> None:
        self.outbox.pop(frame["id"], None)
        self.refused[frame["id"]] = frame

    def _accepted(self, frame: Frame) -> None:
        if frame["id"] in self.outbox:
            self.outbox.pop(frame["id"])
            self.conversation = frame["conversation"]
        self.accepted[frame["id"]] = frame

    def _opened(self, frame: Frame) -> None:
        self.path = frame["path"]

    def _snapshot(self, frame: Frame) -> list[Frame]:
        old = self.turns.get(frame["generation"])
        turn = Turn(frame["generation"], frame["end"], frame["prompt"], stage=frame["stage"])
        turn.reasoning = frame.get("reasoning", "")
        turn.put(frame.get("blocks", []))
        if opened := frame.get("open"):
            turn.open = (opened["block"], opened["text"])
        turn.final = frame.get("final", False)
        if old is not None and not turn.goes_on_from(old):
            self.taken_back += 1
        self.turns[turn.pk] = turn
        return self._settle(turn)

    def _delta(self, frame: Frame) -> list[Frame]:
        turn = self.turns.get(frame["generation"])
        self.deltas += 1
        if turn is None:
            self.gaps += 1
            return [{"type": "look", "generation": frame["generation"]}]
        if frame["end"] <= turn.end:
            self.duplicates += 1
            return []
        if frame["offset"] != turn.end:
            self.gaps += 1
            return self._look(turn)
        for part in frame.get("parts", []):
            turn.append(part)
        turn.put(frame.get("blocks", []))
        turn.end = frame["end"]
        return []

    def _staged(self, frame: Frame) -> list[Frame]:
        turn = self.turns.get(frame["generation"])
        if turn is None or frame["end"] > turn.end:
            self.ahead += 1
            return self._look(turn or Turn(frame["generation"]))
        turn.stage = frame["stage"]
        if frame.get("final"):
            turn.put(frame.get("blocks", []))
            turn.final = True
        return self._settle(turn)

    def _look(self, turn: Turn) -> list[Frame]:
        if turn.looking:
            return []
        turn.looking = True
        return [{"type": "look", "generation": turn.pk}]

    def _settle(self, turn: Turn) -> list[Frame]:
        if not turn.final:
            return []
        return [{"type": "ack", "generation": turn.pk, "end": turn.end, "final": True}]
