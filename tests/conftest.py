"""What all tests share: a database in a file, a layer for each test, the cast, and the figures.

Only the engine is faked, by EchoEngine; database, channel layer, server and processes are real.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import pytest_asyncio
from channels.layers import channel_layers
from django.db import connection, transaction
from django.test.utils import setup_databases, teardown_databases

from chat import events
from chat.admission import default_queue
from chat.database import DatabaseThreads
from chat.models import Queue
from tests.acts import Bench
from tests.cast import Cast, make_cast
from tests.served import Site
from tests.tabs import Tabs

# The tests' models are fastest on one thread; several that spin, in several processes at once,
# take the cores from everybody. Read when torch is loaded, here and in processes of the tests.
os.environ.setdefault("OMP_NUM_THREADS", "1")

kept = {"django_content_type", "auth_permission", "auth_group", "django_migrations"}
"""Tables that migrations fill; the rest is emptied after each test."""

_figures: list[str] = []


@pytest.fixture(scope="session")
def django_db_setup(
    tmp_path_factory: pytest.TempPathFactory, django_test_environment: None, django_db_blocker: Any
) -> Iterator[None]:
    """A database of this run's own: several people test in one folder at the same time.

    A file, or on PostgreSQL `test_` before the name in DATABASE_URL. pytest-django's own sets a
    database up only for tests with its marks.
    """
    if connection.vendor == "sqlite":
        path = tmp_path_factory.mktemp("database") / "test.sqlite3"
        connection.settings_dict["TEST"]["NAME"] = str(path)
    with django_db_blocker.unblock():
        before = setup_databases(verbosity=0, interactive=False, aliases=["default"])
    yield
    with django_db_blocker.unblock():
        cut_off_others()
        teardown_databases(before, verbosity=0)


def cut_off_others() -> None:
    """PostgreSQL drops no database that a killed process's connection is still dying in."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )


@pytest.fixture
def database(django_db_setup: None, django_db_blocker: Any) -> Iterator[str]:
    """The real database, for any thread and process; emptied afterwards.

    Gives its address, as DATABASE_URL of another process.
    """
    with django_db_blocker.unblock():
        yield database_url()
        empty()


def empty() -> None:
    """Delete all rows of the tables that are not kept; ids are never given out again.

    One transaction with foreign keys checked at its end, in any order of tables: on PostgreSQL
    fifty times faster than TRUNCATE, which makes and syncs new files for every table and index.
    """
    tables = set(connection.introspection.django_table_names(only_existing=True)) - kept
    with transaction.atomic(), connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SET LOCAL synchronous_commit = off")
        for table in sorted(tables):
            cursor.execute(f"DELETE FROM {connection.ops.quote_name(table)}")


def database_url() -> str:
    """Where the test database is, as DATABASE_URL of another process."""
    place = {name: quote(str(value), safe="") for name, value in _place().items()}
    if connection.vendor == "sqlite":
        return f"sqlite:///{connection.settings_dict['NAME']}"
    login = ":".join(filter(None, (place["USER"], place["PASSWORD"])))
    server = ":".join(filter(None, (place["HOST"], place["PORT"])))
    return f"postgres://{login}@{server}/{place['NAME']}"


def _place() -> dict[str, str]:
    known = connection.settings_dict
    return {name: known[name] or "" for name in ("USER", "PASSWORD", "HOST", "PORT", "NAME")}


@pytest.fixture
def cast(database: str) -> Cast:
    return make_cast()


@pytest.fixture(autouse=True)
def layer() -> Iterator[None]:
    """The in-memory channel layer belongs to one event loop, so each test gets its own."""
    channel_layers.backends.clear()
    events.breaker = events.Breaker()  # a layer that failed one test is not the next one's
    yield
    channel_layers.backends.clear()


@pytest.fixture
def settings_unhurried(settings: Any) -> None:
    """People may send as fast as they like."""
    settings.CHATSITE_SENDS_PER_MINUTE = settings.CHATSITE_SENDS_BURST = 1_000_000


@pytest.fixture
def queue(database: str, settings_unhurried: None) -> Queue:
    """The site's queue."""
    return default_queue()


@pytest_asyncio.fixture
async def bench(queue: Queue) -> AsyncIterator[Bench]:
    threads = DatabaseThreads("test", 1)
    yield Bench(queue, threads)
    await threads.close()


@pytest.fixture(scope="session")
def served_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state folder for all served sites on the test database: static files are collected once."""
    return tmp_path_factory.mktemp("served")


@pytest.fixture
def site(database: str, queue: Queue, served_folder: Path) -> Iterator[Callable[..., Site]]:
    """Makes sites on the test database; they end with the test, and must not have logged a bug."""
    sites: list[Site] = []

    def make(**environment: str) -> Site:
        sites.append(Site(served_folder, database, **environment))
        return sites[-1]

    yield make
    for site in sites:
        site.close()
        assert "Traceback" not in site.log, site.log[-6_000:]


@pytest_asyncio.fixture
async def tabs(database: str) -> AsyncIterator[Tabs]:
    tabs = Tabs()
    yield tabs
    await tabs.close()


@pytest.fixture
def figure() -> Callable[[str], None]:
    """Report what a fault test measured, in one line; repeated at the end of the run."""

    def report(line: str) -> None:
        print(line)
        _figures.append(line)

    return report


def pytest_terminal_summary(terminalreporter: Any) -> None:
    if _figures:
        terminalreporter.section("figures")
        for line in _figures:
            terminalreporter.write_line(line)
