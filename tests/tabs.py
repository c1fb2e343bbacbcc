"""Tabs over real WebSockets: each holds a Page and keeps it up to date, as a browser does."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
from collections.abc import Callable
from importlib import import_module
from typing import Any

from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidMessage

from chat.database import web
from tests.reader import Frame, Page, Turn
from tests.waiting import until


def make_session(user: Any) -> str:
    """Log `user` in without a form; returns the session's key."""
    session = import_module(settings.SESSION_ENGINE).SessionStore()
    session[SESSION_KEY] = str(user.pk)
    session[BACKEND_SESSION_KEY] = "django.contrib.auth.backends.ModelBackend"
    session[HASH_SESSION_KEY] = user.get_session_auth_hash()
    session.save()
    return session.session_key


async def open_socket(
    port: int,
    session: str = "",
    origin: str | None = "",
    path: str = "/ws/chat",
    headers: dict[str, str] | None = None,
) -> ClientConnection:
    """A raw WebSocket to a server on this machine; `origin` is the site's own unless given."""
    cookies = {"Cookie": f"{settings.SESSION_COOKIE_NAME}={session}"} if session else {}
    return await connect(
        f"ws://127.0.0.1:{port}{path}",
        origin=f"http://127.0.0.1:{port}" if origin == "" else origin,  # type: ignore[arg-type]
        additional_headers={**cookies, **(headers or {})},
        max_size=None,
        open_timeout=10,
        close_timeout=1,
        compression=None,
    )


class Tab:
    """Connects, says what its page has to say, reads, and connects again until it is closed."""

    def __init__(self, port: int, session: str, conversation: str | None = None) -> None:
        self.port = port
        self.page = Page(conversation)
        self.closed: list[int] = []
        self.on_frame: Callable[[Frame], None] = lambda frame: None
        self._session = session
        self._socket: ClientConnection | None = None
        self._task: asyncio.Task[None] | None = None

    async def connect(self) -> None:
        self._task = asyncio.create_task(self._live(), name="tab")
        await until(lambda: self.page.hello or self._task.done(), "the tab is connected")
        if self._task.done():
            await self._task

    async def _live(self) -> None:
        failures = 0
        while True:
            try:
                self._socket = await open_socket(self.port, self._session)
                failures = 0
                await self._read(self._socket)
            except ConnectionClosed as closed:
                self.closed.append(closed.rcvd.code if closed.rcvd else 1006)
            except (OSError, InvalidHandshake, InvalidMessage, TimeoutError, EOFError):
                failures += 1
            self._socket = None
            for turn in self.page.turns.values():
                turn.looking = False
            await asyncio.sleep(random.random() * min(0.2 * 2**failures, 1.0))

    async def _read(self, socket: ClientConnection) -> None:
        greeted = False
        while True:
            frame = json.loads(await socket.recv())
            answers = self.page.apply(frame)
            if not greeted:
                greeted, answers = True, [*answers, *self.page.greeting()]
            self.on_frame(frame)
            for answer in answers:
                await socket.send(json.dumps(answer))

    async def send(self, frame: Frame) -> None:
        assert self._socket is not None
        await self._socket.send(json.dumps(frame))

    async def say(self, text: str, parent: int | None = None) -> int:
        """Send a message; returns the generation once it is accepted."""
        frame = self.page.prompt(text, parent)
        if self._socket is not None:
            with contextlib.suppress(ConnectionClosed):
                await self.send(frame)
        await until(lambda: frame["id"] not in self.page.outbox, "the message is answered", 20)
        assert frame["id"] in self.page.accepted, self.page.refused
        return int(self.page.accepted[frame["id"]]["generation"])

    async def turn(self, pk: int, seconds: float = 10) -> Turn:
        """The shown turn, once there is one."""
        await until(lambda: pk in self.page.turns, f"generation {pk} is shown", seconds)
        return self.page.turns[pk]

    async def final(self, pk: int, seconds: float = 20) -> Turn:
        """The turn once its end is shown."""
        await until(lambda: self._is_final(pk), f"the end of generation {pk} is shown", seconds)
        return self.page.turns[pk]

    async def reaches(self, pk: int, end: int, seconds: float = 30) -> None:
        """Wait until so many characters of the reply are shown."""
        turns = self.page.turns
        await until(lambda: pk in turns and turns[pk].end >= end, f"{end} are shown", seconds)

    def _is_final(self, pk: int) -> bool:
        return pk in self.page.turns and self.page.turns[pk].final

    async def cut(self) -> None:
        """Lose the connection without a word, as a train in a tunnel does."""
        if self._socket is not None:
            self._socket.transport.abort()

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        if self._socket is not None:
            await self._socket.close()
        if self._task is not None and not self._task.cancelled():
            await self._task  # a frame that the page could not use


class Tabs:
    """Opens tabs of people, and closes them all in the end."""

    def __init__(self) -> None:
        self.open: list[Tab] = []

    async def of(self, port: int, user: Any, conversation: str | None = None) -> Tab:
        """A new tab of `user`, connected."""
        tab = Tab(port, await web(make_session, user), conversation)
        self.open.append(tab)
        await tab.connect()
        return tab

    async def close(self) -> None:
        tabs, self.open = self.open, []
        await asyncio.gather(*(tab.close() for tab in tabs))
