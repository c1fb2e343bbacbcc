"""A command of the site that also notes when tokens were made: `fanout_site NOTES serve ...`.

Measures from inside what readers cannot know, for fanout.py: the moment at which each character
came out of the engine (on the machine's monotonic clock, which readers share), and what telling
places costs. Written to the file NOTES when the process ends.
"""

from __future__ import annotations

import atexit
import json
import os
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "chatsite.settings")

import django

django.setup()

from django.core.management import call_command  # noqa: E402

from chat import pulse, slot, tab  # noqa: E402

made: dict[int, list[tuple[float, int]]] = defaultdict(list)
"""Of each generation: when, and how many characters there were then."""
places = {"seconds": 0.0, "began": time.monotonic()}


def note_growth(grow: Callable[..., None]) -> Callable[..., None]:
    @wraps(grow)
    def noted(self: slot.Slot, piece: Any) -> None:
        marks = made[self.row.pk]
        marks.append((time.monotonic(), (marks[-1][1] if marks else 0) + len(piece.text)))
        grow(self, piece)

    return noted


def timed(work: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(work)
    def counted(*args: Any) -> Any:
        began = time.thread_time()
        try:
            return work(*args)
        finally:
            places["seconds"] += time.thread_time() - began

    return counted


def timed_async(work: Callable[..., Any]) -> Callable[..., Any]:
    """Sends of a frame do not give way to other tasks, so the thread's time is this one's."""

    @wraps(work)
    async def counted(*args: Any) -> Any:
        began = time.thread_time()
        try:
            return await work(*args)
        finally:
            places["seconds"] += time.thread_time() - began

    return counted


def leave(notes: Path) -> None:
    share = places["seconds"] / (time.monotonic() - places["began"])
    notes.write_text(json.dumps({"made": made, "places": places["seconds"], "share": share}))


if __name__ == "__main__":
    atexit.register(leave, Path(sys.argv[1]))
    slot.Slot.grow = note_growth(slot.Slot.grow)
    pulse._look = timed(pulse._look)
    tab.Tab.ranked = timed_async(tab.Tab.ranked)
    call_command(sys.argv[2], *sys.argv[3:])
