"""A page on a consumer without a server between them, for tests that meddle with the inside."""

from __future__ import annotations

import asyncio
import contextlib
import json
from importlib import import_module
from typing import Any

from channels.testing import WebsocketCommunicator
from django.conf import settings

from chat.consumers import ChatConsumer
from chat.database import web
from tests.reader import Frame, Page
from tests.tabs import make_session
from tests.waiting import until


class DirectTab:
    """As tests.tabs.Tab, but in this process and on this event loop."""

    def __init__(self, user: Any, conversation: str | None = None) -> None:
        self.page = Page(conversation)
        self.frames: list[Frame] = []
        self.closed: int | None = None
        self.reads = True
        """Whether it acknowledges what it gets."""
        self._user = user
        self._socket = WebsocketCommunicator(ChatConsumer.as_asgi(), "/ws/chat")
        self._task: asyncio.Task[None] | None = None

    async def open(self) -> DirectTab:
        key = await web(make_session, self._user)
        session = import_module(settings.SESSION_ENGINE).SessionStore(key)
        self._socket.scope.update(user=self._user, session=session, client=("127.0.0.1", 1))
        accepted, _ = await self._socket.connect(timeout=5)
        assert accepted
        self._task = asyncio.create_task(self._read(), name="direct tab")
        await until(lambda: self.page.hello or self.closed, "the tab is connected")
        for frame in self.page.greeting():
            await self.send(frame)
        return self

    async def _read(self) -> None:
        while True:
            output = await self._socket.output_queue.get()
            if output["type"] == "websocket.close":
                self.closed = output.get("code", 1000)
                return
            frame = json.loads(output["text"])
            self.frames.append(frame)
            for answer in self.page.apply(frame):
                if self.reads or answer["type"] != "ack":
                    await self.send(answer)

    async def send(self, frame: Frame) -> None:
        await self._socket.send_to(text_data=json.dumps(frame))

    async def say(self, text: str) -> int:
        frame = self.page.prompt(text)
        await self.send(frame)
        await until(lambda: frame["id"] in self.page.accepted, "the message is accepted")
        return int(self.page.accepted[frame["id"]]["generation"])

    def size_of(self, pk: int) -> int:
        """Bytes of the frames that told of one generation."""
        return sum(len(json.dumps(f)) for f in self.frames if f.get("generation") == pk)

    def shows(self, pk: int, end: int = 0, final: bool = False) -> bool:
        turn = self.page.turns.get(pk)
        return turn is not None and turn.end >= end and (turn.final or not final)

    async def ended(self) -> None:
        """Wait until the consumer is over; raises what it raised."""
        try:
            await asyncio.wait_for(asyncio.shield(self._socket.future), 10)
        finally:
            if self._task is not None:
                self._task.cancel()
                await asyncio.wait([self._task])

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
            if not self._task.cancelled():
                await self._task
        with contextlib.suppress(asyncio.CancelledError, TimeoutError):
            await self._socket.disconnect()
