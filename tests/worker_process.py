"""`manage.py generationworker` as a real process, on the test's database and Redis."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import psutil

from tests.served import ROOT, environment
from tests.waiting import until


class WorkerProcess:
    """Starts and ends one, again under the same name if asked; `log` is all that it printed.

    With the option "--no-name", `name` is only its log's.
    """

    def __init__(self, folder: Path, database: str, name: str, *options: str, **more: str) -> None:
        self.name = name
        self.path = folder / f"{name}.log"
        self.path.write_text("")
        self.command = [sys.executable, "manage.py", "generationworker", *options]
        if "--no-name" in options:
            self.command.remove("--no-name")
        else:
            self.command += ["--name", name]
        self._environment = environment(folder, database, **more)
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> str:
        return self.path.read_text()

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    async def start(self) -> None:
        """Start, and wait until the worker may claim."""
        ready = self.log.count("Ready.")
        process = self.spawn()
        await until(
            lambda: self.log.count("Ready.") > ready or process.poll() is not None,
            f"worker {self.name} is ready",
            60,
        )
        assert process.poll() is None, self.log[-3_000:]

    def spawn(self) -> subprocess.Popen[bytes]:
        """Start, and wait for nothing."""
        with self.path.open("ab") as log:
            self.process = subprocess.Popen(
                self.command,
                cwd=ROOT,
                env=self._environment,
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
            )
        return self.process

    def signal(self, number: int) -> None:
        os.kill(self.pid, number)

    async def ended(self, seconds: float = 20) -> int:
        """Wait for the end; returns the exit code."""
        process = self.process
        assert process is not None
        await until(lambda: process.poll() is not None, f"worker {self.name} has ended", seconds)
        return int(process.returncode)

    def engine(self) -> psutil.Process:
        """Its engine's process."""
        for child in psutil.Process(self.pid).children():
            if "chat.engine.process" in " ".join(child.cmdline()):
                return child
        raise AssertionError("no engine's process")

    def close(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait(10)
