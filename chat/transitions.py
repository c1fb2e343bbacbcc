"""Sets and transitions of generations: the only SQL that changes a generation's row.

Every transition is one conditional UPDATE whose row count says whether it happened. None of them
tells anybody; chat/generation_queue.py does.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.db import connection, models
from django.db.models import F

from chat.claims import Claim, Growth

if TYPE_CHECKING:
    from chat.models import Generation, Queue, Worker

ENDED = ("done", "failed", "cancelled")
MAX_STRIKES = 3


class GenerationQuerySet(models.QuerySet["Generation"]):
    """Names the sets of generations and changes their rows."""

    # -- sets ----------------------------------------------------------------------------------

    def waiting(self) -> GenerationQuerySet:
        return self.filter(state="waiting")

    def running(self) -> GenerationQuerySet:
        return self.filter(state="running")

    def unfinished(self) -> GenerationQuerySet:
        return self.filter(state__in=("waiting", "running"))

    def in_order(self) -> GenerationQuerySet:
        """The order in which the waiting ones are served."""
        return self.order_by("-priority", "turn", "id")

    def eligible(self, queue: Queue, most: int, full: Sequence[int]) -> list[Generation]:
        """The first `most` that a claim may take, in order: waiting, the parent has ended, and the
        author is not one of those at the cap, `full`.

        Plain SQL, as all that a claim does: the ORM took three times as long to write it down. The
        authors are named, not asked for in a subquery, for which SQLite walks a whole index; the
        parent is asked for in one, and not joined: PostgreSQL would join all that wait, then sort.
        """
        others = f"AND one.author_id NOT IN ({','.join(map(str, full))})" if full else ""
        sql = f"""
            SELECT one.* FROM chat_generation one
            WHERE one.state = 'waiting' AND one.queue_id = %s {others}
            AND (one.parent_id IS NULL OR (
                SELECT parent.state FROM chat_generation parent WHERE parent.id = one.parent_id
            ) IN {ENDED})
            ORDER BY one.priority DESC, one.turn, one.id LIMIT %s
        """
        return list(self.model.objects.raw(sql, (queue.pk, most)))

    def emptied(self) -> GenerationQuerySet:
        """What is left of deleted conversations."""
        return self.filter(conversation=None, turns__isnull=True)

    def claimed(self, claim: Claim) -> GenerationQuerySet:
        """The row of a claim, as long as the claim holds."""
        return self.running().filter(pk=claim.generation, attempt=claim.attempt)

    # -- transitions ---------------------------------------------------------------------------

    def claim(self, pk: int, worker: Worker, now: datetime) -> bool:
        """waiting → running. The caller holds the queue's lock and has checked the limit."""
        sql = """
            UPDATE chat_generation
            SET state = 'running', worker_id = %s, attempt = attempt + 1, claimed_at = %s,
                claimed_tokens = token_count, reason = '', detail = '{}'
            WHERE id = %s AND state = 'waiting'
        """
        return _changed(sql, worker.pk, connection.ops.adapt_datetimefield_value(now), pk)

    def prepare(
        self, claim: Claim, prompt_ids: str, reply_ids: str, fingerprint: str, dropped: int
    ) -> bool:
        """Store what the engine made of the prompt, before its first token."""
        return bool(
            self.claimed(claim).update(
                prompt_ids=prompt_ids,
                reply_ids=reply_ids,
                token_count=len(reply_ids.split()),
                claimed_tokens=len(reply_ids.split()),
                fingerprint=fingerprint,
                dropped_turns=dropped,
            )
        )

    def append(self, growth: Growth, now: datetime) -> bool:
        """Add text and token ids to a claimed reply that still has the expected length.

        Plain SQL, since it runs twenty times a second for every reply; the same on SQLite and
        PostgreSQL. Any stored token takes away the strikes.
        """
        ids = "".join(f" {token}" for token in growth.ids)
        if growth.whole:
            reply, reply_ids, count = "%s", "%s", "%s"
        else:
            reply, reply_ids = "reply || %s", "reply_ids || %s"
            count = "token_count + %s"
        sql = f"""
            UPDATE chat_generation
            SET reply = {reply}, reply_ids = {reply_ids}, token_count = {count},
                reply_end = %s, reasoning_end = %s, strikes = CASE WHEN %s THEN 0 ELSE strikes END,
                first_token_at = COALESCE(first_token_at, %s)
            WHERE id = %s AND attempt = %s AND state = 'running' AND reply_end = %s
                AND token_count = COALESCE(%s, token_count)
        """
        end = len(growth.text) if growth.whole else growth.expected + len(growth.text)
        values: tuple[Any, ...] = (
            growth.text,
            ids,
            len(growth.ids),
            end,
            growth.reasoning_end,
            bool(growth.ids),
            connection.ops.adapt_datetimefield_value(now),
            growth.claim.generation,
            growth.claim.attempt,
            growth.expected,
            growth.known_ids,
        )
        return _changed(sql, *values)

    def end(
        self, claim: Claim, state: str, reason: str, detail: dict[str, Any], now: datetime
    ) -> bool:
        """running → done or failed, if the claim still holds."""
        sql = """
            UPDATE chat_generation
            SET state = %s, reason = %s, detail = %s, ended_at = %s, worker_id = NULL
            WHERE id = %s AND attempt = %s AND state = 'running'
        """
        at = connection.ops.adapt_datetimefield_value(now)
        values = (state, reason, json.dumps(detail), at, claim.generation, claim.attempt)
        return _changed(sql, *values)

    def release(self, claim: Claim) -> bool:
        """running → waiting, politely: its place in the order is the old one."""
        return bool(self.claimed(claim).update(state="waiting", worker=None))

    def strike(self, claim: Claim, now: datetime) -> str:
        """Count an engine's death against a claim that had gained no token; returns the state.

        The third strike fails the generation. "" if the claim is lost.
        """
        mine = self.claimed(claim)
        mine.filter(token_count=F("claimed_tokens")).update(strikes=F("strikes") + 1)
        mine.update(claimed_tokens=F("token_count"))
        dead = self.claimed(claim).filter(strikes__gte=MAX_STRIKES)
        if dead.update(
            state="failed",
            reason="engine_died",
            detail={"strikes": MAX_STRIKES},
            ended_at=now,
            worker=None,
        ):
            return "failed"
        return "running" if self.claimed(claim).exists() else ""

    def cancel(self, pk: int, reason: str, detail: dict[str, Any], now: datetime) -> bool:
        """waiting or running → cancelled; the partial reply stays."""
        return bool(
            self.unfinished()
            .filter(pk=pk)
            .update(state="cancelled", reason=reason, detail=detail, ended_at=now, worker=None)
        )

    def empty(self, now: datetime) -> None:
        """Stop these and forget every word of them; what counts for pace and turns stays.

        The caller has locked them, and deletes their conversation.
        """
        self.unfinished().update(state="cancelled", reason="stopped", ended_at=now, worker=None)
        self.update(
            conversation=None,
            parent=None,
            prompt="",
            prompt_ids="",
            reply="",
            reply_ids="",
            reply_end=0,
            reasoning_end=0,
            parameters={},
            detail={},
        )

    def hold(self, parent: int, now: datetime) -> list[Generation]:
        """Cancel the turns that wait for `parent`, which did not end well, and theirs.

        They are offered back to their author: what they answer to is not what was expected.
        """
        held: list[Generation] = []
        parents = [parent]
        while parents:
            following = list(self.waiting().filter(parent__in=parents).order_by("id"))
            parents = []
            for child in following:
                if self.cancel(child.pk, "parent_ended", {}, now):
                    held.append(child)
                    parents.append(child.pk)
        return held


def _changed(sql: str, *values: Any) -> bool:
    """Whether this statement changed its one row."""
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        return bool(cursor.rowcount == 1)
