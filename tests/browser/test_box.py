"""The box: what sends, what does not, and that nothing typed is lost."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from tests.browser.chat import Chat
from tests.browser.site import Site


@pytest.fixture(scope="module")
def strict(make_site: Callable[..., Site]) -> Site:
    """A site that takes few messages a minute."""
    return make_site(CHATSITE_SENDS_PER_MINUTE="6", CHATSITE_SENDS_BURST="1")


@pytest.fixture
def chat(visitor: Callable[..., Chat]) -> Chat:
    """Somebody who has already begun."""
    chat = visitor()
    chat.send("Begin")
    chat.turn().is_at("Done")
    return chat


def test_shift_enter_breaks_the_line(chat: Chat) -> None:
    chat.box.press_sequentially("one")
    chat.box.press("Shift+Enter")
    chat.box.press_sequentially("two")
    expect(chat.box).to_have_value("one\ntwo")
    chat.box.press("Enter")
    expect(chat.turn(1).prompt).to_have_text("one\ntwo", use_inner_text=True)


def test_the_enter_that_confirms_a_conversion_does_not_send(chat: Chat) -> None:
    chat.box.focus()
    session = chat.page.context.new_cdp_session(chat.page)
    session.send(
        "Input.imeSetComposition", {"text": "にほんご", "selectionStart": 4, "selectionEnd": 4}
    )
    # An input method swallows the key itself; the page hears only that it was pressed.
    session.send(
        "Input.dispatchKeyEvent",
        {"type": "rawKeyDown", "key": "Enter", "code": "Enter", "windowsVirtualKeyCode": 229},
    )
    session.send("Input.insertText", {"text": "日本語"})
    expect(chat.box).to_have_value("日本語")
    chat.has_turns(1)
    chat.box.press("Enter")
    chat.has_turns(2)
    chat.turn(1).says("日本語")


@pytest.mark.parametrize("field", ["isComposing: true", "keyCode: 229"])
def test_no_browsers_way_to_say_that_a_conversion_is_confirmed_sends(
    chat: Chat, field: str
) -> None:
    chat.box.fill("変換")
    chat.box.evaluate(
        "(box) => box.dispatchEvent(new KeyboardEvent('keydown', "
        f"{{key: 'Enter', bubbles: true, cancelable: true, {field}}}))"
    )
    expect(chat.box).to_have_value("変換")
    chat.has_turns(1)


def test_white_space_is_not_sent(chat: Chat) -> None:
    chat.box.fill("  \n ")
    chat.box.press("Enter")
    expect(chat.box).to_have_value("  \n ")
    chat.has_turns(1)


def test_a_draft_survives_a_reload(chat: Chat) -> None:
    chat.box.fill("Half a thou")
    chat.page.reload()
    expect(chat.box).to_have_value("Half a thou")


def test_a_refused_message_comes_back_into_the_box_with_the_reason(
    visitor: Callable[..., Chat], strict: Site
) -> None:
    chat = visitor(strict)
    chat.send("The first")
    chat.turn().is_at("Done")
    chat.send("Too soon")
    expect(chat.page.get_by_text("faster than 6 messages a minute")).to_be_visible()
    expect(chat.box).to_have_value("Too soon")
    chat.has_turns(1)
    again = chat.page.get_by_role("button", name="Send again")
    expect(again).to_be_disabled()
    expect(again).to_be_enabled(timeout=20_000)
    again.click()
    chat.turn(1).says("Too soon")
    expect(again).to_be_hidden()


def test_a_text_that_is_too_long_is_kept(chat: Chat) -> None:
    text = "a" * 32_001
    chat.send(text)
    expect(chat.page.get_by_text("longer than 32,000 characters")).to_be_visible()
    expect(chat.box).to_have_value(text)
    chat.has_turns(1)


def test_a_text_too_large_for_one_frame_is_not_sent_and_stays_in_the_box(chat: Chat) -> None:
    text = "長" * 24_300
    chat.box.fill(text)
    chat.box.press("Enter")
    expect(chat.page.get_by_text("This message is too long")).to_be_visible()
    expect(chat.box).to_have_value(text)
    chat.has_turns(1)
    chat.send("Short")
    chat.turn(1).is_at("Done")
