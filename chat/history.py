"""What was said before a turn: the path from the root of its conversation."""

from __future__ import annotations

from django.conf import settings

from chat.engine.base import Turn
from chat.models import Conversation, Generation


def path(conversation: Conversation) -> list[Generation]:
    """The turns a reader sees, first to newest: from the newest leaf up to its root."""
    rows = {row.pk: row for row in conversation.generations.order_by("id")}
    return _up(rows, max(rows, default=None))


def turns_before(row: Generation) -> tuple[Turn, ...]:
    """The chat that a generation answers: system text, earlier turns, its own prompt.

    Earlier replies come without their reasoning; a turn whose reply is empty is left out, so that
    speakers alternate as chat templates want it. A generation without a conversation brings its
    own list.
    """
    if row.turns is not None:
        return tuple(Turn(turn["role"], turn["text"]) for turn in row.turns)
    turns: list[Turn] = []
    if settings.CHATSITE_SYSTEM_PROMPT:
        turns.append(Turn("system", settings.CHATSITE_SYSTEM_PROMPT))
    rows = {
        other.pk: other
        for other in Generation.objects.filter(conversation=row.conversation_id).only(
            "id", "parent_id", "prompt", "reply", "reasoning_end"
        )
    }
    for earlier in _up(rows, row.parent_id):
        if answer := earlier.answer.strip():
            turns += [Turn("user", earlier.prompt), Turn("assistant", answer)]
    return (*turns, Turn("user", row.prompt))


def _up(rows: dict[int, Generation], leaf: int | None) -> list[Generation]:
    upwards: list[Generation] = []
    while leaf is not None and leaf in rows:
        upwards.append(rows[leaf])
        leaf = rows[leaf].parent_id
    return upwards[::-1]
