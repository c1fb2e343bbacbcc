"""One reply from a server: asks, hears, and asks again when that can help.

Knows neither queue nor worker. Whatever happens, nothing that was told is told again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import aclosing
from typing import Any

from openai.types.chat import ChatCompletionChunk

from .base import EngineDead, Piece, Prepared, PromptRefused, Refused, Task
from .messages import drop_more, messages_of, split
from .prefill import Resuming
from .reply import Grown
from .streamed_text import Diverged, StreamedText
from .troubles import LONGEST_PAUSE, Cure, Trouble
from .upstream import Upstream, said

Told = Piece | Prepared | Refused
TOKEN = 0
"""Stands for every token: a server gives text, and how many tokens it was, but not which."""
_LONGEST = 256  # characters; a longer part is no single token
_ENDS = {"length": "length", "content_filter": "filtered"}
_BROKEN = ("error", "abort")  # SGLang's and others' word for a reply that they gave up


class StreamedReply:
    """A task on its way through a server. `tell` takes what it makes."""

    def __init__(
        self,
        task: Task,
        upstream: Upstream,
        resuming: Resuming,
        retries: int,
        fingerprint: str,
        tell: Callable[[Told], None],
    ) -> None:
        """Raises PromptRefused if the chat is empty, or the answer has begun and cannot go on."""
        split(task.turns)
        self.task = task
        self.reached = False  # the server may be at work on it
        self._upstream = upstream
        self._resuming = resuming
        self._retries = retries
        self._fingerprint = fingerprint
        self._tell = tell
        self._answer = task.reply_text[task.reasoning_end :]
        self._count = len(task.reply_ids)
        self._dropped = 0
        self._without: frozenset[str] = frozenset()
        if self._answer and not self._goes_on:
            raise PromptRefused("upstream_cut")

    @property
    def _goes_on(self) -> bool:
        return self._resuming.flags is not None or self._resuming.replay

    def prepared(self) -> Prepared:
        """That the task was taken in. Which tokens the prompt has, the server does not say."""
        ids = (TOKEN,) * self._count
        return Prepared(self.task.key, (), ids, self._fingerprint, self._dropped)

    async def run(self) -> None:
        """Tell pieces to the end, or why there is none. Raises EngineDead if the server is gone."""
        failures = 0
        while True:
            before = self._count
            try:
                return await self._once()
            except Diverged:
                return self._tell(Refused(self.task.key, "upstream_cut"))
            except Trouble as trouble:
                failures = 1 if self._count > before else failures + 1
                try:
                    await self._cure(trouble, failures)
                except Trouble as final:
                    return self._tell(Refused(self.task.key, final.reason, final.detail))

    # -- one request --------------------------------------------------------------------------

    async def _once(self) -> None:
        """Ask once and hear it to its end. Raises Trouble, Diverged."""
        sampling = self.task.sampling
        prefilled = bool(self._answer) and self._resuming.flags is not None
        text = StreamedText(sampling.stop, self._answer, prefilled)
        left = sampling.max_new_tokens - self._count
        if left <= 0:
            return self._piece(0, Grown(), end="length")
        self.reached = True
        repeats = bool(self._answer) and not prefilled
        request = self._request(prefilled, sampling.max_new_tokens if repeats else left)
        heard, told, finish = 0, self._count, ""
        async with aclosing(self._upstream.stream(*request)) as chunks:
            async for chunk in chunks:
                heard = _heard(chunk, heard)
                finish = (chunk.choices and chunk.choices[0].finish_reason) or finish
                repeated = text.repeating
                grown = self._grown(chunk, text)
                if repeated and not grown.text:
                    told = self._count - heard  # these are counted already
                new = max(0, told + heard - self._count)
                if new or grown.text:
                    self._piece(min(new, sampling.max_new_tokens - self._count), grown, text)
                if text.stopped or self._count >= sampling.max_new_tokens:
                    finish = finish or ("stop" if text.stopped else "length")
                    break
        if not finish or finish in _BROKEN:
            raise Trouble("upstream_cut", Cure.LOOK)
        self._piece(0, text.flush(), end=_ENDS.get(finish, "stop"))
        return None

    def _request(self, prefilled: bool, tokens: int) -> tuple[list[dict[str, Any]], dict[str, Any]]:
        parameters = self._upstream.parameters(self.task.sampling, tokens)
        parameters = self._upstream.without(parameters, self._without)
        begun = self._answer.rstrip() if prefilled else ""
        if begun:
            parameters |= self._resuming.flags or {}
        return messages_of(self.task.turns, self._dropped, begun), parameters

    def _grown(self, chunk: ChatCompletionChunk, text: StreamedText) -> Grown:
        thought, answer = said(chunk)
        first = text.reason(thought) if thought else Grown()
        second = text.say(answer) if answer else Grown()
        return Grown(first.text + second.text, first.reasoning + second.reasoning)

    def _piece(
        self, new: int, grown: Grown, text: StreamedText | None = None, end: str = ""
    ) -> None:
        self._count += new
        self._answer += grown.text[grown.reasoning :]
        thought = text is not None and (text.thinking or grown.reasoning > 0)
        thinking = thought and not self._answer
        ids = (TOKEN,) * new
        self._tell(Piece(self.task.key, ids, grown.text, grown.reasoning, thinking, end))

    # -- trouble ------------------------------------------------------------------------------

    async def _cure(self, trouble: Trouble, failures: int) -> None:
        """Do what helps before it is asked again. Raises Trouble when nothing does, EngineDead."""
        if new := trouble.names - self._without:
            self._without |= new
            return
        match trouble.cure:
            case Cure.NONE:
                raise trouble
            case Cure.TRY:
                self.reached = False
                await self._upstream.check()
                raise trouble
            case Cure.SHORTEN:
                self._shorten(trouble)
                return
            case Cure.LOOK:
                self.reached = trouble.reached
                stood = float(trouble.detail.get("seconds", 0))
                if not await self._upstream.alive(stood):
                    raise EngineDead("upstream_away", server=self._upstream.place)
        if failures > self._retries and trouble.cure == Cure.WAIT:
            self.reached = False
            await self._upstream.check()
        if failures > self._retries or trouble.pause > LONGEST_PAUSE:
            raise trouble
        if self._answer and not self._goes_on:
            raise Trouble("upstream_cut", Cure.NONE)
        self.reached = False
        await asyncio.sleep(max(trouble.pause, min(0.25 * 2**failures, 8.0)))

    def _shorten(self, trouble: Trouble) -> None:
        """Let the server choose the longest reply; then leave old turns out. Raises Trouble."""
        lengths = frozenset(("max_tokens", "max_completion_tokens"))
        if not lengths <= self._without:
            self._without |= lengths
            return
        dropped = drop_more(self.task.turns, self._dropped)
        if dropped == self._dropped:
            raise trouble
        self._dropped = dropped
        self._tell(self.prepared())


def _heard(chunk: ChatCompletionChunk, before: int) -> int:
    """How many tokens a stream has brought: its own figure, or one for each part."""
    thought, answer = said(chunk)
    if thought or answer:
        before += -(-(len(thought) + len(answer)) // _LONGEST)
    told = chunk.usage.completion_tokens if chunk.usage is not None else 0
    return max(before, told)
