"""What one browser tab shows: one conversation's turns, and every stage in the sidebar.

It knows which frames that takes, and what was sent already. The socket itself, and what the
browser asks for, are the consumer's (chat/consumers.py).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from django.utils import translation

from chat import words
from chat.database import web
from chat.frames import Listed, Outbound, Rendered, Stage, Staged, encode
from chat.live import LiveReply, live_reply
from chat.models import Conversation, Generation
from chat.pulse import pulse
from chat.ranking import Ranking
from chat.snapshots import finished, growing
from chat.window import Window

log = logging.getLogger(__name__)

TOO_SLOW = 4006

FAR_PLACE, FAR_SECONDS = 100, 5.0
"""Beyond this place a changed position is told only so often."""


@dataclass(slots=True)
class Line:
    """A waiting generation's place as it was told, and the sidebar's line it belongs to."""

    stage: Stage
    told: float
    conversation: str
    title: str
    end: int


class Tab:
    """The shown state of one tab; `send` takes an encoded frame, `close` a code.

    Of the shown conversation: `_shown`, `_open`, `_final`, `_replies`, `_reminded`, `_owed`. Of the
    sidebar, that is of all conversations: `_listed`, and `_lines` for what waits.

    A page that is behind (chat/window.py) is told nothing of its replies until it has caught up;
    then it gets snapshots of what is owed.
    """

    def __init__(
        self,
        user: int,
        language: str,
        send: Callable[[str], Awaitable[None]],
        close: Callable[[int], Awaitable[None]],
    ) -> None:
        self.user = user
        self.language = language
        self.conversation = ""
        self.window = Window()
        self._send_text = send
        self._close = close
        self._shown: dict[int, int] = {}
        """Generations on the page, with the end that was sent."""
        self._open: set[int] = set()
        """Those whose final state the page has not acknowledged."""
        self._final: set[int] = set()
        """Those whose final state was sent: an older look at the row must not undo it."""
        self._replies: dict[int, LiveReply] = {}
        self._reminded: dict[int, int] = {}
        """What was sent of each at the last reminder."""
        self._owed: dict[int, None] = {}
        """What a page that is behind was not told; in order."""
        self._lines: dict[int, Line] = {}
        self._listed: dict[int, Stage] = {}
        """What the sidebar says of those whose end it has not told."""

    async def send(self, frame: Outbound) -> None:
        """Send one frame."""
        await self._send_text(encode(frame))

    async def _tell(self, generation: int, end: int, text: str) -> None:
        """Send a frame that the page acknowledges, with a reply's position after it."""
        self.window.sent(generation, end, len(text) if text.isascii() else len(text.encode()))
        await self._send_text(text)

    # -- the conversation ---------------------------------------------------------------------

    def follow(self, conversation: str) -> None:
        """Show this conversation from now on, and no other."""
        self.conversation = conversation
        self._shown, self._open, self._final, self._replies = {}, set(), set(), {}
        self._reminded, self._owed = {}, {}

    def known(self, row: Generation) -> None:
        """The page has this finished turn from its own address."""
        self._shown[row.pk] = row.reply_end

    async def show(self, row: Generation) -> None:
        """Send everything of one generation."""
        if self._owes(row.pk):
            return
        if row.ended:
            self._replies.pop(row.pk, None)
            self._final.add(row.pk)
            snapshot = await web(finished, row, await self._stage(row))
        elif row.pk in self._final:
            return
        else:
            reply = self._replies.setdefault(row.pk, live_reply(row.pk))
            await reply.look(row)
            snapshot = await growing(row, reply, await self._stage(row))
        self._shown[row.pk] = snapshot.end
        self._open.add(row.pk)
        await self._tell(row.pk, snapshot.end, encode(snapshot))

    def _owes(self, generation: int) -> bool:
        """Whether this has to wait until the page has caught up; it is owed then."""
        if self.window.behind:
            self._owed[generation] = None
        else:
            self._owed.pop(generation, None)
        return self.window.behind

    def owed(self) -> int | None:
        """What to show next to a page that has caught up; None if nothing, or not yet."""
        return next(iter(self._owed), None) if not self.window.behind else None

    def gone(self, generation: int) -> None:
        """It is deleted: nothing is to be told of it any more."""
        self._owed.pop(generation, None)
        self._open.discard(generation)
        self._listed.pop(generation, None)
        self._lines.pop(generation, None)

    async def show_stage(self, row: Generation, reminding: bool = False) -> None:
        """Send where a generation stands; at its end, also what its parts got wrong.

        While it grows, the stored end is not named: it is ahead of deltas that are on their way,
        and a page that is told so looks for what is about to come. `reminding` names it.
        """
        if row.pk not in self._shown or self.window.behind:
            await self.show(row)
            return
        blocks: tuple[Rendered, ...] = ()
        if row.ended:
            reply = self._replies.get(row.pk)
            if reply is None or not reply.end == row.reply_end == self._shown[row.pk]:
                await self.show(row)
                return
            blocks = await reply.close(row)
            self._replies.pop(row.pk, None)
            self._final.add(row.pk)
        elif row.pk in self._final:
            return
        said = await self._stage(row)
        end = row.reply_end if row.ended or reminding else self._shown[row.pk]
        staged = Staged(row.pk, said, end, final=row.ended, blocks=blocks)
        await self._tell(row.pk, end, encode(staged))

    async def grow(self, event: dict[str, Any]) -> bool:
        """Send a piece of reply if it is for this tab; False if the whole row must be shown."""
        generation, end = event["generation"], event["end"]
        sent = self._shown.get(generation)
        if event["conversation"] != self.conversation or (sent is not None and end <= sent):
            return True
        if self.window.behind:
            return self._owes(generation)
        reply = self._replies.get(generation)
        if reply is None or sent != event["offset"]:
            return False  # something was lost, or even that there is such a reply
        frame = await reply.grow(event)
        if frame is None:
            return False
        self._shown[generation] = end
        await self._tell(generation, end, frame)
        return True

    def acknowledged(self, generation: int, end: int, final: bool) -> int:
        """The page has shown a reply up to `end`, and how it ended if `final`.

        Returns how many bytes the page had not acknowledged before.
        """
        if final:
            self._open.discard(generation)
        return self.window.acknowledged(generation, end)

    # -- the sidebar --------------------------------------------------------------------------

    async def list_turn(self, row: Generation, reminding: bool = False) -> None:
        """Send the sidebar's line for a generation's conversation; as a reminder, if it changed."""
        assert row.conversation is not None
        said = await self._stage(row)
        if reminding and self._listed.get(row.pk) == said:
            return
        if row.ended:
            self._listed.pop(row.pk, None)
        else:
            self._listed[row.pk] = said
        await self.list_conversation(row.conversation, said)

    async def list_conversation(
        self, conversation: Conversation, said: Stage | None = None
    ) -> None:
        """Send a line of the sidebar, with a stage if one of its replies has one to tell."""
        name, text = (said.name, said.words) if said is not None else ("", "")
        await self.send(Listed(str(conversation.pk), conversation.title, name, text))

    async def _stage(self, row: Generation) -> Stage:
        if row.state == "waiting" and (pulse.ranking is None or pulse.ranking.misses(row.pk)):
            await pulse.refresh()
        with translation.override(self.language):
            said = words.stage(row, pulse.ranking, pulse.alive)
        if row.state == "waiting":
            title = row.conversation.title if row.conversation is not None else ""
            self._lines[row.pk] = Line(
                said, time.monotonic(), str(row.conversation_id), title, row.reply_end
            )
        else:
            self._lines.pop(row.pk, None)
        return said

    # -- by the clock -------------------------------------------------------------------------

    def silent(self) -> bool:
        """Whether the page has fallen behind and does not read."""
        return self.window.silent()

    async def drop(self) -> None:
        """Close, since it is silent."""
        log.info("user %d: a page does not read, its socket is closed", self.user)
        self.window = Window()
        await self._close(TOO_SLOW)

    def unsettled(self) -> set[int]:
        """What is unfinished, or has an end that the page has not acknowledged."""
        return self._open | self._listed.keys() | self._lines.keys()

    async def ranked(self, ranking: Ranking, alive: bool) -> None:
        """Tell places that have changed."""
        if self.window.behind:
            return
        now = time.monotonic()
        for pk, line in list(self._lines.items()):
            if pk not in ranking.places:
                continue  # it was claimed or has ended; its event says so
            place = ranking.places[pk]
            if place is not None and place > FAR_PLACE and now - line.told < FAR_SECONDS:
                continue
            with translation.override(self.language):
                said = words.stage(
                    Generation(pk=pk, state="waiting", reply_end=line.end), ranking, alive
                )
            if said == line.stage:
                continue
            line.stage, line.told = said, now
            self._listed[pk] = said
            if pk in self._shown:
                end = self._shown[pk]
                await self._tell(pk, end, encode(Staged(pk, said, end)))
            await self.send(Listed(line.conversation, line.title, said.name, said.words))

    async def remind(self, rows: dict[int, Generation | None]) -> None:
        """Tell state and end of what the page shows and has not settled.

        `rows` is of what was unsettled when they were read: what came since is not deleted.
        """
        if self.window.behind:
            return
        for pk, row in rows.items():
            if row is None:
                self.gone(pk)
                continue
            if pk not in self.unsettled():
                continue
            if pk in self._shown:
                # Only a reply that stands still can have lost something for good.
                stuck = self._reminded.get(pk) == self._shown[pk]
                self._reminded[pk] = self._shown[pk]
                await self.show_stage(row, reminding=stuck)
            if pk in self._listed or pk not in self._shown:
                await self.list_turn(row, reminding=True)
