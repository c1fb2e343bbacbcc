"""Who a socket belongs to, read again: sessions end, passwords change, accounts are closed."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from asgiref.sync import async_to_sync
from django.conf import settings
from django.contrib.auth import get_user, get_user_model
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.signals import user_logged_out
from django.db import transaction
from django.db.models.signals import post_save
from django.dispatch import receiver
from django.http import HttpRequest

from chat import events


def user_of_session(session_key: str | None) -> AbstractBaseUser | None:
    """The active user that a session belongs to now; None if it ended, for whatever reason."""
    if not session_key:
        return None
    request = HttpRequest()
    request.session = import_module(settings.SESSION_ENGINE).SessionStore(session_key)
    user = get_user(request)
    return user if user.is_authenticated and user.is_active else None


@receiver(user_logged_out)
def _logged_out(
    sender: Any, request: HttpRequest, user: AbstractBaseUser | None, **kwargs: Any
) -> None:
    if user is not None:
        request.session.flush()  # Django does so too, but only after this: sockets look at once
        tell(user.pk)


@receiver(post_save, sender=get_user_model())
def _account_changed(sender: Any, instance: AbstractBaseUser, created: bool, **kwargs: Any) -> None:
    """A new password or a closed account; the time of the last login alone changes nothing."""
    if not created and kwargs.get("update_fields") != frozenset({"last_login"}):
        tell(instance.pk)


def tell(user: int) -> None:
    """Make the sockets of a user look again; they do so at once, so all must be stored first."""
    event = events.identity_changed(user)
    transaction.on_commit(lambda: async_to_sync(events.publish)(events.user_group(user), event))
