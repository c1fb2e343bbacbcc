"""Runs the site: with its worker in the same process and all set up, or the pages alone."""

from __future__ import annotations

import errno
import signal
import socket
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

from channels.routing import get_default_application
from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from filelock import FileLock, Timeout

from chat.admission import default_queue
from chat.background import Background
from chat.checks import CONFIGURATION, FOR_PARTS, FOR_SERVE, LATER, no_engine, require
from chat.engine.base import EngineDead
from chat.management.loading_bar import loading_bar
from chat.models import Worker
from chat.naming import host, living
from chat.specs import engine_spec
from chatsite.addresses import allow, origin
from chatsite.statics import collect

NOT_HERE = "--model and --limit belong to a worker or to `manage.py setup`, not to pages alone."


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
        parser.add_argument(
            "--no-worker",
            action="store_true",
            help="pages and sockets alone; the model runs in `manage.py generationworker`",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        address, port = options["address"], options["port"]
        if options["no_worker"]:
            if options["limit"] is not None or options["model"]:
                raise CommandError(NOT_HERE, returncode=CONFIGURATION)
            _check_port(address, port)
            require(*FOR_PARTS)
            collect()
            self._run(address, port, Background())
            return
        with _only_one():
            _check_port(address, port)
            require(*FOR_SERVE)
            call_command("setup", limit=options["limit"], stdout=self.stdout)
            name = f"{host()}:{port}"
            _refuse_beside_others(name)
            self._run(address, port, Background(name, engine_spec(options["model"])))

    def _run(self, address: str, port: int, background: Background) -> None:
        # Daphne's reactor is installed when it is imported, so not before it is needed.
        from chatsite.server import SiteServer

        allow(address, port)
        server = SiteServer(get_default_application(), address, port, on_stop=background.stop)
        # Until the server listens to signals itself, SIGTERM ends as Ctrl-C does.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        try:
            with loading_bar() if background.spec else nullcontext() as bar:
                server.loop.run_until_complete(background.start(bar))
            server.listen_to_signals()
        except EngineDead as error:
            raise no_engine(error) from None
        except KeyboardInterrupt:
            server.loop.run_until_complete(background.stop())
            raise CommandError("Stopped while the model was loading.") from None
        self._announce(address, port, background)
        server.run()
        if server.failed:
            raise CommandError(f"Cannot listen on {address} port {port}.")
        self.stdout.write("Stopped. Waiting messages stay in line until the next start.")

    def _announce(self, address: str, port: int, background: Background) -> None:
        shown = "localhost" if address in ("127.0.0.1", "0.0.0.0", "::", "::1") else address
        base = settings.CHATSITE_URL or origin("http", shown, port)
        if background.worker is not None and (model := background.worker.model):
            name = default_queue().model
            self.stdout.write(f"Model      {name} on {model.device} ({model.dtype})")
        self.stdout.write(f"Chat       {base}/")
        self.stdout.write(f"Dashboard  {base}/admin/")
        self.stdout.write("Ready. Ctrl-C stops.")
        self.stdout.flush()


@contextmanager
def _only_one() -> Iterator[None]:
    """Two sites with a worker in them would not share a state folder for long."""
    lock = FileLock(settings.CHATSITE_VAR / "serve.lock")
    try:
        lock.acquire(blocking=False)
    except Timeout:
        raise CommandError(
            f"Another `serve` runs on the state folder {settings.CHATSITE_VAR}. "
            "Stop it first, or give this one a folder of its own with CHATSITE_VAR.",
            returncode=LATER,
        ) from None
    with lock:
        yield


def _refuse_beside_others(name: str) -> None:
    """Without Redis, what other workers write would not be seen on this site's pages."""
    if settings.REDIS_URL:
        return
    others = Worker.objects.exclude(name=name).exclude(state=Worker.State.STOPPED)
    for row in living(list(others)):
        raise CommandError(
            f"The worker {row.name} is alive on this database, and without Redis its replies would "
            "not be seen here. Stop it first, or set REDIS_URL for all processes.",
            returncode=CONFIGURATION,
        )


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
                f"Choose another one with {option}.",
                returncode=LATER if error.errno == errno.EADDRINUSE else CONFIGURATION,
            ) from None
