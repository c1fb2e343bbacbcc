"""Connections that go away and come back."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import expect

from tests.browser.chat import Chat
from tests.browser.conftest import Watch
from tests.browser.site import Site

LONG = " ".join(f"word{number:03}" for number in range(80))
CONNECTION_GONE = r"WebSocket connection to .* failed|ERR_INTERNET_DISCONNECTED"


def test_what_is_written_offline_is_kept_and_sent_on_return(
    visitor: Callable[..., Chat], watch: Watch
) -> None:
    watch.allowed.append(CONNECTION_GONE)
    chat = visitor()
    chat.send("Before")
    chat.turn().is_at("Done")
    chat.page.context.set_offline(True)
    chat.send("While away")
    chat.turn(1).is_at("Not connected. Your message is kept and will be sent.")
    chat.page.context.set_offline(False)
    chat.turn(1).says("While away")
    chat.turn(1).is_at("Done")
    chat.has_turns(2)
    expect(chat.page.get_by_text("Not connected")).to_have_count(0)


def test_what_was_not_sent_survives_a_reload(visitor: Callable[..., Chat], watch: Watch) -> None:
    watch.allowed.append(CONNECTION_GONE)
    chat = visitor()
    chat.send("Before")
    chat.turn().is_at("Done")
    chat.page.context.set_offline(True)
    chat.send("First of two")
    chat.send("Second of two")
    chat.turn(2).is_at("Not connected")
    chat.page.context.set_offline(False)
    chat.page.reload()
    chat.turn(1).says("First of two")
    chat.turn(2).says("Second of two")
    chat.has_turns(3)


def test_a_reply_missed_while_away_is_there_on_return(
    visitor: Callable[..., Chat], watch: Watch
) -> None:
    watch.allowed.append(CONNECTION_GONE)
    chat = visitor()
    chat.send(LONG)
    chat.turn().has_begun()
    chat.page.context.set_offline(True)
    expect(chat.page.get_by_text("Not connected. Trying again")).to_be_visible()
    chat.page.context.set_offline(False)
    chat.turn().says(LONG)
    chat.turn().is_at("Done")


def test_a_restart_in_mid_reply_loses_nothing(
    visitor: Callable[..., Chat], make_site: Callable[..., Site], watch: Watch
) -> None:
    watch.allowed.append(CONNECTION_GONE)
    site = make_site()
    chat = visitor(site)
    chat.send(LONG)
    chat.turn().has_begun()
    chat.send("Next")
    chat.turn(1).is_at("After your current reply")
    site.stop()
    expect(chat.page.get_by_text("The site is restarting")).to_be_visible()
    site.start()
    chat.turn(0).says(LONG)
    chat.turn(1).says("Next")
    chat.has_turns(2)


def test_a_killed_site_goes_on_where_it_was(
    visitor: Callable[..., Chat], make_site: Callable[..., Site], watch: Watch
) -> None:
    watch.allowed.append(CONNECTION_GONE)
    site = make_site()
    chat = visitor(site)
    chat.send(LONG)
    chat.turn().has_begun()
    site.kill()
    site.start()
    expect(chat.turn().reply).to_have_text(LONG, timeout=40_000)
    chat.turn().is_at("Done")


def test_a_stop_pressed_while_away_is_done_on_return(
    visitor: Callable[..., Chat], watch: Watch
) -> None:
    watch.allowed.append(CONNECTION_GONE)
    chat = visitor()
    chat.send(LONG * 4)
    chat.turn().has_begun()
    chat.page.context.set_offline(True)
    expect(chat.page.get_by_text("Not connected. Trying again")).to_be_visible()
    chat.turn().button("Stop").click()
    expect(chat.page.get_by_text("The reply will be stopped as soon as")).to_be_visible()
    chat.page.context.set_offline(False)
    chat.turn().is_at("Stopped")
