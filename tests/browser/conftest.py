"""Real browsers against a real `serve`. Every page is watched: an error in its console, a broken
policy or an unhashed static file fails the test that opened it."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.browser.chat import Chat
from tests.browser.site import Site

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or "/usr/bin/chromium"
ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
HASHED = re.compile(r"/static/.+\.[0-9a-f]{12}\.\w+$")
WAIT_MS = 15_000

expect.set_options(timeout=WAIT_MS)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Browser tests last: Playwright's event loop, once there, is in the way of async tests."""
    here = Path(__file__).parent
    items.sort(key=lambda item: here in item.path.parents)


@pytest.fixture(scope="session", autouse=True)
def chromium() -> str:
    """Chromium's path. Without one the tests are skipped, but never in CI."""
    if not Path(CHROMIUM).exists():
        reason = f"no Chromium at {CHROMIUM}; install it or set CHROMIUM"
        if os.environ.get("CI") == "true":
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)
    return CHROMIUM


@pytest.fixture(scope="session")
def browser_type_launch_args(chromium: str) -> dict[str, Any]:
    return {"executable_path": chromium, "args": ARGUMENTS}


@pytest.fixture(scope="session")
def make_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Site]]:
    """Starts sites; each gets a state folder of its own and is ended at the end."""
    sites: list[Site] = []

    def make(**settings: str) -> Site:
        site = Site(tmp_path_factory.mktemp("site"), **settings)
        sites.append(site)
        site.start()
        return site

    yield make
    for site in sites:
        site.close()


@pytest.fixture(scope="session")
def site(make_site: Callable[..., Site]) -> Site:
    """The site that most tests share; each of them comes as a guest of its own."""
    return make_site()


class Watch:
    """What went wrong on a page, in words. `allowed` are patterns of expected complaints."""

    def __init__(self) -> None:
        self.wrong: list[str] = []
        self.allowed: list[str] = []

    def over(self, page: Page) -> None:
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.wrong.append(f"error: {error}"))
        page.on("response", lambda answer: self._address(answer.url))

    def _console(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self.wrong.append(f"console: {message.text}")

    def _address(self, url: str) -> None:
        if "/static/" in url and not HASHED.search(url):
            self.wrong.append(f"not hashed: {url}")

    def verdict(self) -> list[str]:
        return [line for line in self.wrong if not any(re.search(ok, line) for ok in self.allowed)]


@pytest.fixture
def watch() -> Iterator[Watch]:
    watch = Watch()
    yield watch
    assert watch.verdict() == []


@pytest.fixture
def visitor(browser: Browser, site: Site, watch: Watch) -> Iterator[Callable[..., Chat]]:
    """Makes visitors: each a browser of their own, at the site's landing page."""
    contexts: list[BrowserContext] = []

    def make(at: Site = site, path: str = "/", **options: Any) -> Chat:
        context = browser.new_context(base_url=at.url, **options)
        context.set_default_timeout(WAIT_MS)
        context.on("page", watch.over)
        contexts.append(context)
        page = context.new_page()
        page.goto(path)
        return Chat(page)

    yield make
    for context in contexts:
        context.close()
