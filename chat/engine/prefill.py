"""Finds out whether a server continues a final assistant message, or answers after it."""

from __future__ import annotations

from typing import Any, Literal

from .troubles import Trouble
from .upstream import FLAGS, Upstream, insist

Resume = Literal["auto", "prefill", "replay", "never"]


class Resuming:
    """How an answer that was begun goes on: `flags` if the server continues it (else None), and
    whether it may be asked again from the beginning (`replay`)."""

    def __init__(self, flags: dict[str, Any] | None = None, replay: bool = False) -> None:
        self.flags = flags
        self.replay = replay


async def find_resuming(upstream: Upstream, wanted: Resume) -> Resuming:
    """What the setting says; "auto" tries it out. Any trouble in that reads "does not continue"."""
    if wanted == "never":
        return Resuming()
    if wanted == "replay":
        return Resuming(replay=True)
    refused = False
    for flags in (FLAGS, {}):
        try:
            if await _continues(upstream, flags):
                return Resuming(flags)
        except Trouble:
            refused = refused or bool(flags)
    if wanted == "prefill":
        return Resuming({} if refused else FLAGS)
    return Resuming(replay=True)


async def _continues(upstream: Upstream, flags: dict[str, Any]) -> bool:
    """Whether nothing but the text itself is read when an answer has begun. Raises Trouble.

    A server that does not continue closes the answer and opens another one: it then reads those
    marks, too. The second "a" costs what the text alone costs.
    """
    empty = await insist(lambda: upstream.prompt_length("", {}))
    one = await insist(lambda: upstream.prompt_length("a", flags))
    two = await insist(lambda: upstream.prompt_length("a a", flags))
    return 0 < empty < one < two and one - empty == two - one
