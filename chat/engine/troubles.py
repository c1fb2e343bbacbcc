"""What can go wrong with a server that runs the model, and what may help. Knows no tasks."""

from __future__ import annotations

import re
from enum import Enum

import httpx2
import openai

_TOO_LONG = re.compile(
    r"context[ _](?:length|window|size)|maximum (?:context|model|prompt) len|max_model_len"
    r"|prompt is too long|input is too long|exceed_context|n_ctx",
    re.IGNORECASE,
)
LONGEST_PAUSE = 30.0
"""Seconds. A server that wants to be left alone for longer has no room."""


class Cure(Enum):
    """What may help after a trouble."""

    NONE = "none"
    LOOK = "look"  # is the server there at all? then once more
    TRY = "try"  # does it refuse everybody? if not, this request is the reason
    WAIT = "wait"  # it is busy: once more after a pause
    SHORTEN = "shorten"  # the prompt does not fit its window


class Trouble(Exception):
    """A request came to nothing: `reason` is a code, `detail` its parameters.

    `names` are parameters of the request that the server may not know, `pause` the seconds that
    it asks for. `reached` is whether the server may have begun to work on it.
    """

    def __init__(self, reason: str, cure: Cure, **detail: str | int | float) -> None:
        super().__init__(reason)
        self.reason = reason
        self.cure = cure
        self.detail = detail
        self.names: frozenset[str] = frozenset()
        self.pause = 0.0
        self.reached = True


def trouble_of(error: Exception, asked: frozenset[str] = frozenset()) -> Trouble:
    """What the client's error means for a request with the optional parameters `asked`.

    Errors' texts may quote a prompt: they are looked into, and never kept.
    """
    if isinstance(error, openai.APIStatusError):
        return _of_status(error, asked)
    if isinstance(error, openai.APIConnectionError):
        trouble = Trouble("upstream_cut", Cure.LOOK)
        trouble.reached = not isinstance(
            error.__cause__, httpx2.ConnectError | httpx2.ConnectTimeout | httpx2.PoolTimeout
        )
        return trouble
    if isinstance(error, openai.APIError):  # told in the stream
        if _TOO_LONG.search(_text(error)):
            return Trouble("upstream_too_long", Cure.SHORTEN)
        return Trouble("upstream_failed", Cure.LOOK, status=200)
    # What it sent is not what was agreed: no JSON, no choices, broken encoding.
    return Trouble("upstream_garbled", Cure.LOOK)


def _of_status(error: openai.APIStatusError, asked: frozenset[str]) -> Trouble:
    status = error.status_code
    if status == 429 or status == 503:
        trouble = Trouble("upstream_busy", Cure.WAIT, status=status)
        trouble.pause = _pause(error.response.headers.get("retry-after", ""))
        return trouble
    if status >= 500:
        return Trouble("upstream_failed", Cure.LOOK, status=status)
    if status in (401, 403, 404):
        return Trouble("upstream_refused", Cure.TRY, status=status)
    text = _text(error)
    if status in (400, 413, 422) and _TOO_LONG.search(text):
        return Trouble("upstream_too_long", Cure.SHORTEN)
    trouble = Trouble("upstream_refused", Cure.NONE, status=status)
    if status in (400, 422):
        trouble.names = frozenset(name for name in asked if re.search(rf"\b{name}\b", text))
    return trouble


def _text(error: openai.APIError) -> str:
    return f"{error.code} {error.param} {error.message} {error.body}"[:4_000]


def _pause(header: str) -> float:
    """Seconds of a Retry-After header; a date in it, or nonsense, is none."""
    try:
        return max(0.0, float(header))
    except ValueError:
        return 0.0
