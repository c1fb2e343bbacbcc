"""How far a page is behind, counted in what it has not acknowledged."""

from __future__ import annotations

import pytest

from chat import window
from chat.window import GRAIN_BYTES, WINDOW_BYTES, Window


def test_an_acknowledged_position_stands_for_all_that_was_sent_before() -> None:
    books = Window()
    books.sent(1, 10, GRAIN_BYTES)
    books.sent(2, 5, GRAIN_BYTES)
    books.sent(1, 20, GRAIN_BYTES)
    assert books.acknowledged(2, 5) == 2 * GRAIN_BYTES
    assert books.unread == GRAIN_BYTES
    assert books.acknowledged(1, 19) == 0, "not shown yet"
    assert books.acknowledged(1, 20) == GRAIN_BYTES and not books.unread


def test_a_page_is_behind_above_the_window_and_no_longer_when_it_has_read() -> None:
    books = Window()
    for end in range(0, 2 * WINDOW_BYTES, GRAIN_BYTES):
        if books.behind:
            break
        books.sent(7, end, GRAIN_BYTES)
    assert books.behind and books.unread <= WINDOW_BYTES + GRAIN_BYTES
    books.acknowledged(7, 10 * WINDOW_BYTES)
    assert not books.behind and not books.unread


def test_small_frames_of_one_reply_are_counted_together() -> None:
    books = Window()
    for end in range(1, 10_001):
        books.sent(1, end, 10)
    assert len(books._sent) <= 10 * 10_000 / GRAIN_BYTES + 1
    assert books.acknowledged(1, 5_000) >= 50_000 - GRAIN_BYTES
    books.acknowledged(1, 10_000)
    assert not books.unread


def test_only_who_is_behind_is_silent_and_only_after_a_while(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = 1_000.0
    monkeypatch.setattr(window.time, "monotonic", lambda: clock)
    books = Window()
    books.sent(1, 1, WINDOW_BYTES)
    clock += 1_000
    assert not books.silent(), "it has all that it may have"
    books.sent(1, 2, 10 * GRAIN_BYTES)
    books.sent(1, 3, WINDOW_BYTES)
    clock += window.SILENCE_SECONDS
    assert not books.silent()
    clock += 1
    assert books.silent()
    books.acknowledged(1, 1)
    assert books.behind and not books.silent(), "it reads, slowly"
