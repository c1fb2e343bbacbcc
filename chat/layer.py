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
    """Its receivers belong to one event loop, anybody may send; a full channel drops silently."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        # A socket that lives for days stays in its groups; consumers leave them when they end.
        kwargs.setdefault("group_expiry", 10 * 365 * 86_400)
        super().__init__(*args, **kwargs)
        self._swept = time.monotonic()
        self._loop: asyncio.AbstractEventLoop | None = None

    async def new_channel(self, prefix: str = "specific.") -> str:
        self._loop = asyncio.get_running_loop()
        channel: str = await super().new_channel(prefix)
        return channel

    def _clean_expired(self) -> None:
        now = time.monotonic()
        if now - self._swept >= SWEEP_SECONDS:
            self._swept = now
            super()._clean_expired()

    async def group_send(self, group: str, message: dict[str, Any]) -> None:
        self.require_valid_group_name(group)
        here, home = asyncio.get_running_loop(), self._loop
        if home is None or home is here or not home.is_running():
            self._put(group, message)
        else:  # told by a thread's own loop: whoever waits sleeps on another one
            home.call_soon_threadsafe(self._put, group, message)

    def _put(self, group: str, message: dict[str, Any]) -> None:
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
