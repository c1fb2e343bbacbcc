"""The operators' pages: who may open which, and that looking is all that can be done there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.test import Client
from django.utils import timezone

from chat.admission import default_queue
from chat.models import Generation, Queue, QueueChange, State, Worker
from tests.cast import Cast, person
from tests.dashboards import client_of

LIVE = "/admin/queue/"
TABLES = ("generation", "queuechange", "worker", "queue")


@pytest.fixture(autouse=True)
def plain_statics(settings: Any, tmp_path: Path) -> None:
    """Static files under their own names: nothing is collected for these tests."""
    settings.STATIC_ROOT = tmp_path
    settings.STORAGES = {
        **settings.STORAGES,
        "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
    }


@pytest.fixture
def row(cast: Cast) -> Generation:
    """A finished reply of alice, and one of everything else."""
    queue = default_queue()
    Worker.objects.create(name="w1", queue=queue)
    QueueChange.objects.create(
        actor_name="operator", source="page", queue=queue, act="configure", after={"limit": 5}
    )
    return Generation.objects.create(
        queue=queue,
        author=cast.alice,
        client_id="00000000-0000-4000-8000-000000000001",
        prompt="my secret prompt",
        reply="a secret reply",
        state=State.DONE,
        turn=1,
        line="user 1",
        created_at=timezone.now(),
        claimed_at=timezone.now(),
        ended_at=timezone.now(),
    )


def everybody(cast: Cast) -> dict[str, Any]:
    return {
        "stranger": None,
        "guest": cast.guest,
        "user": cast.alice,
        "staff": person("staff", is_staff=True),
        "watcher": cast.watcher,
        "operator": cast.operator,
        "root": person("root", is_staff=True, is_superuser=True),
    }


def first_of(table: str) -> int:
    (row,) = apps.get_model("chat", table).objects.all()
    return int(row.pk)


OUT, NO, YES = 302, 403, 200


@pytest.mark.parametrize(
    ("who", "answer"),
    [
        ("stranger", OUT),
        ("guest", OUT),
        ("user", OUT),
        ("staff", NO),
        ("watcher", YES),
        ("operator", YES),
        ("root", YES),
    ],
)
def test_only_staff_with_the_permission_see_the_dashboard(
    row: Generation, cast: Cast, who: str, answer: int
) -> None:
    response = client_of(everybody(cast)[who]).get(LIVE)
    assert response.status_code == answer
    if answer == OUT:
        assert response["Location"].startswith("/admin/login/")


def test_the_admins_first_page_is_the_dashboard_for_whoever_may_watch(cast: Cast) -> None:
    people = everybody(cast)
    assert client_of(people["watcher"]).get("/admin/")["Location"] == LIVE
    assert client_of(people["staff"]).get("/admin/").status_code == 200
    assert client_of(people["user"]).get("/admin/")["Location"].startswith("/admin/login/")


@pytest.mark.parametrize("query", ["?queue=999", "?queue=x", "?queue=-1"])
def test_a_queue_that_does_not_exist_is_not_found(cast: Cast, query: str) -> None:
    assert client_of(cast.operator).get(LIVE + query).status_code == 404


@pytest.mark.parametrize("checked", [True, False])
def test_nothing_can_be_posted_to_the_dashboard(cast: Cast, checked: bool) -> None:
    client = Client(enforce_csrf_checks=checked)
    client.force_login(cast.operator, backend="django.contrib.auth.backends.ModelBackend")
    assert client.post(LIVE, {"limit": 9}).status_code == (403 if checked else 405)
    assert client.get(f"{LIVE}?limit=9&pause=1&cancel=1").status_code == 200
    assert default_queue().limit == Queue._meta.get_field("limit").default
    assert not QueueChange.objects.exists()


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("who", ["stranger", "guest", "user", "staff", "watcher"])
def test_tables_need_the_permission_to_view_them(
    row: Generation, cast: Cast, table: str, who: str
) -> None:
    client = client_of(everybody(cast)[who])
    pk = first_of(table)
    for path in ("", f"{pk}/change/", f"{pk}/history/", "add/", f"{pk}/delete/"):
        assert client.get(f"/admin/chat/{table}/{path}").status_code in (OUT, NO)


@pytest.mark.parametrize("table", TABLES)
def test_with_the_permission_a_table_is_shown_and_nothing_can_be_changed(
    row: Generation, cast: Cast, table: str
) -> None:
    cast.watcher.user_permissions.add(Permission.objects.get(codename=f"view_{table}"))
    pk = first_of(table)
    for client in (client_of(cast.watcher), client_of(everybody(cast)["root"])):
        for path in ("", f"{pk}/change/"):
            page = client.get(f"/admin/chat/{table}/{path}")
            assert page.status_code == 200
            assert b"secret" not in page.content
        assert client.post(f"/admin/chat/{table}/{pk}/change/", {"limit": 9}).status_code == 403
        assert client.post(f"/admin/chat/{table}/{pk}/delete/", {"post": "yes"}).status_code == 403
        assert client.post(f"/admin/chat/{table}/add/", {"name": "x"}).status_code == 403
        ticked = {"action": "delete_selected", "_selected_action": str(pk), "post": "yes"}
        client.post(f"/admin/chat/{table}/", ticked)
    assert Generation.objects.exists() and QueueChange.objects.exists() and Queue.objects.exists()


def test_replies_are_found_by_user_state_and_time(row: Generation, cast: Cast) -> None:
    client = client_of(everybody(cast)["root"])
    table = "/admin/chat/generation/"
    assert b"alice" in client.get(f"{table}?q=alice&state__exact=done").content
    assert f"/generation/{row.pk}/change/".encode() not in client.get(f"{table}?q=bob").content
    assert (
        client.get(f"{table}?q=secret").content.count(f"/generation/{row.pk}/change/".encode()) == 0
    )
    assert client.get(f"{table}?created_at__gte=2030-01-01+00:00:00%2B00:00").status_code == 200


def test_names_are_escaped_wherever_they_appear(row: Generation, cast: Cast) -> None:
    name = "<img src=x onerror=alert(1)>"
    get_user_model().objects.filter(pk=cast.alice.pk).update(username=name)
    QueueChange.objects.filter().update(actor_name=name)
    client = client_of(everybody(cast)["root"])
    for table in ("chat/generation", "chat/queuechange", "auth/user"):
        page = client.get(f"/admin/{table}/").content
        assert b"<img src=x" not in page
        assert b"&lt;img src=x" in page


# -- accounts ---------------------------------------------------------------------------------


@pytest.fixture
def clerk(cast: Cast) -> Client:
    """Staff that may manage accounts, without being a superuser."""
    staff = person("clerk", is_staff=True)
    staff.user_permissions.add(
        *Permission.objects.filter(
            content_type__app_label="auth",
            codename__in=[
                f"{act}_{what}"
                for act in ("add", "change", "delete", "view")
                for what in ("user", "group")
            ],
        )
    )
    return client_of(staff)


def account(user: Any, **more: Any) -> dict[str, Any]:
    return {
        "username": user.username,
        "is_active": "on",
        "date_joined_0": "2026-01-01",
        "date_joined_1": "00:00:00",
        **more,
    }


def test_whoever_manages_accounts_cannot_hand_out_rights(clerk: Client, cast: Cast) -> None:
    users = get_user_model().objects
    every = [one.pk for one in Permission.objects.all()]
    for user in (cast.alice, users.get(username="clerk")):
        form = account(user, is_superuser="on", is_staff="on", user_permissions=every)
        assert clerk.post(f"/admin/auth/user/{user.pk}/change/", form).status_code == 302
    assert not users.filter(is_superuser=True).exists()
    assert not users.get(pk=cast.alice.pk).is_staff
    assert not cast.alice.user_permissions.exists()


def test_whoever_manages_accounts_cannot_touch_superusers_or_groups(
    clerk: Client, cast: Cast
) -> None:
    root = person("root", is_staff=True, is_superuser=True)
    path = f"/admin/auth/user/{root.pk}"
    form = {"password1": "a new one 77", "password2": "a new one 77"}
    assert clerk.post(f"{path}/password/", form).status_code == 403
    assert clerk.post(f"{path}/change/", account(root)).status_code == 403
    assert clerk.post(f"{path}/delete/", {"post": "yes"}).status_code == 403
    assert clerk.post("/admin/auth/group/add/", {"name": "all"}).status_code == 403
    assert get_user_model().objects.get(pk=root.pk).is_active


def test_deleting_superusers_in_bulk_is_refused_too(clerk: Client, cast: Cast) -> None:
    root = person("root", is_staff=True, is_superuser=True)
    ticked = {"action": "delete_selected", "_selected_action": str(root.pk), "post": "yes"}
    clerk.post("/admin/auth/user/", ticked)
    assert get_user_model().objects.filter(pk=root.pk).exists()


def test_an_account_is_deleted_with_what_it_wrote_and_the_trail_stays(
    row: Generation, cast: Cast
) -> None:
    QueueChange.objects.all().delete()
    QueueChange.objects.create(
        actor=cast.alice, actor_name="alice", source="page", queue=row.queue, act="configure"
    )
    root = client_of(everybody(cast)["root"])
    path = f"/admin/auth/user/{cast.alice.pk}/delete/"
    assert root.post(path, {"post": "yes"}).status_code == 302
    assert not Generation.objects.exists()
    (change,) = QueueChange.objects.all()
    assert (change.actor, change.actor_name) == (None, "alice")
