"""What people do with whole conversations: write, then tell, as the queue does."""

from __future__ import annotations

import uuid

from django.contrib.auth import get_user_model
from django.db import transaction
from django.utils import timezone

from chat import events, generation_queue
from chat.admission import QueueRefusal
from chat.database import web
from chat.models import Conversation, Generation, Queue
from chat.transitions import GenerationQuerySet


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
        _lock([guest, user], Generation.objects.filter(author_id=guest))
        Conversation.objects.filter(user_id=guest).update(user_id=user)
        Generation.objects.filter(author_id=guest).update(author_id=user)
    return list(Generation.objects.unfinished().filter(author_id=user))


def _lock(people: list[int], rows: GenerationQuerySet) -> None:
    """These people send nothing meanwhile, and nobody claims, writes or stops these rows.

    Always in this order, generations by id as a worker's flush does: so nobody waits in a circle.
    """
    users, queues = get_user_model().objects, Queue.objects
    list(users.select_for_update(no_key=True).filter(pk__in=people).order_by("pk"))
    waited_for = rows.unfinished().values("queue")
    list(queues.select_for_update(no_key=True).filter(pk__in=waited_for).order_by("pk"))
    list(rows.select_for_update(no_key=True).order_by("pk").values_list("pk"))


async def delete(conversation: uuid.UUID, user: int) -> None:
    """Delete a conversation of `user`, stopping what runs; raises QueueRefusal("not_found").

    Of its generations a row without a word is kept for a day: deleting what was sent gives nobody
    back what sending it cost, in pace and in the fair order.
    """
    queues = await web(_delete, conversation, user)
    await events.publish(
        events.user_group(user), events.conversation_changed(user, str(conversation), gone=True)
    )
    for queue in queues:
        await events.publish(events.queue_group(queue), events.queue_changed(queue))


def _delete(conversation: uuid.UUID, user: int) -> set[int]:
    with transaction.atomic():
        _lock([user], Generation.objects.filter(conversation=conversation, author_id=user))
        mine = Conversation.objects.filter(pk=conversation, user_id=user).first()
        if mine is None:
            raise QueueRefusal("not_found")
        # A worker that still runs one of these finds it stopped, which is a lost claim.
        queues = set(mine.generations.unfinished().values_list("queue", flat=True))
        mine.generations.empty(timezone.now())
        mine.delete()
    return queues
