"""A whole site in processes of its own, as a user starts it; its engine echoes."""

from __future__ import annotations

import itertools
import os
import secrets
import signal
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import psycopg

from tests.served import free_port
from tests.waiting import until_sync

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS = 60.0
STOP_SECONDS = 20.0
OURS = ("CHATSITE_", "DATABASE_URL", "REDIS_URL", "ALLOWED_HOSTS", "DEBUG", "SECRET_KEY")

QUICK = {
    "CHATSITE_ENGINE": "echo",
    "CHATSITE_ECHO_DELAY": "0.01",
    "CHATSITE_GUESTS_PER_HOUR": "10000",
    "CHATSITE_SENDS_PER_MINUTE": "1000",
    "CHATSITE_SENDS_BURST": "1000",
    "CHATSITE_SOCKETS_PER_ADDRESS": "1000",
}
"""An engine that says 100 characters a second, and no throttle in the way."""


class Site:
    """Starts and ends one site; a second start has the same port and state.

    One `serve`, as a laptop runs it; where the tests run on PostgreSQL and Redis, a database of its
    own there, pages in one process and the worker in another.
    """

    def __init__(self, folder: Path, **settings: str) -> None:
        self.folder = folder
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        kept = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
        self.environment = {**kept, **QUICK, **settings, "CHATSITE_VAR": str(folder)}
        self._shared = shared_services()
        self.environment |= self._shared
        self._processes: list[subprocess.Popen[bytes]] = []

    @property
    def log(self) -> str:
        return (self.folder / "serve.log").read_text(errors="replace")

    def start(self) -> None:
        (self.folder / "serve.log").write_bytes(b"")
        pages = ["serve", "--port", str(self.port)]
        commands = [pages]
        if self._shared:
            self.manage("setup")
            commands = [[*pages, "--no-worker"], ["generationworker", "--name", "browser"]]
        self._processes = [self._spawn(*command) for command in commands]
        until_sync(self._is_ready, "the site is ready", START_SECONDS, step=0.1)

    def _spawn(self, *arguments: str) -> subprocess.Popen[bytes]:
        with (self.folder / "serve.log").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "manage.py", *arguments],
                cwd=ROOT,
                env=self.environment,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def manage(self, *arguments: str) -> None:
        """Run a command to its end."""
        command = self._spawn(*arguments)
        assert command.wait(START_SECONDS) == 0, self.log

    def _is_ready(self) -> bool:
        if any(process.poll() is not None for process in self._processes):
            raise AssertionError(f"the site ended:\n{self.log}")
        return self.log.count("Ready.") == len(self._processes)

    def stop(self) -> None:
        """SIGTERM, as a service manager does."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL, as the kernel does when memory runs out."""
        self._end(signal.SIGKILL)

    def _end(self, how: signal.Signals) -> None:
        processes, self._processes = self._processes, []
        for process in processes:
            process.send_signal(how)
        for process in processes:
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                raise

    def close(self) -> None:
        """End it for good."""
        self.stop()
        if self._shared:
            drop_database(self._shared["DATABASE_URL"])


_numbers = itertools.cycle(range(1, 16))
"""Of Redis' databases: each site publishes under the number of its own."""


def shared_services() -> dict[str, str]:
    """DATABASE_URL and REDIS_URL of a site of its own; nothing on SQLite and in memory."""
    if not (os.environ.get("DATABASE_URL") and os.environ.get("REDIS_URL")):
        return {}
    server = urlsplit(os.environ["DATABASE_URL"])
    name = f"browser_{secrets.token_hex(6)}"
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    redis = urlsplit(os.environ["REDIS_URL"])._replace(path=f"/{next(_numbers)}")
    return {
        "DATABASE_URL": server._replace(path=f"/{name}").geturl(),
        "REDIS_URL": redis.geturl(),
    }


def drop_database(url: str) -> None:
    """Whoever is still connected is cut off."""
    name = urlsplit(url).path.removeprefix("/")
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
