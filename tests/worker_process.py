"""A worker in a process of its own: `python -m tests.worker_process NAME SPEC`.

SPEC is an EngineSpec as JSON. The database is the environment's. SIGTERM ends it politely.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import msgspec

from chat.engine.spec import EchoSpec, EngineSpec
from tests.served import ROOT, environment
from tests.waiting import until


class WorkerProcess:
    """Starts and ends one; `log` is all that it has printed."""

    def __init__(self, folder: Path, database: str, name: str, spec: EngineSpec) -> None:
        self.name = name
        self.path = folder / f"{name}.log"
        self._command = [sys.executable, "-m", "tests.worker_process", name]
        self._command.append(msgspec.json.encode(spec).decode())
        self._environment = environment(folder, database)
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> str:
        return self.path.read_text()

    async def start(self) -> None:
        """Start, and wait until the worker may claim."""
        self._spawn()
        await until(lambda: "worker is ready" in self.log, f"worker {self.name} is ready", 60)

    def _spawn(self) -> None:
        with self.path.open("wb") as log:
            self.process = subprocess.Popen(
                self._command, cwd=ROOT, env=self._environment, stdout=log, stderr=log
            )

    def signal(self, number: int) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def close(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait(10)


def echo(slots: int = 0, **more: object) -> EngineSpec:
    """The engine without a model."""
    return EngineSpec(kind="echo", slots=slots, echo=msgspec.convert(more, EchoSpec))


async def run(name: str, spec: EngineSpec) -> None:
    from chat.worker import start_queue_worker

    worker = await start_queue_worker(name, spec)
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    print("worker is ready", flush=True)
    await ended.wait()
    await worker.stop()


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "chatsite.settings")
    import django

    django.setup()
    asyncio.run(run(sys.argv[1], msgspec.json.decode(sys.argv[2], type=EngineSpec)))
