"""`manage.py serve` as a real process, on the test database or on a folder of its own."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import psutil
from django.conf import settings

from tests.waiting import until

ROOT = Path(__file__).resolve().parent.parent
START_SECONDS = 60.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def environment(folder: Path, database: str = "", **more: str) -> dict[str, str]:
    """For a process of the site: the engine without a model, and limits that tests do not meet."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("CHATSITE_", "DATABASE_"))}
    ours = {
        "CHATSITE_VAR": str(folder),
        "CHATSITE_ENGINE": "echo",
        "CHATSITE_SENDS_PER_MINUTE": "1000000",
        "CHATSITE_SENDS_BURST": "1000000",
        "CHATSITE_SOCKETS_PER_USER": "1000",
        "CHATSITE_SOCKETS_PER_ADDRESS": "10000",
        "CHATSITE_FRAMES_PER_MINUTE": "100000",
        "PYTHONUNBUFFERED": "1",
        "PYTHONWARNINGS": "default",
    }
    if database:  # sessions made by the test must hold in the other process
        ours |= {"DATABASE_URL": database, "SECRET_KEY": settings.SECRET_KEY}
    return {**clean, **ours, **more}


PING = ("--ws-ping-interval", "20", "--ws-ping-timeout", "20", "--ws-max-size", "65536")
SERVERS = {
    "serve": ("manage.py", "serve", "--port"),
    "pages": ("manage.py", "serve", "--no-worker", "--port"),
    "daphne": ("-m", "daphne", "chatsite.asgi:application", "--port"),
    "uvicorn": ("-m", "uvicorn", "chatsite.asgi:application", *PING, "--port"),
}
"""How pages are served, each with the port at the end; only `serve` has a worker in it."""
READY = {"uvicorn": "Uvicorn running on"}


class Site:
    """A served site. `log` is all that it has printed, over all its starts."""

    def __init__(
        self, folder: Path, database: str = "", server: str = "serve", **more: str
    ) -> None:
        self.folder = folder
        self.port = free_port()
        self.server = server
        self.path = folder / ("serve.log" if server == "serve" else f"{server}-{self.port}.log")
        self.path.write_text("")
        more = {"CHATSITE_PORT": str(self.port), **more}
        self._environment = environment(folder, database, **more)
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> str:
        return self.path.read_text()

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def spawn(self, *arguments: str) -> subprocess.Popen[bytes]:
        with self.path.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, *SERVERS[self.server], str(self.port), *arguments],
                cwd=ROOT,
                env=self._environment,
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
            )
        return self.process

    async def start(self, *arguments: str) -> None:
        """Start and wait until the port answers."""
        said = self.log.count(READY.get(self.server, "Ready."))
        process = self.spawn(*arguments)

        async def is_up() -> bool:
            if self.server == "daphne":  # its own log line is below the site's level
                return process.poll() is not None or await self._answers()
            now = self.log.count(READY.get(self.server, "Ready."))
            return process.poll() is not None or now > said

        await until(is_up, "the site is ready", START_SECONDS)
        assert process.poll() is None, self.log[-3_000:]
        await until(self._answers, "the port is open")

    async def _answers(self) -> bool:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", self.port)
        except OSError:
            return False
        writer.close()
        return True

    async def stop(self, number: int = signal.SIGTERM, seconds: float = 20) -> int:
        """Send a signal and wait for the end; returns the exit code."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(number)
        await self.ended(seconds)
        return int(self.process.returncode)

    async def ended(self, seconds: float = 20) -> int:
        process = self.process
        assert process is not None
        await until(lambda: process.poll() is not None, "the process has ended", seconds)
        return int(process.returncode)

    def engine(self) -> psutil.Process:
        """The engine's process, a child of the server's."""
        for child in psutil.Process(self.pid).children(recursive=True):
            if "chat.engine.process" in " ".join(child.cmdline()):
                return child
        raise AssertionError("no engine's process")

    def close(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait(10)
