"""The pages over plain HTTP: who may see what, and what a refused form keeps."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.template.loader import render_to_string
from django.test import Client
from django.utils import timezone

from chat.models import Conversation, Guest

PASSWORD = "a long enough phrase"


@pytest.fixture
def client(database: str) -> Client:
    return Client(REMOTE_ADDR="192.0.2.1")


@pytest.fixture
def guest(client: Client) -> User:
    client.post("/start", {"text": ""})
    return Guest.objects.get().user


def conversation_of(user: User) -> Conversation:
    return Conversation.objects.create(user=user, title="Mine", updated_at=timezone.now())


def test_starting_makes_a_guest_with_the_visitors_address(client: Client) -> None:
    answer = client.post("/start", {"text": "Hello\r\nthere"}, follow=True)
    guest = Guest.objects.get()
    assert guest.address == "192.0.2.1"
    assert guest.user.username == f"guest-{guest.user.pk}"
    assert not guest.user.has_usable_password()
    assert "data-send>\nHello\nthere</textarea>" in answer.text


def test_the_first_message_is_handed_over_once(client: Client) -> None:
    client.post("/start", {"text": "Hello"})
    assert "Hello</textarea>" in client.get("/").text
    assert "Hello</textarea>" not in client.get("/").text


def test_looking_at_the_landing_page_makes_nobody(client: Client) -> None:
    client.get("/")
    client.get("/start")
    assert not User.objects.exists()


@pytest.mark.parametrize("text", ["a" * 32_001, "nul \0", "\u200b"])
def test_a_first_message_that_cannot_be_sent_is_kept(client: Client, text: str) -> None:
    answer = client.post("/start", {"text": text})
    assert answer.status_code == 400
    assert text.replace("\0", "") in answer.text.replace("\0", "")
    assert not User.objects.exists()


def test_too_many_guests_from_one_address_are_asked_to_wait(client: Client, settings: Any) -> None:
    settings.CHATSITE_GUESTS_PER_HOUR = 2
    for _ in range(2):
        assert Client(REMOTE_ADDR="192.0.2.1").post("/start").status_code == 302
    answer = client.post("/start", {"text": "Let me in"})
    assert answer.status_code == 429
    assert "Let me in</textarea>" in answer.text
    assert Client(REMOTE_ADDR="192.0.2.2").post("/start").status_code == 302


def test_without_guests_nobody_starts(client: Client, settings: Any) -> None:
    settings.CHATSITE_GUESTS = False
    answer = client.post("/start", {"text": "Hello"})
    assert answer.headers["Location"].startswith("/login")
    assert not User.objects.exists()


def test_forms_need_their_token(database: str) -> None:
    client = Client(enforce_csrf_checks=True)
    answer = client.post("/start", {"text": "Hello"})
    assert answer.status_code == 403
    assert "too old" in answer.text
    assert not User.objects.exists()


def test_another_persons_chat_is_as_unknown_as_no_chat(client: Client, guest: User) -> None:
    stranger = User.objects.create_user("stranger")
    theirs, unknown = conversation_of(stranger), "00000000-0000-4000-8000-000000000000"
    answers = [client.get(f"/c/{pk}/") for pk in (theirs.pk, unknown)]
    assert [answer.status_code for answer in answers] == [404, 404]
    assert answers[0].content == answers[1].content
    assert client.get(f"/c/{conversation_of(guest).pk}/").status_code == 200


def test_signing_up_keeps_the_guests_row(client: Client, guest: User) -> None:
    mine = conversation_of(guest)
    client.post("/signup", {"username": "ann", "password1": PASSWORD, "password2": PASSWORD})
    assert User.objects.get().pk == guest.pk
    assert User.objects.get().username == "ann"
    assert not Guest.objects.exists()
    assert client.get(f"/c/{mine.pk}/").status_code == 200


def test_a_sign_up_that_fails_leaves_the_guest_a_guest(client: Client, guest: User) -> None:
    answer = client.post("/signup", {"username": "ann", "password1": "1234", "password2": "1234"})
    assert answer.status_code == 200
    assert User.objects.get().username == guest.username
    assert Guest.objects.exists()


def test_a_guests_chats_move_only_when_asked_and_only_from_that_guest(
    client: Client, guest: User
) -> None:
    ann = User.objects.create_user("ann", password=PASSWORD)
    mine, others = conversation_of(guest), conversation_of(User.objects.create_user("other"))
    answer = client.post("/login", {"username": "ann", "password": PASSWORD})
    assert answer.headers["Location"] == "/adopt"
    assert Conversation.objects.get(pk=mine.pk).user == guest
    client.post("/adopt", {"answer": "move"})
    assert Conversation.objects.get(pk=mine.pk).user == ann
    assert Conversation.objects.get(pk=others.pk).user != ann
    assert client.get("/adopt").status_code == 302


def test_whoever_is_logged_in_already_goes_straight_on(client: Client, guest: User) -> None:
    assert client.get("/login?next=/c/").status_code == 200, "a guest may log in"
    client.post("/signup", {"username": "ann", "password1": PASSWORD, "password2": PASSWORD})
    answer = client.get("/login?next=/c/")
    assert (answer.status_code, answer.headers["Location"]) == (302, "/c/")
    assert client.get("/login?next=https://evil.example/").headers["Location"] == "/"


def test_nobody_adopts_without_having_been_the_guest(client: Client, guest: User) -> None:
    mine = conversation_of(guest)
    User.objects.create_user("ann", password=PASSWORD)
    stranger = Client()
    stranger.post("/login", {"username": "ann", "password": PASSWORD})
    stranger.post("/adopt", {"answer": "move"})
    assert Conversation.objects.get(pk=mine.pk).user == guest


def test_too_many_wrong_passwords_lock_the_name_from_there(client: Client) -> None:
    User.objects.create_user("ann", password=PASSWORD)
    for _ in range(11):
        answer = client.post("/login", {"username": "ann", "password": "wrong"})
    assert answer.status_code == 429
    assert "Too many attempts" in answer.text
    right = {"username": "ann", "password": PASSWORD}
    assert client.post("/login", right).status_code == 429
    assert Client(REMOTE_ADDR="192.0.2.9").post("/login", right).status_code == 302


def test_logging_out_needs_a_post(client: Client, guest: User) -> None:
    assert client.get("/logout").status_code == 405
    client.post("/logout")
    assert "_auth_user_id" not in client.session


def test_pages_are_not_kept_by_caches(client: Client, guest: User) -> None:
    for path in ("/", f"/c/{conversation_of(guest).pk}/"):
        assert "no-store" in client.get(path).headers["Cache-Control"]


@pytest.mark.parametrize("name", ["400", "403", "403_csrf", "404", "500"])
def test_error_pages_need_nothing_to_be_shown(database: str, name: str) -> None:
    page = render_to_string(f"{name}.html")
    assert "Chatsite" in page and "Back to the start" in page


def test_prompts_and_titles_are_text(client: Client, guest: User) -> None:
    mine = conversation_of(guest)
    Conversation.objects.filter(pk=mine.pk).update(title="<script>alert(1)</script>")
    page = client.get(f"/c/{mine.pk}/").text
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert" in page


def test_one_address_makes_only_so_many_accounts_an_hour(database: str, settings: Any) -> None:
    settings.CHATSITE_SIGNUPS_PER_HOUR = 1
    answers = [
        Client().post(
            "/signup",
            {"username": name, "password1": "long enough 77", "password2": "long enough 77"},
            REMOTE_ADDR="203.0.113.77",
        )
        for name in ("dora", "emil")
    ]
    assert [answer.status_code for answer in answers] == [302, 429]
    assert "Try again later" in answers[1].content.decode()
