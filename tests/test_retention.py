"""What is removed by itself, and what is not."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.utils import timezone

from chat.models import Worker
from chat.retention import WORKER_DAYS, purge


def test_workers_that_are_long_gone_are_forgotten(queue: Any) -> None:
    now = timezone.now()
    long_ago, lately = now - timedelta(days=WORKER_DAYS + 1), now - timedelta(days=1)
    for name, state, seen in (
        ("gone", Worker.State.STOPPED, long_ago),
        ("stopped", Worker.State.STOPPED, lately),
        ("silent", Worker.State.READY, long_ago),
    ):
        Worker.objects.create(name=name, queue=queue, state=state, seen_at=seen)
    purge(now)
    assert set(Worker.objects.values_list("name", flat=True)) == {"stopped", "silent"}
