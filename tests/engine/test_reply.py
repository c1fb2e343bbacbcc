"""Reasoning is told apart, wherever the model or its template puts the markers."""

from __future__ import annotations

import pytest

from chat.engine.base import Task, Turn
from chat.engine.control_tokens import ControlTokens
from chat.engine.detokenizer import Vocabulary
from chat.engine.reasoning import Markers, find_markers
from chat.engine.reply import ReplyText

from .models import CHATML, CHATML_THINKING, byte_level_tokenizer

TOKENIZER = byte_level_tokenizer()
CONTROL = ControlTokens(TOKENIZER)
BY_ID = find_markers(CONTROL, CHATML)
BY_TEXT = Markers("<think>", "</think>", None, None)


def encode(text: str, markers: Markers | None) -> list[int]:
    """Ids of what a model makes: its markers are tokens, or spelled out."""
    if markers is BY_TEXT:
        return CONTROL.encode_plain(text)
    return list(TOKENIZER.encode(text, add_special_tokens=False))


def grow(
    text: str, markers: Markers | None, thinking: bool = False, stops: tuple[str, ...] = ()
) -> tuple[str, str, list[str]]:
    """Reasoning, answer, and every part as it appeared."""
    silent = frozenset(TOKENIZER.all_special_ids)
    reply = ReplyText(Vocabulary(TOKENIZER).detokenizer(), silent, stops, markers, thinking)
    grown = [reply.push(number) for number in encode(text, markers)]
    grown.append(reply.flush())
    thought = "".join(part.text[: part.reasoning] for part in grown)
    answer = "".join(part.text[part.reasoning :] for part in grown)
    shown = "".join(part.text for part in grown)
    assert shown == thought + answer, "reasoning comes first"
    return thought, answer, [part.text for part in grown]


@pytest.mark.parametrize("markers", [BY_ID, BY_TEXT])
@pytest.mark.parametrize(
    ("text", "thought", "answer"),
    [
        ("<think>\nLet me see 東京\n</think>\n\nGood day", "Let me see 東京\n", "Good day"),
        ("\n <think>a</think>b", "a", "b"),
        ("<think></think>b", "", "b"),
        ("<think>never closed", "never closed", ""),
        ("just an answer", "", "just an answer"),
        ("  indented", "", "  indented"),
        ("<b>bold</b>", "", "<b>bold</b>"),
        ("<thi", "", "<thi"),
        ("", "", ""),
    ],
)
def test_reasoning_and_answer_are_told_apart(
    markers: Markers, text: str, thought: str, answer: str
) -> None:
    assert grow(text, markers)[:2] == (thought, answer)


@pytest.mark.parametrize("markers", [BY_ID, BY_TEXT])
def test_a_template_may_have_opened_the_reasoning(markers: Markers) -> None:
    text = "I think</think>\nso"
    assert grow(text, markers, thinking=True)[:2] == ("I think", "so")


@pytest.mark.parametrize("markers", [BY_ID, BY_TEXT])
def test_no_part_of_a_marker_is_ever_shown(markers: Markers) -> None:
    parts = grow("<think>a < b </thin and c</think>d <think", markers)[2]
    shown = "".join(parts)
    assert shown.replace("</thin and", "") == "a < b  cd <think"
    assert not any(part.startswith("</think") for part in parts)


def test_later_markers_change_nothing() -> None:
    assert grow("<think>a</think>b<think>c</think>d", BY_ID)[:2] == ("a", "bcd")


def test_stop_strings_do_not_count_inside_the_reasoning() -> None:
    assert grow("<think>a END b</think>c END d", BY_ID, stops=("END",))[:2] == ("a END b", "c ")


def test_without_markers_everything_is_the_answer() -> None:
    assert grow("<think>a", None)[:2] == ("", "<think>a")


def test_markers_are_known_from_vocabulary_or_template() -> None:
    assert BY_ID is not None and BY_ID.open_id == TOKENIZER.convert_tokens_to_ids("<think>")
    bare = ControlTokens(byte_level_tokenizer())
    bare.by_text.clear()
    assert find_markers(bare, CHATML) is None
    assert find_markers(bare, "{{ content.split('</think>')[-1] }}") == BY_TEXT


def test_a_reply_thinks_from_its_start_when_the_template_says_so(tmp_path: object) -> None:
    from pathlib import Path

    from .models import save_model
    from .running import GREEDY, engine_for, resumed, run

    assert isinstance(tmp_path, Path)
    folder = save_model(tmp_path, tokenizer=byte_level_tokenizer(CHATML_THINKING))
    engine, _ = engine_for(folder)
    task = Task("a", (Turn("user", "Hello"),), GREEDY)
    prepared = engine.add(task)
    engine.cancel("a")
    said = run(engine, task)["a"]
    assert said.reasoning == len(said.text) > 0
    assert all(piece.thinking for piece in said.pieces[:-1])
    again = run(engine, resumed(task, prepared, said, 10, 8))["a"]
    assert said.text[:8] + again.text == said.text
    assert again.reasoning == len(again.text)
    engine.close()


def test_a_character_that_databases_refuse_is_shown_as_none() -> None:
    """A byte-level vocabulary has a token for NUL, and a warm model may draw it."""
    assert grow("<think>a\0b</think>c\0d", BY_TEXT)[:2] == ("a\ufffdb", "c\ufffdd")
    assert grow("a\0b", None)[1] == "a\ufffdb"
