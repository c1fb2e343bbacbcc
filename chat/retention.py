"""What is removed by itself, once a day: what is left of deleted conversations, guests who never
chatted, workers that are long gone, and ended sessions."""

from __future__ import annotations

import asyncio
import logging
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from chat.database import DatabaseThreads
from chat.models import Generation, Worker

log = logging.getLogger(__name__)

DAY_SECONDS = 86_400
WORKER_DAYS = 30
"""A worker that was stopped for so long does not come back: containers get a new name each."""
BATCH = 500
"""Rows deleted in one transaction, so that nobody waits long for the write lock."""


def purge(now: datetime) -> int:
    """Remove what is old: rows of deleted conversations, guests without a conversation, ended
    sessions; returns how many guests."""
    day_ago = now - timedelta(seconds=DAY_SECONDS)
    emptied = Generation.objects.emptied().exclude(state__in=("waiting", "running"))
    while batch := list(
        emptied.filter(created_at__lt=day_ago).values_list("pk", flat=True)[:BATCH]
    ):
        Generation.objects.filter(pk__in=batch).delete()
    long_stopped = Worker.objects.filter(state=Worker.State.STOPPED)
    long_stopped.filter(seen_at__lt=now - timedelta(days=WORKER_DAYS)).delete()
    gone = 0
    before = now - timedelta(days=settings.CHATSITE_GUEST_DAYS)
    while batch := list(_silent().filter(guest__created_at__lt=before)[:BATCH]):
        gone += (removed := _remove(batch))
        if not removed:  # all of them have begun to chat this moment, or are being locked
            break
    call_command("clearsessions")
    return gone


def _silent() -> QuerySet[Any, int]:
    """Guests without a conversation, by id."""
    users = get_user_model().objects.filter(conversations=None, generations=None)
    return users.exclude(guest=None).values_list("pk", flat=True)


def _remove(guests: list[int]) -> int:
    """Delete those of `guests` who are still silent; returns how many."""
    with transaction.atomic():
        users = get_user_model().objects
        # Who sends a first message holds this lock; then it is seen by the look that follows.
        free = users.select_for_update(skip_locked=True).filter(pk__in=guests).order_by("pk")
        silent = list(_silent().filter(pk__in=list(free.values_list("pk", flat=True))))
        users.filter(pk__in=silent).delete()
    return len(silent)


async def purge_daily() -> None:
    """Purge now and every day; never ends. A day that fails is tried again on the next."""
    threads = DatabaseThreads("purge", 1)  # takes its time, and no thread from readers
    while True:
        try:
            if gone := await threads(purge, timezone.now()):
                log.info("removed %d guests who never chatted", gone)
        except Exception:
            log.exception("nothing was removed today")
        await asyncio.sleep(DAY_SECONDS)
