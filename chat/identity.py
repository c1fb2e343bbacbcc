"""Who a socket belongs to, read again: sessions end, passwords change, accounts are closed."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module
from typing import Any

from asgiref.sync import async_to_sync
from django.conf import settings
from django.contrib.auth import (
    BACKEND_SESSION_KEY,
    HASH_SESSION_KEY,
    SESSION_KEY,
    get_user,
)
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import Group, Permission, User
from django.contrib.auth.signals import user_logged_out
from django.db import transaction
from django.db.models.signals import m2m_changed, post_save, pre_delete
from django.dispatch import receiver
from django.http import HttpRequest
from django.utils import timezone
from django.utils.crypto import constant_time_compare

from chat import events


def user_of_session(session_key: str | None) -> AbstractBaseUser | None:
    """The active user that a session belongs to now; None if it ended, for whatever reason."""
    if not session_key:
        return None
    request = HttpRequest()
    request.session = import_module(settings.SESSION_ENGINE).SessionStore(session_key)
    user = get_user(request)
    return user if user.is_authenticated and user.is_active else None


def users_of_sessions(session_keys: Iterable[str]) -> dict[str, AbstractBaseUser]:
    """The same for many sessions with two queries; one that belongs to nobody is missing.

    For sessions in the database or in its cache, which `SESSION_ENGINE` names by default.
    """
    store = import_module(settings.SESSION_ENGINE).SessionStore()
    rows = store.get_model_class().objects.filter(
        pk__in=set(session_keys), expire_date__gt=timezone.now()
    )
    held = {row.pk: store.decode(row.session_data) for row in rows}
    pks = {pk: content[SESSION_KEY] for pk, content in held.items() if SESSION_KEY in content}
    active = User.objects.filter(is_active=True).in_bulk(set(pks.values()))
    users = {str(pk): user for pk, user in active.items()}
    owners = {key: users[pk] for key, pk in pks.items() if pk in users}
    return {key: user for key, user in owners.items() if _fits(held[key], user)}


def _fits(content: dict[str, Any], user: AbstractBaseUser) -> bool:
    """Whether a session was begun with the password that the user has now."""
    if content.get(BACKEND_SESSION_KEY) not in settings.AUTHENTICATION_BACKENDS:
        return False
    hashes = (user.get_session_auth_hash(), *user.get_session_auth_fallback_hash())
    said = content.get(HASH_SESSION_KEY, "")
    return any(constant_time_compare(said, one) for one in hashes)


@receiver(user_logged_out)
def _logged_out(
    sender: Any, request: HttpRequest, user: AbstractBaseUser | None, **kwargs: Any
) -> None:
    if user is not None:
        request.session.flush()  # Django does so too, but only after this: sockets look at once
        tell(user.pk)


@receiver(post_save, sender=User)
def _account_changed(sender: Any, instance: AbstractBaseUser, created: bool, **kwargs: Any) -> None:
    """A new password or a closed account; the time of the last login alone changes nothing."""
    if not created and kwargs.get("update_fields") != frozenset({"last_login"}):
        tell(instance.pk)


@receiver(pre_delete, sender=User)
def _account_deleted(sender: Any, instance: AbstractBaseUser, **kwargs: Any) -> None:
    tell(instance.pk)


@receiver(pre_delete, sender=Group)
def _group_deleted(sender: Any, instance: Group, **kwargs: Any) -> None:
    tell(*_members([instance.pk]))


@receiver(m2m_changed)
def _rights_changed(
    sender: Any, instance: Any, action: str, reverse: bool, pk_set: set[int] | None, **kwargs: Any
) -> None:
    """A user, or a group, got or lost permissions. Before a `clear` it is still known whose."""
    if action not in ("post_add", "post_remove", "pre_clear"):
        return
    if sender in (User.user_permissions.through, User.groups.through):
        tell(*((pk_set or set(_holders(instance))) if reverse else {instance.pk}))
    elif sender is Group.permissions.through:
        groups = pk_set or set(instance.group_set.values_list("pk", flat=True))
        tell(*_members(groups if reverse else {instance.pk}))


def _holders(right: Group | Permission) -> list[int]:
    """Who has a group or a permission of their own."""
    return list(right.user_set.values_list("pk", flat=True))


def _members(groups: Iterable[int]) -> list[int]:
    return list(User.objects.filter(groups__in=groups).values_list("pk", flat=True).distinct())


def tell(*users: int) -> None:
    """Make the sockets of users look again; they do so at once, so all must be stored first."""
    messages = [(events.user_group(user), events.identity_changed(user)) for user in users]
    transaction.on_commit(lambda: async_to_sync(events.publish_all)(messages))
