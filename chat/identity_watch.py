"""Looks once a minute whether the people behind all sockets of a process are still who they were.

Their sockets are told of a change at once (chat/identity.py); this finds what was not told: an
expired session, a change by another program, an event that was lost. Knows no frames.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Protocol

from channels.layers import get_channel_layer
from django.contrib.auth.base_user import AbstractBaseUser

from chat.database import web
from chat.identity import users_of_sessions

log = logging.getLogger(__name__)

LOOK_SECONDS = 60.0
STEP_SECONDS = 1.0
"""How soon it looks after the channel layer was away: what was told meanwhile is lost."""

AT_ONCE = 500
"""Sessions in one query."""


class Identified(Protocol):
    """A socket of somebody."""

    @property
    def session(self) -> str:
        """The key of the session that it was opened with."""

    async def identified(self, user: AbstractBaseUser | None) -> None:
        """Whom the session belongs to now; None if it ended."""


class IdentityWatch:
    """One for each process; looks while there are sockets."""

    def __init__(self) -> None:
        self._sockets: set[Identified] = set()
        self._task: asyncio.Task[None] | None = None

    def join(self, socket: Identified) -> None:
        """Look after this socket from now on."""
        self._sockets.add(socket)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run(), name="identity watch")

    def leave(self, socket: Identified) -> None:
        """Forget a socket; the last one ends the looking."""
        self._sockets.discard(socket)
        if not self._sockets and self._task is not None:
            self._task.cancel()
            self._task = None

    async def _run(self) -> None:
        waited, returns = 0.0, _returns()
        while True:
            await asyncio.sleep(STEP_SECONDS)
            waited += STEP_SECONDS
            if waited < LOOK_SECONDS and returns == _returns():
                continue
            try:
                await self.look()
                waited, returns = 0.0, _returns()
            except Exception as error:
                log.warning("people could not be looked up, it is tried again: %s", error)

    async def look(self) -> None:
        """Tell every socket who it belongs to now."""
        sockets = list(self._sockets)
        for begin in range(0, len(sockets), AT_ONCE):
            some = sockets[begin : begin + AT_ONCE]
            users = await web(users_of_sessions, [socket.session for socket in some])
            for socket in some:
                try:
                    await socket.identified(users.get(socket.session))
                except Exception:
                    log.exception("a socket could not be told who it belongs to")


def _returns() -> int:
    """How often the channel layer has come back, if it is one that can go."""
    return int(getattr(get_channel_layer(), "returns", 0))


identity_watch = IdentityWatch()
