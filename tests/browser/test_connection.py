"""Connections that go away and come back."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from playwright.sync_api import WebSocket, expect

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


def test_a_page_acknowledges_what_it_shows_now_and_then_and_the_end_once(
    visitor: Callable[..., Chat],
) -> None:
    chat = visitor()
    chat.send("Before")
    chat.turn().is_at("Done")
    said: list[dict[str, Any]] = []

    def opened(socket: WebSocket) -> None:
        socket.on("framesent", lambda text: said.append(json.loads(text)))

    chat.page.on("websocket", opened)
    chat.page.reload()
    chat.send(LONG[:400])  # four seconds
    chat.turn().is_at("Done")
    until_page(chat, lambda: any(frame.get("final") for frame in acks(said)))
    ends = [frame["end"] for frame in acks(said) if not frame["final"]]
    assert 2 <= len(ends) <= 12 and ends == sorted(ends), "about one in a second"
    assert 0 < ends[1] < 400, "while it grows"
    assert [frame["end"] for frame in acks(said) if frame["final"]] == [400]


def acks(frames: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Those of the last turn."""
    found = [frame for frame in frames if frame["type"] == "ack"]
    return [frame for frame in found if frame["generation"] == found[-1]["generation"]]


def until_page(chat: Chat, look: Callable[[], bool]) -> None:
    """Wait while the page goes on."""
    for _ in range(100):
        if look():
            return
        chat.page.wait_for_timeout(50)
    raise AssertionError("not within 5 s")


def test_one_tab_too_many_is_told_how_many_there_may_be(
    visitor: Callable[..., Chat],
) -> None:
    chat = visitor()
    chat.send("Hello")
    chat.turn().is_at("Done")
    tabs = [chat.another_tab() for _ in range(8)]
    notice = tabs[-1].page.get_by_text("You already have 8 tabs open here")
    expect(notice).to_be_visible()
    tabs[0].page.close()

    def connected() -> bool:  # once the server has heard of the closed one
        if notice.is_visible():
            tabs[-1].button("Connect").click()
        return not notice.is_visible()

    until_page(tabs[-1], connected)
    tabs[-1].send("Is there room?")
    tabs[-1].turn().is_at("Done")
