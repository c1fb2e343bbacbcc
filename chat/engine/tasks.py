"""Turns a task into what the batch can run: checks it, makes its prompt, replays its reply."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from .base import Piece, PromptRefused, Sampling, Task
from .bounds import check_sampling
from .control_tokens import ControlTokens
from .detokenizer import Vocabulary
from .hardware import Room
from .prompts import make_prompt
from .reasoning import find_markers
from .reply import Grown, ReplyText
from .template import ChatTemplate

_TAIL = 16  # tokens of a prompt in which a template opens the reasoning


@dataclass(slots=True)
class Start:
    """Where a reply goes on: ids so far, its text's state, and what is left to say and to do."""

    prompt_ids: list[int]
    reply_ids: list[int]
    dropped_turns: int
    text: ReplyText
    owed: Grown
    remaining: int
    end: str

    def piece(self, key: str) -> Piece:
        """The text that stored ids stand for and the stored text lacks."""
        thinking = self.text.thinking and not self.end
        return Piece(key, (), self.owed.text, self.owed.reasoning, thinking, self.end)


class TaskMaker:
    """Knows one model's tokenizer, template, end tokens and limits."""

    def __init__(self, tokenizer: Any, model: Any, room: Room) -> None:
        self._control = ControlTokens(tokenizer)
        self._template = ChatTemplate(tokenizer, self._control)
        self._vocabulary = Vocabulary(tokenizer)
        self._decode = tokenizer.decode
        self._markers = find_markers(self._control, self._template.source)
        self._window = room.context_length
        self.vocabulary_size: int = model.config.get_text_config().vocab_size
        self.ends = _end_tokens(tokenizer, model, self._template)
        self._silent = frozenset(tokenizer.all_special_ids) | set(self.ends)
        self.fingerprint = ""

    @property
    def template_source(self) -> str:
        """The chat template's text."""
        return self._template.source

    def start(self, task: Task) -> Start:
        """Check a task and find where it goes on. Raises PromptRefused."""
        sampling = task.sampling
        check_sampling(sampling)
        dropped = 0
        same = task.prompt_ids is not None and task.fingerprint == self.fingerprint
        if same and task.prompt_ids is not None:
            prompt = list(task.prompt_ids)
        else:
            room = self._window - min(sampling.max_new_tokens, self._window // 4)
            made = make_prompt(self._template, task.turns, room)
            prompt, dropped = made.ids, made.dropped
        text = self._reply_text(sampling, prompt)
        reply, owed = self._replayed(task, text) if same else (None, Grown())
        if reply is None:
            text = self._reply_text(sampling, prompt)
            reply, owed = self._encoded(task, text)
        self._check_ids(prompt, reply)
        limit = min(sampling.max_new_tokens, self._window - len(prompt))
        start = Start(prompt, reply, dropped, text, owed, limit - len(reply), "")
        self._end_at_once(start)
        return start

    def _end_at_once(self, start: Start) -> None:
        """A resumed reply may have reached its end before its last flush."""
        if start.text.stopped:
            start.end = "stop"
        elif start.remaining <= 0:
            last = start.text.flush()
            start.owed.text += last.text
            start.owed.reasoning += last.reasoning
            start.end = "length"

    def _reply_text(self, sampling: Sampling, prompt: list[int]) -> ReplyText:
        return ReplyText(
            self._vocabulary.detokenizer(),
            self._silent,
            sampling.stop + self._template.stops,
            self._markers,
            self._opens_reasoning(prompt),
        )

    def _opens_reasoning(self, prompt: list[int]) -> bool:
        """Whether the prompt ends with an opening marker, so that the reply starts thinking."""
        if self._markers is None:
            return False
        tail = self._decode(prompt[-_TAIL:], skip_special_tokens=False).rstrip()
        return bool(tail.endswith(self._markers.open))

    def _replayed(self, task: Task, text: ReplyText) -> tuple[list[int] | None, Grown]:
        """The stored ids, if they say what is stored; and what they say beyond it."""
        shown, reasoning = _push_all(text, task.reply_ids)
        if not shown.startswith(task.reply_text):
            return None, Grown()
        stored = len(task.reply_text)
        return list(task.reply_ids), Grown(shown[stored:], max(0, reasoning - stored))

    def _encoded(self, task: Task, text: ReplyText) -> tuple[list[int], Grown]:
        """The stored text as ids of this model; what they lack of it is shown already."""
        if not task.reply_text:
            return [], Grown()
        thought, said = task.reply_text[: task.reasoning_end], task.reply_text[task.reasoning_end :]
        encode = self._control.encode_plain
        ids: list[int] = []
        markers = self._markers
        if thought and markers is not None:
            ids += [] if text.thinking else self._marker(markers.open, markers.open_id)
            ids += encode(thought)
            ids += self._marker(markers.close, markers.close_id) if said else []
        elif markers is not None and text.thinking and said:
            ids += self._marker(markers.close, markers.close_id)
        ids += encode(said) if markers is not None and thought else encode(task.reply_text)
        shown, reasoning = _push_all(text, ids)
        if not shown.startswith(task.reply_text):
            return ids, Grown()
        stored = len(task.reply_text)
        return ids, Grown(shown[stored:], max(0, reasoning - stored))

    def _marker(self, text: str, number: int | None) -> list[int]:
        return [number] if number is not None else self._control.encode_plain(text)

    def _check_ids(self, prompt: list[int], reply: list[int]) -> None:
        if not prompt:
            raise PromptRefused("prompt_empty")
        if not all(0 <= number < self.vocabulary_size for number in (*prompt, *reply)):
            raise PromptRefused("token_out_of_range")
        if len(prompt) >= self._window:
            raise PromptRefused("prompt_too_long", tokens=len(prompt), limit=self._window - 1)


def _push_all(text: ReplyText, ids: Iterable[int]) -> tuple[str, int]:
    """All that a reply's ids show, and how many characters of it are reasoning."""
    grown = [text.push(number) for number in ids]
    return "".join(part.text for part in grown), sum(part.reasoning for part in grown)


def _end_tokens(tokenizer: Any, model: Any, template: ChatTemplate) -> list[int]:
    """Every token that ends a reply: what the files say, and what the template says."""
    found: set[int] = set()
    for source in (tokenizer, model.generation_config, model.config):
        ids = getattr(source, "eos_token_id", None)
        found.update([ids] if isinstance(ids, int) else ids or [])
    if (end := template.end_of_turn()) is not None:
        found.add(end)
    return sorted(number for number in found if number >= 0)
