"""The operators' end: one WebSocket for each open dashboard.

Who it belongs to is read from session and database before every act, and once a minute. Changes
of the queue go through chat/operators.py, which keeps the record.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import deque
from typing import Any
from urllib.parse import parse_qs

from channels.generic.websocket import AsyncWebsocketConsumer
from django.conf import settings
from django.contrib.auth.models import AbstractUser
from django.utils import translation

from chat import events, words
from chat.admission import default_queue
from chat.database import web
from chat.frames import FrameError
from chat.languages import language_of
from chat.models import Queue
from queueadmin import frames
from queueadmin.acts import Desk, carry_out
from queueadmin.identity import acts_of, operator_of
from queueadmin.live import LiveBoard, live_board

log = logging.getLogger(__name__)

SIGNED_OUT, NO_QUEUE, TOO_MANY_FRAMES = 4001, 4003, 4004
RECHECK_SECONDS = 60.0


class DashboardConsumer(AsyncWebsocketConsumer):
    """One dashboard of one operator, for one queue."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.language = "en"
        self.may: tuple[str, ...] = ()
        self.queue = 0
        self._board: LiveBoard | None = None
        self._guard: asyncio.Task[None] | None = None
        self._groups: list[str] = []
        self._frames: deque[float] = deque()

    # -- its life ----------------------------------------------------------------------------

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        # Not in `disconnect`: that is not called after an exception or a SIGTERM.
        try:
            await super().__call__(scope, receive, send)
        finally:
            await self._leave()

    async def dispatch(self, message: dict[str, Any]) -> None:
        # Without Channels' thread hop before every handler: our threads close their connections.
        handler = _HANDLERS.get(message["type"])
        if handler is not None:
            await getattr(self, handler)(message)

    async def connect(self) -> None:
        self.language = language_of(self.scope)
        await self.accept()
        user = await self._operator()
        if user is None:
            await self.close(SIGNED_OUT)
            return
        queue = await web(_queue_of, self.scope.get("query_string", b""))
        if queue is None:
            await self.close(NO_QUEUE)
            return
        self.queue = queue.pk
        self.may = await web(acts_of, user)
        for group in (events.queue_group(queue.pk), events.user_group(user.pk)):
            self._groups.append(group)
            await self.channel_layer.group_add(group, self.channel_name)
        self._guard = asyncio.create_task(self._keep_checking(), name="dashboard guard")
        self._board = live_board(queue.pk)
        await self._board.join(self, self.may)

    async def _operator(self) -> AbstractUser | None:
        session = self.scope.get("session")
        return await web(operator_of, session.session_key if session is not None else None)

    async def _leave(self) -> None:
        board, self._board = self._board, None
        if board is not None:
            await board.leave(self)
        guard, self._guard = self._guard, None
        if guard is not None and guard is not asyncio.current_task():
            guard.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await guard
        while self._groups:
            await self.channel_layer.group_discard(self._groups.pop(), self.channel_name)

    async def _dismiss(self, code: int) -> None:
        """Show nothing more to this page."""
        await self._leave()
        await self.close(code)

    # -- who it is ---------------------------------------------------------------------------

    async def _keep_checking(self) -> None:
        while True:
            await asyncio.sleep(RECHECK_SECONDS)
            try:
                await self._recheck()
            except Exception as error:
                log.warning("an operator could not be checked: %s", error)

    async def _recheck(self) -> AbstractUser | None:
        """The operator as of now; None if this page was dismissed."""
        user = await self._operator()
        if user is None:
            await self._dismiss(SIGNED_OUT)
            return None
        may = await web(acts_of, user)
        if may != self.may:
            self.may = may
            await self._send(frames.May(may))
        return user

    # -- frames from the page ----------------------------------------------------------------

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        if not self._may_send_frame():
            await self._dismiss(TOO_MANY_FRAMES)
            return
        if self._board is None:
            return  # dismissed, and the page has not heard of it yet
        try:
            act = frames.decode(text_data, bytes_data)
        except FrameError as error:
            with translation.override(self.language):
                said = words.frame_error(error.code)
            await self._send(frames.Error(error.code, said))
            return
        user = await self._recheck()
        if user is None:
            return
        answer = await carry_out(Desk(self.queue, user, self.language), act)
        refused = answer.code if isinstance(answer, frames.Refused) else ""
        if self._board is not None and refused in ("", "changed"):
            await self._board.refresh()
        await self._send(answer)

    def _may_send_frame(self) -> bool:
        now = time.monotonic()
        while self._frames and self._frames[0] < now - 60:
            self._frames.popleft()
        self._frames.append(now)
        return len(self._frames) <= int(settings.CHATSITE_FRAMES_PER_MINUTE)

    async def _send(self, frame: frames.Outbound) -> None:
        await self.send(text_data=frames.encode(frame))

    # -- what it is told ---------------------------------------------------------------------

    async def push(self, text: str) -> None:
        await self.send(text_data=text)

    async def queue_gone(self) -> None:
        await self.close(NO_QUEUE)

    async def queue_changed(self, event: dict[str, Any]) -> None:
        if self._board is not None and event["queue"] == self.queue:
            self._board.nudge()

    async def identity_changed(self, event: dict[str, Any]) -> None:
        if self._board is not None:
            await self._recheck()


def _queue_of(query: bytes) -> Queue | None:
    wanted = parse_qs(query.decode("latin-1")).get("queue", [""])[0]
    if not wanted:
        return default_queue()
    if not (wanted.isascii() and wanted.isdigit() and len(wanted) < 19):
        return None
    return Queue.objects.filter(pk=int(wanted)).first()


_HANDLERS = {
    "websocket.connect": "websocket_connect",
    "websocket.receive": "websocket_receive",
    "websocket.disconnect": "websocket_disconnect",
    events.QUEUE_CHANGED: "queue_changed",
    events.IDENTITY_CHANGED: "identity_changed",
}
