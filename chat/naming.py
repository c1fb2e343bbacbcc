"""A worker's name: the same after every restart, and never that of another living worker.

On one machine a locked file says which names are taken, elsewhere a heartbeat that moves does.
"""

from __future__ import annotations

import itertools
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import quote

from django.conf import settings
from django.core.management.base import CommandError
from filelock import FileLock, Timeout

from chat.checks import CONFIGURATION
from chat.heartbeats import BEAT_SECONDS
from chat.models import Worker

LOOK_SECONDS = 2 * BEAT_SECONDS + 1
"""A living worker's heartbeat moves within this time."""
LONGEST = 100


def host() -> str:
    """This machine's name."""
    return socket.gethostname()[:60]


@contextmanager
def worker_name(wanted: str | None, device: str) -> Iterator[str]:
    """Hold a name for as long as the block lasts: `wanted`, or the first one of this machine and
    device that no other process here has. Raises CommandError if `wanted` is taken."""
    for name in [wanted] if wanted else (f"{host()}-{device}-{n}" for n in itertools.count(1)):
        lock = _lock(name)
        try:
            lock.acquire(blocking=False)
        except Timeout:
            continue
        with lock:
            _refuse_if_alive_elsewhere(name)
            yield name
        return
    raise _taken(wanted or "", "this machine")


def _lock(name: str) -> FileLock:
    folder = settings.CHATSITE_VAR / "workers"
    folder.mkdir(exist_ok=True)
    return FileLock(folder / f"{quote(name, safe='')}.lock")


def _refuse_if_alive_elsewhere(name: str) -> None:
    rows = Worker.objects.filter(name=name).exclude(host__in=("", host()))
    for row in living(list(rows.exclude(state=Worker.State.STOPPED))):
        raise _taken(name, row.host)


def living(workers: list[Worker]) -> list[Worker]:
    """Those whose heartbeat moves while we look; takes LOOK_SECONDS if there are any at all."""
    if not workers:
        return []
    time.sleep(LOOK_SECONDS)  # a command that starts has nothing else to do
    now = dict(Worker.objects.values_list("pk", "heartbeat"))
    return [row for row in workers if now.get(row.pk, row.heartbeat) != row.heartbeat]


def _taken(name: str, where: str) -> CommandError:
    return CommandError(
        f"A worker named {name} is alive on {where}. Stop it first, or give this one another name "
        "with --name.",
        returncode=CONFIGURATION,
    )
