"""A generation as a reader sees it: the row, its blocks and its stage, as one frame."""

from __future__ import annotations

from chat.frames import Snapshot, Stage
from chat.live import LiveReply, rendered
from chat.models import Generation
from chat.words import stage


def finished(row: Generation, said: Stage | None = None) -> Snapshot:
    """The snapshot of a reply that grows no more, or of one nobody watches grow."""
    return Snapshot(
        generation=row.pk,
        parent=row.parent_id,
        prompt=row.prompt,
        stage=said or stage(row),
        end=row.reply_end,
        reasoning=row.reply[: row.reasoning_end],
        blocks=rendered(row.answer, row.reasoning_end),
        final=row.ended,
    )


async def growing(row: Generation, reply: LiveReply, said: Stage) -> Snapshot:
    """The snapshot of a running reply: as far as `reply` was told, which is what deltas go on."""
    end, reasoning, blocks, opened = await reply.shown()
    return Snapshot(
        generation=row.pk,
        parent=row.parent_id,
        prompt=row.prompt,
        stage=said,
        end=end,
        reasoning=reasoning,
        blocks=blocks,
        open=opened,
        final=False,
    )
