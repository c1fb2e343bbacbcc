"""An engine without a model: says back the prompt, or recites. For tests and demonstrations.

Token ids are the code points of the reply's characters, so any part of a reply can be resumed.
"""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass

from .base import EngineDead, Model, Piece, Prepared, Progress, PromptRefused, Task, Turn
from .spec import EngineSpec
from .stops import StopStrings

_SLOTS = 32
_CONTEXT = 4096  # characters
FINGERPRINT = "echo-1"


@dataclass(slots=True)
class _Running:
    """One task in here: what it will say, how much of it is said, and when it may speak."""

    reply: str
    thought: int
    said: int
    limit: int
    starts: float
    stops: StopStrings
    begun: float
    poison: str
    owed: str = ""  # decided by stored ids, but not in the stored text
    owed_reasoning: int = 0
    matched: bool = False


class EchoEngine:
    """Steps all its tasks together by one character each, `step_delay` seconds apart."""

    def __init__(self, spec: EngineSpec) -> None:
        self._spec = spec
        self._echo = spec.echo
        self._context = spec.context_length or _CONTEXT
        self._slots = spec.slots or _SLOTS
        self._running: dict[str, _Running] = {}
        self._next_step = 0.0

    def load(self, progress: Progress) -> Model:
        """Ready at once, or after `load_delay`."""
        if self._spec.model == "missing":  # lets a test see how a model that cannot load looks
            raise EngineDead("model_missing", model=self._spec.model, why="folder")
        tenth = self._echo.load_delay / 10
        for part in range(10 if tenth else 0):
            progress(part / 10, "weights")
            time.sleep(tenth)
        progress(1.0, "ready")
        return Model(
            name=self._spec.model or "echo",
            device="cpu",
            dtype="text",
            slots=self._slots,
            context_length=self._context,
            fingerprint=FINGERPRINT,
        )

    def add(self, task: Task) -> Prepared:
        """Take a task in; refuses what the real engine would refuse."""
        if task.key in self._running:
            raise PromptRefused("duplicate_key")
        if len(self._running) >= self._slots:
            raise PromptRefused("engine_full", slots=self._slots)
        asked = _last_of_user(task.turns)
        if not asked:
            raise PromptRefused("prompt_empty")
        if len(asked) >= self._context:
            raise PromptRefused("prompt_too_long", tokens=len(asked), limit=self._context - 1)
        ours = task.prompt_ids is not None and task.fingerprint == FINGERPRINT
        ids = task.reply_ids if ours else tuple(map(ord, task.reply_text))
        if any(not 0 <= number < 0x110000 for number in ids):
            raise PromptRefused("token_out_of_range")
        self._running[task.key] = self._take(task, asked, ids)
        prompt = tuple(map(ord, asked))
        return Prepared(task.key, prompt, ids, FINGERPRINT)

    def _take(self, task: Task, asked: str, ids: tuple[int, ...]) -> _Running:
        reply = self._echo.reasoning + (self._echo.recite or asked)
        words = (self._echo.crash_word, self._echo.hang_word, self._echo.kill_word)
        now = time.monotonic()
        running = _Running(
            reply=reply,
            thought=len(self._echo.reasoning),
            said=len(ids),
            limit=min(task.sampling.max_new_tokens, self._context - len(asked)),
            starts=now + self._echo.prefill_delay,
            stops=StopStrings(task.sampling.stop),
            begun=now,
            poison=next((word for word in words if word and word in asked), ""),
        )
        said = "".join(map(chr, ids))
        shown, running.matched = running.stops.push(said[running.thought :])
        shown = said[: running.thought] + shown
        running.owed = shown[len(task.reply_text) :]
        running.owed_reasoning = max(0, min(running.thought, len(said)) - len(task.reply_text))
        return running

    def cancel(self, key: str) -> None:
        """Forget a task; an unknown key is no error."""
        self._running.pop(key, None)

    def idle(self) -> bool:
        """Whether there is nothing to say."""
        return not self._running

    def prefill(self) -> dict[str, float]:
        """How far the pretended reading of each prompt is."""
        now = time.monotonic()
        return {
            key: (now - task.begun) / (task.starts - task.begun)
            for key, task in self._running.items()
            if now < task.starts
        }

    def step(self, timeout: float) -> tuple[Piece, ...]:
        """One character for each task whose prompt is read, when the time has come."""
        now = time.monotonic()
        due = max(self._next_step, min((task.starts for task in self._running.values()), default=0))
        if due > now + timeout:
            time.sleep(timeout)
            return ()
        time.sleep(max(0.0, due - now))
        now = max(due, now)
        self._next_step = now + self._echo.step_delay
        ready = [(key, task) for key, task in self._running.items() if task.starts <= now]
        pieces = tuple(self._say(key, task) for key, task in ready)
        for piece in pieces:
            if piece.end:
                del self._running[piece.key]
        return pieces

    def _say(self, key: str, task: _Running) -> Piece:
        if task.poison and task.said >= self._echo.poison_after:
            self._suffer(task.poison)
        text, reasoning = task.owed, task.owed_reasoning
        task.owed, task.owed_reasoning = "", 0
        ids: tuple[int, ...] = ()
        if not task.matched and task.said < min(len(task.reply), task.limit):
            letter = task.reply[task.said]
            ids = (ord(letter),)
            task.said += 1
            if task.said <= task.thought:
                text, reasoning = text + letter, reasoning + 1
            else:
                shown, task.matched = task.stops.push(letter)
                text += shown
        end = _end(task)
        if end and not task.matched:
            text += task.stops.flush()
        return Piece(key, ids, text, reasoning, not end and task.said < task.thought, end)

    def _suffer(self, word: str) -> None:
        if word == self._echo.kill_word:
            os.kill(os.getppid(), signal.SIGKILL)
        if word == self._echo.crash_word:
            os._exit(70)
        while True:
            time.sleep(3600)

    def close(self) -> None:
        """Nothing to free."""
        self._running.clear()


def _end(task: _Running) -> str:
    if task.matched or task.said >= len(task.reply):
        return "stop"
    return "length" if task.said >= task.limit else ""


def _last_of_user(turns: tuple[Turn, ...]) -> str:
    return next((turn.text for turn in reversed(turns) if turn.role == "user"), "")
