"""The people in the tests, so that each of them can ask: and may Charlie?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission

from chat.models import Guest

GUEST_ADDRESS = "198.51.100.7"


@dataclass(frozen=True, slots=True)
class Cast:
    """Alice, Bob and Charlie have accounts. The operator may change the queue, the watcher only
    look at it."""

    alice: Any
    bob: Any
    charlie: Any
    guest: Any
    operator: Any
    watcher: Any

    def __iter__(self) -> Iterator[Any]:
        return iter(getattr(self, field.name) for field in fields(self))


def make_cast() -> Cast:
    """Everybody, with passwords that nobody can use: tests log in by session."""
    alice, bob, charlie = (person(name) for name in ("alice", "bob", "charlie"))
    operator, watcher = person("operator", is_staff=True), person("watcher", is_staff=True)
    watch = Permission.objects.get(content_type__app_label="chat", codename="watch_queue")
    watcher.user_permissions.add(watch)
    operator.user_permissions.add(
        watch,
        *Permission.objects.filter(
            content_type__app_label="chat",
            codename__in=("set_limit", "pause_queue", "cancel_generation"),
        ),
    )
    return Cast(alice, bob, charlie, guest("guest-1"), operator, watcher)


def person(name: str, **more: Any) -> Any:
    """One more user."""
    return get_user_model().objects.create(username=name, password="!", **more)


def guest(name: str, address: str = GUEST_ADDRESS) -> Any:
    """A visitor without an account."""
    user = person(name)
    Guest.objects.create(user=user, address=address)
    return user
