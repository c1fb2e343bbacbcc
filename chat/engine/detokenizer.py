"""Token ids to text as they come: never half a character, at a constant cost per token."""

from __future__ import annotations

import codecs
import json
from collections.abc import Callable
from typing import Any, Protocol

_HALF = "\ufffd"  # what decoders show for bytes that are no whole character
_LONGEST_WAIT = 8  # tokens; a character has at most 4 bytes, so longer waits are broken text


class Detokenizer(Protocol):
    """Turns one token after the other into text that only ever grows."""

    def push(self, token: int) -> str:
        """The text that is certain now; "" while a character is unfinished."""

    def flush(self) -> str:
        """What is left at the end: broken bytes as replacement characters."""


class ByteDetokenizer:
    """For byte-level vocabularies: every token is a fixed run of bytes."""

    __slots__ = ("_bytes", "_decode")

    def __init__(self, token_bytes: list[bytes]) -> None:
        self._bytes = token_bytes
        self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode

    def push(self, token: int) -> str:
        known = token < len(self._bytes)  # models often have more rows than their tokenizer names
        return self._decode(self._bytes[token]) if known else ""

    def flush(self) -> str:
        return self._decode(b"", True)


class WindowDetokenizer:
    """For all other vocabularies: decodes the last few tokens with and without the newest.

    The difference is the new text, whatever the decoder does with spaces at the start.
    """

    __slots__ = ("_before", "_decode", "_new")

    def __init__(self, tokenizer: Any) -> None:
        self._decode = _plain_decode(tokenizer)
        self._before: list[int] = []
        self._new: list[int] = []

    def push(self, token: int) -> str:
        self._new.append(token)
        return self._take(force=len(self._new) >= _LONGEST_WAIT)

    def flush(self) -> str:
        return self._take(force=True)

    def _take(self, force: bool) -> str:
        shown = self._decode(self._before) if self._before else ""
        text = self._decode(self._before + self._new)
        if not force and (len(text) <= len(shown) or text.endswith(_HALF)):
            return ""
        if self._new:
            self._before, self._new = self._new, []
        return text[len(shown) :]


class Vocabulary:
    """Makes detokenizers for one tokenizer."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self._bytes = _bytes_of_tokens(tokenizer)

    def detokenizer(self) -> Detokenizer:
        """A fresh one, for one reply."""
        if self._bytes is not None:
            return ByteDetokenizer(self._bytes)
        return WindowDetokenizer(self._tokenizer)


def _plain_decode(tokenizer: Any) -> Callable[[list[int]], str]:
    """Decoding without special treatment of any kind; by the fast tokenizer if there is one."""
    backend = getattr(tokenizer, "_tokenizer", None)
    if backend is not None:
        return lambda ids: backend.decode(ids, skip_special_tokens=False)
    return lambda ids: tokenizer.decode(
        ids, skip_special_tokens=False, clean_up_tokenization_spaces=False
    )


def _bytes_of_tokens(tokenizer: Any) -> list[bytes] | None:
    """The bytes of every token, by id, if the vocabulary is a byte-level one."""
    backend = getattr(tokenizer, "_tokenizer", None)
    if backend is None:
        return None
    description = json.loads(backend.to_str())
    if (description.get("decoder") or {}).get("type") != "ByteLevel":
        return None
    alphabet = {letter: byte for byte, letter in _byte_alphabet().items()}
    added = {token["id"]: token["content"] for token in description["added_tokens"]}
    vocabulary = backend.get_vocab(with_added_tokens=True)
    table = [b""] * (max(vocabulary.values(), default=-1) + 1)
    for token, number in vocabulary.items():
        if number in added or not all(letter in alphabet for letter in token):
            table[number] = added.get(number, token).encode()
        else:
            table[number] = bytes(alphabet[letter] for letter in token)
    return table


def _byte_alphabet() -> dict[int, str]:
    """The letters that byte-level vocabularies write bytes with (GPT-2)."""
    shown = [*range(33, 127), *range(161, 173), *range(174, 256)]
    letters = {byte: chr(byte) for byte in shown}
    hidden = (byte for byte in range(256) if byte not in letters)
    letters.update({byte: chr(256 + count) for count, byte in enumerate(hidden)})
    return letters
