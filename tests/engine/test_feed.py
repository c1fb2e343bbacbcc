"""The feed and the engine's process, with real processes; only the model is missing (echo)."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import msgspec
import psutil
import pytest

from chat.engine.base import (
    Dead,
    EngineDead,
    Message,
    Model,
    Piece,
    Prepared,
    Refused,
    Sampling,
    Step,
    Task,
    Turn,
)
from chat.engine.spec import EchoSpec, EngineSpec
from chat.feed import Feed

pytestmark = pytest.mark.asyncio
PLAIN = Sampling(0.0, 0, 1.0, 1.0, max_new_tokens=500, seed=1)


def spec(hang_after: float = 60.0, load_deadline: float = 60.0, **echo: object) -> EngineSpec:
    settings = {"step_delay": 0.0, **echo}
    return EngineSpec(
        kind="echo",
        hang_after=hang_after,
        load_deadline=load_deadline,
        echo=msgspec.convert(settings, EchoSpec),
    )


def task(key: str, text: str, sampling: Sampling = PLAIN) -> Task:
    return Task(key, (Turn("user", text),), sampling)


@asynccontextmanager
async def running(spec: EngineSpec) -> AsyncIterator[Feed]:
    feed = Feed(spec)
    await feed.start()
    try:
        yield feed
    finally:
        await feed.stop()


async def until(feed: Feed, wanted: Callable[[Message], bool]) -> list[Message]:
    """All messages up to the wanted one."""
    seen: list[Message] = []
    while not seen or not wanted(seen[-1]):
        seen.append(await asyncio.wait_for(feed.receive(), 30))
    return seen


def pieces(messages: list[Message], key: str) -> list[Piece]:
    steps = [message for message in messages if isinstance(message, Step)]
    return [piece for step in steps for piece in step.pieces if piece.key == key]


def ended(key: str) -> Callable[[Message], bool]:
    return lambda message: any(piece.end for piece in pieces([message], key))


def is_dead(message: Message) -> bool:
    return isinstance(message, Dead)


async def test_a_reply_comes_back_in_steps_and_ends() -> None:
    async with running(spec()) as feed:
        feed.add(task("a", "Good day"))
        seen = await until(feed, ended("a"))
    assert isinstance(seen[0], Prepared) and seen[0].prompt_ids == tuple(map(ord, "Good day"))
    said = pieces(seen, "a")
    assert "".join(piece.text for piece in said) == "Good day"
    assert [len(piece.token_ids) for piece in said] == [1] * 8
    assert said[-1].end == "stop"


async def test_two_replies_grow_in_the_same_steps() -> None:
    async with running(spec(step_delay=0.01)) as feed:
        feed.add(task("a", "a" * 300))
        feed.add(task("b", "b" * 300))
        seen = await until(feed, ended("b"))
    together = [
        step
        for step in seen
        if isinstance(step, Step) and {"a", "b"} <= {piece.key for piece in step.pieces}
    ]
    assert len(together) >= 100


async def test_a_reply_resumes_from_ids_that_run_ahead_of_the_text() -> None:
    halted = msgspec.structs.replace(PLAIN, stop=("XY",))
    resumed = Task(
        "a",
        (Turn("user", "one X two XY three"),),
        halted,
        prompt_ids=(1,),
        reply_ids=tuple(map(ord, "one X")),
        reply_text="one ",
        fingerprint="echo-1",
    )
    async with running(spec()) as feed:
        feed.add(resumed)
        said = pieces(await until(feed, ended("a")), "a")
    assert "".join(piece.text for piece in said) == "X two "
    assert said[0].token_ids == (ord(" "),)


async def test_a_cancelled_task_says_no_more_and_its_slot_is_free() -> None:
    async with running(spec(step_delay=0.01)) as feed:
        feed.add(task("a", "a" * 400))
        await until(feed, lambda message: bool(pieces([message], "a")))
        feed.cancel("a")
        feed.add(task("a", "again"))
        seen = await until(feed, ended("a"))
    prepared = max(at for at, message in enumerate(seen) if isinstance(message, Prepared))
    assert "".join(piece.text for piece in pieces(seen[prepared:], "a")) == "again"


async def test_a_refused_prompt_harms_nobody_else() -> None:
    async with running(spec()) as feed:
        feed.add(task("long", "x" * 5000))
        feed.add(task("ok", "fine"))
        seen = await until(feed, ended("ok"))
    refused = [message for message in seen if isinstance(message, Refused)]
    assert refused == [Refused("long", "prompt_too_long", {"tokens": 5000, "limit": 4095})]


async def test_an_idle_engine_beats_every_second() -> None:
    async with running(spec()) as feed:
        started = time.monotonic()
        await until(feed, lambda message: isinstance(message, Step))
        await until(feed, lambda message: isinstance(message, Step))
        assert time.monotonic() - started < 5


@pytest.mark.parametrize("manner", ["crash", "kill", "quit"])
async def test_every_death_is_told_once_with_its_suspects(manner: str) -> None:
    async with running(spec(step_delay=0.01, crash_word="poison", poison_after=3)) as feed:
        feed.add(task("done", "x"))
        await until(feed, ended("done"))
        feed.add(task("b", "b" * 400))
        feed.add(task("a", "poison" if manner == "crash" else "a" * 400))
        await until(feed, lambda message: bool(pieces([message], "a")))
        assert feed.pid is not None
        if manner == "kill":
            os.kill(feed.pid, signal.SIGKILL)
        if manner == "quit":
            os.kill(feed.pid, signal.SIGQUIT)
        (*_, dead) = await until(feed, is_dead)
        assert isinstance(dead, Dead)
        assert dead.reason == "engine_died"
        assert dead.suspects == ("a", "b")
        with pytest.raises(EngineDead):
            await asyncio.wait_for(feed.receive(), 5)
        assert feed.pid is None


async def test_a_death_by_a_signal_without_a_name_is_told_too() -> None:
    async with running(spec(step_delay=0.005)) as feed:
        assert feed.pid is not None
        os.kill(feed.pid, signal.SIGRTMIN + 1)
        (*_, dead) = await until(feed, is_dead)
    assert isinstance(dead, Dead) and dead.detail == {"signal": str(signal.SIGRTMIN + 1)}


async def test_interrupt_and_terminate_are_left_to_the_parent() -> None:
    async with running(spec(step_delay=0.005)) as feed:
        assert feed.pid is not None
        feed.add(task("a", "a" * 60))
        os.kill(feed.pid, signal.SIGINT)
        os.kill(feed.pid, signal.SIGTERM)
        said = pieces(await until(feed, ended("a")), "a")
    assert said[-1].end == "stop"


async def test_a_hang_is_noticed_and_killed() -> None:
    async with running(spec(hang_after=1.5, hang_word="hang")) as feed:
        pid = feed.pid
        feed.add(task("a", "hang"))
        (*_, dead) = await until(feed, is_dead)
    assert isinstance(dead, Dead) and dead.reason == "engine_hung" and dead.suspects == ("a",)
    assert pid is not None and not psutil.pid_exists(pid)


async def test_an_idle_engine_does_not_count_as_hanging() -> None:
    async with running(spec(hang_after=1.5)) as feed:
        for _ in range(4):
            assert isinstance(await asyncio.wait_for(feed.receive(), 5), Step)


async def test_loading_tells_its_progress_and_has_a_deadline() -> None:
    told: list[float] = []
    feed = Feed(spec(load_delay=0.3))
    assert isinstance(await feed.start(lambda fraction, what: told.append(fraction)), Model)
    await feed.stop()
    assert told == sorted(told) and told[-1] == 1.0 and len(told) > 5
    slow = Feed(spec(load_delay=60, load_deadline=1))
    with pytest.raises(EngineDead, match="loading_timeout"):
        await slow.start()
    assert slow.pid is None


async def test_a_model_that_cannot_load_says_why() -> None:
    feed = Feed(EngineSpec(kind="echo", model="missing"))
    with pytest.raises(EngineDead) as caught:
        await feed.start()
    assert caught.value.reason == "model_missing"
    assert caught.value.detail["model"] == "missing"


async def test_stop_leaves_nothing_behind_even_when_the_engine_hangs() -> None:
    feed = Feed(spec(hang_word="hang"))
    await feed.start()
    pid = feed.pid
    feed.add(task("a", "hang"))
    await until(feed, lambda message: isinstance(message, Prepared))
    started = time.monotonic()
    await feed.stop()
    await feed.stop()
    assert time.monotonic() - started < 3
    assert pid is not None and not psutil.pid_exists(pid)
    (*_, dead) = await until(feed, is_dead)
    assert isinstance(dead, Dead) and dead.reason == "engine_stopped"


async def test_cancelling_the_start_leaves_nothing_behind() -> None:
    feed = Feed(spec(load_delay=60))
    begun = asyncio.Event()
    starting = asyncio.create_task(feed.start(lambda fraction, what: begun.set()), name="start")
    await begun.wait()
    pid = feed.pid
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert pid is not None and not psutil.pid_exists(pid)


async def test_memory_of_the_process_is_known() -> None:
    async with running(spec()) as feed:
        assert 5_000_000 < feed.memory() < 200_000_000
    assert feed.memory() == 0


PARENT = """
    import asyncio
    from chat.engine.base import *
    from chat.engine.spec import EchoSpec, EngineSpec
    from chat.feed import Feed

    async def main():
        feed = Feed(EngineSpec(kind="echo", echo=EchoSpec(hang_word="hang")))
        await feed.start()
        feed.add(Task("a", (Turn("user", "hang"),), Sampling(0.0, 0, 1.0, 1.0, 9, 1)))
        print(feed.pid, flush=True)
        while True:
            await feed.receive()

    asyncio.run(main())
"""


@pytest.mark.parametrize("sign", [signal.SIGKILL, signal.SIGTERM])
async def test_the_process_dies_with_its_parent_even_when_it_hangs(sign: signal.Signals) -> None:
    parent = subprocess.Popen(  # noqa: ASYNC220
        [sys.executable, "-c", textwrap.dedent(PARENT)], stdout=subprocess.PIPE, text=True
    )
    with parent:
        assert parent.stdout is not None
        child = psutil.Process(int(parent.stdout.readline()))
        parent.send_signal(sign)
        parent.wait(5)
        with suppress(psutil.NoSuchProcess):
            child.wait(2)
    assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE
