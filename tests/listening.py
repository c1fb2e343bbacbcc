"""Hears what the queue tells: the events of the channel layer, with the time of each."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from types import TracebackType
from typing import Any

from channels.layers import get_channel_layer

from chat import events
from chat.models import Generation


class Listener:
    """Joins the groups of generations' conversations; keeps their deltas in order of arrival."""

    def __init__(self) -> None:
        self.deltas: dict[int, list[tuple[float, dict[str, Any]]]] = defaultdict(list)
        self._layer = get_channel_layer()
        self._channel = ""
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Listener:
        self._channel = await self._layer.new_channel("listener")
        self._task = asyncio.create_task(self._listen(), name="listener")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: object, traceback: TracebackType | None
    ) -> None:
        assert self._task is not None
        self._task.cancel()
        await asyncio.wait([self._task])

    async def join(self, *rows: Generation) -> None:
        for row in rows:
            group = events.conversation_group(row.conversation_id)
            await self._layer.group_add(group, self._channel)

    async def _listen(self) -> None:
        while True:
            event = await self._layer.receive(self._channel)
            if event["type"] == events.REPLY_DELTA:
                self.deltas[event["generation"]].append((time.monotonic(), event))

    def text(self, row: Generation) -> str:
        """What a reader was shown; fails on a gap, a duplicate or an inversion."""
        shown = ""
        for _, event in self.deltas[row.pk]:
            assert event["offset"] == len(shown), "each delta begins where the last one ended"
            shown += event["text"]
            assert event["end"] == len(shown)
        return shown
