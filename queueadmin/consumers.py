"""The operators' end: one WebSocket for each open dashboard.

Who it belongs to is read from session and database before every act, and once a minute. Changes
of the queue go through chat/operators.py, which keeps the record.
"""

from __future__ import annotations

import logging
from typing import Any
from urllib.parse import parse_qs

from channels.generic.websocket import AsyncWebsocketConsumer
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import AbstractUser
from django.utils import translation

from chat import events, words
from chat.admission import default_queue
from chat.caps import FrameRate
from chat.database import web
from chat.frames import FrameError
from chat.identity_watch import identity_watch
from chat.languages import language_of
from chat.models import Queue
from queueadmin import frames
from queueadmin.acts import Desk, carry_out
from queueadmin.identity import acts_of, may_watch, operator_of
from queueadmin.live import LiveBoard, live_board

log = logging.getLogger(__name__)

SIGNED_OUT, NO_QUEUE, TOO_MANY_FRAMES = 4001, 4003, 4004


class DashboardConsumer(AsyncWebsocketConsumer):
    """One dashboard of one operator, for one queue."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.language = "en"
        self.may: tuple[str, ...] = ()
        self.queue = 0
        self._board: LiveBoard | None = None
        self._groups: list[str] = []
        self._rate = FrameRate()

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
        if await self._recheck() is None:
            return
        identity_watch.join(self)
        self._board = live_board(queue.pk)
        await self._board.join(self, self.may)

    async def _operator(self) -> AbstractUser | None:
        return await web(operator_of, self.session)

    async def _leave(self) -> None:
        identity_watch.leave(self)
        board, self._board = self._board, None
        if board is not None:
            await board.leave(self)
        while self._groups:
            await self.channel_layer.group_discard(self._groups.pop(), self.channel_name)

    async def _dismiss(self, code: int) -> None:
        """Show nothing more to this page."""
        await self._leave()
        await self.close(code)

    # -- who it is ---------------------------------------------------------------------------

    @property
    def session(self) -> str:
        session = self.scope.get("session")
        return str(session.session_key) if session is not None else ""

    async def identified(self, user: AbstractBaseUser | None) -> None:
        """Close if this is no operator any more; tell the page if they may do something else."""
        if isinstance(user, AbstractUser) and await web(may_watch, user):
            await self._become(user)
        else:
            await self._dismiss(SIGNED_OUT)

    async def _recheck(self) -> AbstractUser | None:
        """The operator as of now; None if this page was dismissed."""
        return await self._become(await self._operator())

    async def _become(self, user: AbstractUser | None) -> AbstractUser | None:
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
        if self._board is None:
            return  # dismissed, and the page has not heard of it yet
        try:
            self._rate.count()
            act = frames.decode(text_data, bytes_data)
        except FrameError as error:
            with translation.override(self.language):
                said = words.frame_error(error.code, error.most, error.retry)
            await self._send(frames.Error(error.code, said))
            if error.code == "too_many_frames":
                await self._dismiss(TOO_MANY_FRAMES)
            return
        user = await self._recheck()
        if user is None:
            return
        answer = await carry_out(Desk(self.queue, user, self.language), act)
        refused = answer.code if isinstance(answer, frames.Refused) else ""
        if self._board is not None and refused in ("", "changed"):
            await self._board.refresh()
        await self._send(answer)

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
