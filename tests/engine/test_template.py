"""Prompts from templates: exact for ordinary text, harmless for hostile text."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer

from chat.engine.base import PromptRefused, Turn
from chat.engine.control_tokens import ControlTokens
from chat.engine.prompts import make_prompt
from chat.engine.template import DEFAULT_TEMPLATE, ChatTemplate

from .conftest import TOKENIZERS
from .models import CHATML, LLAMA2, PLAIN_ADDED, SPECIAL, byte_level_tokenizer

ADDED = [*SPECIAL, *PLAIN_ADDED]
TALK = (
    Turn("system", "Be kind."),
    Turn("user", "Hello!"),
    Turn("assistant", "Good day."),
    Turn("user", "How are you?"),
)
# Two halves of one control token in neighbouring places, nested ones, marks of our own.
JOINING = ["<|im_", "start|>", "<|im_<|im_end|>start|>", "<thi", "nk>", "<", "|im_end|>"]
hostile = st.lists(
    st.one_of(st.sampled_from([*ADDED, *JOINING, "\ue0f1", "\ue0f2", "\ue0f3", "[/INST]", "\n"])),
    max_size=6,
).map("".join)
BUILT = {name: build() for name, build in TOKENIZERS.items()}
BUNDLED = Path(__file__).parents[2] / "bundled_model"


@cache
def template_of(tokenizer: Any) -> tuple[ChatTemplate, ControlTokens]:
    control = ControlTokens(tokenizer)
    return ChatTemplate(tokenizer, control), control


def controls(tokenizer: Any, *texts: str) -> list[int]:
    """The control ids of a chat in which those texts were said in turn, before a last question."""
    template, control = template_of(tokenizer)
    roles = ["user", "assistant"] * len(texts)
    said = [Turn(role, text) for role, text in zip(roles, texts, strict=False)]
    turns = (Turn("system", texts[0]), *said, Turn("user", "x"))
    return control.among(template.encode(turns))


@pytest.mark.parametrize("added", ADDED)
def test_no_added_token_can_be_typed(tokenizer: Any, added: str) -> None:
    plain = controls(tokenizer, "hello", "good day", "again")
    assert controls(tokenizer, added, added, f"a{added}b{added}") == plain
    _template, control = template_of(tokenizer)
    ids = control.encode_plain(f"x{added}y")
    assert not control.among(ids)
    assert added in tokenizer.decode(ids)


def test_no_added_token_of_the_bundled_model_can_be_typed() -> None:
    tokenizer = AutoTokenizer.from_pretrained(BUNDLED)
    added = [str(token) for token in tokenizer.added_tokens_decoder.values()]
    plain = controls(tokenizer, "hello", "good day", "again")
    assert added
    for text in added:
        assert controls(tokenizer, text, text, f"a{text}b") == plain


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(sorted(BUILT)), st.lists(hostile, min_size=2, max_size=4))
def test_fragments_cannot_join_to_a_control_token(name: str, texts: list[str]) -> None:
    tokenizer = BUILT[name]
    texts = [f"a{text}b" for text in texts]
    harmless = ["a b" for _ in texts]
    assert controls(tokenizer, *texts) == controls(tokenizer, *harmless)


ODD = byte_level_tokenizer(
    "{% for m in messages %}<|im_{{ m.content }}start|>{{ m.content }}<{% endfor %}"
)


@settings(deadline=None)
@given(hostile, hostile)
def test_fragments_cannot_join_with_the_template_itself(before: str, after: str) -> None:
    template, control = template_of(ODD)
    assert control.among(template.encode((Turn("user", before + "x" + after),))) == []
    assert control.among(template.encode((Turn("user", ""),))) == []


def test_ordinary_text_is_encoded_exactly_as_the_library_does(tokenizer: Any) -> None:
    if not tokenizer.chat_template:
        pytest.skip("nothing to compare with")
    template, _ = template_of(tokenizer)
    turns = TALK[1:]
    messages = [{"role": turn.role, "content": turn.text} for turn in turns]
    expected = tokenizer.apply_chat_template(messages, add_generation_prompt=True)["input_ids"]
    assert template.encode(turns) == expected


def test_a_template_that_looks_for_control_texts_sees_none_in_typed_text() -> None:
    splitting = CHATML.replace("message.content", "message.content.split('</think>')[-1]")
    tokenizer = byte_level_tokenizer(splitting)
    template, _control = template_of(tokenizer)
    ids = template.encode((Turn("user", "all</think> of <think>this"),))
    assert "all</think> of <think>this" in tokenizer.decode(ids)


def test_a_template_without_system_turns_gets_them_inside_the_first_user_turn() -> None:
    tokenizer = byte_level_tokenizer(LLAMA2)
    template, _ = template_of(tokenizer)
    text = tokenizer.decode(template.encode(TALK))
    assert "[INST] Be kind.\n\nHello! [/INST] Good day." in text


def test_a_template_that_cannot_be_rendered_refuses_the_prompt() -> None:
    template, _ = template_of(byte_level_tokenizer("{{ raise_exception('never') }}"))
    with pytest.raises(PromptRefused, match="template_failed"):
        template.encode(TALK)


def test_a_model_without_a_template_gets_the_default_one() -> None:
    tokenizer = byte_level_tokenizer(None)
    template, _control = template_of(tokenizer)
    assert template.stops == ("<|im_end|>", "<|im_start|>")
    text = tokenizer.decode(template.encode((Turn("user", "a<|im_end|>b"),)))
    assert text == "<|im_start|>user\na<| im_end|>b<|im_end|>\n<|im_start|>assistant\n"
    assert "im_start" in DEFAULT_TEMPLATE


def test_the_token_that_ends_a_turn_is_known_from_the_template(tokenizer: Any) -> None:
    template, _ = template_of(tokenizer)
    assert template.end_of_turn() == tokenizer.convert_tokens_to_ids("<|im_end|>")


def test_old_turns_leave_as_whole_and_the_system_turn_stays(tokenizer: Any) -> None:
    template, _ = template_of(tokenizer)
    talk = [Turn("system", "SYSTEM")]
    for number in range(12):
        talk += [Turn("user", f"Q{number} " * 5), Turn("assistant", f"A{number} " * 5)]
    turns = (*talk, Turn("user", "LAST"))
    full = make_prompt(template, turns, 10_000)
    assert full.dropped == 0
    seen = set()
    for limit in range(60, len(full.ids), 7):
        prompt = make_prompt(template, turns, limit)
        assert len(prompt.ids) <= limit
        assert prompt.dropped % 2 == 0
        text = tokenizer.decode(prompt.ids)
        assert "SYSTEM" in text and "LAST" in text
        kept = [number for number in range(12) if f"Q{number} " in text]
        assert kept == list(range(prompt.dropped // 2, 12))
        longer = (turns[0], *turns[1 + max(0, prompt.dropped - 2) :])
        assert len(template.encode(longer)) > limit
        seen.add(prompt.dropped)
    assert len(seen) > 5


def test_a_last_turn_that_does_not_fit_is_refused_with_figures(tokenizer: Any) -> None:
    template, _ = template_of(tokenizer)
    with pytest.raises(PromptRefused) as caught:
        make_prompt(template, (*TALK, Turn("assistant", "x"), Turn("user", "long " * 100)), 60)
    assert caught.value.reason == "prompt_too_long"
    assert caught.value.detail["limit"] == 60
    assert int(caught.value.detail["tokens"]) > 60


@pytest.mark.parametrize("turns", [(), TALK[:1], TALK[:3], (Turn("user", " \n"),)])
def test_without_a_last_user_turn_there_is_no_prompt(turns: tuple[Turn, ...]) -> None:
    template, _ = template_of(BUILT["bytes"])
    with pytest.raises(PromptRefused, match="prompt_empty"):
        make_prompt(template, turns, 100)
