"""The browser's end: one WebSocket for each tab; docs/protocol.md tells what goes over the wire.

Listens first, then looks: joins the conversation's group, then sends snapshots.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Awaitable
from typing import Any

from channels.generic.websocket import AsyncWebsocketConsumer
from django.contrib.auth.base_user import AbstractBaseUser
from django.db import Error as DatabaseError
from django.db.models import QuerySet
from django.utils import translation

from chat import conversations, events, frames, generation_queue, words
from chat.admission import Draft, QueueRefusal
from chat.caps import FrameRate, OpenSockets
from chat.database import web
from chat.history import path
from chat.identity import user_of_session
from chat.identity_watch import identity_watch
from chat.languages import language_of
from chat.models import Conversation, Generation
from chat.pulse import pulse
from chat.tab import Tab
from chat.transitions import GenerationQuerySet
from chatsite.addresses import socket_address

log = logging.getLogger(__name__)

SIGNED_OUT, TOO_MANY_SOCKETS, TOO_MANY_FRAMES, UNAVAILABLE = 4001, 4002, 4004, 4005

WORTH_BYTES = 16 * 1024
"""An acknowledgement of so much does not count as a frame: what the page was sent demands it."""


class ChatConsumer(AsyncWebsocketConsumer):
    """The socket of one tab of one person; what the tab shows is in `tab`."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.user = 0
        self.tab: Tab
        self._groups: set[str] = set()
        self._sockets = OpenSockets()
        self._rate = FrameRate()
        self._dismissed = False

    # -- its life ----------------------------------------------------------------------------

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        # Not in `disconnect`: that is not called after an exception or a SIGTERM.
        try:
            await super().__call__(scope, receive, send)
        finally:
            await self._leave()

    async def dispatch(self, message: dict[str, Any]) -> None:
        # Without the thread hop that Channels makes before every handler to close connections:
        # database work happens on threads of our own, which close theirs.
        handler = _HANDLERS.get(message["type"])
        if handler is None or (self._dismissed and message["type"] in _EVENTS):
            return
        try:
            await getattr(self, handler)(message)
        except DatabaseError as error:
            if message["type"] == "websocket.connect":
                raise  # the page tries again
            log.warning("%s: the database is away: %s", message["type"], type(error).__name__)
            if message["type"] == "websocket.receive":
                # A message stays in the page's outbox; the page connects anew and sends it again.
                await self._refuse_frame(frames.FrameError("unavailable"))
                await self._dismiss(UNAVAILABLE)

    async def connect(self) -> None:
        user = self.scope["user"]
        await self.accept()
        if not user.is_authenticated or not user.is_active:
            await self._dismiss(SIGNED_OUT)
            return
        self.user = user.pk
        self.tab = Tab(self.user, language_of(self.scope), self.send, self._dismiss)
        try:
            self._sockets.enter(self.user, str(socket_address(self.scope)))
        except frames.FrameError as error:
            await self._refuse_frame(error)
            await self._dismiss(TOO_MANY_SOCKETS)
            return
        await self._join(events.user_group(self.user))
        await self.identified(await web(user_of_session, self.session))
        if self._dismissed:
            return
        guest = await web(lambda: hasattr(user, "guest"))
        unfinished = await web(list, self._mine().unfinished().order_by("id"))
        busy = tuple(dict.fromkeys(str(row.conversation_id) for row in unfinished))
        await self.tab.send(frames.Hello(frames.PROTOCOL, user.get_username(), guest, busy))
        for row in unfinished:
            await self.tab.list_turn(row)
        pulse.join(self.tab)
        identity_watch.join(self)

    async def _dismiss(self, code: int) -> None:
        """Close; frames that are on their way by then count for nothing."""
        self._dismissed = True
        await self.close(code)

    async def _leave(self) -> None:
        if self.user:
            pulse.leave(self.tab)
        identity_watch.leave(self)
        self._sockets.leave()
        for group in list(self._groups):
            await self._part(group)

    async def _join(self, group: str) -> None:
        self._groups.add(group)
        await self.channel_layer.group_add(group, self.channel_name)

    async def _part(self, group: str) -> None:
        self._groups.discard(group)
        await self.channel_layer.group_discard(group, self.channel_name)

    # -- frames from the browser --------------------------------------------------------------

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        if self._dismissed:
            return
        with translation.override(self.tab.language):
            try:
                self._rate.count()
                await self._handle(frames.decode(text_data, bytes_data))
            except frames.FrameError as error:
                if self._rate.flooded():
                    await self._dismiss(TOO_MANY_FRAMES)
                else:
                    await self._refuse_frame(error)

    async def _refuse_frame(self, error: frames.FrameError) -> None:
        with translation.override(self.tab.language):
            said = words.frame_error(error.code, error.most, error.retry)
        if error.about:
            await self.tab.send(frames.Refused(error.about, error.code, said, error.retry))
        else:
            await self.tab.send(frames.Error(error.code, said, retry=error.retry))

    async def _handle(self, frame: frames.AnyInbound) -> None:
        match frame:
            case frames.Open():
                await self._open(frame)
            case frames.Prompt():
                await self._prompt(frame)
            case frames.Stop():
                await self._stop(frame)
            case frames.Ack():
                await self._acknowledged(frame)
            case frames.Look(generation=generation):
                self.tab.acknowledged(generation, frames.FURTHEST, final=False)
                await self._look(generation)
            case frames.Rename(conversation=conversation, title=title):
                await self._change(
                    conversations.rename(conversation, self.user, title), conversation
                )
            case frames.Delete(conversation=conversation):
                await self._change(conversations.delete(conversation, self.user), conversation)

    async def _open(self, frame: frames.Open) -> None:
        conversation = await web(self._my_conversation(frame.conversation).first)
        if conversation is None:
            await self._not_found(str(frame.conversation))
            return
        await self._follow(str(conversation.pk))
        rows = await web(path, conversation)
        turns = tuple(row.pk for row in rows)
        await self.tab.send(frames.Opened(self.tab.conversation, conversation.title, turns))
        known = set(frame.known)
        for row in rows:
            if row.ended and row.pk in known:
                self.tab.known(row)
            else:
                await self.tab.show(row)

    async def _follow(self, conversation: str) -> None:
        """Listen to this conversation from now on, and to no other."""
        if self.tab.conversation and self.tab.conversation != conversation:
            await self._part(events.conversation_group(self.tab.conversation))
        self.tab.follow(conversation)
        await self._join(events.conversation_group(conversation))

    async def _prompt(self, frame: frames.Prompt) -> None:
        draft = Draft(self.user, frame.id, frame.text, frame.conversation, frame.parent)
        try:
            enqueued = await generation_queue.enqueue(draft)
        except QueueRefusal as refusal:
            said = words.refusal(refusal.code, refusal.detail, refusal.retry)
            await self.tab.send(frames.Refused(str(frame.id), refusal.code, said, refusal.retry))
            return
        row = enqueued.generation
        conversation = str(row.conversation_id)
        if frame.conversation is None:
            await self._follow(conversation)
        id, parent, again = str(frame.id), row.parent_id, enqueued.again
        await self.tab.send(frames.Accepted(id, conversation, row.pk, parent, again))
        if conversation == self.tab.conversation:  # at once: its event may be lost
            await self.tab.show(row)

    async def _acknowledged(self, frame: frames.Ack) -> None:
        """The page reads: whatever it was not told while it was behind follows."""
        if self.tab.acknowledged(frame.generation, frame.end, frame.final) >= WORTH_BYTES:
            self._rate.forgive()
        while (owed := self.tab.owed()) is not None:
            row = await web(self._mine().filter(pk=owed).first)
            if row is None or str(row.conversation_id) != self.tab.conversation:
                self.tab.gone(owed)
            else:
                await self.tab.show(row)

    async def _stop(self, frame: frames.Stop) -> None:
        await self._change(generation_queue.cancel(frame.generation, self.user), frame.generation)

    async def _look(self, generation: int) -> None:
        row = await web(self._mine().filter(pk=generation).first)
        if row is None or str(row.conversation_id) != self.tab.conversation:
            await self._not_found(generation)
            return
        await self.tab.show(row)

    async def _change(self, work: Awaitable[object], about: object) -> None:
        try:
            await work
        except QueueRefusal:
            await self._not_found(about)

    async def _not_found(self, about: object) -> None:
        """The same answer for what is somebody else's and for what does not exist."""
        said = words.frame_error("not_found")
        await self.tab.send(frames.Error("not_found", said, str(about)))

    # -- events from the channel layer --------------------------------------------------------

    async def reply_delta(self, event: dict[str, Any]) -> None:
        if event["user"] == self.user and not await self.tab.grow(event):
            await self._look(event["generation"])

    async def generation_changed(self, event: dict[str, Any]) -> None:
        row = await web(self._mine().filter(pk=event["generation"]).first)
        if row is None or event["user"] != self.user:
            return
        if str(row.conversation_id) == self.tab.conversation:
            await self.tab.show_stage(row)
        await self.tab.list_turn(row)

    async def conversation_changed(self, event: dict[str, Any]) -> None:
        if event["user"] != self.user:
            return
        if event["gone"]:
            await self.tab.send(frames.Listed(event["conversation"], gone=True))
            return
        if row := await web(self._my_conversation(event["conversation"]).first):
            await self.tab.list_conversation(row)

    async def identity_changed(self, event: dict[str, Any]) -> None:
        if event["user"] == self.user:
            await self.identified(await web(user_of_session, self.session))

    def _mine(self) -> GenerationQuerySet:
        """What this socket may show."""
        return Generation.objects.select_related("conversation").filter(
            author_id=self.user, conversation__user_id=self.user
        )

    def _my_conversation(self, conversation: uuid.UUID | str) -> QuerySet[Conversation]:
        return Conversation.objects.filter(pk=conversation, user_id=self.user)

    # -- who it is ----------------------------------------------------------------------------

    @property
    def session(self) -> str:
        return str(self.scope["session"].session_key)

    async def identified(self, user: AbstractBaseUser | None) -> None:
        """Close if the session ended or the account may no longer be here."""
        if user is None or user.pk != self.user:
            await self._dismiss(SIGNED_OUT)


_EVENTS = {
    events.REPLY_DELTA: "reply_delta",
    events.GENERATION_CHANGED: "generation_changed",
    events.CONVERSATION_CHANGED: "conversation_changed",
    events.IDENTITY_CHANGED: "identity_changed",
}
_HANDLERS = _EVENTS | {
    "websocket.connect": "websocket_connect",
    "websocket.receive": "websocket_receive",
    "websocket.disconnect": "websocket_disconnect",
}
