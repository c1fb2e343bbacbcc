"""Text grows by whole characters, and its parts make the whole."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from chat.engine.detokenizer import Vocabulary

from .models import byte_level_tokenizer, sentencepiece_like_tokenizer

KINDS = [byte_level_tokenizer(), sentencepiece_like_tokenizer()]
TEXTS = [
    "こんにちは世界。東京都に行きます。",
    "👩‍👩‍👧‍👦 family, 🇯🇵 flag, 👍🏽 thumb, é combining",
    "  leading and   many spaces \n\n\ttabs \r\n",
    "Ünïcödé ½ → ∞ 한국어 العربية हिन्दी",
    "def f(x):\n    return {'a': [1, 2]}\n",
    "\ufffd is a character, too",
]
some_text = st.one_of(
    st.sampled_from(TEXTS),
    st.text(st.characters(codec="utf-8"), max_size=40),
    st.text(st.sampled_from("東京🎉👩‍ é\u3042 ab\n"), max_size=40),
)


def tokens_of(tokenizer: Any, text: str, cuts: list[int]) -> list[int]:
    """Ids of a text that was cut anywhere, even inside what is usually one token."""
    at = sorted({cut % (len(text) + 1) for cut in cuts})
    parts = [text[a:b] for a, b in zip([0, *at], [*at, len(text)], strict=True)]
    encode = tokenizer._tokenizer.encode
    return [n for part in parts for n in encode(part, add_special_tokens=False).ids]


@given(st.sampled_from(KINDS), some_text, st.lists(st.integers(0, 100), max_size=5))
def test_text_in_parts_is_the_whole_text(tokenizer: Any, text: str, cuts: list[int]) -> None:
    ids = tokens_of(tokenizer, text, cuts)
    growing = Vocabulary(tokenizer).detokenizer()
    parts = [growing.push(number) for number in ids]
    last = growing.flush()
    whole = tokenizer._tokenizer.decode(ids, skip_special_tokens=False)
    assert "".join(parts) + last == whole
    if "\ufffd" not in whole:
        assert last == ""
        assert not any("\ufffd" in part for part in parts)


@given(st.sampled_from(KINDS), st.lists(st.integers(0, 1023), max_size=60))
def test_broken_bytes_never_stop_the_text_for_long(tokenizer: Any, ids: list[int]) -> None:
    growing = Vocabulary(tokenizer).detokenizer()
    silent = 0
    for number in ids:
        silent = 0 if growing.push(number) else silent + 1
        assert silent < 8 or not tokenizer._tokenizer.decode([number], skip_special_tokens=False)
    growing.flush()
    assert growing.flush() == ""


def test_japanese_and_emoji_appear_character_by_character() -> None:
    for tokenizer in KINDS:
        growing = Vocabulary(tokenizer).detokenizer()
        parts = [growing.push(n) for n in tokens_of(tokenizer, "東京🎉へ", [])]
        assert "".join(parts) == "東京🎉へ"
        assert all(part == "" or part.isprintable() for part in parts)


def test_an_id_beyond_the_tokenizer_has_no_text() -> None:
    for tokenizer in KINDS:
        growing = Vocabulary(tokenizer).detokenizer()
        assert growing.push(5000) == ""
