"""The in-memory channel layer, made fast.

Channels' own walks every channel and every group on every send and receive to find what has
expired, copies each message deeply and starts a task for each receiver; with thousands of idle
sockets that costs milliseconds a message. Here one sweep every few seconds finds what has
expired, and a group's receivers share the message: our events are flat and nobody writes to them.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from typing import Any

from channels.layers import InMemoryChannelLayer

SWEEP_SECONDS = 5.0


class InMemoryLayer(InMemoryChannelLayer):
    """Belongs to one event loop, like the layer it is made from; a full channel drops silently."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        # A socket that lives for days stays in its groups; consumers leave them when they end.
        kwargs.setdefault("group_expiry", 10 * 365 * 86_400)
        super().__init__(*args, **kwargs)
        self._swept = time.monotonic()

    def _clean_expired(self) -> None:
        now = time.monotonic()
        if now - self._swept >= SWEEP_SECONDS:
            self._swept = now
            super()._clean_expired()

    async def group_send(self, group: str, message: dict[str, Any]) -> None:
        self.require_valid_group_name(group)
        self._clean_expired()
        expires = time.time() + self.expiry
        for channel in self.groups.get(group, ()):
            queue = self.channels.get(channel)
            if queue is None:
                queue = self.channels[channel] = asyncio.Queue(self.get_capacity(channel))
            if not queue.full():
                queue.put_nowait((expires, dict(message)))

    async def group_send_all(self, messages: Iterable[tuple[str, dict[str, Any]]]) -> None:
        """Send each message to its group, in this order."""
        for group, message in messages:
            await self.group_send(group, message)
