"""One served site for all socket tests, since starting one takes seconds."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from chat.database import web
from chat.models import Queue
from tests import conftest
from tests.cast import Cast
from tests.served import Site


@pytest.fixture(scope="package")
def shared_site(
    django_db_setup: None, django_db_blocker: Any, served_folder: Path
) -> Iterator[Site]:
    """Runs on the test database; its worker's row and the queue's outlive the single test."""
    rows = {"chat_queue", "chat_worker"}
    with django_db_blocker.unblock():
        address = conftest.database_url()
    site = Site(served_folder, address, CHATSITE_ECHO_DELAY="0.01")
    conftest.kept |= rows
    yield site
    site.close()
    conftest.kept -= rows
    with django_db_blocker.unblock():
        conftest.empty()


@pytest_asyncio.fixture
async def served(cast: Cast, shared_site: Site) -> AsyncIterator[Site]:
    """The shared site with its queue as it was at first; nothing may end it or make it log a bug.

    The cast comes first: a site without any operator makes one.
    """
    if shared_site.process is None:
        await shared_site.start()
    await web(Queue.objects.update, limit=4, paused=False)
    before = len(shared_site.log)
    yield shared_site
    assert shared_site.process is not None and shared_site.process.poll() is None
    logged = shared_site.log[before:]
    assert "Traceback" not in logged and " ERROR " not in logged, logged[-6_000:]
