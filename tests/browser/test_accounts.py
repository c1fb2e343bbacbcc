"""Guests, accounts, and whose chats are whose."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from tests.browser.chat import Chat
from tests.browser.conftest import Watch
from tests.browser.site import Site

PASSWORD = "a long enough phrase"
NOT_FOUND = r"status of 404"


@pytest.fixture
def name() -> str:
    return f"person-{secrets.token_hex(4)}"


@pytest.fixture(scope="module")
def closed(make_site: Callable[..., Site]) -> Site:
    """A site without guests and without signing up."""
    return make_site(CHATSITE_GUESTS="off", CHATSITE_SIGNUP="off")


def test_signing_up_keeps_the_guests_chats(visitor: Callable[..., Chat], name: str) -> None:
    chat = visitor()
    chat.send("Said as a guest")
    chat.turn().is_at("Done")
    address = chat.page.url
    chat.sign_up(name, PASSWORD)
    expect(chat.page.get_by_text(name)).to_be_visible()
    chat.page.goto(address)
    chat.turn().says("Said as a guest")
    chat.send("Said with a name")
    chat.turn(1).is_at("Done")


def test_somebody_logs_out_and_in_again_and_finds_the_chats(
    visitor: Callable[..., Chat], name: str
) -> None:
    chat = visitor(path="/signup")
    chat.sign_up(name, PASSWORD)
    chat.send("To be found again")
    chat.turn().is_at("Done")
    chat.button("Log out").click()
    expect(chat.link("Log in")).to_be_visible()
    chat.log_in(name, "a wrong phrase")
    expect(chat.page.get_by_role("alert")).to_contain_text("correct username and password")
    chat.log_in(name, PASSWORD)
    chat.chats.get_by_role("link", name="To be found again").click()
    chat.turn().says("To be found again")


@pytest.mark.parametrize("answer", ["Move to my account", "Leave behind"])
def test_logging_in_offers_to_move_a_guests_chats(
    visitor: Callable[..., Chat], name: str, answer: str
) -> None:
    visitor(path="/signup").sign_up(name, PASSWORD)
    chat = visitor()
    chat.send("Said as a guest")
    chat.turn().is_at("Done")
    chat.log_in(name, PASSWORD)
    expect(chat.page.get_by_text("You had 1 chat as a guest")).to_be_visible()
    chat.button(answer).click()
    expect(chat.page.get_by_text(name)).to_be_visible()
    moved = 1 if answer.startswith("Move") else 0
    expect(chat.chats.get_by_role("link", name="Said as a guest")).to_have_count(moved)


def test_a_log_out_reaches_the_other_tab(visitor: Callable[..., Chat], name: str) -> None:
    chat = visitor(path="/signup")
    chat.sign_up(name, PASSWORD)
    chat.send("Open in two tabs")
    chat.turn().is_at("Done")
    other = chat.another_tab()
    other.turn().says("Open in two tabs")
    chat.button("Log out").click()
    expect(other.page.get_by_text("You are signed out")).to_be_visible()
    other.button("Log in").click()
    expect(other.page.get_by_label("Username")).to_be_visible()


def test_another_persons_chat_does_not_exist(visitor: Callable[..., Chat], watch: Watch) -> None:
    watch.allowed.append(NOT_FOUND)
    owner = visitor()
    owner.send("Only mine")
    owner.turn().is_at("Done")
    stranger = visitor()
    stranger.send("Hello")
    stranger.turn().is_at("Done")
    answer = stranger.page.goto(owner.page.url)
    assert answer is not None and answer.status == 404
    expect(stranger.page.get_by_role("heading", name="Nothing is here")).to_be_visible()
    nobody = visitor(path=owner.page.url)
    expect(nobody.page).to_have_url(re.compile("/login"))


def test_a_site_without_guests_asks_to_log_in(
    visitor: Callable[..., Chat], closed: Site, watch: Watch
) -> None:
    watch.allowed.append(NOT_FOUND)
    chat = visitor(closed)
    expect(chat.box).to_have_count(0)
    expect(chat.link("Sign up")).to_have_count(0)
    answer = chat.page.goto("/signup")
    assert answer is not None and answer.status == 404
    chat.page.goto("/")
    chat.page.get_by_role("main").get_by_role("link", name="Log in").click()
    expect(chat.page.get_by_label("Password")).to_be_visible()


def test_nobody_signs_up_under_a_guests_or_a_taken_name(
    visitor: Callable[..., Chat], name: str
) -> None:
    visitor(path="/signup").sign_up(name, PASSWORD)
    chat = visitor(path="/signup")
    chat.sign_up("Guest-7", PASSWORD)
    expect(chat.page.get_by_role("alert")).to_contain_text("belong to guests")
    chat.sign_up(name.upper(), PASSWORD)
    expect(chat.page.get_by_role("alert")).to_contain_text("taken")
