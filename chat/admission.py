"""May this message join the queue, and at which place? Caps, rate, room and the fair order.

Only chat/generation_queue.py calls `admit`; it tells what was stored here.
"""

from __future__ import annotations

import random
import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from chat.models import Conversation, Generation, Queue
from chat.pace import seconds_to_wait
from chat.ranking import rank
from chat.standing import (
    Standing,
    is_full,
    locked_author,
    sent_before,
    standing_of,
    times_since,
)


class QueueRefusal(Exception):
    """A wish that cannot be granted; `code` and `detail` are put into words when shown.

    `retry` is when it may be tried again, in seconds, 0 if unknown.
    """

    def __init__(self, code: str, retry: int = 0, **detail: str | int) -> None:
        super().__init__(code)
        self.code = code
        self.retry = retry
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Draft:
    """A message somebody wants answered. `client_id` is made by the sender, once a message."""

    author: int
    client_id: uuid.UUID
    text: str
    conversation: uuid.UUID | None = None
    parent: int | None = None


@dataclass(frozen=True, slots=True)
class Enqueued:
    """What became of a draft; `again` if the same draft had been stored before."""

    generation: Generation
    again: bool


def admit(draft: Draft, now: datetime | None = None) -> Enqueued:
    """Store a draft as a waiting generation, or say why not; raises QueueRefusal."""
    now = now or timezone.now()
    with transaction.atomic():
        # The lock on the author's row makes caps, rate and turn exact for several tabs at once.
        author = locked_author(draft.author)
        if author is None:  # purged meanwhile
            raise QueueRefusal("not_allowed")
        before = sent_before(draft.author, draft.client_id)
        if before is not None:
            if before.prompt != draft.text:
                raise QueueRefusal("id_used")
            return Enqueued(before, again=True)
        if not author.active:
            raise QueueRefusal("not_allowed")
        queue = default_queue()
        minute_ago = now - timedelta(seconds=60)
        standing = standing_of(draft.author, author.line, queue, minute_ago)
        if standing.sent >= settings.CHATSITE_SENDS_BURST:
            _check_rate(times_since(draft.author, minute_ago), now)
        _check_room(queue, standing)
        conversation = _conversation_of(draft, now)
        parent = _parent_of(draft, conversation)
        row = Generation.objects.create(
            queue=queue,
            author_id=draft.author,
            conversation=conversation,
            parent=parent,
            client_id=draft.client_id,
            prompt=draft.text,
            parameters=default_parameters(),
            line=author.line,
            turn=_turn(queue, standing),
            created_at=now,
        )
        if conversation.updated_at != now:
            Conversation.objects.filter(pk=conversation.pk).update(updated_at=now)
    return Enqueued(row, again=False)


def _check_rate(times: list[float], now: datetime) -> None:
    wait = seconds_to_wait(
        times,
        now.timestamp(),
        settings.CHATSITE_SENDS_PER_MINUTE,
        settings.CHATSITE_SENDS_BURST,
    )
    if wait:
        raise QueueRefusal("too_fast", wait, per_minute=settings.CHATSITE_SENDS_PER_MINUTE)


def _check_room(queue: Queue, standing: Standing) -> None:
    if standing.waiting >= queue.waiting_per_user:
        raise QueueRefusal("too_many_waiting", limit=queue.waiting_per_user)
    if is_full(queue):
        low, high = rank(queue).wait_at(queue.size) or (0, 0)
        raise QueueRefusal("queue_full", size=queue.size, low=low, high=high)


def _conversation_of(draft: Draft, now: datetime) -> Conversation:
    if draft.conversation is None:
        return Conversation.objects.create(
            user_id=draft.author, title=title_from(draft.text), updated_at=now
        )
    # Locked, so that nobody deletes it before the message is in it.
    locked = Conversation.objects.select_for_update(no_key=True)
    mine = locked.filter(pk=draft.conversation, user_id=draft.author).first()
    if mine is None:
        raise QueueRefusal("not_found")
    return mine


def _parent_of(draft: Draft, conversation: Conversation) -> Generation | None:
    if draft.parent is None:
        return None
    # Locked: a parent that fails meanwhile waits for us, and then finds its follow-up.
    locked = Generation.objects.select_for_update(no_key=True)
    parent = locked.filter(pk=draft.parent, conversation=conversation).first()
    if parent is None:
        raise QueueRefusal("not_found")
    return parent


def _turn(queue: Queue, standing: Standing) -> int:
    """The fair order: one after the line's own last turn, but not before the one being served."""
    if standing.last_turn is None:
        return queue.turn_served
    return max(standing.last_turn + 1, queue.turn_served)


def title_from(text: str) -> str:
    """A conversation's first title: the first words of its first prompt."""
    words = " ".join(text.split())
    return words if len(words) <= 60 else words[:59].rsplit(" ", 1)[0][:59] + "…"


def default_queue() -> Queue:
    """The queue that the site's pages use; made at the first start from the settings."""
    sql = "SELECT * FROM chat_queue ORDER BY id LIMIT 1"
    return (
        next(iter(Queue.objects.raw(sql)), None)
        or Queue.objects.get_or_create(
            name="default",
            defaults={
                "limit": settings.CHATSITE_LIMIT,
                "size": settings.CHATSITE_QUEUE_SIZE,
                "running_per_user": settings.CHATSITE_RUNNING_PER_USER,
                "waiting_per_user": settings.CHATSITE_WAITING_PER_USER,
            },
        )[0]
    )


def default_parameters() -> dict[str, Any]:
    """How replies are sampled unless somebody says otherwise. The seed is drawn here, once."""
    return {
        "temperature": settings.CHATSITE_TEMPERATURE,
        "top_k": settings.CHATSITE_TOP_K,
        "top_p": settings.CHATSITE_TOP_P,
        "repetition_penalty": settings.CHATSITE_REPETITION_PENALTY,
        "max_new_tokens": settings.CHATSITE_MAX_NEW_TOKENS,
        "seed": random.getrandbits(53),
        "stop": [],
    }
