"""Sets everything up and runs the whole site in one process: pages, sockets and worker."""

from __future__ import annotations

import asyncio
import errno
import logging
import secrets
import signal
import socket
from argparse import ArgumentParser, ArgumentTypeError
from typing import Any

from channels.routing import get_default_application
from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group, Permission
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from filelock import FileLock, Timeout
from rich.console import Console
from rich.progress import Progress

from chat import operators
from chat.admission import QueueRefusal, default_queue
from chat.engine.base import EngineDead
from chat.models import QueueChange
from chat.specs import engine_spec
from chat.words import engine_failure
from chatsite.addresses import allow, origin
from chatsite.statics import collect

log = logging.getLogger(__name__)

WORKER_NAME = "embedded"
OPERATORS_MAY = ("watch_queue", "set_limit", "pause_queue", "cancel_generation")
"""What the group "Operators" may do; it is made at the first start, for further accounts."""


class Command(BaseCommand):
    """`manage.py serve`."""

    help = "Set up what is missing and run the site: web pages, sockets, queue and model."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--address",
            default=settings.CHATSITE_ADDRESS,
            help="address to listen on (default: %(default)s)",
        )
        parser.add_argument(
            "--port",
            type=_port,
            default=settings.CHATSITE_PORT,
            help="port to listen on (default: %(default)s)",
        )
        parser.add_argument(
            "--model", default="", help="Hugging Face name or folder of the model (CHATSITE_MODEL)"
        )
        parser.add_argument(
            "--limit", type=int, help="how many replies are generated at the same time"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        address, port = options["address"], options["port"]
        lock = FileLock(settings.CHATSITE_VAR / "serve.lock")
        try:
            lock.acquire(blocking=False)
        except Timeout:
            raise CommandError(
                f"Another `serve` runs on the state folder {settings.CHATSITE_VAR}. "
                "Stop it first, or give this one a folder of its own with CHATSITE_VAR."
            ) from None
        with lock:
            _check_port(address, port)
            allow(address, port)
            self._set_up(options["limit"])
            self._run(address, port, options["model"])

    def _set_up(self, limit: int | None) -> None:
        call_command("migrate", verbosity=0, interactive=False)
        collect()
        queue = default_queue()
        if limit is not None and limit != queue.limit:
            actor = operators.Actor(None, QueueChange.Source.TERMINAL, "serve --limit")
            try:
                asyncio.run(operators.configure(queue.pk, actor, limit=limit))
            except QueueRefusal:
                raise CommandError(
                    "--limit must be 1 to 10,000; to stop taking messages from "
                    "the queue, pause it on the dashboard."
                ) from None
        self._make_operator()

    def _make_operator(self) -> None:
        users = get_user_model().objects
        if users.filter(is_staff=True).exists():
            return
        group, _ = Group.objects.get_or_create(name="Operators")
        group.permissions.add(*Permission.objects.filter(codename__in=OPERATORS_MAY))
        password = secrets.token_urlsafe(12)
        users.create_superuser("operator", password=password)
        self.stdout.write("An operator account was made for the dashboard; this is shown once:")
        self.stdout.write(f"    name      operator\n    password  {password}\n")

    def _run(self, address: str, port: int, model: str) -> None:
        # Daphne's reactor is installed when it is imported, so not before it is needed.
        from chatsite.embedded import EmbeddedWorker
        from chatsite.server import SiteServer

        embedded = EmbeddedWorker(WORKER_NAME, engine_spec(model))
        server = SiteServer(get_default_application(), address, port, on_stop=embedded.stop)
        # Until the server listens to signals itself, SIGTERM ends as Ctrl-C does.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        try:
            with _progress_bar() as bar:
                server.loop.run_until_complete(embedded.start(bar))
            server.listen_to_signals()
        except EngineDead as error:
            raise CommandError(engine_failure(error.reason, error.detail)) from None
        except KeyboardInterrupt:
            server.loop.run_until_complete(embedded.stop())
            raise CommandError("Stopped while the model was loading.") from None
        self._announce(address, port, embedded)
        server.run()
        if server.failed:
            raise CommandError(f"Cannot listen on {address} port {port}.")
        self.stdout.write("Stopped. Waiting messages stay in line until the next start.")

    def _announce(self, address: str, port: int, embedded: Any) -> None:
        shown = "localhost" if address in ("127.0.0.1", "0.0.0.0", "::", "::1") else address
        base = settings.CHATSITE_URL or origin("http", shown, port)
        model = embedded.worker.model
        name = default_queue().model
        self.stdout.write(f"Model      {name} on {model.device} ({model.dtype})")
        self.stdout.write(f"Chat       {base}/")
        self.stdout.write(f"Dashboard  {base}/admin/")
        self.stdout.write("Ready. Ctrl-C stops.")
        self.stdout.flush()


def _port(text: str) -> int:
    port = int(text)
    if not 1 <= port <= 65_535:
        raise ArgumentTypeError(f"{port} is not a port; ports are 1 to 65535")
    return port


def _check_port(address: str, port: int) -> None:
    """Fail before the model is loaded, not after."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError as error:
            taken = error.errno in (errno.EADDRINUSE, errno.EACCES)
            option = "--port" if taken else "--address"
            raise CommandError(
                f"Cannot listen on {address} port {port}: {error.strerror}. "
                f"Choose another one with {option}."
            ) from None


class _progress_bar:
    """A progress bar for the time in which a model loads, on terminals and in logs."""

    def __init__(self) -> None:
        self._bar = Progress(console=Console(stderr=True), transient=True)
        self._task = self._bar.add_task("Loading the model", total=1.0)

    def __enter__(self) -> Any:
        self._bar.start()
        return self._show

    def __exit__(self, *exception: object) -> None:
        self._bar.stop()

    def _show(self, fraction: float, what: str) -> None:
        self._bar.update(self._task, completed=fraction, description=f"Loading: {what}")
