"""The engine's own process: commands in, one message per step of all tasks out.

Started by `chat.feed` as `python -m chat.engine.process`. It must never outlive its parent and
imports nothing of the site.
"""

from __future__ import annotations

import contextlib
import ctypes
import logging
import os
import queue
import signal
import socket
import sys
import threading
import time
import traceback
import warnings

from . import wire
from .base import (
    Dead,
    Engine,
    EngineDead,
    Loading,
    Message,
    Piece,
    Prepared,
    PromptRefused,
    Refused,
    Step,
    Task,
)
from .spec import EngineSpec

BEAT = 1.0  # seconds between two steps told by an engine without work
_TURN = 0.05  # seconds that a waiting engine may keep commands waiting
_PR_SET_PDEATHSIG = 1
log = logging.getLogger("chat.engine")


class Outlet:
    """The way out of this process; a parent that is gone ends it."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection

    def send(self, message: Message) -> None:
        """Send one message; blocks while the parent is behind."""
        try:
            self._connection.sendall(wire.pack(message))
        except OSError:
            os._exit(0)


def read_commands(connection: socket.socket, commands: queue.SimpleQueue[wire.Command]) -> None:
    """Body of the reading thread: end the process the moment the parent is gone."""
    frames = wire.Frames()
    try:
        while received := connection.recv(65536):
            for body in frames.feed(received):
                commands.put(wire.unpack_command(body))
    except OSError:
        pass
    finally:
        os._exit(0)


def make_engine(spec: EngineSpec) -> Engine:
    """The engine that the spec names."""
    if spec.kind == "echo":
        from .echo import EchoEngine

        return EchoEngine(spec)
    if spec.kind == "openai":
        from .openai_engine import OpenAIEngine

        return OpenAIEngine(spec)
    from .transformers_engine import TransformersEngine

    return TransformersEngine(spec)


class Loop:
    """Takes commands between steps and sends what each step made."""

    def __init__(
        self, engine: Engine, commands: queue.SimpleQueue[wire.Command], outlet: Outlet
    ) -> None:
        self._engine = engine
        self._commands = commands
        self._outlet = outlet
        self._count = 0
        self._told = time.monotonic()

    def run(self) -> None:
        """Run until the parent is gone or the engine dies (EngineDead)."""
        while True:
            self._take_commands()
            if self._engine.idle():
                self._tell(Step(self._count))
                continue
            made = self._engine.step(_TURN)
            self._send_all(made, Prepared)
            pieces = tuple(piece for piece in made if isinstance(piece, Piece))
            if pieces or time.monotonic() - self._told >= BEAT / 4:
                self._count += 1
                self._tell(Step(self._count, pieces, self._engine.prefill()))
            self._send_all(made, Refused)

    def _send_all(
        self, made: tuple[Piece | Prepared | Refused, ...], kind: type[Prepared | Refused]
    ) -> None:
        for message in made:
            if isinstance(message, kind):
                self._outlet.send(message)

    def _tell(self, step: Step) -> None:
        self._told = time.monotonic()
        self._outlet.send(step)

    def _take_commands(self) -> None:
        """All commands at hand; without work wait for one until the next beat is due."""
        until = self._told + BEAT
        with contextlib.suppress(queue.Empty):
            while self._engine.idle():
                self._obey(self._commands.get(timeout=max(0.0, until - time.monotonic())))
            while True:
                self._obey(self._commands.get_nowait())

    def _obey(self, command: wire.Command) -> None:
        if isinstance(command, wire.Add):
            self._outlet.send(self._add(command.task))
        elif isinstance(command, wire.Cancel):
            self._engine.cancel(command.key)

    def _add(self, task: Task) -> Prepared | Refused:
        try:
            return self._engine.add(task)
        except PromptRefused as refused:
            return Refused(task.key, refused.reason, refused.detail)


def stay_with_parent(parent: int) -> None:
    """Die with the parent (Linux: by the kernel), and leave all signals to its decision."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if sys.platform == "linux" and parent:
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it died before we asked
            os._exit(0)


def prepare_libraries() -> None:
    """No progress bars and no advice from libraries; what they print goes to the log."""
    os.dup2(2, 1)
    # Threads that wait for each other give their core away after some 100 µs. By default they
    # spin for milliseconds, and beside a busy web process a step takes ten times as long; a third
    # of this makes every step 15 % slower when nothing else runs.
    os.environ.setdefault("GOMP_SPINCOUNT", "6000")
    os.environ.setdefault("KMP_BLOCKTIME", "0")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    warnings.simplefilter("ignore")
    logging.basicConfig(level=logging.WARNING, format="engine: %(levelname)s %(name)s %(message)s")


def cause_of(error: BaseException) -> str:
    """What went wrong, without the error's text: it may quote a prompt."""
    return type(error).__name__


def log_bug(error: BaseException) -> None:
    """Where a bug happened: lines of code only, never values."""
    where = "".join(traceback.format_tb(error.__traceback__))
    log.error("engine failed: %s\n%s", cause_of(error), where)


def serve(connection: socket.socket) -> Dead:
    """Load and run the engine; what comes back is why it ended."""
    commands: queue.SimpleQueue[wire.Command] = queue.SimpleQueue()
    threading.Thread(
        target=read_commands, args=(connection, commands), name="commands", daemon=True
    ).start()
    outlet = Outlet(connection)
    try:
        start = commands.get()
        if not isinstance(start, wire.Start):
            return Dead("engine_failed", {"cause": "protocol"})
        engine = make_engine(start.spec)
        outlet.send(engine.load(lambda fraction, what: outlet.send(Loading(fraction, what))))
        Loop(engine, commands, outlet).run()
    except EngineDead as dead:
        return Dead(dead.reason, dead.detail, dead.suspects)
    except MemoryError:
        return Dead("out_of_memory")
    except Exception as error:
        log_bug(error)
        return Dead("engine_failed", {"cause": cause_of(error)})
    raise AssertionError("the loop never returns")


def main(arguments: list[str]) -> None:
    """Arguments: the number of the inherited socket, and the parent to die with (0: none)."""
    descriptor, parent = map(int, arguments)
    os.set_inheritable(descriptor, False)
    stay_with_parent(parent)
    prepare_libraries()
    connection = socket.socket(fileno=descriptor)
    Outlet(connection).send(serve(connection))
    os._exit(1)


if __name__ == "__main__":
    main(sys.argv[1:])
