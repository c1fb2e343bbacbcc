"""The page around the conversation: list, themes, phone width, policy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.browser.chat import Chat

PHONE: dict[str, Any] = {"viewport": {"width": 390, "height": 780}, "has_touch": True}


@pytest.fixture
def chat(visitor: Callable[..., Chat]) -> Chat:
    chat = visitor()
    chat.send("Trip to Nara")
    chat.turn().is_at("Done")
    return chat


def background(chat: Chat) -> str:
    return str(chat.page.evaluate("getComputedStyle(document.documentElement).backgroundColor"))


def test_a_chat_is_renamed_in_all_tabs(chat: Chat) -> None:
    other = chat.another_tab()
    other.turn().says("Trip to Nara")
    chat.button("Options for this chat").click()
    chat.button("Rename").click()
    chat.page.get_by_role("textbox", name="Title").fill("Autumn")
    chat.page.get_by_role("textbox", name="Title").press("Enter")
    for tab in (chat, other):
        expect(tab.chats.get_by_role("link", name="Autumn")).to_be_visible()
        expect(tab.page.get_by_role("heading", name="Autumn")).to_be_visible()
        expect(tab.page).to_have_title("Autumn · Chatsite")


def test_a_chat_is_deleted_after_a_question(chat: Chat) -> None:
    row = chat.chats.get_by_role("listitem").filter(has_text="Trip to Nara")
    row.hover()
    row.get_by_role("button", name="Options").click()
    chat.button("Delete").click()
    chat.button("Cancel").click()
    expect(row).to_be_visible()
    row.hover()
    row.get_by_role("button", name="Options").click()
    chat.button("Delete").click()
    chat.page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(row).to_have_count(0)
    expect(chat.page).not_to_have_url(chat.page.url + "c/")
    expect(chat.page.get_by_role("heading", name="What would you like to ask?")).to_be_visible()


def test_on_a_phone_the_list_is_a_drawer(visitor: Callable[..., Chat]) -> None:
    chat = visitor(**PHONE)
    chat.send("Said on a phone")
    chat.turn().is_at("Done")
    expect(chat.chats).to_be_hidden()
    chat.button("Open the list of chats").tap()
    expect(chat.chats.get_by_role("link", name="Said on a phone")).to_be_visible()
    chat.button("Close the list of chats").tap()
    expect(chat.chats).to_be_hidden()
    wide = chat.page.evaluate("document.documentElement.scrollWidth")
    assert wide <= PHONE["viewport"]["width"]


def test_what_can_be_tapped_is_large_enough_for_a_finger(visitor: Callable[..., Chat]) -> None:
    chat = visitor(**PHONE)
    chat.send("Said on a phone")
    chat.turn().is_at("Done")
    for button in chat.page.get_by_role("button").all():
        if button.is_visible():
            size = button.bounding_box()
            assert size and size["height"] >= 44 and size["width"] >= 44, button.inner_html()


def test_the_systems_colours_are_followed(visitor: Callable[..., Chat]) -> None:
    light, dark = visitor(color_scheme="light"), visitor(color_scheme="dark")
    assert background(light) != background(dark)


def test_a_chosen_theme_stays_on_every_page(chat: Chat) -> None:
    light = background(chat)
    chat.page.get_by_role("radio", name="Dark").check(force=True)
    dark = background(chat)
    assert dark != light
    chat.page.reload()
    assert background(chat) == dark
    chat.page.goto("/login")
    assert background(chat) == dark
    chat.page.get_by_role("radio", name="Colours of the system").check(force=True)
    assert background(chat) == light


def test_the_policy_allows_nothing_inline_and_nothing_foreign(chat: Chat) -> None:
    answer = chat.page.reload()
    assert answer is not None
    policy = answer.headers["content-security-policy"]
    assert "default-src 'self'" in policy and "unsafe" not in policy
    html = answer.text()
    assert "style=" not in html and "onclick" not in html


def test_a_prompt_with_html_is_shown_as_text(chat: Chat) -> None:
    text = "<img src=x onerror=alert(1)> & <b>bold</b>"
    chat.send(text)
    chat.turn(1).is_at("Done")
    for _ in range(2):
        expect(chat.turn(1).prompt).to_have_text(text)
        expect(chat.turn(1).reply.locator("img, b")).to_have_count(0)
        chat.page.reload()


def test_the_box_has_the_focus_and_can_be_skipped_to(chat: Chat) -> None:
    chat.page.reload()
    expect(chat.box).to_be_focused()
    chat.link("Go to the box").focus()
    expect(chat.link("Go to the box")).to_be_in_viewport()
    chat.page.keyboard.press("Enter")
    expect(chat.box).to_be_focused()


def test_the_stage_is_told_to_screen_readers(chat: Chat) -> None:
    chat.send("Tell me when it is done")
    told = chat.page.locator("#said")
    expect(told).to_have_text("Done")
    expect(told).to_have_attribute("aria-live", "polite")
