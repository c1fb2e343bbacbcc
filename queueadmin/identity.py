"""Who acts: read again from session and database each time, never from what a socket remembers."""

from __future__ import annotations

from django.contrib.auth.models import AbstractUser

from chat.identity import user_of_session

WATCH = "chat.watch_queue"
ACTS = {
    "set": "chat.set_limit",
    "pause": "chat.pause_queue",
    "cancel": "chat.cancel_generation",
}
"""What an operator may do besides watching, and the permission that it needs."""


def operator_of(session_key: str | None) -> AbstractUser | None:
    """The operator of this session as of now; None if it ended, or watching is not permitted."""
    user = user_of_session(session_key)
    return user if isinstance(user, AbstractUser) and may_watch(user) else None


def may_watch(user: AbstractUser) -> bool:
    """Active staff with the permission."""
    return user.is_active and user.is_staff and user.has_perm(WATCH)


def acts_of(user: AbstractUser) -> tuple[str, ...]:
    """What this operator may do."""
    return tuple(act for act, permission in ACTS.items() if user.has_perm(permission))
