"""Whatever a page sends, reading it ends in a typed act or in a FrameError."""

from __future__ import annotations

import contextlib
import json
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chat.frames import FrameError
from queueadmin.frames import Cancel, Pause, Resume, Set, Slots, decode

ID = "00000000-0000-4000-8000-000000000001"
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)
FIELDS = ("type", "id", "name", "value", "seen", "generation", "worker")


@pytest.mark.parametrize(
    ("text", "act"),
    [
        ({"type": "pause"}, Pause(uuid.UUID(ID))),
        ({"type": "resume"}, Resume(uuid.UUID(ID))),
        ({"type": "slots", "worker": 2, "value": 4, "seen": 8}, Slots(uuid.UUID(ID), 2, 4, 8)),
        ({"type": "cancel", "generation": 7}, Cancel(uuid.UUID(ID), 7)),
        (
            {"type": "set", "name": "limit", "value": 5, "seen": 4},
            Set(uuid.UUID(ID), "limit", 5, 4),
        ),
    ],
)
def test_every_act_is_read(text: dict[str, object], act: object) -> None:
    assert decode(json.dumps({**text, "id": ID}), None) == act


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "unreadable"),
        ("{", "unreadable"),
        ("[]", "unknown_frame"),
        ('"pause"', "unknown_frame"),
        ('{"type": "pause"}', "unknown_frame"),
        (f'{{"type": "pause", "id": "{ID}", "queue": 2}}', "unknown_frame"),
        (f'{{"type": "drop", "id": "{ID}"}}', "unknown_frame"),
        (f'{{"type": "cancel", "id": "{ID}", "generation": 0}}', "unknown_frame"),
        (f'{{"type": "cancel", "id": "{ID}", "generation": true}}', "unknown_frame"),
        (
            f'{{"type": "set", "id": "{ID}", "name": "limit", "value": "x", "seen": 4}}',
            "unknown_frame",
        ),
        (
            f'{{"type": "set", "id": "{ID}", "name": "limit", "value": 2.5, "seen": 4}}',
            "unknown_frame",
        ),
        (
            f'{{"type": "set", "id": "{ID}", "name": "paused", "value": 1, "seen": 0}}',
            "unknown_frame",
        ),
        (f'{{"type": "pause", "id": "{ID}"}}' + " " * 70_000, "frame_too_large"),
        ("\ud800", "unreadable"),
        ("[" * 50_000, "unknown_frame"),
    ],
)
def test_a_wrong_frame_has_a_code(text: str, code: str) -> None:
    with pytest.raises(FrameError) as refused:
        decode(text, None)
    assert refused.value.code == code


def test_binary_frames_are_refused() -> None:
    with pytest.raises(FrameError):
        decode(None, b"{}")


@given(
    st.text()
    | JSON.map(json.dumps)
    | st.dictionaries(st.sampled_from(FIELDS), JSON).map(json.dumps)
)
def test_nothing_but_a_frame_error_is_ever_raised(text: str) -> None:
    with contextlib.suppress(FrameError):
        decode(text, None)
