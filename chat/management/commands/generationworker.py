"""Runs one worker without pages: any number of them may share a database, one for each GPU."""

from __future__ import annotations

import asyncio
import signal
import sys
from argparse import ArgumentParser, ArgumentTypeError
from functools import partial
from typing import Any, NoReturn, get_args, get_type_hints

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from msgspec.structs import replace

from chat.background import Background, leave_soon
from chat.checks import CONFIGURATION, FOR_PARTS, model_missing, no_engine, require
from chat.engine.base import EngineDead
from chat.engine.spec import EngineSpec
from chat.management.loading_bar import loading_bar
from chat.naming import LONGEST, worker_name
from chat.registration import NameTaken
from chat.specs import engine_spec

ENGINES = get_args(get_type_hints(EngineSpec)["kind"])


class Command(BaseCommand):
    """`manage.py generationworker`."""

    help = "Load a model and work on the queue, until SIGTERM or Ctrl-C."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--name", type=_name, help="its name (default: host, device and a number)"
        )
        parser.add_argument(
            "--device",
            default=settings.CHATSITE_DEVICE,
            help="cpu, cuda, cuda:1, mps, or balanced for all GPUs together (default: %(default)s)",
        )
        parser.add_argument(
            "--slots",
            type=_slots,
            default=settings.CHATSITE_SLOTS,
            help="replies at the same time (default: as many as the device has memory for)",
        )
        parser.add_argument(
            "--engine",
            choices=ENGINES,
            default=settings.CHATSITE_ENGINE,
            help="what runs the model (default: %(default)s)",
        )
        parser.add_argument(
            "--model", default="", help="Hugging Face name or folder of the model (CHATSITE_MODEL)"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        signal.signal(signal.SIGTERM, _leave)  # until there is something to give back
        spec = replace(
            engine_spec(options["model"]),
            kind=options["engine"],
            device=options["device"],
            slots=options["slots"],
        )
        require(partial(model_missing, spec.kind, spec.model), *FOR_PARTS)
        with worker_name(options["name"], spec.device) as name:
            try:
                asyncio.run(self._work(name, spec))
            except EngineDead as error:
                raise no_engine(error) from None
            except NameTaken:
                raise CommandError(
                    f"Another worker has taken the name {name}. Give each one a --name of its own.",
                    returncode=CONFIGURATION,
                ) from None
        self.stdout.write("Stopped. What it was writing goes on with another worker.")

    async def _work(self, name: str, spec: EngineSpec) -> None:
        background = Background(name, spec)
        ending = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, _end, ending)
        end = asyncio.create_task(ending.wait(), name="ending")
        try:
            with loading_bar() as bar:
                await _first(asyncio.create_task(background.start(bar), name="loading"), end)
            if not ending.is_set():
                self._announce(name, background)
                await _first(asyncio.create_task(background.wait(), name="working"), end)
        finally:
            end.cancel()
            await background.stop()

    def _announce(self, name: str, background: Background) -> None:
        assert background.worker is not None and background.worker.model is not None
        model = background.worker.model
        self.stdout.write(f"Worker     {name}")
        self.stdout.write(f"Model      {model.name} on {model.device} ({model.dtype})")
        self.stdout.write(f"Slots      {model.slots}")
        self.stdout.write("Ready. SIGTERM or Ctrl-C stops.")
        self.stdout.flush()


async def _first(work: asyncio.Task[None], end: asyncio.Task[Any]) -> None:
    """Await `work`, or cancel it when the end comes before; raises what it raises."""
    await asyncio.wait([work, end], return_when=asyncio.FIRST_COMPLETED)
    if not work.done():
        work.cancel()
        await asyncio.wait([work])
    if not work.cancelled():
        await work


def _end(ending: asyncio.Event) -> None:
    if not ending.is_set():
        leave_soon()
        ending.set()


def _leave(number: int, frame: object) -> NoReturn:
    sys.exit(0)


def _name(text: str) -> str:
    if not (text.isprintable() and 0 < len(text) <= LONGEST):
        raise ArgumentTypeError(f"a name has 1 to {LONGEST} printable characters")
    return text


def _slots(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise ArgumentTypeError(f"{text} is not a number of slots; 0 means as many as fit")
    return int(text)
