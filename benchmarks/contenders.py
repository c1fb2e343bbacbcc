"""Starts what is measured, each in processes of its own, and lets it do one round.

Every contender does the same: so many prompts at the same moment, and the times at which each
reply's tokens came. What the processor did meanwhile is counted outside of it.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import select
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil

from benchmarks.measure import Round, Stream, tokens_at

ROOT = Path(__file__).resolve().parent.parent
MOST = 32  # simultaneous chats
TIMEOUT = 300.0


class Child:
    """A process that answers lines of JSON."""

    def __init__(self, command: list[str], log: Path, **environment: str) -> None:
        with log.open("a") as errors:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                cwd=ROOT,
                env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
            )
        self._log = log
        self.pid = self._process.pid

    def ask(self, **question: Any) -> dict[str, Any]:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(question) + "\n")
        self._process.stdin.flush()
        return self.answer()

    def answer(self) -> dict[str, Any]:
        """The next line; raises RuntimeError with what went wrong."""
        assert self._process.stdout is not None
        ready, _, _ = select.select([self._process.stdout], [], [], TIMEOUT)
        line = self._process.stdout.readline() if ready else ""
        if not line:
            raise RuntimeError(f"{self._process.args} gave no answer; see {self._log}")
        reply: dict[str, Any] = json.loads(line)
        if "error" in reply:
            raise RuntimeError(reply["error"])
        return reply

    def stop(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()


class Meter:
    """Processor time of named processes, and of everybody else, over one round."""

    def __init__(self, roles: dict[str, int]) -> None:
        self._processes = {role: psutil.Process(pid) for role, pid in roles.items()}
        self._before = self._spent()
        self._busy = _busy()
        self._began = time.monotonic()

    def _spent(self) -> dict[str, float]:
        times = {role: process.cpu_times() for role, process in self._processes.items()}
        return {role: spent.user + spent.system for role, spent in times.items()}

    def read(self) -> tuple[dict[str, float], float, dict[str, int]]:
        """Seconds by role, cores that others kept busy, resident bytes by role."""
        wall = time.monotonic() - self._began
        spent = {role: after - self._before[role] for role, after in self._spent().items()}
        others = max(0.0, _busy() - self._busy - sum(spent.values())) / wall
        memory = {role: p.memory_info().rss for role, p in self._processes.items()}
        return spent, others, memory


def _busy() -> float:
    times = psutil.cpu_times()
    return float(times.user + times.nice + times.system + times.irq + times.softirq)


class InProcess:
    """A contender that is one process: the bare manager, or the peer."""

    def __init__(self, name: str, child: Child, **setup: Any) -> None:
        self.name = name
        self._child = child
        self.versions: dict[str, str] = child.ask(**setup).get("versions", {})

    def round(
        self, prompts: list[str], new_tokens: int, clients: Child | None = None, load: float = 0.0
    ) -> Round:
        """One round; beside it `clients` keep `load` of one core busy."""
        meter = Meter({"process": self._child.pid, **({"clients": clients.pid} if clients else {})})
        if clients is not None:
            clients.ask(do="burn", share=load)
        try:
            reply = self._child.ask(prompts=prompts, new_tokens=new_tokens)
        finally:
            figures = meter.read()
            if clients is not None:
                clients.ask(do="rest")
        streams = [
            Stream(s["sent"], [tuple(mark) for mark in s["marks"]]) for s in reply["streams"]
        ]
        return Round(self.name, streams, *figures)

    def stop(self) -> None:
        self._child.stop()


class Site:
    """The site itself: `manage.py serve` with a state folder of its own."""

    name = "serve"

    def __init__(self, folder: Path, model: Path, environment: dict[str, str], log: Path) -> None:
        self._model = model
        self._port = _free_port()
        self.url = f"http://127.0.0.1:{self._port}"
        settings = {
            "CHATSITE_VAR": str(folder),
            "CHATSITE_PORT": str(self._port),
            "CHATSITE_MODEL": str(model),
            "CHATSITE_LIMIT": str(MOST),
            "CHATSITE_SLOTS": str(MOST),
            "CHATSITE_SENDS_PER_MINUTE": "100000",
            "CHATSITE_SENDS_BURST": "100000",
            "CHATSITE_SOCKETS_PER_ADDRESS": "10000",
            "CHATSITE_FRAMES_PER_MINUTE": "100000",
            **environment,
        }
        for name in ("DATABASE_URL", "REDIS_URL"):  # embedded: SQLite and memory
            os.environ.pop(name, None)
        os.environ.update(settings, DJANGO_SETTINGS_MODULE="chatsite.settings")
        command = [sys.executable, "manage.py", "serve", "--port", str(self._port)]
        with log.open("a") as output:
            self._process = subprocess.Popen(command, cwd=ROOT, stdout=output, stderr=output)
        self._log = log
        self._wait()
        self.cookies = self._people()

    def _wait(self) -> None:
        until = time.monotonic() + TIMEOUT
        while time.monotonic() < until:
            if self._process.poll() is not None:
                break
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self._port)):
                return
            time.sleep(0.2)
        raise RuntimeError(f"serve did not start; see {self._log}")

    def _people(self) -> list[str]:
        """Accounts with open sessions, made in the served database; their session keys."""
        import django

        django.setup()
        from django.contrib import auth
        from django.contrib.sessions.backends.db import SessionStore

        keys = []
        for number in range(MOST):
            user = auth.get_user_model()(username=f"reader{number}-{secrets.token_hex(4)}")
            user.set_unusable_password()
            user.save()
            session = SessionStore()
            session[auth.SESSION_KEY] = str(user.pk)
            session[auth.BACKEND_SESSION_KEY] = "django.contrib.auth.backends.ModelBackend"
            session[auth.HASH_SESSION_KEY] = user.get_session_auth_hash()
            session.save()
            keys.append(session.session_key)
        return keys

    @property
    def device(self) -> str:
        """What the engine runs on, such as "cpu bfloat16"."""
        from chat.models import Worker

        return str(Worker.objects.get().device)

    @property
    def pids(self) -> dict[str, int]:
        web = psutil.Process(self._process.pid)
        (engine,) = web.children()
        return {"web": web.pid, "engine": engine.pid}

    def round(self, prompts: list[str], clients: Child) -> Round:
        """One round through the browser's door; how many tokens a text is, the rows tell."""
        meter = Meter({**self.pids, "clients": clients.pid})
        reply = clients.ask(
            do="read",
            url=self.url,
            cookies=self.cookies[: len(prompts)],
            prompts=prompts,
            timeout=TIMEOUT,
        )
        figures = meter.read()
        streams = self._in_tokens(reply["streams"])
        return Round(self.name, streams, *figures, frames=reply["frames"], bytes=reply["bytes"])

    def _in_tokens(self, replies: list[dict[str, Any]]) -> list[Stream]:
        from tokenizers import Tokenizer

        from chat.models import Generation

        tokenizer = Tokenizer.from_file(str(self._model / "tokenizer.json"))
        rows = Generation.objects.in_bulk([reply["generation"] for reply in replies])
        streams = []
        for reply in replies:
            row = rows[reply["generation"]]
            if row.state != "done" or reply["marks"][-1][1] != len(row.reply):
                raise RuntimeError(f"generation {row.pk} is {row.state} {row.reason}")
            ends = tokens_at(tokenizer, [int(token) for token in row.reply_ids.split()])
            marks = [(at, ends(end)) for at, end in reply["marks"]]
            streams.append(Stream(reply["sent"], marks))
        return streams

    def stop(self) -> None:
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
