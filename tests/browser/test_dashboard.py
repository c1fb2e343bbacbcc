"""Operators in a real browser: what they set works within a second, what they see is true."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.chat import Chat
from tests.browser.site import Site

LONG = " ".join(f"word{number:03}" for number in range(400))
SECOND_MS = 2_000
"""A second, and some room for a busy machine."""

WATCHER = """
from django.contrib.auth.models import Permission, User
user = User.objects.create_user("watcher", password="only-looking-77", is_staff=True)
user.user_permissions.add(Permission.objects.get(codename="watch_queue"))
"""


class Operator:
    """The dashboard as its reader sees it, by roles and labels."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.line = page.locator("#line")
        self.limit = page.get_by_label("Limit", exact=True)
        self.answer = page.locator("#answer")
        self.running = page.locator("#running tbody tr")
        self.waiting = page.locator("#waiting tbody tr")

    def sign_in(self, name: str, password: str) -> None:
        self.page.goto("/admin/")
        self.page.get_by_label("Username").fill(name)
        self.page.get_by_label("Password").fill(password)
        self.page.get_by_role("button", name=re.compile("log in", re.I)).click()
        expect(self.line).to_have_text("Live")

    def button(self, name: str) -> Locator:
        return self.page.get_by_role("button", name=name, exact=True)

    def set_limit(self, value: int) -> None:
        """By keyboard, from whatever it is."""
        self.limit.fill(str(value))
        self.limit.press("Enter")
        expect(self.answer).to_have_text(re.compile(rf"is now {value}\b"))


@pytest.fixture(scope="module")
def busy(make_site: Callable[..., Site]) -> Site:
    """A site with a limit of one, whose replies take their time."""
    return make_site(CHATSITE_LIMIT="1", CHATSITE_ECHO_DELAY="0.02")


def password_of(site: Site) -> str:
    """The operator's, which the first start has printed."""
    found = re.search(r"password +(\S+)", site.log)
    assert found, site.log
    return found[1]


@pytest.fixture
def operator(visitor: Callable[..., Chat], busy: Site) -> Operator:
    operator = Operator(visitor(busy, "/admin/").page)
    operator.sign_in("operator", password_of(busy))
    operator.set_limit(1) if operator.limit.input_value() != "1" else None
    return operator


def two_visitors(visitor: Callable[..., Chat], site: Site) -> tuple[Chat, Chat]:
    """One whose reply runs, one who waits for it to end."""
    first, second = visitor(site), visitor(site)
    first.send(LONG)
    first.turn().has_begun()
    second.send(LONG)
    second.turn().is_at("Next in line")
    return first, second


def stop(*chats: Chat) -> None:
    for chat in chats:
        chat.turn().button("Stop").click()
        chat.turn().is_at("Stopped")


def test_raising_the_limit_by_a_click_starts_who_waits_within_a_second(
    operator: Operator, visitor: Callable[..., Chat], busy: Site
) -> None:
    first, second = two_visitors(visitor, busy)
    expect(operator.running).to_have_count(1)
    expect(operator.waiting).to_have_count(1)
    expect(operator.waiting.first).to_contain_text("guest")
    operator.button("Raise the limit by one").click()
    expect(second.turn().stage).to_have_text(re.compile("Reading|Generating"), timeout=SECOND_MS)
    expect(operator.running).to_have_count(2, timeout=SECOND_MS)
    expect(operator.waiting).to_have_count(0)
    expect(operator.limit).to_have_value("2")
    expect(operator.page.locator("#trail li").first).to_contain_text(
        "operator set the limit from 1 to 2"
    )
    second.turn().has_begun()
    stop(first, second)
    expect(operator.page.get_by_text("Nothing is in progress.")).to_be_visible()


def test_figures_grow_while_a_reply_does(
    operator: Operator, visitor: Callable[..., Chat], busy: Site
) -> None:
    chat = visitor(busy)
    chat.send(LONG)
    tokens = operator.running.first.locator("td").nth(3)
    expect(tokens).to_have_text(re.compile(r"^[1-9]\d+$"))
    before = int(tokens.inner_text())
    operator.page.wait_for_function(
        "before => Number(document.querySelector('#running td:nth-child(4)').textContent) > before",
        arg=before,
    )
    expect(operator.page.locator('[data-figure="speed"]')).not_to_have_text(re.compile("^0?$|–"))
    stop(chat)


