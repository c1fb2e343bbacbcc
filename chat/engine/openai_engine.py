"""Runs tasks as streamed requests to a server with OpenAI's interface.

Everything happens on one event loop that runs only inside of `step`, so that there are no threads:
a slow parent slows the reading, and the server with it. What a single request can do wrong is
known in chat.engine.streamed, what a server is in chat.engine.upstream.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Coroutine
from pathlib import PurePath
from typing import Any, TypeVar

from .base import EngineDead, Model, Piece, Prepared, Progress, PromptRefused, Task
from .bounds import check_sampling
from .prefill import Resuming, find_resuming
from .spec import EngineSpec
from .streamed import StreamedReply, Told
from .upstream import Upstream

log = logging.getLogger(__name__)
_SLOTS = 32
_GATHER = 0.01  # seconds; what comes within is one step
_CLOSE = 0.5  # seconds that a cancelled request may take to close its connection
T = TypeVar("T")


class OpenAIEngine:
    """As many requests at a time as it has slots; see chat.engine.base.Engine."""

    def __init__(self, spec: EngineSpec) -> None:
        self._spec = spec
        self._slots = spec.slots or _SLOTS
        self._loop = asyncio.new_event_loop()
        self._upstream: Upstream | None = None
        self._resuming = Resuming()
        self._fingerprint = ""
        self._running: dict[str, tuple[StreamedReply, asyncio.Task[None]]] = {}
        self._made: list[Told] = []
        self._news = asyncio.Event()
        self._dead: EngineDead | None = None

    # -- loading ------------------------------------------------------------------------------

    def load(self, progress: Progress) -> Model:
        """Find the model on the server, and what the server can do. Raises EngineDead."""
        return self._do(self._load(progress))

    async def _load(self, progress: Progress) -> Model:
        spec = self._spec.openai
        self._upstream = upstream = Upstream(spec, self._slots)
        progress(0.1, "server")
        await upstream.choose_model(self._spec.model)
        progress(0.3, "trial")
        await upstream.learn()
        progress(0.7, "resuming")
        self._resuming = await find_resuming(upstream, spec.resume)
        self._fingerprint = "openai-" + hashlib.sha256(upstream.model.encode()).hexdigest()[:40]
        progress(1.0, "ready")
        return Model(
            name=PurePath(upstream.model).name or upstream.model,
            device=upstream.place,
            dtype="openai",
            slots=self._slots,
            context_length=self._spec.context_length or upstream.window,
            fingerprint=self._fingerprint,
        )

    # -- tasks --------------------------------------------------------------------------------

    def add(self, task: Task) -> Prepared:
        """Take a task in; it is asked for with the next step."""
        assert self._upstream is not None
        if task.key in self._running:
            raise PromptRefused("duplicate_key")
        if len(self._running) >= self._slots:
            raise PromptRefused("engine_full", slots=self._slots)
        check_sampling(task.sampling)
        retries = self._spec.openai.retries
        reply = StreamedReply(
            task, self._upstream, self._resuming, retries, self._fingerprint, self._tell
        )
        work = self._loop.create_task(reply.run(), name=f"reply {task.key}")
        work.add_done_callback(lambda done: self._ended(task.key, done))
        self._running[task.key] = reply, work
        return reply.prepared()

    def _tell(self, told: Told) -> None:
        self._made.append(told)
        self._news.set()

    def _ended(self, key: str, work: asyncio.Task[None]) -> None:
        self._news.set()
        if not work.cancelled() and (error := work.exception()) is not None:
            self._dead = self._dead or self._death(error)
        self._running.pop(key, None)

    def _death(self, error: BaseException) -> EngineDead:
        """The server is gone, or a bug. Only what the server had begun with can have killed it."""
        if not isinstance(error, EngineDead):
            log.error("a reply failed: %s", type(error).__name__)
            error = EngineDead("engine_failed", cause=type(error).__name__)
        killed = error.reason in ("upstream_away", "engine_failed")
        inside = (key for key, (reply, _) in self._running.items() if reply.reached)
        error.suspects = tuple(inside) if killed else ()
        return error

    def cancel(self, key: str) -> None:
        """Forget a task and close its connection, so that the server stops working on it."""
        self._made = [told for told in self._made if told.key != key]
        if key in self._running:
            _, work = self._running.pop(key)
            work.cancel()
            self._do(asyncio.wait([work], timeout=_CLOSE))

    # -- stepping -----------------------------------------------------------------------------

    def idle(self) -> bool:
        """Whether there is nothing to wait for."""
        return not self._running and not self._made and self._dead is None

    def prefill(self) -> dict[str, float]:
        """Nothing: a server does not tell how far it has read."""
        return {}

    def step(self, timeout: float) -> tuple[Told, ...]:
        """What the server has said, all tasks together. Raises EngineDead if it is gone."""
        if not self._made and self._dead is None:
            self._do(self._listen(timeout))
        made, self._made = self._made, []
        self._news.clear()
        if self._dead is not None and not made:
            raise self._dead
        return _joined(made)

    async def _listen(self, timeout: float) -> None:
        try:
            async with asyncio.timeout(timeout):
                await self._news.wait()
        except TimeoutError:
            return
        await asyncio.sleep(_GATHER)

    def _do(self, work: Coroutine[Any, Any, T]) -> T:
        return self._loop.run_until_complete(work)

    def close(self) -> None:
        """Close all connections."""
        if self._loop.is_closed():
            return
        for _, work in self._running.values():
            work.cancel()
        self._do(asyncio.sleep(0))
        if self._upstream is not None:
            self._do(self._upstream.close())
        self._running.clear()
        self._made.clear()
        self._loop.close()


def _joined(made: list[Told]) -> tuple[Told, ...]:
    """All that is new of a task as one piece; the order of all else stays."""
    pieces: dict[str, Piece] = {}
    others: list[Told] = []
    for told in made:
        if not isinstance(told, Piece):
            others.append(told)
            continue
        before = pieces.get(told.key)
        pieces[told.key] = told if before is None else _sum(before, told)
    return (*pieces.values(), *others)


def _sum(one: Piece, two: Piece) -> Piece:
    return Piece(
        two.key,
        one.token_ids + two.token_ids,
        one.text + two.text,
        one.reasoning + two.reasoning,
        two.thinking,
        two.end,
    )
