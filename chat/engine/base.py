"""What an engine is, and the values that cross the pipe between it and its worker.

An engine knows text and tokens. It does not know who asked, in which place of which queue,
nor where the reply goes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import msgspec


class EngineError(Exception):
    """An engine cannot do what was asked; `reason` is a code, `detail` its parameters.

    EngineError
    ├── PromptRefused   this one prompt cannot run; its neighbours are unharmed
    └── EngineDead      the whole engine is gone; every running generation lost its place in it
    """

    def __init__(self, reason: str, **detail: str | int | float) -> None:
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail
        self.suspects: tuple[str, ...] | None = None


class PromptRefused(EngineError):
    """This prompt cannot be run: too long, empty, parameters out of range."""


class EngineDead(EngineError):
    """The engine failed to load, crashed, was killed or hangs.

    `suspects` are the keys of the tasks that may have killed it; None when all may.
    """


class Turn(msgspec.Struct, frozen=True):
    """One message of a chat history: `role` is "system", "user" or "assistant"."""

    role: str
    text: str


class Sampling(msgspec.Struct, frozen=True):
    """How tokens are drawn.

    temperature 0 means greedy; top_k 0 and top_p 1.0 mean off; repetition_penalty 1.0 means off.
    `seed` makes a reply repeatable and resumable: the noise depends on the seed and the absolute
    position of the token only. `max_new_tokens` counts all tokens of the reply, stored ones too.
    """

    temperature: float
    top_k: int
    top_p: float
    repetition_penalty: float
    max_new_tokens: int
    seed: int
    stop: tuple[str, ...] = ()


class Task(msgspec.Struct, frozen=True):
    """A generation as the engine sees it: what to continue, and how.

    `prompt_ids` is None at the first claim (the engine makes it from `turns`). A resumed task
    brings `prompt_ids`, the `reply_ids` and `reply_text` stored so far and the `fingerprint` that
    the ids belong to; with another fingerprint the ids are worthless and the stored text is
    encoded as the start of the reply. The first `reasoning_end` characters of `reply_text` are the
    model's reasoning.
    """

    key: str
    turns: tuple[Turn, ...]
    sampling: Sampling
    prompt_ids: tuple[int, ...] | None = None
    reply_ids: tuple[int, ...] = ()
    reply_text: str = ""
    reasoning_end: int = 0
    fingerprint: str = ""


class Model(msgspec.Struct, frozen=True, tag="model"):
    """What was loaded; the first message of an engine's process that is ready.

    `slots` is how many tasks the engine can run at once, `context_length` the window in tokens,
    `fingerprint` names weights, tokenizer and template together.
    """

    name: str
    device: str
    dtype: str
    slots: int
    context_length: int
    fingerprint: str
    parameters: int = 0


class Loading(msgspec.Struct, frozen=True, tag="loading"):
    """Progress while a model loads: `fraction` from 0 to 1 and a word for what is being done."""

    fraction: float
    what: str


class Prepared(msgspec.Struct, frozen=True, tag="prepared"):
    """A task was taken in. `dropped_turns` is how many old turns did not fit the window.

    `reply_ids` is what the reply starts from: the task's own, or, after a change of fingerprint,
    the stored text encoded anew.
    """

    key: str
    prompt_ids: tuple[int, ...]
    reply_ids: tuple[int, ...]
    fingerprint: str
    dropped_turns: int = 0


class Piece(msgspec.Struct, frozen=True):
    """What one task gained in one step.

    `token_ids` are new ids (always whole, though `text` may be held back: half a character, a
    half-matched stop string). The first `reasoning` characters of `text` are reasoning.
    `end` is "" while it goes on, else "stop" (the model ended it, or a stop string matched),
    "length" (max_new_tokens or the window was reached) or "filtered" (a server's content filter
    ended it); held-back text is out by then.
    """

    key: str
    token_ids: tuple[int, ...]
    text: str
    reasoning: int = 0
    thinking: bool = False
    end: str = ""


class Step(msgspec.Struct, frozen=True, tag="step"):
    """One step of all running tasks together; `count` grows with every step of the engine.

    An idle engine sends an empty step every second, so a count that stands still for long while
    there is work means that the engine hangs. `prefill` tells how far long prompts are read.
    """

    count: int
    pieces: tuple[Piece, ...] = ()
    prefill: dict[str, float] = {}


class Refused(msgspec.Struct, frozen=True, tag="refused"):
    """One task cannot run, for `reason` with `detail`; the engine and the others go on."""

    key: str
    reason: str
    detail: dict[str, str | int | float] = {}


class Dead(msgspec.Struct, frozen=True, tag="dead"):
    """The engine cannot go on, for `reason`; its process ends after this message.

    `suspects` are the keys of the tasks that were running in it and may have killed it; None, only
    on the way out of the process: all that were running.
    """

    reason: str
    detail: dict[str, str | int | float] = {}
    suspects: tuple[str, ...] | None = None


Message = Model | Loading | Prepared | Step | Refused | Dead
Progress = Callable[[float, str], None]


class Engine(Protocol):
    """Runs tasks side by side. Lives in the main thread of the engine's process."""

    def load(self, progress: Progress) -> Model:
        """Load weights and tokenizer; raises EngineDead with the cause."""

    def add(self, task: Task) -> Prepared:
        """Take a task in; its pieces come out of the following steps. Raises PromptRefused."""

    def cancel(self, key: str) -> None:
        """Forget a task and free its slot; an unknown key is no error."""

    def step(self, timeout: float) -> tuple[Piece | Prepared | Refused, ...]:
        """Do one step of all tasks; an engine that only waits does so `timeout` seconds at most.

        All tasks that gained a token in the same step are returned together; a step that only
        read prompts returns nothing. An engine that learns of it only now may prepare a task anew,
        or refuse it after its pieces. Must not be called while idle. Raises EngineDead.
        """

    def idle(self) -> bool:
        """Whether there is nothing to step."""

    def prefill(self) -> dict[str, float]:
        """How far, from 0 to 1, the prompts of tasks without a first token are read."""

    def close(self) -> None:
        """Free the model and stop threads; may be called at any time, and twice."""
