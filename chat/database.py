"""Threads for database work, so that neither an event loop nor another's slow query stalls.

Channels' own `database_sync_to_async` runs everything of a process on one thread. Here consumers
share a few threads, and a worker has one of its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import ParamSpec, TypeVar

from django.db import OperationalError, close_old_connections, connection, connections

P = ParamSpec("P")
R = TypeVar("R")

WEB_SECONDS = 10.0
"""A reader or sender hears by then that the database does not answer. What was asked of it may
still happen: whoever asks again must not mind (a message sent again is the same message)."""


class DatabaseThreads:
    """`await threads(function, *arguments)` runs `function` on one of `size` threads.

    A single thread keeps its connection: a worker never waits for a free one behind pages. With
    `seconds`, whoever waits longer gets OperationalError; the thread goes on.
    """

    def __init__(self, name: str, size: int, seconds: float | None = None) -> None:
        self._executor = ThreadPoolExecutor(size, thread_name_prefix=name)
        self._keeps = size == 1
        self._seconds = seconds

    async def __call__(self, work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        call = partial(_with_connection, self._keeps, work, *args, **kwargs)
        answer = asyncio.get_running_loop().run_in_executor(self._executor, call)
        try:
            async with asyncio.timeout(self._seconds) as deadline:
                return await answer
        except TimeoutError:
            if deadline.expired():
                raise OperationalError(f"no answer within {self._seconds} s") from None
            raise

    async def close(self) -> None:
        """Close this object's connections and end its threads; only for a size of one."""
        try:
            await self(connections.close_all)
        finally:
            self._executor.shutdown(wait=False)


def commit_soon() -> None:
    """Let this transaction be acknowledged before it is on disk (PostgreSQL).

    A crash of the database may take back its last half second; what is written so must be found
    missing by whoever wrote it. SQLite syncs every commit.
    """
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL synchronous_commit = off")


def _with_connection(keep: bool, work: Callable[..., R], *args: object, **kwargs: object) -> R:
    close_old_connections()
    try:
        return work(*args, **kwargs)
    finally:
        if keep:
            for mine in connections.all(initialized_only=True):
                mine.close_at = None  # old at no age; one with an error is closed below
        close_old_connections()


web = DatabaseThreads("consumer-database", 4, WEB_SECONDS)
"""For consumers and views."""
