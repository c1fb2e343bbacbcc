"""Whom a session belongs to now, and what is removed by itself."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group, Permission
from django.contrib.sessions.models import Session
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from chat import identity
from chat.identity import user_of_session, users_of_sessions
from chat.models import Conversation, Guest
from chat.retention import purge
from tests.cast import Cast


def session_of(client: Client) -> str:
    key = client.session.session_key
    assert key is not None
    return key


def log_out(client: Client, user: Any) -> None:
    Session.objects.filter(pk=session_of(client)).delete()


def deactivate(client: Client, user: Any) -> None:
    get_user_model().objects.filter(pk=user.pk).update(is_active=False)


def change_password(client: Client, user: Any) -> None:
    user.set_password("another one 77")
    user.save()


@pytest.mark.parametrize("end", [log_out, deactivate, change_password])
def test_a_session_belongs_to_nobody_after(cast: Cast, end: Callable[[Client, Any], None]) -> None:
    client = Client()
    client.force_login(cast.alice)
    key = session_of(client)
    assert user_of_session(key) == cast.alice
    other = Client()
    other.force_login(cast.bob)
    keys = [key, session_of(other), "unknown", ""]
    assert users_of_sessions(keys) == {key: cast.alice, keys[1]: cast.bob}
    end(client, cast.alice)
    assert user_of_session(key) is None
    assert users_of_sessions(keys) == {keys[1]: cast.bob}


def test_many_sessions_are_looked_up_with_two_queries(cast: Cast) -> None:
    clients = [Client() for _ in range(20)]
    for client in clients:
        client.force_login(cast.alice)
    with CaptureQueriesContext(connection) as queries:
        assert len(users_of_sessions(map(session_of, clients))) == 20
    assert len(queries) == 2


RIGHT = "watch_queue"


def told(change: Callable[[], object], monkeypatch: pytest.MonkeyPatch) -> set[int]:
    """Whose sockets are told to look again by a change."""
    seen: set[int] = set()
    with monkeypatch.context() as patch:
        patch.setattr(identity, "tell", lambda *users: seen.update(users))
        change()
    return seen


def test_whoever_loses_a_right_is_told_however_it_was_held(
    cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    right, group = Permission.objects.get(codename=RIGHT), Group.objects.create(name="desk")
    alice, bob = {cast.alice.pk}, {cast.bob.pk}

    def of(change: Callable[[], object]) -> set[int]:
        return told(change, monkeypatch)

    assert of(lambda: cast.alice.user_permissions.add(right)) == alice
    assert of(lambda: right.user_set.remove(cast.alice)) == alice
    assert of(lambda: group.user_set.add(cast.alice, cast.bob)) == alice | bob
    assert of(lambda: group.permissions.add(right)) == alice | bob
    assert of(lambda: right.group_set.clear()) == alice | bob
    assert of(lambda: cast.bob.groups.clear()) == bob
    assert of(lambda: group.user_set.set([])) == alice
    cast.bob.groups.add(group)
    assert of(group.delete) == bob
    pk = cast.charlie.pk
    assert of(cast.charlie.delete) == {pk}


@pytest.mark.parametrize("address", ["/logout", "/admin/logout/"])
def test_sockets_are_told_of_a_log_out_when_the_session_is_gone(
    cast: Cast, settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    settings.STATIC_ROOT = tmp_path
    settings.STORAGES = {
        **settings.STORAGES,
        "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
    }
    client = Client()
    client.force_login(cast.operator)
    key = session_of(client)
    seen: list[Any] = []

    async def publish_all(messages: list[tuple[str, dict[str, Any]]]) -> None:
        for _, event in messages:
            seen.append((event["user"], await sync_to_async(user_of_session)(key)))

    monkeypatch.setattr(identity.events, "publish_all", publish_all)
    client.post(address)
    assert seen == [(cast.operator.pk, None)]


def test_guests_without_a_chat_are_removed_after_their_days(cast: Cast) -> None:
    now = timezone.now()
    old = now - timedelta(days=31)
    idle = get_user_model().objects.create(username="guest-idle")
    chatted = get_user_model().objects.create(username="guest-chatted")
    Guest.objects.create(user=idle)
    Guest.objects.create(user=chatted)
    Conversation.objects.create(user=chatted, updated_at=old)
    Guest.objects.filter(user__in=[idle, chatted]).update(created_at=old)
    assert purge(now) == 1
    left = set(get_user_model().objects.values_list("username", flat=True))
    assert "guest-idle" not in left
    assert {"guest-chatted", cast.guest.username, cast.alice.username} <= left
