"""What people do with whole conversations: write, then tell, as the queue does."""

from __future__ import annotations

import uuid

from django.db import transaction

from chat import events, generation_queue
from chat.admission import QueueRefusal
from chat.database import web
from chat.models import Conversation, Generation


async def rename(conversation: uuid.UUID, user: int, title: str) -> None:
    """Give a conversation of `user` another title; raises QueueRefusal("not_found")."""
    mine = Conversation.objects.filter(pk=conversation, user_id=user)
    if not await web(mine.update, title=" ".join(title.split())):
        raise QueueRefusal("not_found")
    await events.publish(
        events.user_group(user), events.conversation_changed(user, str(conversation))
    )


async def adopt(guest: int, user: int) -> None:
    """Give a guest's conversations, with their turns and places in line, to an account."""
    await generation_queue.tell_all(await web(_adopt, guest, user))


def _adopt(guest: int, user: int) -> list[Generation]:
    with transaction.atomic():
        Conversation.objects.filter(user_id=guest).update(user_id=user)
        Generation.objects.filter(author_id=guest).update(author_id=user)
    return list(Generation.objects.unfinished().filter(author_id=user))


async def delete(conversation: uuid.UUID, user: int) -> None:
    """Delete a conversation of `user`, stopping what runs; raises QueueRefusal("not_found")."""
    queues = await web(_delete, conversation, user)
    await events.publish(
        events.user_group(user), events.conversation_changed(user, str(conversation), gone=True)
    )
    for queue in queues:
        await events.publish(events.queue_group(queue), events.queue_changed(queue))


def _delete(conversation: uuid.UUID, user: int) -> set[int]:
    with transaction.atomic():
        mine = Conversation.objects.filter(pk=conversation, user_id=user).first()
        if mine is None:
            raise QueueRefusal("not_found")
        # A worker that still runs one of these finds its row gone, which is a lost claim.
        queues = set(mine.generations.unfinished().values_list("queue", flat=True))
        mine.generations.order_by("-id").delete()
        mine.delete()
    return queues
