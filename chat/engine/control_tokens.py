"""Control tokens: what a template may write and no typed text may become.

Every added token counts, not only the "special" ones: `<think>` and `<tool_call>` are often plain
added tokens, and a typed one would steer the model just the same.
"""

from __future__ import annotations

import json
import re
from typing import Any

import tokenizers


class ControlTokens:
    """The control tokens of one tokenizer, and the encoding of text in which none can occur."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        added = {number: str(token) for number, token in tokenizer.added_tokens_decoder.items()}
        # Gemma adds runs of line ends and blanks as tokens: ordinary text
        self.by_id = {n: text for n, text in added.items() if text.replace("▁", " ").strip()}
        self.ids = frozenset(self.by_id)
        self.by_text = {text: number for number, text in self.by_id.items()}
        self._plain = _without_added_tokens(tokenizer)
        longer = sorted((text for text in self.by_text if len(text) > 1), key=len, reverse=True)
        self._occurrence = (
            re.compile(f"(?=({'|'.join(map(re.escape, longer))}))") if longer else None
        )

    def among(self, ids: list[int]) -> list[int]:
        """The control tokens in a list of ids, in order."""
        return [number for number in ids if number in self.ids]

    def broken(self, text: str, mark: str) -> str:
        """`text` with a mark inside every occurrence of a control token's text, nested ones too."""
        if self._occurrence is None:
            return text
        cuts = [found.start() + 1 for found in self._occurrence.finditer(text)]
        parts = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
        return mark.join(parts)

    def encode_plain(self, text: str) -> list[int]:
        """Ids of a text without any control token, whatever the text spells."""
        ids = self._encode_once(text)
        if self.among(ids) and len(text) > 1:
            # a vocabulary that holds a control token's text as an ordinary word, too
            half = len(text) // 2
            return self.encode_plain(text[:half]) + self.encode_plain(text[half:])
        return [number for number in ids if number not in self.ids]

    def _encode_once(self, text: str) -> list[int]:
        if self._plain is not None:
            return list(self._plain.encode(text, add_special_tokens=False).ids)
        encoded = self._tokenizer.encode(text, add_special_tokens=False, split_special_tokens=True)
        return list(encoded)


def _without_added_tokens(tokenizer: Any) -> tokenizers.Tokenizer | None:
    """A copy of a fast tokenizer that has never heard of added tokens."""
    backend = getattr(tokenizer, "_tokenizer", None)
    if backend is None:
        return None
    description = json.loads(backend.to_str())
    description["added_tokens"] = []
    description["post_processor"] = None
    description["truncation"] = description["padding"] = None
    try:
        return tokenizers.Tokenizer.from_str(json.dumps(description))
    except Exception:  # the library raises bare Exceptions; the other way works for all
        return None
