"""No part of a stop string is ever shown."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from chat.engine.stops import StopStrings

letters = st.text(st.sampled_from("abX"), max_size=30)
stops = st.lists(st.text(st.sampled_from("abX"), min_size=1, max_size=4), max_size=3)


@given(letters, stops, st.integers(1, 5))
def test_the_text_ends_where_the_first_complete_stop_string_begins(
    text: str, stops: list[str], size: int
) -> None:
    watch = StopStrings(tuple(stops))
    shown, met = "", False
    for at in range(0, len(text), size):
        part, met = watch.push(text[at : at + size])
        shown += part
        if met:
            break
    if not met:
        shown += watch.flush()
        assert shown == text
        assert not any(stop in text for stop in stops)
    else:
        assert text.startswith(shown)
        assert any(text[len(shown) :].startswith(stop) for stop in stops)
        assert not any(stop in shown for stop in stops)


def test_without_stop_strings_nothing_is_held_back() -> None:
    assert StopStrings(("",)).push("anything") == ("anything", False)


def test_what_may_become_a_stop_string_waits() -> None:
    watch = StopStrings(("User:", "\n\n"))
    assert watch.push("Hello\n") == ("Hello", False)
    assert watch.push("Use") == ("\n", False)
    assert watch.push("ful") == ("Useful", False)
    assert watch.push(" User: x") == (" ", True)
    assert watch.rest == " x"
