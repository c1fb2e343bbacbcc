"""A dashboard as its page sees it: a real socket consumer behind the real ASGI application."""

from __future__ import annotations

import asyncio
import json
import uuid
from types import TracebackType
from typing import Any

from channels.testing import WebsocketCommunicator
from django.conf import settings
from django.test import Client

from chat.database import web

SECONDS = 5.0


def client_of(user: Any) -> Client:
    """A browser that `user` is signed in with; None is a stranger."""
    client = Client()
    if user is not None:
        client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


class Dashboard:
    """Opens on `async with`. Keeps what it was told in `board`, as the page does."""

    def __init__(self, user: Any, query: str = "", language: str = "en") -> None:
        self._user = user
        self._query = query
        self._language = language
        self.client = Client()
        self.board: dict[str, Any] = {}
        self.closed: int | None = None

    async def __aenter__(self) -> Dashboard:
        from chatsite.asgi import application

        self.client = await web(client_of, self._user)
        cookies = "; ".join(f"{name}={one.value}" for name, one in self.client.cookies.items())
        headers = [
            (b"host", b"localhost"),
            (b"origin", settings.CHATSITE_ORIGINS[0].encode()),
            (b"cookie", cookies.encode()),
            (b"accept-language", self._language.encode()),
        ]
        self._socket = WebsocketCommunicator(application, f"/ws/queue{self._query}", headers)
        connected, _ = await self._socket.connect(SECONDS)
        assert connected
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: object, traceback: TracebackType | None
    ) -> None:
        await self._socket.disconnect(timeout=SECONDS)

    async def hear(self) -> dict[str, Any]:
        """The next frame; `closed` holds the code when the server has closed instead."""
        event = await self._socket.receive_output(SECONDS)
        if event["type"] == "websocket.close":
            self.closed = event["code"]
            return {"type": "closed"}
        frame: dict[str, Any] = json.loads(event["text"])
        self._keep(frame)
        return frame

    def _keep(self, frame: dict[str, Any]) -> None:
        if frame["type"] == "board":
            self.board = frame
        elif frame["type"] == "changes":
            assert self.board, "changes are told only to who has the whole"
            merge(self.board, frame)

    async def until(self, what: Any) -> dict[str, Any]:
        """Hear until `what(board)` is true; fails when nothing more comes."""
        async with asyncio.timeout(2 * SECONDS):
            while not (self.board and what(self.board)):
                assert (await self.hear())["type"] != "closed"
        return self.board

    async def is_closed(self) -> int | None:
        """Hear until the server closes; the code."""
        while (await self.hear())["type"] != "closed":
            pass
        return self.closed

    async def send(self, text: str | bytes) -> None:
        kind = "bytes" if isinstance(text, bytes) else "text"
        await self._socket.send_input({"type": "websocket.receive", kind: text})

    async def act(self, type: str, **fields: Any) -> dict[str, Any]:
        """Ask for something; the answer."""
        id = str(uuid.uuid4())
        await self.send(json.dumps({"type": type, "id": id, **fields}))
        while True:
            frame = await self.hear()
            if frame.get("id") == id or frame["type"] in ("error", "closed"):
                return frame

    async def set(self, name: str, value: Any, seen: int | None = None) -> dict[str, Any]:
        """Set one setting, having seen what the board shows."""
        await self.until(lambda board: True)
        seen = self.board["figures"][name] if seen is None else seen
        return await self.act("set", name=name, value=value, seen=seen)


def merge(board: dict[str, Any], frame: dict[str, Any]) -> None:
    """What a page does with a frame of changes."""
    for name in ("running", "tokens", "waiting", "workers", "trail"):
        for pk, row in frame.get(name, {}).items():
            if row is None:
                del board[name][pk]
            else:
                board[name][pk] = row
    for name in ("figures", "order", "held", "alerts"):
        if name in frame:
            board[name] = frame[name]
