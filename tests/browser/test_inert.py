"""Whatever a model writes, it runs nothing, loads nothing from strangers and opens no dialog.

The engine says every payload back, so that it comes as a reply does: in deltas, then as blocks,
then once more after a reload. A policy that had to step in would complain in the console, which
fails the test, too: the HTML itself must be harmless.
"""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page

from tests.browser.chat import Chat
from tests.browser.site import Site
from tests.payloads import PAYLOADS
from tests.sizes import size

TOGETHER = size(suite=16, full=1)
"""Payloads in one reply; alone, none can hide behind an unclosed fence of the one before."""
HARMFUL = """() => [...document.querySelectorAll(".reply *")].filter((node) =>
    node.matches("script, iframe, frame, object, embed, base, link, meta, form, style, img, svg")
    || node.matches("input, button:not(.copy-code), video, audio, details[open]")
    || [...node.attributes].some(({ name, value }) =>
        name.startsWith("on") || /^\\s*(javascript|data|vbscript|file|blob):/i.test(value))
).map((node) => node.outerHTML)"""


class Alarm:
    """What a page did that no reply may make it do."""

    def __init__(self, page: Page) -> None:
        self.dialogs: list[str] = []
        self.foreign: list[str] = []
        self._host = urlsplit(page.url).netloc
        page.on("dialog", self._dialog)
        page.context.on("request", lambda request: self._request(request.url))

    def _dialog(self, dialog: object) -> None:
        self.dialogs.append(str(dialog))
        dialog.dismiss()  # type: ignore[attr-defined]

    def _request(self, url: str) -> None:
        if urlsplit(url).netloc not in ("", self._host):
            self.foreign.append(url)


@pytest.fixture(scope="module")
def fast(make_site: Callable[..., Site]) -> Site:
    """A character every two milliseconds: some twenty in each delta."""
    return make_site(CHATSITE_ECHO_DELAY="0.002", CHATSITE_FRAMES_PER_MINUTE="100000")


def test_replies_are_inert(
    visitor: Callable[..., Chat], fast: Site, figure: Callable[[str], None]
) -> None:
    chat = visitor(fast)
    alarm = Alarm(chat.page)
    said = [text for payload in PAYLOADS if (text := payload.replace("\0", "").strip())]
    harmful: list[str] = []
    for at in range(0, len(said), TOGETHER):
        chat.send("\n\n".join(said[at : at + TOGETHER]))
        chat.has_turns(at // TOGETHER + 1)
        chat.turn().is_at("Done")
        harmful += chat.page.evaluate(HARMFUL)
    chat.page.reload()
    chat.has_turns(-(-len(said) // TOGETHER))
    harmful += chat.page.evaluate(HARMFUL)
    scripts = chat.page.locator(".reply script").count()
    figure(
        f"R25 {len(said)} payloads in Chromium: scripts {scripts}, dialogs {len(alarm.dialogs)}, "
        f"requests to foreign hosts {len(alarm.foreign)}, harmful elements {len(harmful)}"
    )
    assert harmful == []
    assert alarm.dialogs == []
    assert alarm.foreign == []
