"""A server as a whole: what keeps it from being used, how it dies, and who hears of it."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from chat.engine.base import (
    Dead,
    EngineDead,
    Model,
    Refused,
)
from chat.engine.openai_engine import OpenAIEngine
from chat.engine.spec import EngineSpec, OpenAISpec
from chat.feed import Feed

from .asking import Engines, ask, hear
from .bad_server import STORY
from .servers import Server
from .test_feed import ended, is_dead, pieces
from .test_feed import until as feed_until


def death(engine: OpenAIEngine) -> EngineDead:
    """How the engine dies."""
    with pytest.raises(EngineDead) as caught:
        while True:
            engine.step(0.05)
    return caught.value


def test_a_server_that_dies_leaves_those_it_had_begun_with_as_suspects(
    servers: Any, engines: Engines
) -> None:
    engine = engines(servers())
    engine.add(ask("stall 3", "waits"))
    while not engine.step(0.05):
        pass
    engine.add(ask("die 2", "kills"))
    dead = death(engine)
    assert dead.reason == "upstream_away"
    assert set(dead.suspects or ()) == {"waits", "kills"}


def test_one_that_never_reached_the_server_is_no_suspect(servers: Any, engines: Engines) -> None:
    server = servers()
    engine = engines(server)
    server.kill()
    engine.add(ask("hello"))
    dead = death(engine)
    assert (dead.reason, dead.suspects) == ("upstream_away", ())


def test_a_server_that_is_started_again_serves_the_same_engine(
    servers: Any, engines: Engines
) -> None:
    server = servers()
    engine = engines(server)
    assert hear(engine, ask("hello")).said["a"].text == STORY
    server.kill()
    server.start()
    assert hear(engine, ask("hello")).said["a"].text == STORY


def loaded(**settings: Any) -> Model:
    model = settings.pop("model", "")
    spec = EngineSpec(kind="openai", model=model, openai=OpenAISpec(**settings))
    engine = OpenAIEngine(spec)
    try:
        return engine.load(lambda fraction, what: None)
    finally:
        engine.close()


def test_what_keeps_an_engine_from_loading_is_named(servers: Any) -> None:
    server = servers(key="secret")
    assert loaded(url=server.url, key="secret").name == "bad"
    for settings, reason in (
        ({"url": server.url, "key": "wrong"}, "upstream_key"),
        ({"url": server.url, "key": "secret", "model": "other"}, "upstream_no_model"),
        ({"url": "http://127.0.0.1:1/v1"}, "upstream_away"),
        ({"url": server.url.replace("/v1", "/loading/v1")}, "upstream_unfit"),
    ):
        with pytest.raises(EngineDead) as caught:
            loaded(**settings)
        assert caught.value.reason == reason


def test_neither_text_nor_key_is_logged(
    servers: Any, engines: Engines, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    engine = engines(servers(key="sesame"), key="sesame", retries=0)
    hear(engine, ask("refuse 400 private"), ask("cut 3 private", "b"))
    assert "private" not in caplog.text and "sesame" not in caplog.text
    assert "sesame" not in repr(OpenAISpec(key="sesame"))


# -- in the engine's process ----------------------------------------------------------------------


@asynccontextmanager
async def fed(server: Server, **settings: Any) -> AsyncIterator[Feed]:
    openai = OpenAISpec(url=server.url, **settings)
    feed = Feed(EngineSpec(kind="openai", openai=openai))
    await feed.start()
    try:
        yield feed
    finally:
        await feed.stop()


async def test_a_late_refusal_crosses_the_pipe_after_its_pieces(servers: Any) -> None:
    async with fed(servers(), resume="never") as feed:
        feed.add(ask("quiet 5"))
        feed.add(ask("hello", "b"))
        seen = await feed_until(feed, lambda message: isinstance(message, Refused))
        assert seen[-1] == Refused("a", "upstream_cut", {})
        assert "".join(piece.text for piece in pieces(seen, "a")) == " 1 2 3 4 5"
        if not any(piece.end for piece in pieces(seen, "b")):
            seen += await feed_until(feed, ended("b"))
        assert "".join(piece.text for piece in pieces(seen, "b")) == STORY


async def test_a_server_that_is_gone_is_a_death_without_suspects_outside(servers: Any) -> None:
    server = servers()
    async with fed(server) as feed:
        feed.add(ask("hello"))
        await feed_until(feed, ended("a"))
        server.kill()
        feed.add(ask("hello", "b"))
        seen = await feed_until(feed, is_dead)
    assert isinstance(seen[-1], Dead)
    assert (seen[-1].reason, seen[-1].suspects) == ("upstream_away", ())


async def test_a_message_that_kills_its_server_is_a_suspect(servers: Any) -> None:
    async with fed(servers()) as feed:
        feed.add(ask("die 0"))
        seen = await feed_until(feed, is_dead)
    assert isinstance(seen[-1], Dead) and seen[-1].suspects == ("a",)
