"""Chat turns to token ids by the model's own chat template, with typed text kept harmless."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import jinja2

from .base import PromptRefused, Turn
from .control_tokens import ControlTokens

# Private-use characters around typed text in a rendered template; removed from typed text.
_OPEN, _CLOSE, _BREAK = "\ue0f1", "\ue0f2", "\ue0f3"
_MARKS = re.compile(f"[{_OPEN}{_CLOSE}{_BREAK}]")

# For models without a template. ChatML as plain text, so the reply ends at a stop string.
DEFAULT_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n"
    "{{ message.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
DEFAULT_STOPS = ("<|im_end|>", "<|im_start|>")


@dataclass(frozen=True, slots=True)
class _Rendered:
    """A rendered template: what the template wrote and what was typed, alternating."""

    parts: tuple[tuple[bool, str], ...]  # (typed, text)

    def text(self) -> str:
        return "".join(text for _, text in self.parts)


class ChatTemplate:
    """One model's template with its tokenizer."""

    def __init__(self, tokenizer: Any, control: ControlTokens) -> None:
        self._tokenizer = tokenizer
        self._control = control
        self.source: str = _source(tokenizer)
        self.is_default = not self.source
        self._begin: list[int] = []
        if self.is_default:
            self._begin = [n for n in tokenizer("").input_ids if n == tokenizer.bos_token_id][:1]

    @property
    def stops(self) -> tuple[str, ...]:
        """Stop strings that the template needs, because it has no tokens that end a turn."""
        return DEFAULT_STOPS if self.is_default else ()

    def encode(self, turns: tuple[Turn, ...]) -> list[int]:
        """Ids of a prompt that asks for the next assistant turn.

        When typed text changes nothing about the control tokens, the prompt is encoded in one
        go, exactly as the model was trained; else typed parts are encoded apart.
        """
        rendered = self._render(turns, ask=True)
        whole = self._encode(rendered.text())
        parts = [
            self._control.encode_plain(text) if typed else self._encode(text)
            for typed, text in rendered.parts
        ]
        apart = [number for part in parts for number in part]
        same = self._control.among(whole) == self._control.among(apart)
        return self._begin + (whole if same else apart)

    def end_of_turn(self) -> int | None:
        """The control token that the template puts after an assistant's text, if it does."""
        try:
            turns = (Turn("user", "Hello"), Turn("assistant", "Hello"))
            *_, (typed, after) = self._render(turns, ask=False).parts
        except (PromptRefused, ValueError):
            return None
        first = self._encode(after.lstrip())[:1] if not typed else []
        return first[0] if self._control.among(first) else None

    def _encode(self, text: str) -> list[int]:
        return list(self._tokenizer.encode(text, add_special_tokens=False))

    def _render(self, turns: tuple[Turn, ...], ask: bool) -> _Rendered:
        try:
            return self._rendered(turns, ask)
        except jinja2.TemplateError:
            pass  # many templates know no system turn, or want strictly alternating ones
        try:
            return self._rendered(_alternating(turns), ask)
        except jinja2.TemplateError as error:
            raise PromptRefused("template_failed", cause=type(error).__name__) from None

    def _rendered(self, turns: tuple[Turn, ...], ask: bool) -> _Rendered:
        messages = [{"role": turn.role, "content": self._marked(turn.text)} for turn in turns]
        text = self._tokenizer.apply_chat_template(
            messages,
            chat_template=self.source or DEFAULT_TEMPLATE,
            tokenize=False,
            add_generation_prompt=ask,
        )
        return _Rendered(_parts(text))

    def _marked(self, typed: str) -> str:
        """Typed text between marks. Marks inside control texts keep the template's own logic
        (such as splitting at `</think>`) from seeing them."""
        typed = _MARKS.sub("", typed).strip("\n").rstrip()
        if self.is_default:  # here the borders of turns are plain text: typed ones must differ
            typed = typed.replace("<|im_", "<| im_")
        return f"{_OPEN}{self._control.broken(typed, _BREAK)}{_CLOSE}"


def _parts(text: str) -> tuple[tuple[bool, str], ...]:
    """Cut at the marks. Where a template tore a pair apart, what is in doubt counts as typed."""
    parts: list[tuple[bool, str]] = []
    inside = False
    for piece in re.split(f"([{_OPEN}{_CLOSE}])", text.replace(_BREAK, "")):
        if piece == _OPEN:
            inside = True
        elif piece == _CLOSE:
            if not inside and parts:
                parts[-1] = (True, parts[-1][1])
            inside = False
        elif piece:
            parts.append((inside, piece))
    return tuple(parts)


def _alternating(turns: tuple[Turn, ...]) -> tuple[Turn, ...]:
    """The system turn inside the first user turn, and neighbours of one role as one turn."""
    made: list[Turn] = []
    for turn in turns:
        role = "user" if turn.role == "system" else turn.role
        if made and made[-1].role == role:
            made[-1] = Turn(role, f"{made[-1].text}\n\n{turn.text}")
        else:
            made.append(Turn(role, turn.text))
    return tuple(made)


def _source(tokenizer: Any) -> str:
    """The template's text; of several named ones the one called "default"."""
    source = tokenizer.chat_template
    if isinstance(source, dict):
        source = source.get("default") or next(iter(source.values()), "")
    return source or ""
