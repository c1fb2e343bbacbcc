"""Runs any Hugging Face chat model with transformers' continuous batching, one step at a time.

The library would run its loop in a thread of its own; here the process's main thread steps it.
So an error surfaces where it happens, a hang stops the beat that the feed listens to, and no
thread can die unseen or outlive the engine.
"""

from __future__ import annotations

import logging
from collections import Counter, deque
from dataclasses import dataclass
from itertools import count

import torch
from transformers.generation.continuous_batching.continuous_api import (
    ContinuousBatchProcessor,
    OutputRouter,
)
from transformers.generation.continuous_batching.requests import GenerationOutput

from .base import EngineDead, Model, Piece, Prepared, Progress, PromptRefused, Sampling, Task
from .batching import attentions, make_manager
from .hardware import choose_room
from .loading import Loaded, causes, load, out_of_memory
from .model_files import fingerprint
from .reply import ReplyText
from .sampling import Sampler
from .spec import EngineSpec
from .spread import spread_cache
from .tasks import Start, TaskMaker

log = logging.getLogger(__name__)
GREEDY = Sampling(0.0, 0, 1.0, 1.0, max_new_tokens=2, seed=0)
_STALLED = 100  # steps in a row in which no running task got any further


class _Outlet(OutputRouter):
    """Collects what one step made, instead of handing it to other threads."""

    def __init__(self) -> None:
        super().__init__()
        self.outputs: list[GenerationOutput] = []

    def deliver(self, output: GenerationOutput) -> None:
        self.outputs.append(output)

    def deliver_batch(self, outputs: list[GenerationOutput]) -> None:
        self.outputs += outputs

    def take(self) -> list[GenerationOutput]:
        taken, self.outputs = self.outputs, []
        return taken


@dataclass(slots=True)
class _Running:
    """A task in the batch. `number` is its name there: keys may come again, numbers do not."""

    key: str
    number: str
    text: ReplyText
    length: int  # of what is read before its first new token
    taken: int = 0  # tokens seen so far
    owed: Piece | None = None  # text of stored ids that is not stored yet


