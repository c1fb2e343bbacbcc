"""Turns of a chat as messages for a server that applies the chat template itself."""

from __future__ import annotations

import re
from typing import Any

from .base import PromptRefused, Turn

_JOINER = "\u2060"  # takes no room and breaks no line
_CONTROL = re.compile(
    r"<(?=[|｜][^<>\s]{1,40}[|｜]>)"
    r"|<(?=/?(?:s|bos|eos|pad|unk|start_of_turn|end_of_turn|think|thinking|tool_call)>)"
    r"|<(?=</?SYS>>)"
    r"|\[(?=/?(?:INST|THINK|SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_CALLS|TOOL_RESULTS)\])"
)
"""What control tokens look like. The server's tokenizer is not ours to ask, and it reads them
wherever they stand, so text of people and models gets a mark inside of each."""


def inert(text: str) -> str:
    """`text` in which nothing is spelled like a control token that is in common use."""
    return _CONTROL.sub(lambda met: met[0] + _JOINER, text)


def messages_of(turns: tuple[Turn, ...], dropped: int, begun: str = "") -> list[dict[str, Any]]:
    """The chat without `dropped` turns after the system's, and the answer that was begun."""
    lead, talk = split(turns)
    made = [{"role": turn.role, "content": turn.text} for turn in lead]
    made += [{"role": turn.role, "content": inert(turn.text)} for turn in talk[dropped:]]
    if begun:
        made.append({"role": "assistant", "content": inert(begun)})
    return made


def split(turns: tuple[Turn, ...]) -> tuple[tuple[Turn, ...], tuple[Turn, ...]]:
    """The system's turns, and the talk; raises PromptRefused without a last user turn."""
    turns = tuple(turn for turn in turns if turn.text.strip())
    lead = next((at for at, turn in enumerate(turns) if turn.role != "system"), len(turns))
    if lead == len(turns) or turns[-1].role != "user":
        raise PromptRefused("prompt_empty")
    return turns[:lead], turns[lead:]


def drop_more(turns: tuple[Turn, ...], dropped: int) -> int:
    """How many turns to drop when `dropped` were too few: half of the rest, up to a user's turn.

    The same number when only the last turn is left.
    """
    talk = split(turns)[1]
    starts = [at for at, turn in enumerate(talk) if turn.role == "user" and at > dropped]
    half = dropped + (len(talk) - dropped) / 2
    return next((at for at in starts if at >= half), starts[-1] if starts else dropped)
