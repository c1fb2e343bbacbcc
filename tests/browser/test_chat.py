"""A conversation, from the first message to the last, in one tab and in several."""

from __future__ import annotations

import re
from collections.abc import Callable

from playwright.sync_api import expect

from tests.browser.chat import Chat
from tests.browser.site import Site

LONG = " ".join(f"word{number:03}" for number in range(60))
"""About five seconds of echo."""

MARKDOWN = """# Title

Some **bold** text, `code` and a [link](https://example.org/).

- one
- two

```python
print("hello")
```

| a | b |
|---|---|
| 1 | 2 |

$x^2$
"""


def test_a_guest_starts_from_the_landing_page_with_the_first_message(
    visitor: Callable[..., Chat],
) -> None:
    chat = visitor()
    chat.send("Hello there")
    chat.turn().says("Hello there")
    chat.turn().is_at("Done")
    expect(chat.page).to_have_url(re.compile(r"/c/[0-9a-f-]{36}/$"))
    expect(chat.chats.get_by_role("link", name="Hello there")).to_be_visible()
    expect(chat.page).to_have_title("Hello there · Chatsite")


def test_a_conversation_goes_on_and_is_the_same_after_a_reload(
    visitor: Callable[..., Chat],
) -> None:
    chat = visitor()
    chat.send("The first")
    chat.turn().is_at("Done")
    chat.send("The second")
    chat.has_turns(2)
    chat.turn().is_at("Done")
    chat.page.reload()
    chat.has_turns(2)
    chat.turn(0).says("The first")
    chat.turn(1).says("The second")


def test_markdown_becomes_headings_lists_code_tables_and_formulas(
    visitor: Callable[..., Chat],
) -> None:
    chat = visitor()
    chat.send(MARKDOWN)
    turn = chat.turn()
    turn.is_at("Done")
    for look in range(2):
        expect(turn.reply.get_by_role("heading", name="Title")).to_be_visible()
        expect(turn.reply.get_by_role("listitem")).to_have_count(2)
        expect(turn.reply.get_by_role("cell", name="2")).to_be_visible()
        expect(turn.reply.locator("strong")).to_have_text("bold")
        expect(turn.reply.locator("figcaption")).to_have_text("python")
        expect(turn.reply.locator("pre")).to_have_text('print("hello")')
        expect(turn.reply.locator("math")).to_have_count(1)
        link = turn.reply.get_by_role("link", name="link")
        expect(link).to_have_attribute("rel", re.compile("noopener"))
        if not look:
            chat.page.reload()


def test_two_tabs_show_the_same_reply_in_step(visitor: Callable[..., Chat]) -> None:
    one = visitor()
    one.send("Make an address")
    one.turn().is_at("Done")
    two = one.another_tab()
    one.send(LONG)
    two.turn(1).has_begun()
    two.turn(1).is_at("Generating")
    for tab in (one, two):
        tab.turn(1).says(LONG)
        tab.turn(1).is_at("Done")


def test_a_reload_in_mid_reply_goes_on_live(visitor: Callable[..., Chat]) -> None:
    chat = visitor()
    chat.send(LONG)
    chat.turn().has_begun()
    chat.page.reload()
    chat.turn().is_at("Generating")
    chat.turn().says(LONG)
    chat.turn().is_at("Done")


def test_stop_keeps_what_is_written(visitor: Callable[..., Chat]) -> None:
    chat = visitor()
    chat.send(LONG)
    turn = chat.turn()
    turn.has_begun()
    turn.button("Stop").click()
    turn.is_at("Stopped")
    expect(turn.button("Stop")).to_be_hidden()
    written = turn.reply.inner_text()
    assert written and LONG.startswith(written.strip()) and written.strip() != LONG
    chat.page.reload()
    chat.turn().says(written.strip())


def test_a_message_typed_while_a_reply_runs_is_the_next_turn(
    visitor: Callable[..., Chat],
) -> None:
    chat = visitor()
    chat.send(LONG)
    chat.turn(0).has_begun()
    chat.send("And then?")
    chat.turn(1).is_at("After your current reply")
    chat.turn(0).says(LONG)
    chat.turn(1).says("And then?")
    chat.turn(1).is_at("Done")


def test_a_follow_up_is_offered_back_when_the_reply_before_it_is_stopped(
    visitor: Callable[..., Chat],
) -> None:
    chat = visitor()
    chat.send(LONG)
    chat.turn(0).has_begun()
    chat.send("And then?")
    chat.turn(1).is_at("After your current reply")
    chat.turn(0).button("Stop").click()
    chat.turn(1).is_at("Not sent")
    chat.turn(1).button("Edit").click()
    expect(chat.box).to_have_value("And then?")
    chat.box.fill("")
    chat.turn(1).button("Send anyway").click()
    chat.turn(1).says("And then?")
    chat.turn(1).is_at("Done")
    chat.has_turns(2)


def test_a_failed_turn_can_be_tried_again(visitor: Callable[..., Chat]) -> None:
    chat = visitor()
    chat.send("x" * 5_000)
    chat.turn().is_at("Too long for this model")
    expect(chat.turn().button("Try again")).to_be_hidden()
    chat.send("Shorter")
    chat.turn(1).says("Shorter")


def test_a_reader_who_scrolled_up_is_left_alone(visitor: Callable[..., Chat]) -> None:
    chat = visitor(viewport={"width": 800, "height": 400})
    chat.send("\n\n".join(f"Paragraph {number}" for number in range(40)))
    region = chat.page.get_by_role("region", name="Conversation")
    chat.turn().reply.get_by_text("Paragraph 12").wait_for()
    region.hover()
    chat.page.mouse.wheel(0, -300)
    expect(chat.button("New text")).to_be_visible()
    place = region.evaluate("element => element.scrollTop")
    chat.turn().is_at("Done")
    assert region.evaluate("element => element.scrollTop") == place
    chat.button("New text").click()
    expect(chat.button("New text")).to_be_hidden()
    expect(chat.turn().reply.get_by_text("Paragraph 39")).to_be_in_viewport()


def test_selected_text_stays_selected_while_its_block_closes(
    visitor: Callable[..., Chat],
) -> None:
    chat = visitor()
    chat.send(f"First **bold** {LONG}\n\n{LONG}")
    first = chat.turn().reply.locator("section").first
    expect(first).to_contain_text("First **bold")
    chat.page.evaluate(
        "() => getSelection().selectAllChildren(document.querySelector('.reply section'))"
    )
    chat.turn().reply.locator("section").nth(1).get_by_text("word010").wait_for()
    assert "First **bold" in chat.page.evaluate("() => getSelection().toString()")
    chat.page.evaluate("() => getSelection().removeAllRanges()")
    expect(first.locator("strong")).to_have_text("bold")


def test_reasoning_is_a_stage_of_its_own_and_stays_folded(
    make_site: Callable[..., Site], visitor: Callable[..., Chat]
) -> None:
    thought = "First I look at what was asked. " * 3
    site = make_site(CHATSITE_ECHO_REASONING=thought)
    chat = visitor(site)
    chat.send("The answer itself")
    turn = chat.turn()
    turn.is_at("Thinking")
    turn.is_at("Done")
    turn.says("The answer itself")
    folded = turn.article.get_by_text("First I look at what was asked.")
    expect(folded).to_be_hidden()
    turn.article.locator("summary").click()
    expect(folded).to_be_visible()
    chat.page.reload()
    chat.turn().says("The answer itself")
