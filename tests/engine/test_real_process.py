"""The real engine in its real process, through the feed."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest
from msgspec.structs import replace

from chat.engine.base import Dead, EngineDead, Prepared, Refused
from chat.engine.spec import EngineSpec
from chat.feed import Feed

from .running import GREEDY, ask
from .test_feed import ended, is_dead, pieces, until

pytestmark = pytest.mark.asyncio


def spec(folder: Path | str, **settings: object) -> EngineSpec:
    return EngineSpec(model=str(folder), dtype="float32", slots=4, memory_share=0.1, **settings)  # type: ignore[arg-type]


async def test_a_killed_reply_goes_on_in_the_next_process(llama_folder: Path) -> None:
    long = ask("a", "Tell me everything", replace(GREEDY, max_new_tokens=120))
    first = Feed(spec(llama_folder))
    model = await first.start()
    first.add(long)
    seen = await until(first, ended("a"))
    whole = pieces(seen, "a")
    first.add(replace(long, key="b"))
    seen = await until(first, lambda message: bool(pieces([message], "b")))
    prepared = next(message for message in seen if isinstance(message, Prepared))
    assert first.pid is not None
    os.kill(first.pid, signal.SIGKILL)
    seen += await until(first, is_dead)
    assert isinstance(seen[-1], Dead) and seen[-1].suspects == ("b",)
    await first.stop()

    stored = pieces(seen, "b")
    ids = tuple(number for piece in stored for number in piece.token_ids)
    text = "".join(piece.text for piece in stored)
    second = Feed(spec(llama_folder))
    assert await second.start() == model
    second.add(
        replace(
            long,
            key="b",
            prompt_ids=prepared.prompt_ids,
            reply_ids=ids,
            reply_text=text,
            fingerprint=model.fingerprint,
        )
    )
    rest = pieces(await until(second, ended("b")), "b")
    await second.stop()
    assert text + "".join(p.text for p in rest) == "".join(p.text for p in whole)
    assert rest[-1].end == "length"


async def test_a_refused_prompt_comes_back_as_refused(llama_folder: Path) -> None:
    feed = Feed(spec(llama_folder))
    await feed.start()
    feed.add(ask("bad", "word " * 999))
    feed.add(ask("good", "word"))
    seen = await until(feed, ended("good"))
    await feed.stop()
    assert [m.reason for m in seen if isinstance(m, Refused)] == ["prompt_too_long"]


async def test_a_missing_model_ends_the_start_with_its_cause() -> None:
    feed = Feed(spec("/no/such/model"))
    with pytest.raises(EngineDead) as caught:
        await asyncio.wait_for(feed.start(), 60)
    assert caught.value.reason == "model_missing"
    assert caught.value.detail == {"model": "/no/such/model", "why": "folder"}


async def test_loading_tells_how_far_it_is(llama_folder: Path) -> None:
    told: list[tuple[float, str]] = []
    feed = Feed(spec(llama_folder))
    await feed.start(lambda fraction, what: told.append((fraction, what)))
    assert feed.memory() > 100_000_000
    await feed.stop()
    assert [what for _, what in told] == ["tokenizer", "weights", "device", "cache", "ready"]
    assert told == sorted(told, key=lambda pair: pair[0])
