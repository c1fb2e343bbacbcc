"""The chat application: conversations, the queue and its workers."""

from django.apps import AppConfig


class ChatConfig(AppConfig):
    """Connects the signals that tell sockets of a changed identity."""

    name = "chat"

    def ready(self) -> None:
        from chat import identity  # noqa: F401  (its receivers register themselves)