def test_pause_keeps_who_waits_and_resume_starts_them(
    operator: Operator, visitor: Callable[..., Chat], busy: Site
) -> None:
    operator.button("Pause").click()
    alert = operator.page.get_by_text("The queue is paused by operator: nothing starts.")
    expect(alert).to_be_visible()
    chat = visitor(busy)
    chat.send("Am I next?")
    chat.turn().is_at("paused by the operators")
    expect(operator.waiting).to_have_count(1)
    operator.button("Resume").click()
    chat.turn().says("Am I next?")
    expect(alert).to_have_count(0)
    expect(operator.button("Pause")).to_be_visible()


def test_a_reply_is_stopped_only_after_its_author_was_named(
    operator: Operator, visitor: Callable[..., Chat], busy: Site
) -> None:
    chat = visitor(busy)
    chat.send(LONG)
    chat.turn().has_begun()
    row = operator.running.first
    name = row.locator(".name").inner_text()
    row.get_by_role("button", name=f"Stop the reply of {name}").click()
    dialog = operator.page.get_by_role("dialog", name=f"Stop the reply of {name}?")
    dialog.get_by_role("button", name="Leave it").click()
    expect(dialog).to_be_hidden()
    expect(operator.running).to_have_count(1)
    row.get_by_role("button", name=f"Stop the reply of {name}").press("Enter")
    dialog.get_by_role("button", name="Stop the reply").click()
    chat.turn().is_at("Stopped by an operator")
    expect(chat.turn().reply).not_to_be_empty()
    expect(operator.running).to_have_count(0)
    expect(operator.answer).to_contain_text(f"The reply of {name} is stopped")
    expect(operator.page.locator("#trail li").first).to_contain_text(f"stopped the reply of {name}")


def test_the_field_takes_numbers_and_says_what_is_wrong(operator: Operator) -> None:
    operator.set_limit(3)
    operator.limit.fill("0")
    operator.limit.press("Enter")
    expect(operator.answer).to_contain_text("pause the queue")
    expect(operator.limit).to_have_value("3")
    operator.limit.fill("2000000")
    operator.limit.press("Enter")
    expect(operator.answer).to_contain_text("from 1 to 10,000")
    expect(operator.limit).to_have_value("3")
    operator.limit.fill("8")
    operator.limit.press("Escape")
    expect(operator.limit).to_have_value("3")


def test_many_quick_clicks_end_where_they_should(operator: Operator) -> None:
    operator.set_limit(1)
    for _ in range(6):
        operator.button("Raise the limit by one").click()
    expect(operator.answer).to_have_text(re.compile("is now 7"))
    expect(operator.limit).to_have_value("7")
    operator.set_limit(1)
    expect(operator.button("Lower the limit by one")).to_be_disabled()


def test_what_another_operator_changes_is_seen_at_once(
    operator: Operator, visitor: Callable[..., Chat], busy: Site
) -> None:
    other = Operator(visitor(busy, "/admin/").page)
    other.sign_in("operator", password_of(busy))
    other.set_limit(5)
    expect(operator.limit).to_have_value("5", timeout=SECOND_MS)
    other.set_limit(1)
    expect(operator.limit).to_have_value("1", timeout=SECOND_MS)


def test_without_permission_to_change_the_controls_are_off(
    visitor: Callable[..., Chat], busy: Site
) -> None:
    busy.manage("shell", "-c", WATCHER)
    watcher = Operator(visitor(busy, "/admin/").page)
    watcher.sign_in("watcher", "only-looking-77")
    expect(watcher.page.get_by_text("Read only")).to_be_visible()
    for control in (
        watcher.limit,
        watcher.button("Raise the limit by one"),
        watcher.button("Lower the limit by one"),
        watcher.button("Pause"),
    ):
        expect(control).to_be_disabled()


def test_a_cut_line_is_seen_and_heals(
    visitor: Callable[..., Chat], make_site: Callable[..., Site], watch: object
) -> None:
    watch.allowed.append("WebSocket connection to")  # type: ignore[attr-defined]
    site = make_site()
    operator = Operator(visitor(site, "/admin/").page)
    operator.sign_in("operator", password_of(site))
    site.kill()
    expect(operator.line).to_have_text(re.compile("Not live since .*the figures are old"))
    expect(operator.page.locator("#board")).to_have_class(re.compile("stale"))
    operator.button("Raise the limit by one").click()
    expect(operator.answer).to_contain_text("not live")
    expect(operator.limit).to_have_value("4")
    site.start()
    expect(operator.line).to_have_text("Live")
    expect(operator.page.locator("#board")).not_to_have_class(re.compile("stale"))