class TransformersEngine:
    """Steps up to `slots` tasks together; see chat.engine.base.Engine."""

    def __init__(self, spec: EngineSpec) -> None:
        self._spec = spec
        self._running: dict[str, _Running] = {}
        self._keys: dict[str, _Running] = {}
        self._ended: deque[Piece] = deque()
        self._numbers = count()
        self._fruitless = 0

    # -- loading ------------------------------------------------------------------------------

    def load(self, progress: Progress) -> Model:
        """Load weights and tokenizer and set up the cache. Raises EngineDead with the cause."""
        loaded = load(self._spec, progress)
        with causes(loaded.name), torch.inference_mode():
            config = loaded.model.config.get_text_config()
            layers = Counter(loaded.homes.values())
            room = choose_room(self._spec, config, loaded.device, loaded.model.dtype, layers)
            self._room = room
            progress(0.9, "cache")
            self._model = loaded.model
            self._set_up(loaded)
        maker = TaskMaker(loaded.tokenizer, loaded.model, self._room)
        maker.fingerprint = fingerprint(loaded.folder, maker.template_source)
        self._maker = maker
        progress(1.0, "ready")
        return Model(
            name=loaded.name,
            device=" + ".join(map(str, dict.fromkeys(loaded.homes.values()))) or str(loaded.device),
            dtype=str(loaded.model.dtype).removeprefix("torch."),
            slots=self._room.slots,
            context_length=self._room.context_length,
            fingerprint=maker.fingerprint,
            parameters=loaded.parameters,
        )

    def _set_up(self, loaded: Loaded) -> None:
        """Make the batch and try it, with the next way of attention where one does not work."""
        *fast, last = attentions(loaded)
        for attention in (*fast, last):
            self._outlet = _Outlet()
            self._sampler = Sampler(loaded.device)
            self._manager = make_manager(loaded, self._room, attention)
            self._manager.logit_processor = self._sampler.processors()
            self._manager.output_router = self._outlet
            with spread_cache(loaded.homes, loaded.name):
                processor: ContinuousBatchProcessor = self._manager._create_batch_processor()
            self._processor = processor
            try:
                self._try_out()
            except (NotImplementedError, RuntimeError, ImportError) as error:
                if attention == last or out_of_memory(error):
                    raise
                log.warning("attention %r does not work here: %s", attention, type(error).__name__)
                continue
            return

    def _try_out(self) -> None:
        """Two tokens of nothing: a model that cannot run says so while it is loaded."""
        number = str(next(self._numbers))
        self._sampler.add(number, GREEDY, [0], 1)
        self._manager.add_request([0] * 3, request_id=number, max_new_tokens=2)
        while not self._outlet.outputs:
            self._advance()
        self._sampler.remove(number)
        self._outlet.take()

    # -- tasks --------------------------------------------------------------------------------

    def add(self, task: Task) -> Prepared:
        """Take a task in. Everything that would break the batch is refused here."""
        if task.key in self._keys:
            raise PromptRefused("duplicate_key")
        if len(self._keys) >= self._room.slots:
            raise PromptRefused("engine_full", slots=self._room.slots)
        start = self._maker.start(task)
        if start.end:
            self._ended.append(start.piece(task.key))
        else:
            self._enter(task, start)
        return Prepared(
            task.key,
            tuple(start.prompt_ids),
            tuple(start.reply_ids),
            self._maker.fingerprint,
            start.dropped_turns,
        )

    def _enter(self, task: Task, start: Start) -> None:
        ids = start.prompt_ids + start.reply_ids
        number = str(next(self._numbers))
        running = _Running(task.key, number, start.text, len(ids))
        if start.owed.text:
            running.owed = start.piece(task.key)
        self._sampler.add(number, task.sampling, ids, self._maker.vocabulary_size)
        self._manager.add_request(
            ids,
            request_id=number,
            max_new_tokens=start.remaining,
            streaming=True,
            eos_token_id=self._maker.ends,
        )
        self._running[number] = self._keys[task.key] = running

    def cancel(self, key: str) -> None:
        """Forget a task; its cache is free from the next step on."""
        self._ended = deque(piece for piece in self._ended if piece.key != key)
        if (running := self._keys.get(key)) is not None:
            self._manager.cancel_request(running.number)
            self._leave(running)

    def _leave(self, running: _Running) -> None:
        del self._keys[running.key], self._running[running.number]
        self._sampler.remove(running.number)

    # -- stepping -----------------------------------------------------------------------------

    def idle(self) -> bool:
        """Whether there is nothing to step."""
        return not self._keys and not self._ended

    def prefill(self) -> dict[str, float]:
        """How far the prompts of tasks without a first token are read."""
        states = self._processor.scheduler.active_requests
        return {
            running.key: (
                1.0 - len(states[number].remaining_prefill_tokens) / running.length
                if number in states
                else 0.0
            )
            for number, running in self._running.items()
            if not running.taken
        }

    def step(self, timeout: float) -> tuple[Piece, ...]:
        """One forward pass for all tasks. Raises EngineDead; the engine is broken then."""
        ended, self._ended = tuple(self._ended), deque()
        if not self._keys:
            return ended
        try:
            self._advance()
        except Exception as error:
            reason = "out_of_memory" if out_of_memory(error) else "engine_failed"
            raise EngineDead(reason, cause=type(error).__name__) from error
        if self._fruitless > _STALLED:
            raise EngineDead("engine_failed", cause="stalled")
        pieces = (self._piece(output) for output in self._outlet.take())
        return ended + tuple(piece for piece in pieces if piece is not None)

    @torch.inference_mode()
    def _advance(self) -> None:
        """One step of the library's loop, on this thread."""
        if self._processor.prepare_next_batch():
            self._processor._generation_step(self._model)
            self._processor.update_batch()
            self._fruitless = 0
        else:
            self._fruitless += 1

    def _piece(self, output: GenerationOutput) -> Piece | None:
        running = self._running.get(output.request_id)
        if running is None:
            return None  # cancelled in between
        if output.error is not None:
            log.error("the batch refused a task that was thought to be sound")
            raise EngineDead("engine_failed", cause="task_failed")
        new = output.generated_tokens[running.taken :]
        running.taken += len(new)
        return self._grow(running, new, output.is_finished())

    def _grow(self, running: _Running, new: list[int], finished: bool) -> Piece:
        text, reasoning = "", 0
        if running.owed is not None:
            text, reasoning, running.owed = running.owed.text, running.owed.reasoning, None
        end = ""
        if finished:
            end = "stop" if new and new[-1] in self._maker.ends else "length"
        ids = new[:-1] if end == "stop" else new
        for token in ids:
            grown = running.text.push(token)
            text, reasoning = text + grown.text, reasoning + grown.reasoning
        if running.text.stopped:
            if not finished:
                self._manager.cancel_request(running.number)
            end = "stop"
        elif end:
            grown = running.text.flush()
            text, reasoning = text + grown.text, reasoning + grown.reasoning
        if end:
            self._leave(running)
        thinking = running.text.thinking and not end
        return Piece(running.key, tuple(ids), text, reasoning, thinking, end)

    def close(self) -> None:
        """Free the model; there are no threads to stop."""
        self._running.clear()
        self._keys.clear()
        self._ended.clear()
        for name in ("_processor", "_manager", "_model", "_maker"):
            self.__dict__.pop(name, None)
