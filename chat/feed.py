"""Carries what an engine's process makes to the worker's event loop, and its death, too.

Knows nothing of queues, rows or Django. One Feed is one process: after a Dead make another.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import deque
from pathlib import Path

import psutil

from .engine import wire
from .engine.base import (
    Dead,
    EngineDead,
    Loading,
    Message,
    Model,
    Progress,
    Refused,
    Step,
    Task,
)
from .engine.spec import EngineSpec

_PATIENCE = 2.0  # seconds that an ending process is waited for before it is left to the system
_ROOT = Path(__file__).resolve().parent.parent
log = logging.getLogger(__name__)


class Feed:
    """The engine's process, seen from the worker's event loop.

    `start`, then `add` and `cancel` at will while one task awaits `receive` again and again, then
    `stop`. However the process ends, `receive` gives exactly one Dead, and after it raises.
    """

    def __init__(self, spec: EngineSpec) -> None:
        self._spec = spec
        self._process: subprocess.Popen[bytes] | None = None
        self._pipe: _Pipe | None = None
        self._keys: set[str] = set()
        self._messages: deque[Message] = deque()
        self._arrived = asyncio.Event()
        self._progress: Progress | None = None
        self._cause: Dead | None = None
        self._over: EngineDead | None = None
        self._funeral: asyncio.Task[None] | None = None
        self._buried = asyncio.Event()
        self._watch: asyncio.TimerHandle | None = None
        self._heard = self._looked = 0.0

    @property
    def pid(self) -> int | None:
        """The process's id while there is one."""
        return self._process.pid if self._process is not None else None

    def memory(self) -> int:
        """Resident bytes of the process; 0 when there is none."""
        if self._process is None:
            return 0
        try:
            return int(psutil.Process(self._process.pid).memory_info().rss)
        except psutil.Error:
            return 0

    async def start(self, progress: Progress | None = None) -> Model:
        """Spawn the process and wait until its model is loaded.

        Raises EngineDead with the cause; "loading_timeout" after the spec's deadline.
        """
        if self._process is not None or self._over is not None:
            raise RuntimeError("a feed starts once")
        self._progress = progress
        try:
            await self._spawn()
            message = await asyncio.wait_for(self.receive(), self._spec.load_deadline)
        except TimeoutError:
            self._cause = Dead("loading_timeout", {"seconds": self._spec.load_deadline})
            await self.stop()
            raise EngineDead("loading_timeout", seconds=self._spec.load_deadline) from None
        except BaseException:
            await self.stop()
            raise
        if isinstance(message, Model):
            self._guard()
            return message
        await self.stop()
        dead = message if isinstance(message, Dead) else Dead("engine_failed")
        raise EngineDead(dead.reason, **dead.detail)

    def add(self, task: Task) -> None:
        """Hand a task over; the answer arrives as Prepared or Refused."""
        self._keys.add(task.key)
        self._send(wire.Add(task))

    def cancel(self, key: str) -> None:
        """Forget a task; pieces already under way may still arrive."""
        self._keys.discard(key)
        self._send(wire.Cancel(key))

    async def receive(self) -> Message:
        """The next message. Dead comes once and last; asking on raises EngineDead."""
        while not self._messages:
            if self._over is not None:
                raise self._over
            self._arrived.clear()
            await self._arrived.wait()
        message = self._messages.popleft()
        if isinstance(message, Dead):
            self._over = EngineDead(message.reason, **message.detail)
        return message

    async def stop(self) -> None:
        """End the process and wait for its end; never raises, may be called twice."""
        if self._cause is None:
            self._cause = Dead("engine_stopped")
        if self._process is None:
            return
        if self._pipe is None or self._pipe.transport is None:  # stopped while it was spawned
            self._closed()
        else:
            self._pipe.transport.abort()  # the process ends when its pipe does
        await self._buried.wait()

    # -- the process ------------------------------------------------------------------------

    async def _spawn(self) -> None:
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        # The kernel ties "die with the parent" to the spawning thread: only the main one lasts.
        lasting = threading.current_thread() is threading.main_thread()
        number = theirs.fileno()
        command = [sys.executable, "-P", "-m", "chat.engine.process", str(number)]
        try:
            self._process = subprocess.Popen(  # noqa: ASYNC220 (a vfork: under a millisecond)
                [*command, str(os.getpid() if lasting else 0)],
                stdin=subprocess.DEVNULL,
                pass_fds=(number,),
                env=_environment(),
            )
        except OSError as error:
            ours.close()
            raise EngineDead("engine_failed", cause=type(error).__name__) from error
        finally:
            theirs.close()
        loop = asyncio.get_running_loop()
        _, self._pipe = await loop.create_connection(lambda: _Pipe(self), sock=ours)
        self._send(wire.Start(self._spec))

    def _send(self, command: wire.Command) -> None:
        transport = self._pipe.transport if self._pipe is not None else None
        if transport is not None and not transport.is_closing():
            transport.write(wire.pack(command))

    # -- what the pipe tells ----------------------------------------------------------------

    def _hear(self, message: Message) -> None:
        self._heard = time.monotonic()
        if isinstance(message, Loading):
            if self._progress is not None:
                self._progress(message.fraction, message.what)
            return
        if isinstance(message, Dead):
            self._cause = self._cause or message
            return  # told when the process is gone, with the suspects
        if isinstance(message, Refused):
            self._keys.discard(message.key)
        elif isinstance(message, Step):
            self._keys.difference_update(piece.key for piece in message.pieces if piece.end)
        self._deliver(message)

    def _deliver(self, message: Message) -> None:
        self._messages.append(message)
        self._arrived.set()

    def _closed(self) -> None:
        if self._funeral is not None:
            return
        if self._watch is not None:
            self._watch.cancel()
        self._funeral = asyncio.get_running_loop().create_task(
            self._bury(), name=f"feed funeral {self.pid}"
        )

    async def _bury(self) -> None:
        """Wait for the process's end, kill it when it lingers, and tell of its death once."""
        assert self._process is not None
        code = await _ended(self._process, _PATIENCE / 2 if self._cause is None else 0.2)
        if code is None:
            self._process.kill()
            code = await _ended(self._process, _PATIENCE)
        if code is None:
            log.error("engine process %s cannot be killed", self._process.pid)
        cause = self._cause or Dead("engine_died", _manner(code))
        self._process = None
        self._buried.set()
        suspects = self._keys if cause.suspects is None else self._keys & set(cause.suspects)
        self._deliver(Dead(cause.reason, cause.detail, tuple(sorted(suspects))))

    # -- hangs ------------------------------------------------------------------------------

    def _guard(self) -> None:
        """Look now and then whether the engine still steps; it beats every second when idle."""
        now = time.monotonic()
        pause = min(1.0, self._spec.hang_after / 4)
        if now - self._looked > 2 * pause + 1:
            self._heard = now  # our own loop stood still (or this is the first look)
        self._looked = now
        if now - self._heard > self._spec.hang_after:
            self._cause = self._cause or Dead("engine_hung", {"seconds": self._spec.hang_after})
            if self._process is not None:
                self._process.kill()
            return
        self._watch = asyncio.get_running_loop().call_later(pause, self._guard)


class _Pipe(asyncio.Protocol):
    """The socket to the process: bytes to messages, the end to a death."""

    def __init__(self, feed: Feed) -> None:
        self._feed = feed
        self._frames = wire.Frames()
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        for body in self._frames.feed(data):
            self._feed._hear(wire.unpack_message(body))

    def connection_lost(self, exc: Exception | None) -> None:
        self._feed._closed()


async def _ended(process: subprocess.Popen[bytes], seconds: float) -> int | None:
    """The exit code, or None if the process still lives after so many seconds."""
    until = time.monotonic() + seconds
    while (code := process.poll()) is None and time.monotonic() < until:
        await asyncio.sleep(0.01)
    return code


def _manner(code: int | None) -> dict[str, str | int | float]:
    if code is None or code >= 0:
        return {"exit_code": -1 if code is None else code}
    try:
        return {"signal": signal.Signals(-code).name}
    except ValueError:  # a real-time one has no name
        return {"signal": str(-code)}


def _environment() -> dict[str, str]:
    paths = [str(_ROOT), os.environ.get("PYTHONPATH", "")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in paths if path)}
