"""The chat application: conversations, the queue and its workers."""

from typing import Any

from django.apps import AppConfig
from django.db import connections
from django.db.models.signals import post_migrate, pre_migrate


class ChatConfig(AppConfig):
    """Connects the signals that tell sockets of a changed identity, and gives migrations time."""

    name = "chat"

    def ready(self) -> None:
        from chat import identity  # noqa: F401  (its receivers register themselves)

        pre_migrate.connect(_take_your_time, sender=self)
        post_migrate.connect(_hurry_again, sender=self)


HURRY = ("statement_timeout", "idle_in_transaction_session_timeout")
"""An index over a million rows takes longer than any query of ours may."""


def _take_your_time(using: str, **_: Any) -> None:
    _change(using, "SET {} = 0")


def _hurry_again(using: str, **_: Any) -> None:
    _change(using, "RESET {}")


def _change(using: str, sql: str) -> None:
    if connections[using].vendor == "postgresql":
        with connections[using].cursor() as cursor:
            for name in HURRY:
                cursor.execute(sql.format(name))
