"""Replies that grow, as this process's readers see them: split into blocks and rendered once.

One LiveReply serves all sockets that show the same reply. It knows text and frames, not sockets.
"""

from __future__ import annotations

import asyncio
from functools import lru_cache
from typing import Any
from weakref import WeakValueDictionary

from chat.frames import Delta, Part, Rendered, encode
from chat.markdown import Block, BlockStream, Growth, Segment, render
from chat.models import Generation

KEPT = 32
"""Encoded deltas that are kept for sockets that are a little behind."""

_replies: WeakValueDictionary[int, LiveReply]


def live_reply(generation: int) -> LiveReply:
    """The shared state of one reply; it lives as long as a socket holds it."""
    reply = _replies.get(generation)
    if reply is None:
        reply = _replies[generation] = LiveReply(generation)
    return reply


@lru_cache(maxsize=512)
def rendered(text: str, offset: int) -> tuple[Rendered, ...]:
    """A finished reply's blocks; slow (milliseconds), so not for the event loop."""
    return tuple(map(_rendered, render(text, offset)))


class LiveReply:
    """The text of one reply as far as it was told, and its blocks."""

    def __init__(self, generation: int) -> None:
        self.generation = generation
        self.end = -1
        self._reasoning = ""
        self._blocks: BlockStream | None = None
        self._lock = asyncio.Lock()
        self._told: dict[tuple[int, int], str] = {}
        self._closing: tuple[Rendered, ...] | None = None

    async def grow(self, event: dict[str, Any]) -> str | None:
        """The frame for a delta event, made once for all readers; None if it does not fit."""
        span = (event["offset"], event["end"])
        async with self._lock:
            if span in self._told:
                return self._told[span]
            if span[0] != self.end:
                return None
            frame = await self._advance(span, event["text"], event["reasoning"])
            self._told[span] = encoded = encode(frame)
            if len(self._told) > KEPT:
                del self._told[next(iter(self._told))]
            return encoded

    async def _advance(self, span: tuple[int, int], text: str, reasoning: int) -> Delta:
        parts: list[Part] = []
        if reasoning:
            self._reasoning += text[:reasoning]
            parts.append(Part(0, "reasoning", text[:reasoning]))
        closed: list[Segment] = []
        for item in self._stream().split(text[reasoning:]) if text[reasoning:] else ():
            if isinstance(item, Segment):
                closed.append(item)
            else:
                parts.append(_part(item))
        blocks = await asyncio.to_thread(self._render, closed) if closed else ()
        self.end = span[1]
        return Delta(self.generation, *span, tuple(parts), blocks)

    def _stream(self) -> BlockStream:
        if self._blocks is None:
            self._blocks = BlockStream(len(self._reasoning))
        return self._blocks

    def _render(self, closed: list[Segment]) -> tuple[Rendered, ...]:
        """Rendering a block takes milliseconds, so this is not for the event loop."""
        stream = self._stream()
        return tuple(_rendered(stream.render_segment(segment)) for segment in closed)

    async def look(self, row: Generation) -> None:
        """Start again from a row's text, if it has more than was told here."""
        async with self._lock:
            if row.reply_end > self.end:
                await asyncio.to_thread(self._restart, row)

    def _restart(self, row: Generation) -> None:
        self._reasoning = row.reply[: row.reasoning_end]
        self._blocks = None
        self._told.clear()
        if row.answer:
            self._stream().feed(row.answer)
        self.end = row.reply_end

    async def shown(self) -> tuple[int, str, tuple[Rendered, ...], Part | None]:
        """End, reasoning, closed blocks and the open one, for a reader that comes now."""
        async with self._lock:  # between splitting and rendering a block is nowhere
            if self._blocks is None:
                return self.end, self._reasoning, (), None
            closed, opened = self._blocks.snapshot()
            part = None
            if opened is not None:
                part = Part(opened.start, opened.kind, opened.shown, opened.language, opened.level)
            return self.end, self._reasoning, tuple(map(_rendered, closed)), part

    async def close(self, row: Generation) -> tuple[Rendered, ...]:
        """The blocks that the whole reply renders otherwise than its parts did."""
        await self.look(row)
        async with self._lock:
            if self._closing is None:
                closing = await asyncio.to_thread(self._blocks.close) if self._blocks else []
                self._closing = tuple(
                    _rendered(item) for item in closing if isinstance(item, Block)
                )
            return self._closing


def _part(growth: Growth) -> Part:
    return Part(growth.block_start, growth.kind, growth.shown, growth.language, growth.level)


def _rendered(block: Block) -> Rendered:
    return Rendered(block.start, block.end, block.kind, block.html)


_replies = WeakValueDictionary()
