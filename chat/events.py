"""What travels over the channel layer: each event's type, the groups, and how to publish.

Delivery is at most once, so an event only makes somebody early: the row is the truth. Every event
carries its conversation and user, which the socket checks against its own.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from typing import Any

from channels.layers import get_channel_layer

log = logging.getLogger(__name__)

PUBLISH_SECONDS = 1.0
"""A layer that takes longer is as good as away; the healing rules do the rest."""

REST_SECONDS = 2.0
"""So long events are dropped unsent after the layer failed, then one publish tries it."""

Message = tuple[str, dict[str, Any]]
"""A group, and the event for it."""

REPLY_DELTA = "reply.delta"
GENERATION_CHANGED = "generation.changed"
CONVERSATION_CHANGED = "conversation.changed"
IDENTITY_CHANGED = "identity.changed"
QUEUE_CHANGED = "queue.changed"


def user_group(user: int) -> str:
    """Every tab of one person: stages of their generations, lines of their sidebar."""
    return f"u.{user}"


def conversation_group(conversation: object) -> str:
    """Every tab that shows one conversation: the text of its replies."""
    return f"c.{conversation}"


def queue_group(queue: int) -> str:
    """Workers and dashboards of one queue: nudges."""
    return f"q.{queue}"


def reply_delta(
    *,
    user: int,
    conversation: str,
    generation: int,
    offset: int,
    end: int,
    text: str,
    reasoning: int,
) -> dict[str, Any]:
    """A reply grew from `offset` to `end`; the first `reasoning` characters are reasoning."""
    return {
        "type": REPLY_DELTA,
        "user": user,
        "conversation": conversation,
        "generation": generation,
        "offset": offset,
        "end": end,
        "text": text,
        "reasoning": reasoning,
    }


def generation_changed(user: int, conversation: str, generation: int) -> dict[str, Any]:
    """A generation's row has another state, position or stage: read it."""
    return {
        "type": GENERATION_CHANGED,
        "user": user,
        "conversation": conversation,
        "generation": generation,
    }


def conversation_changed(user: int, conversation: str, gone: bool = False) -> dict[str, Any]:
    """A conversation has another title, or is gone."""
    return {"type": CONVERSATION_CHANGED, "user": user, "conversation": conversation, "gone": gone}


def identity_changed(user: int) -> dict[str, Any]:
    """Somebody logged out, or may no longer do what they did: sockets read the user again."""
    return {"type": IDENTITY_CHANGED, "user": user}


def queue_changed(queue: int) -> dict[str, Any]:
    """A nudge: something of this queue changed, look."""
    return {"type": QUEUE_CHANGED, "queue": queue}


class Breaker:
    """Lets nothing through for a while after the layer failed, then tries it with one publish.

    A layer that hangs would otherwise hold up every flush of a worker for as long as it may take.
    """

    def __init__(self) -> None:
        self.since: float | None = None
        """When the layer failed first, by the monotonic clock; None while it works."""
        self.dropped = 0
        self._again = 0.0

    def lets_through(self) -> bool:
        """Whether to try now; whoever is let through reports what came of it."""
        now = time.monotonic()
        if self.since is not None and now < self._again:
            return False
        self._again = now + REST_SECONDS  # while one tries, the others need not
        return True

    def failed(self, error: BaseException) -> None:
        now = time.monotonic()
        if self.since is None:
            self.since = now
            log.warning(
                "events are lost, the channel layer is away: %s", error or type(error).__name__
            )
        self._again = now + REST_SECONDS

    def worked(self) -> None:
        if self.since is not None:
            lasted = time.monotonic() - self.since
            log.warning("events are told again after %.0f s, %d were lost", lasted, self.dropped)
        self.since, self.dropped = None, 0


breaker = Breaker()
"""One for each process."""


async def publish(group: str, event: dict[str, Any]) -> None:
    """Send to a group; never raises, since whoever misses an event is healed from the rows."""
    await publish_all([(group, event)])


async def publish_all(messages: Sequence[Message]) -> None:
    """Send each event to its group, in this order and in one exchange; never raises."""
    if not messages:
        return
    if not breaker.lets_through():
        breaker.dropped += len(messages)
        return
    try:
        async with asyncio.timeout(PUBLISH_SECONDS):
            await get_channel_layer().group_send_all(messages)
    except Exception as error:
        breaker.dropped += len(messages)
        breaker.failed(error)
    else:
        breaker.worked()


def is_away() -> bool:
    """Whether this process hears no events, since the layer's server is away."""
    return bool(getattr(get_channel_layer(), "away", False))


async def hang_up() -> None:
    """Close this event loop's connections to the layer; the last thing that a process does."""
    try:
        async with asyncio.timeout(PUBLISH_SECONDS):
            await get_channel_layer().flush()
    except Exception as error:
        log.warning("the channel layer was not left in good order: %s", error)
