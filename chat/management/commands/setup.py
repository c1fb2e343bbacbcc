"""Makes what processes need before they start: tables, static files, the queue, an operator."""

from __future__ import annotations

import asyncio
import secrets
from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group, Permission
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import connection

from chat import operators
from chat.admission import QueueRefusal, default_queue
from chat.checks import FOR_SERVE, require
from chat.models import QueueChange
from chatsite.statics import collect

OPERATORS_MAY = ("watch_queue", "set_limit", "pause_queue", "cancel_generation")
"""What the group "Operators" may do; it is made at the first start, for further accounts."""
LOCK = 0x63686174
"""Of all processes that set up one PostgreSQL database, one works and the others wait."""


class Command(BaseCommand):
    """`manage.py setup`."""

    help = "Bring database and static files up to date; changes nothing that is."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--limit", type=int, help="how many replies are generated at the same time"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        require(*FOR_SERVE)
        with _alone():
            call_command("migrate", verbosity=0, interactive=False)
            self._set_limit(options["limit"])
            self._make_operator()
        collect()

    def _set_limit(self, limit: int | None) -> None:
        queue = default_queue()
        if limit is None or limit == queue.limit:
            return
        actor = operators.Actor(None, QueueChange.Source.TERMINAL, "--limit")
        try:
            asyncio.run(operators.configure(queue.pk, actor, limit=limit))
        except QueueRefusal:
            raise CommandError(
                "--limit must be 1 to 10,000; to stop taking messages from "
                "the queue, pause it on the dashboard."
            ) from None

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


@contextmanager
def _alone() -> Iterator[None]:
    """Nobody else sets this database up meanwhile; SQLite's own lock does that by itself."""
    if connection.vendor != "postgresql":
        yield
        return
    with connection.cursor() as cursor:
        # Whoever works may take minutes: longer than anybody waits for a row.
        cursor.execute("SET statement_timeout = 0; SET lock_timeout = 0")
        cursor.execute("SELECT pg_advisory_lock(%s)", [LOCK])
        cursor.execute("RESET statement_timeout; RESET lock_timeout")
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [LOCK])
