"""What a worker may write to a generation, and what it writes: values, no database."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from chat.models import Generation


@dataclass(frozen=True, slots=True, order=True)
class Claim:
    """A worker's right to write a generation."""

    generation: int
    attempt: int


@dataclass(frozen=True, slots=True)
class Growth:
    """What a claimed reply gained since the last flush; `expected` is its stored length before.

    `known_ids` is how many token ids are stored before, since text may stand still while they
    grow; None is any number. With `whole`, text and ids are the entire reply and replace what is
    stored.
    """

    claim: Claim
    expected: int
    text: str
    ids: Sequence[int]
    reasoning_end: int
    whole: bool = False
    known_ids: int | None = None


@dataclass(frozen=True, slots=True)
class Preparation:
    """What an engine made of a claimed prompt: its token ids, and the reply's to start from."""

    claim: Claim
    prompt_ids: Sequence[int]
    reply_ids: Sequence[int]
    fingerprint: str
    dropped_turns: int


@dataclass(frozen=True, slots=True)
class Ending:
    """How a claimed generation ends: done or failed, and why."""

    claim: Claim
    state: str
    reason: str
    detail: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Batch:
    """What one slot has for one flush. `offset` is what readers have, `end` what they get.

    The first `reasoning` characters of `text` are reasoning; `staged` if the reply's first text
    is in it, or the first after its reasoning.
    """

    row: Generation
    preparation: Preparation | None
    growth: Growth | None
    ending: Ending | None
    offset: int
    text: str
    reasoning: int
    staged: bool
