"""The site with the echo engine, started for a measurement, and people with open sessions."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

from benchmarks import models
from benchmarks.contenders import ROOT, _free_port

RATE = 30.0  # tokens a second of each reply; the echo engine's tokens are characters
TEXT = (
    "A paragraph of a reply, as long as paragraphs mostly are: some sentences, and in them now and "
    "then *one word* that matters more than the others.\n\n- first this\n- then that\n\n"
)


class Site:
    """The site with the echo engine: `web` processes, and a worker of its own if more than one."""

    def __init__(
        self, asked: argparse.Namespace, web: int, slots: int, seconds: float, people: int
    ) -> None:
        self._folder = tempfile.TemporaryDirectory()
        folder = Path(self._folder.name)
        length = round(seconds * RATE)
        self._environment = {
            "DJANGO_SETTINGS_MODULE": "chatsite.settings",
            "CHATSITE_VAR": str(folder),
            "CHATSITE_ENGINE": "echo",
            "CHATSITE_ECHO_DELAY": str(1 / RATE),
            "CHATSITE_ECHO_TEXT": (TEXT * (length // len(TEXT) + 1))[:length],
            "CHATSITE_LIMIT": str(slots),
            "CHATSITE_SLOTS": str(slots),
            "CHATSITE_QUEUE_SIZE": "10000",
            "CHATSITE_SENDS_PER_MINUTE": "100000",
            "CHATSITE_SENDS_BURST": "100000",
            "CHATSITE_SOCKETS_PER_USER": "10000",
            "CHATSITE_SOCKETS_PER_ADDRESS": "10000",
            "CHATSITE_FRAMES_PER_MINUTE": "100000",
            "CHATSITE_LOG_LEVEL": "WARNING",
            "DATABASE_URL": asked.postgresql if web > 1 else f"sqlite:///{folder}/bench.sqlite3",
            "REDIS_URL": asked.redis if web > 1 else "",
        }
        self._log = models.cache() / "fanout.log"
        self._notes: list[Path] = []
        self._processes: list[subprocess.Popen[bytes]] = []
        os.environ.update(self._environment)
        if web > 1:
            self._run("migrate", "-v0")
            self._run("flush", "--no-input", "-v0")
            self._run("setup", "--limit", str(slots))
        self.urls = [self._serve(web > 1) for _ in range(web)]
        if web > 1:
            self._start("generationworker")
        self._wait_for_worker()
        self.cookies = _people(people)

    def _run(self, *command: str) -> None:
        subprocess.run([sys.executable, "manage.py", *command], check=True, cwd=ROOT)

    def _start(self, *command: str) -> None:
        notes = Path(self._folder.name) / f"notes-{len(self._notes)}.json"
        self._notes.append(notes)
        with self._log.open("ab") as log:
            self._processes.append(
                subprocess.Popen(
                    [sys.executable, "-m", "benchmarks.fanout_site", str(notes), *command],
                    cwd=ROOT,
                    stdout=log,
                    stderr=log,
                )
            )

    def _serve(self, alone: bool) -> str:
        port = _free_port()
        os.environ["CHATSITE_PORT"] = str(port)
        self._start("serve", "--port", str(port), *(["--no-worker"] if alone else []))
        until = time.monotonic() + 120
        while time.monotonic() < until and self._processes[-1].poll() is None:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                return f"http://127.0.0.1:{port}"
            time.sleep(0.2)
        raise RuntimeError(f"serve did not start; see {self._log}")

    def _wait_for_worker(self) -> None:
        import django

        django.setup()
        from chat.models import Worker

        until = time.monotonic() + 60
        while time.monotonic() < until:
            if Worker.objects.filter(state=Worker.State.READY, slots__gt=0).exists():
                return
            time.sleep(0.2)
        raise RuntimeError(f"no worker is ready; see {self._log}")

    @property
    def pids(self) -> dict[str, int]:
        """Every process that serves, by its role; the echo engine belongs to it."""
        found = {}
        for number, process in enumerate(self._processes):
            found[f"site-{number}"] = process.pid
            for child in psutil.Process(process.pid).children():
                found[f"engine-{number}"] = child.pid
        return found

    def stop(self) -> tuple[dict[int, list[tuple[float, int]]], float]:
        """End it; when each character was made, and the share of a core that places took."""
        for process in self._processes:
            process.send_signal(signal.SIGTERM)
        for process in self._processes:
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
        made: dict[int, list[tuple[float, int]]] = {}
        share = 0.0
        for path in self._notes:
            notes = json.loads(path.read_text()) if path.exists() else {"made": {}, "share": 0.0}
            made |= {int(pk): marks for pk, marks in notes["made"].items()}
            share += notes["share"]
        from django.db import connections

        connections.close_all()
        self._folder.cleanup()
        return made, share


def _people(count: int) -> list[str]:
    """Accounts with open sessions; their session keys."""
    from django.contrib import auth
    from django.contrib.sessions.backends.db import SessionStore
    from django.db import transaction

    keys = []
    with transaction.atomic():
        for number in range(count):
            user = auth.get_user_model().objects.create(username=f"reader{number}", password="!")
            session = SessionStore()
            session[auth.SESSION_KEY] = str(user.pk)
            session[auth.BACKEND_SESSION_KEY] = "django.contrib.auth.backends.ModelBackend"
            session[auth.HASH_SESSION_KEY] = user.get_session_auth_hash()
            session.save()
            keys.append(session.session_key)
    return keys
