"""Several processes that set one database up at the same time."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from django.db import connection

from chat.management.commands.setup import LOCK, _alone
from tests.waiting import until_sync

pytestmark = pytest.mark.skipif(
    connection.vendor != "postgresql", reason="SQLite's own lock makes them wait"
)
WAITS = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"


def set_up() -> str:
    """Wait for the lock as `setup` does, in a session that waits for no other; its limit then."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SET lock_timeout = 20; SET statement_timeout = 20")
            with _alone():
                cursor.execute("SHOW lock_timeout")
                return str(cursor.fetchone()[0])
    finally:
        connection.close()


def test_whoever_comes_second_waits_for_as_long_as_the_first_works(database: str) -> None:
    with (
        psycopg.connect(database, autocommit=True) as first,
        ThreadPoolExecutor(1) as thread,
    ):
        first.execute("SELECT pg_advisory_lock(%s)", [LOCK])
        second = thread.submit(set_up)
        until_sync(lambda: first.execute(WAITS).fetchone() == (1,), "the second one waits")
        first.execute("SELECT pg_sleep(0.1)")  # five times as long as it would wait for a row
        first.execute("SELECT pg_advisory_unlock(%s)", [LOCK])
        assert second.result(10) == "5s", "and afterwards it waits for a row as long as others"
