"""Who may join the queue: once, within the caps, at a bearable pace, in one's own conversation."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connections

from chat import generation_queue, words
from chat.admission import Draft, QueueRefusal, admit
from chat.database import web
from chat.models import Conversation, Generation, Queue, State
from tests.acts import Bench, draft, fresh, say
from tests.cast import Cast


async def refused(draft: Draft) -> QueueRefusal:
    with pytest.raises(QueueRefusal) as caught:
        await generation_queue.enqueue(draft)
    refusal = caught.value
    assert words.refusal(refusal.code, refusal.detail, refusal.retry), "every code has a sentence"
    return refusal


async def test_a_message_waits_in_a_conversation_named_after_it(cast: Cast, queue: Queue) -> None:
    row = await fresh(await say(cast.alice, "  What is\n a generation? "))
    assert (row.state, row.attempt, row.reply) == (State.WAITING, 0, "")
    conversation = await web(Conversation.objects.get, pk=row.conversation_id)
    assert (conversation.title, conversation.user_id) == ("What is a generation?", cast.alice.pk)
    assert row.parameters["seed"] >= 0 and row.parameters["max_new_tokens"] > 0


async def test_the_same_draft_again_is_answered_with_the_same_row(cast: Cast, queue: Queue) -> None:
    message = draft(cast.alice)
    first = await generation_queue.enqueue(message)
    second = await generation_queue.enqueue(message)
    assert not first.again and second.again
    assert first.generation.pk == second.generation.pk
    assert await web(Generation.objects.count) == await web(Conversation.objects.count) == 1


async def test_the_same_id_of_two_people_makes_two_rows(cast: Cast, queue: Queue) -> None:
    shared = uuid.uuid4()
    rows = [
        (await generation_queue.enqueue(Draft(user.pk, shared, "hi"))).generation
        for user in (cast.alice, cast.bob)
    ]
    assert [row.author_id for row in rows] == [cast.alice.pk, cast.bob.pk]


async def test_an_id_with_another_text_is_refused(cast: Cast, queue: Queue) -> None:
    message = draft(cast.alice, "one")
    await generation_queue.enqueue(message)
    other = Draft(cast.alice.pk, message.client_id, "two")
    assert (await refused(other)).code == "id_used"


def test_r2_the_same_id_five_times_at_once_makes_one_row(
    cast: Cast, queue: Queue, settings: Any, figure: Callable[[str], None]
) -> None:
    Queue.objects.update(waiting_per_user=10_000, size=10_000)
    rounds, at_once = 200, 5
    gate = threading.Barrier(at_once)

    def send(message: Draft) -> int:
        gate.wait(10)
        return admit(message).generation.pk

    def finish() -> None:
        gate.wait(10)
        connections.close_all()

    answers: set[int] = set()
    with ThreadPoolExecutor(at_once) as threads:
        for _ in range(rounds):
            message = draft(cast.alice)
            pks = {job.result() for job in [threads.submit(send, message) for _ in range(at_once)]}
            assert len(pks) == 1
            answers |= pks
        for job in [threads.submit(finish) for _ in range(at_once)]:
            job.result()
    rows = Generation.objects.values_list("client_id", flat=True)
    assert len(answers) == len(rows) == len(set(rows)) == rounds
    assert Conversation.objects.count() == rounds
    figure(f"R2 same id {at_once}x at once: {rounds} rounds, rows per id exactly 1 in {len(rows)}")


async def test_only_so_many_of_one_person_wait(cast: Cast, queue: Queue, bench: Bench) -> None:
    await bench.set(waiting_per_user=2)
    await say(cast.alice)
    await say(cast.alice)
    refusal = await refused(draft(cast.alice))
    assert (refusal.code, refusal.detail) == ("too_many_waiting", {"limit": 2})
    await say(cast.bob)
    await bench.claim(await bench.worker())
    await say(cast.alice)  # one of hers runs now


async def test_a_full_queue_refuses_everybody_and_keeps_nothing(
    cast: Cast, queue: Queue, bench: Bench
) -> None:
    await bench.set(size=2)
    for user in (cast.alice, cast.bob):
        await say(user)
    refusal = await refused(draft(cast.charlie))
    assert (refusal.code, refusal.detail["size"]) == ("queue_full", 2)
    assert await web(Conversation.objects.filter(user=cast.charlie).count) == 0


async def test_the_sixth_message_of_a_burst_is_too_fast(
    cast: Cast, bench: Bench, settings: Any
) -> None:
    settings.CHATSITE_SENDS_PER_MINUTE, settings.CHATSITE_SENDS_BURST = 20, 5
    await bench.set(waiting_per_user=100)
    for _ in range(5):
        await say(cast.alice)
    refusal = await refused(draft(cast.alice))
    assert refusal.code == "too_fast" and 1 <= refusal.retry <= 3
    await say(cast.bob)


async def test_repeating_a_sent_message_is_never_too_fast(
    cast: Cast, bench: Bench, settings: Any
) -> None:
    settings.CHATSITE_SENDS_PER_MINUTE, settings.CHATSITE_SENDS_BURST = 20, 1
    message = draft(cast.alice)
    assert not (await generation_queue.enqueue(message)).again
    assert (await generation_queue.enqueue(message)).again


async def test_nobody_writes_into_a_foreign_conversation(cast: Cast, queue: Queue) -> None:
    hers = await say(cast.alice)
    intruder = draft(cast.bob, after=hers)
    assert (await refused(intruder)).code == "not_found"
    unknown = Draft(cast.bob.pk, uuid.uuid4(), "hi", uuid.uuid4())
    assert (await refused(unknown)).code == "not_found"


async def test_a_parent_of_another_conversation_is_not_found(cast: Cast, queue: Queue) -> None:
    one, other = await say(cast.alice), await say(cast.alice)
    wrong = Draft(cast.alice.pk, uuid.uuid4(), "hi", one.conversation_id, other.pk)
    assert (await refused(wrong)).code == "not_found"
    homeless = Draft(cast.alice.pk, uuid.uuid4(), "hi", None, one.pk)
    assert (await refused(homeless)).code == "not_found"
    assert await web(Conversation.objects.count) == 2


async def test_somebody_locked_out_may_not_send(cast: Cast, queue: Queue) -> None:
    cast.alice.is_active = False
    await web(cast.alice.save)
    assert (await refused(draft(cast.alice))).code == "not_allowed"
