"""Runs the tests on PostgreSQL and Redis: `python -m tests.distributed`, with pytest's arguments.

Unless DATABASE_URL and REDIS_URL name some, both servers are started for this run and end with it.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.postgres_server import PostgresServer
from tests.redis_server import RedisServer


def services(stack: ExitStack) -> dict[str, str]:
    """Where both are. Those that are started here end with `stack`."""
    named = {name: os.environ.get(name, "") for name in ("DATABASE_URL", "REDIS_URL")}
    if not named["DATABASE_URL"]:
        database = PostgresServer()
        stack.callback(database.close)
        database.start()
        named["DATABASE_URL"] = database.url
    if not named["REDIS_URL"]:
        redis = RedisServer(Path(stack.enter_context(tempfile.TemporaryDirectory())))
        stack.callback(redis.kill)
        redis.start()
        named["REDIS_URL"] = redis.url
    return named


def main() -> int:
    """Pytest's exit code; 0 where a server is not installed, but never in CI."""
    with ExitStack() as stack:
        try:
            where = services(stack)
        except pytest.skip.Exception as reason:
            print(f"not tested on PostgreSQL and Redis: {reason}")
            return 0
        except pytest.fail.Exception as reason:
            print(f"cannot test on PostgreSQL and Redis: {reason}")
            return 1
        return subprocess.run(
            [sys.executable, "-m", "pytest", *sys.argv[1:]], env={**os.environ, **where}
        ).returncode


if __name__ == "__main__":
    sys.exit(main())
