"""Waiting for something to become true, with a deadline: never a sleep and a hope."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")
STEP = 0.01  # seconds between two looks


async def until(
    look: Callable[[], Any], what: str, seconds: float = 10.0, step: float = STEP
) -> Any:
    """Look again and again until the answer is true, and return it; fails after `seconds`.

    `look` may be a function or a coroutine function.
    """
    deadline = time.monotonic() + seconds
    while True:
        seen = look()
        answer = await seen if inspect.isawaitable(seen) else seen
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s: {what}; last seen: {answer!r}")
        await asyncio.sleep(step)


def until_sync(look: Callable[[], T], what: str, seconds: float = 10.0, step: float = STEP) -> T:
    """The same where no event loop runs."""
    deadline = time.monotonic() + seconds
    while not (answer := look()):
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s: {what}; last seen: {answer!r}")
        time.sleep(step)
    return answer
