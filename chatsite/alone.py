"""The start of pages under any ASGI server: the same checks as `serve --no-worker` has."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor

from django.core.management.base import CommandError

from chat.checks import FOR_PARTS, require
from chatsite.statics import collect


def prepare() -> None:
    """Check, and collect static files; ends the process with a sentence if it cannot work."""
    try:
        # Servers import an application on their running event loop, where Django refuses queries.
        with ThreadPoolExecutor(1) as thread:
            thread.submit(_prepare).result()
    except CommandError as refused:
        sys.exit(f"Error: {refused}")


def _prepare() -> None:
    from django.db import connections

    try:
        require(*FOR_PARTS)
        collect()
    finally:
        connections.close_all()
