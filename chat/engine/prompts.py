"""Makes a prompt that fits the window: old turns go first, whole ones only."""

from __future__ import annotations

from dataclasses import dataclass

from .base import PromptRefused, Turn
from .template import ChatTemplate

_DENSEST = 32  # characters per token; text denser than this is not met, so older turns cannot fit


@dataclass(frozen=True, slots=True)
class Prompt:
    """A prompt's ids, and how many old turns were left out of it."""

    ids: list[int]
    dropped: int


def make_prompt(template: ChatTemplate, turns: tuple[Turn, ...], limit: int) -> Prompt:
    """The longest end of a chat that fits into `limit` tokens, with its system turns.

    What is kept begins with a user's turn. Raises PromptRefused: "prompt_empty" without a last
    user turn, "prompt_too_long" (tokens, limit) when that one does not fit by itself.
    """
    turns = tuple(turn for turn in turns if turn.text.strip())
    lead = 0
    while lead < len(turns) and turns[lead].role == "system":
        lead += 1
    system, talk = turns[:lead], turns[lead:]
    if not talk or talk[-1].role != "user":
        raise PromptRefused("prompt_empty")
    starts = [at for at, turn in enumerate(talk) if turn.role == "user"]
    possible = [at for at in starts if _characters(talk[at:]) <= limit * _DENSEST] or starts[-1:]
    ids = template.encode(system + talk[possible[0] :])
    if len(ids) <= limit:
        return Prompt(ids, possible[0])
    return _shortened(template, system, talk, possible, limit)


def _shortened(
    template: ChatTemplate,
    system: tuple[Turn, ...],
    talk: tuple[Turn, ...],
    starts: list[int],
    limit: int,
) -> Prompt:
    """Search by halving for the first start whose rest fits; the first of `starts` does not."""
    fits: Prompt | None = None
    low, high = 1, len(starts) - 1
    shortest = template.encode(system + talk[starts[-1] :])
    if len(shortest) > limit:
        raise PromptRefused("prompt_too_long", tokens=len(shortest), limit=limit)
    while low <= high:
        middle = (low + high) // 2
        ids = template.encode(system + talk[starts[middle] :])
        if len(ids) <= limit:
            fits, high = Prompt(ids, starts[middle]), middle - 1
        else:
            low = middle + 1
    return fits or Prompt(shortest, starts[-1])


def _characters(turns: tuple[Turn, ...]) -> int:
    return sum(len(turn.text) for turn in turns)
