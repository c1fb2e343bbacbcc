"""A PostgreSQL of the test's own, on a free port, to be stopped at once and started again."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.served import free_port
from tests.services import missing
from tests.waiting import until_sync

START_SECONDS = 30.0
WRITER_MILLISECONDS = 5_000
"""How long commits that need not wait for the disk may stay in memory: long, so that a stop at
once does lose some."""


def _program(name: str) -> str:
    """Debian keeps the server's programs outside of PATH, by version."""
    installed = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    found = shutil.which(name) or (str(installed[-1]) if installed else None)
    if found is None:
        missing(f"PostgreSQL's {name} is not installed")
    return found


class PostgresServer:
    """Keeps its data in a folder of its own until `close`. It would refuse to run as root."""

    def __init__(self) -> None:
        self._postgres = _program("postgres")
        self._folder = Path(tempfile.mkdtemp(prefix="chatsite-postgres-"))
        self._user: str | None = None
        if os.geteuid() == 0:
            known = {entry.pw_name for entry in pwd.getpwall()}
            self._user = next(name for name in ("postgres", "nobody") if name in known)
            shutil.chown(self._folder, self._user)
        self.port = free_port()
        self.url = f"postgres://postgres@127.0.0.1:{self.port}/postgres"
        self.process: subprocess.Popen[bytes] | None = None
        data = ["-D", str(self._folder / "data"), "-U", "postgres", "-A", "trust", "--no-sync"]
        self._spawn(_program("initdb"), *data).wait(60)

    def _spawn(self, *command: str) -> subprocess.Popen[bytes]:
        with (self._folder / "log").open("ab") as log:
            return subprocess.Popen(
                command,
                cwd=self._folder,
                user=self._user,
                group=self._user and pwd.getpwnam(self._user).pw_gid,
                extra_groups=() if self._user else None,
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
            )

    @property
    def log(self) -> str:
        return (self._folder / "log").read_text()

    def start(self) -> None:
        """Start and wait until it answers."""
        settings = {
            "port": self.port,
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": self._folder,
            "wal_writer_delay": f"{WRITER_MILLISECONDS}ms",
        }
        options = [option for key, value in settings.items() for option in ("-c", f"{key}={value}")]
        self.process = self._spawn(self._postgres, "-D", str(self._folder / "data"), *options)
        until_sync(self._answers, "PostgreSQL answers", START_SECONDS)

    def _answers(self) -> bool:
        try:
            psycopg.connect(self.url, connect_timeout=2).close()
        except psycopg.OperationalError:
            assert self.process is not None and self.process.poll() is None, self.log[-2_000:]
            return False
        return True

    def rows(self, sql: str) -> list[tuple[object, ...]]:
        """What is stored, past the site."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            return connection.execute(sql).fetchall()  # type: ignore[arg-type]

    def stop_at_once(self) -> None:
        """As `pg_ctl stop -m immediate` does: without a word to anybody, recovered at the start."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGQUIT)
            self.process.wait(30)

    def close(self) -> None:
        self.stop_at_once()
        shutil.rmtree(self._folder)


@pytest.fixture
def postgres_server() -> Iterator[PostgresServer]:
    """A running PostgreSQL of this test's own, empty."""
    server = PostgresServer()
    try:
        server.start()
        yield server
    finally:
        server.close()
