"""Every code that a row or a refusal can carry has a sentence of its own."""

from __future__ import annotations

import pytest

from chat.models import Generation, Queue
from chat.ranking import Ranking
from chat.words import engine_failure, failure, frame_error, refusal, stage, wait_range

FAILURES = [
    "prompt_too_long", "prompt_empty", "engine_died", "sampling_out_of_range", "upstream_too_long",
    "upstream_cut", "upstream_stalled", "upstream_busy", "upstream_failed", "upstream_garbled",
    "upstream_refused",
]  # fmt: skip
UPSTREAM = ["upstream_away", "upstream_key", "upstream_unnamed", "upstream_no_model"]
REFUSALS = {
    "queue_full": {"size": 1_000, "low": 60, "high": 120},
    "too_many_waiting": {"limit": 5},
    "too_fast": {"per_minute": 20},
    "not_found": {},
    "id_used": {},
    "not_allowed": {},
    "bad_value": {},
}
FRAME_ERRORS = [
    "binary", "unreadable", "frame_too_large", "unknown_frame", "bad_text", "text_too_long",
    "text_empty", "not_found", "too_many_frames",
]  # fmt: skip


@pytest.mark.parametrize("reason", [*FAILURES, "never_heard_of"])
def test_a_failure_is_said_even_without_its_parameters(reason: str) -> None:
    assert failure(reason, {}).endswith(".")
    assert "%(" not in failure(reason, {})


def test_each_refusal_and_frame_error_has_a_sentence_of_its_own() -> None:
    said = [refusal(code, detail, 3) for code, detail in REFUSALS.items()]
    said += [frame_error(code, 8, 12) for code in FRAME_ERRORS if code != "not_found"]
    assert len(set(said)) == len(said)
    assert not [words for words in said if "%(" in words or "could not be done" in words]


def test_a_limit_of_frames_or_tabs_says_how_much_and_when_it_ends() -> None:
    assert "240 a minute" in (said := frame_error("too_many_frames", 240, 12)) and "12 s" in said
    assert "8 tabs" in frame_error("too_many_tabs", 8)
    assert "200 tabs" in frame_error("too_many_here", 200)


def test_a_refusal_for_speed_says_when_it_ends() -> None:
    assert "in 3 s" in refusal("too_fast", {"per_minute": 20}, 3)


def test_an_engine_that_cannot_start_names_the_cause() -> None:
    words = engine_failure("model_missing", {"model": "x/y", "why": "folder"})
    assert "x/y" in words
    assert "no such folder" in words


@pytest.mark.parametrize("reason", [*UPSTREAM, "upstream_unfit"])
def test_a_server_that_cannot_be_used_is_named(reason: str) -> None:
    words = engine_failure(reason, {"server": "gpu:8001", "models": 3, "model": "m", "status": 500})
    assert "gpu:8001" in words and "could not start" not in words


@pytest.mark.parametrize(
    ("seconds", "said"),
    [((0, 1), "a moment"), ((20, 40), "about 20–40 s"), ((60, 300), "about 1–5 min")],
)
def test_a_wait_is_said_as_people_say_it(seconds: tuple[int, int], said: str) -> None:
    assert wait_range(*seconds) == said


def waiting(place: int | None, **queue: object) -> Ranking:
    return Ranking(Queue(limit=1, **queue), {1: place}, running=1, slots=1, seconds=(10.0,) * 5)


def test_each_stage_has_words_and_a_name_of_its_own() -> None:
    row = Generation(pk=1, state="waiting")
    assert stage(row, waiting(2)).words.startswith("2nd in line · about ")
    assert stage(row, waiting(None)).name == "after"
    assert stage(row, waiting(1, paused=True)).name == "paused"
    assert stage(row, waiting(1), alive=False).name == "paused"
    assert stage(Generation(pk=1, state="waiting", reply_end=3), waiting(1)).name == "continuing"
    assert stage(Generation(state="running")).name == "preparing"
    assert stage(Generation(state="running", reply_end=3, reasoning_end=3)).name == "thinking"
    assert stage(Generation(state="running", reply_end=3)).name == "generating"
    assert stage(Generation(state="done", reason="stop")).name == "done"
    assert stage(Generation(state="done", reason="length")).name == "length"
    assert stage(Generation(state="cancelled", reason="stopped")).name == "stopped"
    assert stage(Generation(state="cancelled", reason="parent_ended")).name == "held"
    assert stage(Generation(state="failed", reason="engine_died")).again
