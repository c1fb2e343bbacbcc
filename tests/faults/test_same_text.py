"""R10: a reply that was interrupted is, token by token, the one that nobody interrupted."""

from __future__ import annotations

import random
import signal
from collections.abc import Callable
from typing import Any

import pytest

from chat.database import web
from chat.models import Generation, State
from tests.acts import Bench, fresh, say
from tests.cast import Cast
from tests.faults.conftest import MakeWorker
from tests.sizes import size
from tests.waiting import until

TOKENS = 120
PROMPTS = ("Hello! Who are you?", "Tell me a story about a fox.", "What is 2 + 3?", "こんにちは")


def parameters(number: int) -> dict[str, Any]:
    """Greedy and seeded sampling in turn."""
    return {
        "temperature": 0.0 if number % 2 else 0.9,
        "top_k": 0,
        "top_p": 1.0 if number % 2 else 0.95,
        "repetition_penalty": 1.0,
        "max_new_tokens": TOKENS,
        "seed": 1_000 + number,
        "stop": [],
    }


async def ask(bench: Bench, user: Any, number: int) -> Generation:
    """A message with parameters of its own; nobody takes it before it has them."""
    await bench.set(paused=True)
    row = await say(user, PROMPTS[number % len(PROMPTS)])
    await web(Generation.objects.filter(pk=row.pk).update, parameters=parameters(number))
    await bench.set(paused=False)
    return row


async def grown(row: Generation, tokens: int) -> bool:
    stored = await fresh(row)
    return stored.token_count >= tokens or stored.ended


async def ended(row: Generation) -> Generation:
    """The row once it is done."""
    await until(lambda: grown(row, TOKENS + 1), "it is done", 60)
    stored = await fresh(row)
    assert stored.state == State.DONE, (stored.state, stored.reason)
    return stored


@pytest.mark.timeout(size(240, 2_400))
async def test_r10_a_killed_worker_s_reply_is_the_uninterrupted_one(
    cast: Cast, bench: Bench, worker: MakeWorker, figure: Callable[[str], None]
) -> None:
    chance, count = random.Random(10), size(2, 20)
    process = worker("one", "--engine=transformers", CHATSITE_DTYPE="float32")
    await process.start()
    wanted = [await ended(await ask(bench, cast.alice, number)) for number in range(count)]
    same = interrupted = 0
    for number, whole in enumerate(wanted):
        row = await ask(bench, cast.alice, number)
        at = chance.randint(1, max(1, whole.token_count - 2))
        await until(lambda r=row, a=at: grown(r, a), "it has grown", 60)
        process.signal(signal.SIGKILL)
        await process.ended()
        interrupted += not (await fresh(row)).ended
        await process.start()
        again = await ended(row)
        same += (again.reply, again.reply_ids) == (whole.reply, whole.reply_ids)
    figure(
        f"R10 kill -9 of the worker at a random token, float32, greedy and seeded: same tokens "
        f"{same}/{count}, {interrupted} of them in mid-reply"
    )
    assert same == count and interrupted
