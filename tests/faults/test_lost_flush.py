"""A database that forgets a flush behind the worker's back: the next write finds the hole."""

from __future__ import annotations

from typing import Any

import pytest

from chat.database import web
from chat.engine.base import Piece, Prepared
from chat.flusher import Flusher
from chat.models import Generation, State
from chat.slot import Slot
from tests.acts import Bench, fresh, say
from tests.cast import Cast
from tests.faults.conftest import Workers
from tests.listening import Listener
from tests.waiting import until

TEXT = "What the database forgot is written again, all of it and in its place. " * 8
FORGETTABLE = (
    "prompt_ids",
    "fingerprint",
    "reply",
    "reply_ids",
    "reply_end",
    "reasoning_end",
    "token_count",
    "claimed_tokens",
    "first_token_at",
)


async def remembered(pk: int) -> dict[str, Any]:
    """What a reply's row says now; storing it again later is what a lost flush is."""
    return await web(Generation.objects.filter(pk=pk).values(*FORGETTABLE).get)


async def forget(pk: int, since: dict[str, Any]) -> None:
    assert await web(Generation.objects.filter(pk=pk).update, **since) == 1


def is_whole(row: Generation, text: str) -> bool:
    same = [int(token) for token in row.reply_ids.split()] == list(map(ord, text))
    return row.reply == text and same and row.reply_end == row.token_count == len(text)


async def grown(row: Generation, end: int) -> bool:
    return (await fresh(row)).reply_end >= end


async def test_r28_what_was_rolled_back_behind_the_worker_s_back_is_written_whole(
    cast: Cast, bench: Bench, workers: Workers, figure: Any, caplog: Any
) -> None:
    await bench.set(limit=4, paused=True)  # nothing starts before somebody listens
    await workers.start(step_delay=0.01)
    async with Listener() as listener:
        rows = [await say(user, TEXT) for user in (cast.alice, cast.bob, cast.charlie)]
        await listener.join(*rows)
        await bench.set(paused=False)
        kept = [await remembered(row.pk) for row in rows]  # nothing prepared, perhaps not claimed
        for end in (50, 200):
            for row in rows:
                await until(lambda r=row, e=end: grown(r, e), "it grows")
            kept, before = [await remembered(row.pk) for row in rows], kept
            for row, old in zip(rows, before, strict=True):
                await forget(row.pk, old)
        for row in rows:
            await until(lambda r=row: is_done(r), "it is done", 30)
        shown = [listener.text(row) for row in rows]
    stored = [await fresh(row) for row in rows]
    whole = sum(is_whole(row, TEXT) and bool(row.prompt_ids) for row in stored)
    found = caplog.text.count("lost a flush")
    figure(
        f"R28 flushes rolled back behind the worker's back: found {found}, whole {whole}/3, "
        f"shown whole {sum(text == TEXT for text in shown)}/3"
    )
    assert whole == 3 and found >= 3 and [row.attempt for row in stored] == [1, 1, 1]


async def is_done(row: Generation) -> bool:
    return (await fresh(row)).state == State.DONE


class Written:
    """One slot and its flusher, without an engine."""

    def __init__(self, row: Generation, bench: Bench) -> None:
        self.slot = Slot.of(row, ())
        self.slots = {self.slot.key: self.slot}
        self.flusher = Flusher(self.slots, bench.db, lambda slot: self.slots.clear())

    async def flush(self, text: str = "", ids: tuple[int, ...] = (), end: str = "") -> None:
        if text or ids or end:
            self.slot.grow(Piece(self.slot.key, ids, text, end=end))
        while self.slots and self.slot.pending:
            await self.flusher.flush()


@pytest.fixture
async def written(cast: Cast, bench: Bench) -> Written:
    await say(cast.alice)
    (row,) = await bench.claim(await bench.worker())
    written = Written(row, bench)
    written.slot.prepare(Prepared(written.slot.key, (7, 8), (), "print", 2))
    await written.flush()
    return written


async def test_a_loss_that_only_the_end_could_notice_is_noticed(written: Written) -> None:
    pk = written.slot.row.pk
    before = await remembered(pk)
    await written.flush("abc", (97, 98, 99))
    await forget(pk, before)
    await written.flush(end="stop")
    stored = await fresh(written.slot.row)
    assert stored.state == State.DONE and is_whole(stored, "abc") and not written.slots


async def test_lost_ids_without_any_text_are_noticed(written: Written) -> None:
    pk = written.slot.row.pk
    before = await remembered(pk)
    await written.flush("", (240, 159))  # half a character
    await forget(pk, before)
    await written.flush("é", (233,))
    stored = await fresh(written.slot.row)
    assert stored.reply_ids.split() == ["240", "159", "233"]
    assert (stored.reply, stored.reply_end, stored.token_count) == ("é", 1, 3)


async def test_a_lost_prompt_is_stored_again(cast: Cast, bench: Bench, written: Written) -> None:
    row = written.slot.row
    await web(Generation.objects.filter(pk=row.pk).update, prompt_ids="", fingerprint="")
    before = await remembered(row.pk)
    await written.flush("a", (97,))
    await forget(row.pk, before)
    await written.flush("b", (98,))
    stored = await fresh(row)
    assert is_whole(stored, "ab") and (stored.prompt_ids, stored.fingerprint) == ("7 8", "print")
    assert stored.dropped_turns == 2
