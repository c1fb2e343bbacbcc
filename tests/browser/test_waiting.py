"""When more people write than replies may run."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from tests.browser.chat import Chat
from tests.browser.site import Site

LONG = " ".join(f"word{number:03}" for number in range(250))


@pytest.fixture(scope="module")
def narrow(make_site: Callable[..., Site]) -> Site:
    """A site that runs one reply at a time."""
    return make_site(CHATSITE_LIMIT="1")


def test_the_second_person_waits_sees_the_place_and_starts_when_the_first_ends(
    visitor: Callable[..., Chat], narrow: Site
) -> None:
    first, second, third = (visitor(narrow) for _ in range(3))
    first.send(LONG)
    first.turn().has_begun()
    second.send("I wait")
    second.turn().is_at("Next in line")
    third.send("I wait longer")
    third.turn().is_at("2nd in line")
    expect(third.page).to_have_title(re.compile(r"^\(2nd\) "))
    first.turn().button("Stop").click()
    second.turn().says("I wait")
    third.turn().says("I wait longer")


def test_a_waiting_message_can_be_stopped(visitor: Callable[..., Chat], narrow: Site) -> None:
    first, second = visitor(narrow), visitor(narrow)
    first.send(LONG)
    first.turn().has_begun()
    second.send("Never mind")
    second.turn().is_at("in line")
    second.turn().button("Stop").click()
    second.turn().is_at("Stopped")
    expect(second.turn().reply).to_be_empty()
    first.turn().button("Stop").click()
    first.turn().is_at("Stopped")
