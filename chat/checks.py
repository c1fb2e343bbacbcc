"""What must hold before a process starts: each check says what cannot work, and what to set.

Knows settings, database and Redis; loads no model and starts nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args, get_type_hints
from urllib.parse import urlsplit

import psutil
import psycopg
from django.conf import settings
from django.core.checks import CheckMessage, Error, register
from django.core.management.base import CommandError
from django.db import Error as DatabaseError
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from chat.engine.base import EngineDead
from chat.engine.model_files import missing_folder
from chat.engine.spec import EngineSpec
from chat.words import engine_failure

CONFIGURATION, LATER = 78, 75
"""Exit codes as in sysexits.h: starting again changes nothing, or may help later."""
ANSWER_SECONDS = 5
"""A database or Redis that has not answered by then is called unreachable."""
NETWORK_FILES = ("nfs", "nfs4", "cifs", "smb3", "afs", "ceph", "glusterfs", "lustre", "sshfs")
"""File systems of several machines. SQLite's locks and shared memory do not hold there."""
UNREACHABLE = ("chat.E004", "chat.E006")
PASSING: tuple[str, ...] = ("loading_timeout", "engine_died", "engine_hung", "out_of_memory")
PASSING += ("upstream_away", "upstream_unfit")
"""Why an engine could not be loaded that may be otherwise later; a model's server may start after
the worker that asks it."""
Check = Callable[[], list[CheckMessage]]


def check_engine() -> list[CheckMessage]:
    """The settings name an engine that there is."""
    kinds = get_args(get_type_hints(EngineSpec)["kind"])
    if settings.CHATSITE_ENGINE in kinds:
        return []
    said = f"There is no engine {settings.CHATSITE_ENGINE}."
    return [Error(said, hint=f"Set CHATSITE_ENGINE to one of {', '.join(kinds)}.", id="chat.E007")]


def check_layer() -> list[CheckMessage]:
    """Pages and worker are in different processes: events must reach from one to the other."""
    if settings.REDIS_URL:
        return []
    said = "Without Redis, events stay inside one process: no page would see a reply being written."
    hint = (
        "Set REDIS_URL, such as redis://localhost:6379/0, for every web and worker process; or "
        "run `manage.py serve`, which has pages and worker in one process."
    )
    return [Error(said, hint=hint, id="chat.E001")]


@register(deploy=True)
def check_file_system(**more: Any) -> list[CheckMessage]:
    """A SQLite file belongs to one machine."""
    if connection.vendor != "sqlite":
        return []
    path = Path(str(connection.settings_dict["NAME"]))
    if (kind := _file_system_of(path).removeprefix("fuse.")) not in NETWORK_FILES:
        return []
    said = f"The SQLite database {path} lies on a network file system ({kind}), which damages it."
    hint = (
        "Set DATABASE_URL to a PostgreSQL database for several machines, such as "
        "postgres://user:password@host/name; or CHATSITE_VAR to a folder on a disk of this one."
    )
    return [Error(said, hint=hint, id="chat.E002")]


def _file_system_of(path: Path) -> str:
    """The type of the file system that holds `path`, as the system calls it."""
    holding = [
        part
        for part in psutil.disk_partitions(all=True)
        if path.resolve().is_relative_to(part.mountpoint)
    ]
    return max(holding, key=lambda part: len(part.mountpoint)).fstype if holding else ""


@register(deploy=True)
def check_model(**more: Any) -> list[CheckMessage]:
    """The settings' model, if it is a folder; whether a name can be downloaded, loading shows."""
    return model_missing(settings.CHATSITE_ENGINE, settings.CHATSITE_MODEL)


def model_missing(engine: str, model: str) -> list[CheckMessage]:
    """Whether `model` is a folder without a model in it."""
    if engine != "transformers" or (why := missing_folder(model)) is None:
        return []
    return [Error(engine_failure("model_missing", {"model": model, "why": why}), id="chat.E003")]


def check_database() -> list[CheckMessage]:
    """The database answers; asked without its pool, which would wait for longer."""
    try:
        if connection.vendor == "postgresql":
            _knock()
        else:
            connection.ensure_connection()
    except (DatabaseError, psycopg.Error) as error:
        cause = (str(error).splitlines() or [type(error).__name__])[0]
        said = f"The database does not answer: {cause}."
        return [Error(said, hint="DATABASE_URL says where it is.", id="chat.E004")]
    return []


def _knock() -> None:
    parameters = {**connection.get_connection_params(), "connect_timeout": ANSWER_SECONDS}
    psycopg.connect(**parameters).close()


def check_migrations() -> list[CheckMessage]:
    """The database has the tables that this version needs."""
    executor = MigrationExecutor(connection)
    missing = executor.migration_plan(executor.loader.graph.leaf_nodes())
    if not missing:
        return []
    said = f"The database lacks {len(missing)} migrations of this version."
    return [Error(said, hint="Run `manage.py setup` once, before the processes.", id="chat.E005")]


def check_redis() -> list[CheckMessage]:
    """Redis answers, if it is asked for at all."""
    if not settings.REDIS_URL:
        return []
    from redis import Redis, RedisError

    try:
        client = Redis.from_url(
            settings.REDIS_URL,
            socket_connect_timeout=ANSWER_SECONDS,
            socket_timeout=ANSWER_SECONDS,
        )
        client.ping()
        client.close()
    except (RedisError, ValueError, OSError) as error:
        place = urlsplit(settings.REDIS_URL)
        cause = str(error).rstrip(".")
        said = f"Redis at {place.hostname}:{place.port or 6379} does not answer: {cause}."
        return [Error(said, hint="REDIS_URL says where it is.", id="chat.E006")]
    return []


FOR_SERVE: tuple[Check, ...] = (check_engine, check_file_system, check_database, check_redis)
"""One process with everything in it; it makes the tables itself."""
FOR_PARTS: tuple[Check, ...] = (check_layer, *FOR_SERVE, check_migrations)
"""Web processes without a worker, and workers without pages."""


def require(*checks: Check) -> None:
    """Run the checks in order; the first one that finds something raises CommandError with it."""
    for check in checks:
        for found in check():
            code = LATER if found.id in UNREACHABLE else CONFIGURATION
            raise CommandError(" ".join(filter(None, (found.msg, found.hint))), returncode=code)


def no_engine(error: EngineDead) -> CommandError:
    """The end of a command whose model cannot be loaded."""
    later = error.reason in PASSING or error.detail.get("why") == "offline"
    code = LATER if later else CONFIGURATION
    return CommandError(engine_failure(error.reason, error.detail), returncode=code)
