"""What travels over the channel layer: each event's type, the groups, and how to publish.

Delivery is at most once, so an event only makes somebody early: the row is the truth. Every event
carries its conversation and user, which the socket checks against its own.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from channels.layers import get_channel_layer

log = logging.getLogger(__name__)

PUBLISH_SECONDS = 5.0
"""A layer that takes longer is as good as away; the healing rules do the rest."""

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


async def publish(group: str, event: dict[str, Any]) -> None:
    """Send to a group; never raises, since whoever misses an event is healed from the rows."""
    try:
        async with asyncio.timeout(PUBLISH_SECONDS):
            await get_channel_layer().group_send(group, event)
    except Exception as error:
        log.warning("event %s was not published: %s", event["type"], error)
