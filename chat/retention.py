"""What is removed by itself, once a day: guests who never chatted, and ended sessions."""

from __future__ import annotations

import asyncio
import logging
from datetime import datetime, timedelta

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.utils import timezone

from chat.database import web

log = logging.getLogger(__name__)

DAY_SECONDS = 86_400
BATCH = 500
"""Rows deleted in one transaction, so that nobody waits long for the write lock."""


def purge(now: datetime) -> int:
    """Remove old guests without a conversation, and ended sessions; returns how many guests."""
    before = now - timedelta(days=settings.CHATSITE_GUEST_DAYS)
    users = get_user_model().objects
    gone = 0
    while True:
        old = users.filter(
            guest__created_at__lt=before, conversations=None, generations=None
        ).values_list("pk", flat=True)[:BATCH]
        if not (batch := list(old)):
            break
        gone += len(batch)
        users.filter(pk__in=batch).delete()
    call_command("clearsessions")
    return gone


async def purge_daily() -> None:
    """Purge now and every day; never ends. A day that fails is tried again on the next."""
    while True:
        try:
            if gone := await web(purge, timezone.now()):
                log.info("removed %d guests who never chatted", gone)
        except Exception:
            log.exception("nothing was removed today")
        await asyncio.sleep(DAY_SECONDS)
