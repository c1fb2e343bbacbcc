"""A worker's own row: its name, what it runs, and its proof of life.

Plain database work, called on the worker's thread; it claims and writes no generation.
"""

from __future__ import annotations

import socket
import uuid

from django.conf import settings
from django.db.models import F, QuerySet, Value
from django.db.models.functions import Coalesce, Least
from django.utils import timezone

from chat.admission import default_queue
from chat.engine.base import EngineDead, Model
from chat.models import Queue, Worker

BUNDLED_NAME, ECHO_NAME = "Chatsite demo", "Echo (no model)"
"""What people call the model in the box, whose folder's name says nothing to them, and none."""


class NameTaken(Exception):
    """Another living process has registered under this worker's name."""


class Registration:
    """The row of one worker process. Whoever registers last under a name owns it: a new
    `incarnation` takes the right to claim from every process before."""

    def __init__(self, name: str, model: str, device: str) -> None:
        self.name = name
        self._wanted = (model, device)
        self._loaded: Model | None = None
        self.row: Worker

    def register(self) -> Worker:
        """Make or take over the row. What an earlier process left running is not touched yet."""
        self.row, _ = Worker.objects.update_or_create(
            name=self.name,
            defaults={
                "queue": default_queue(),
                "state": Worker.State.LOADING,
                "slots": 0,
                "capacity": 0,
                "host": socket.gethostname()[:100],
            },
        )
        return self.row

    def take_over(self) -> None:
        """From now on this process is the worker of this name; another one can claim nothing."""
        self.row.incarnation = uuid.uuid4()
        Worker.objects.filter(pk=self.row.pk).update(
            incarnation=self.row.incarnation, state=Worker.State.LOADING, slots=0
        )
        if self._loaded is not None:
            self.ready(self._loaded)

    def ready(self, model: Model) -> None:
        """The engine runs; the first one also names the queue's model."""
        self._loaded = model
        name = self._name_to_show(model)
        self._describe(Worker.State.READY, name, f"{model.device} {model.dtype}", model.slots)
        self._mine().update(fingerprint=model.fingerprint)
        Queue.objects.filter(pk=self.row.queue_id).update(model=name)

    def _name_to_show(self, model: Model) -> str:
        if settings.CHATSITE_MODEL_NAME:
            return str(settings.CHATSITE_MODEL_NAME)
        names = {settings.BUNDLED_MODEL: BUNDLED_NAME, "echo": ECHO_NAME}
        return names.get(self._wanted[0], model.name)

    def broken(self, error: EngineDead) -> None:
        """There is no engine, for this reason."""
        self._loaded = None
        self._describe(Worker.State.BROKEN, *self._wanted, 0, error)

    def stopped(self) -> None:
        """The process ends as it should."""
        self._loaded = None
        self._describe(Worker.State.STOPPED, *self._wanted, 0)

    def not_started(self, error: BaseException) -> None:
        """Nothing came of the start: for want of an engine, or for another reason."""
        if isinstance(error, EngineDead):
            self.broken(error)
        else:
            self.stopped()

    def beat(self, memory: int, speed: float) -> list[Worker]:
        """Count one on; returns the other workers of the queue, to be watched in turn.

        `memory` in bytes, `speed` in tokens per second. If we were declared dead meanwhile, our
        claims are gone, and the name is taken back; NameTaken if another process lives under it.
        """
        now, beaten = timezone.now(), F("heartbeat") + 1
        if not self._mine().update(heartbeat=beaten, memory=memory, speed=speed, seen_at=now):
            row = Worker.objects.filter(pk=self.row.pk)
            if row.exclude(state=Worker.State.STOPPED).exists():
                raise NameTaken(self.name)
            self.take_over()
        others = Worker.objects.filter(queue=self.row.queue_id).exclude(pk=self.row.pk)
        return list(others.exclude(state=Worker.State.STOPPED))

    def _mine(self) -> QuerySet[Worker]:
        """The row, as long as it is ours."""
        return Worker.objects.filter(pk=self.row.pk, incarnation=self.row.incarnation)

    def _describe(
        self, state: str, model: str, device: str, capacity: int, error: EngineDead | None = None
    ) -> None:
        self._mine().update(
            state=state,
            model=model,
            device=device,
            capacity=capacity,
            slots=Least(Coalesce(F("wanted"), Value(capacity)), Value(capacity)),
            reason=error.reason if error else "",
            detail=error.detail if error else {},
            speed=0.0,
            seen_at=timezone.now(),
        )
