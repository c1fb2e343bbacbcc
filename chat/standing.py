"""What admission must know of an author and a queue, in plain SQL; the same on both databases.

The ORM took two milliseconds to write down what the database answers in a tenth of one.
"""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass
from datetime import datetime

from django.contrib.auth import get_user_model
from django.db import connection

from chat.models import Generation, Queue

COUNTED_DEEP = 5_000
"""From so many on, counting who waits costs something, and the count is kept for a while."""
KEPT_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Author:
    """Who sends, and with whom they share a place in the fair order: guests of one address share
    a line."""

    active: bool
    line: str


@dataclass(frozen=True, slots=True)
class Standing:
    """Where an author stands: how many of theirs wait, how many were sent since a moment, and the
    last turn of their line."""

    waiting: int
    sent: int
    last_turn: int | None


@dataclass(slots=True)
class _Count:
    """How many of a queue waited when it was counted, and how many more it is good for."""

    size: int
    good_for: int
    until: float


_counts: dict[int, _Count] = {}


def locked_author(pk: int) -> Author | None:
    """Lock a user's row until the transaction ends, without keeping anybody from referring to it;
    None if there is none."""
    sql = f"""
        SELECT one.is_active, guest.address FROM {get_user_model()._meta.db_table} one
        LEFT JOIN chat_guest guest ON guest.user_id = one.id WHERE one.id = %s
    """
    if connection.features.has_select_for_update:
        sql += connection.ops.for_update_sql(of=("one",), no_key=True)
    with connection.cursor() as cursor:
        cursor.execute(sql, [pk])
        found = cursor.fetchone()
    if found is None:
        return None
    active, address = found
    return Author(bool(active), f"address {address}" if address else f"user {pk}")


def sent_before(author: int, client_id: uuid.UUID) -> Generation | None:
    """The generation that this message has already become, if it has."""
    sql = "SELECT id FROM chat_generation WHERE author_id = %s AND client_id = %s"
    stored = Generation._meta.get_field("client_id").get_db_prep_value(client_id, connection)
    with connection.cursor() as cursor:
        cursor.execute(sql, [author, stored])
        found = cursor.fetchone()
    if found is None:
        return None
    return Generation.objects.select_related("conversation").get(pk=found[0])


def standing_of(author: int, line: str, queue: Queue, since: datetime) -> Standing:
    """Read in one statement, after the author's row was locked."""
    sql = """
        SELECT (SELECT COUNT(*) FROM chat_generation WHERE author_id = %s AND state = 'waiting'),
               (SELECT COUNT(*) FROM chat_generation WHERE author_id = %s AND created_at >= %s),
               (SELECT MAX(turn) FROM chat_generation
                WHERE queue_id = %s AND line = %s AND state <> 'cancelled')
    """
    moment = connection.ops.adapt_datetimefield_value(since)
    with connection.cursor() as cursor:
        cursor.execute(sql, [author, author, moment, queue.pk, line])
        return Standing(*cursor.fetchone())


def times_since(author: int, moment: datetime) -> list[float]:
    """When this author sent since then; in seconds, unordered."""
    rows = Generation.objects.filter(author=author, created_at__gte=moment)
    return [at.timestamp() for at in rows.values_list("created_at", flat=True)]


def is_full(queue: Queue) -> bool:
    """Whether as many wait as may.

    A deep line is not counted for everybody: a count is good for a second, or until an eighth of
    the room that it found has been taken by this process.
    """
    now = time.monotonic()
    kept = _counts.get(queue.pk)
    if kept and kept.size == queue.size and kept.good_for > 0 and now < kept.until:
        kept.good_for -= 1
        return False
    sql = """
        SELECT COUNT(*) FROM (
            SELECT 1 FROM chat_generation WHERE state = 'waiting' AND queue_id = %s LIMIT %s
        ) AS waiting
    """
    with connection.cursor() as cursor:
        cursor.execute(sql, [queue.pk, queue.size])
        (waiting,) = cursor.fetchone()
    good_for = (queue.size - waiting) // 8 if waiting >= COUNTED_DEEP else 0
    _counts[queue.pk] = _Count(queue.size, good_for, now + KEPT_SECONDS)
    return bool(waiting >= queue.size)
