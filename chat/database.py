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

from django.db import close_old_connections, connections

P = ParamSpec("P")
R = TypeVar("R")


class DatabaseThreads:
    """`await threads(function, *arguments)` runs `function` on one of `size` threads."""

    def __init__(self, name: str, size: int) -> None:
        self._executor = ThreadPoolExecutor(size, thread_name_prefix=name)

    async def __call__(self, work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        call = partial(_with_connection, work, *args, **kwargs)
        return await asyncio.get_running_loop().run_in_executor(self._executor, call)

    async def close(self) -> None:
        """Close this object's connections and end its threads; only for a size of one."""
        await self(connections.close_all)
        self._executor.shutdown(wait=False)


def _with_connection(work: Callable[..., R], *args: object, **kwargs: object) -> R:
    close_old_connections()
    try:
        return work(*args, **kwargs)
    finally:
        close_old_connections()


web = DatabaseThreads("consumer-database", 4)
"""For consumers and views."""
