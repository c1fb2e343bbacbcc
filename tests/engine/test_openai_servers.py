"""The engine that asks a server, against real servers with small random models.

`transformers serve` comes with the development requirements; llama-cpp-python and llama.cpp's own
server are tested where they are installed (see docs/engines.md).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from chat.engine.base import EngineDead, Piece, Sampling, Task, Turn
from chat.engine.openai_engine import OpenAIEngine
from chat.engine.spec import EngineSpec, OpenAISpec

from .asking import hear
from .running import Said, engine_for
from .running import run as run_transformers
from .servers import (
    Server,
    llama_cpp_python,
    llama_server,
    transformers_serve,
    why_not_llama_python,
    why_not_llama_server,
    write_gguf,
)

GREEDY = Sampling(0.0, 0, 1.0, 1.0, max_new_tokens=40, seed=1)
BATCHING = ("--continuous-batching", "--attn-implementation", "sdpa", "--cb-num-blocks", "64")
KINDS = ["transformers", "transformers, batching", "llama-cpp-python", "llama-server"]


def make(kind: str, folder: Path, model: Path) -> Server:
    """A server of this kind, or a skip that says what is missing."""
    if kind.startswith("transformers"):
        return transformers_serve(folder, model, *(BATCHING if "batching" in kind else ()))
    python = kind == "llama-cpp-python"
    if reason := why_not_llama_python() if python else why_not_llama_server():
        pytest.skip(reason)
    start = llama_cpp_python if python else llama_server
    return start(folder, write_gguf(model, folder))


@pytest.fixture(scope="module", params=KINDS)
def server(
    request: pytest.FixtureRequest, tmp_path_factory: Any, llama_folder: Path
) -> Iterator[Server]:
    started = make(request.param, tmp_path_factory.mktemp("server"), llama_folder)
    yield started
    started.kill()


Engines = Callable[[], OpenAIEngine]


@pytest.fixture
def engine_of(server: Server) -> Iterator[Engines]:
    """Makes loaded engines on the server; greedy in its trial, since some keep that."""
    made: list[OpenAIEngine] = []

    def make() -> OpenAIEngine:
        openai = OpenAISpec(url=server.url, first=60.0, temperature=0.0, top_p=1.0)
        spec = EngineSpec(kind="openai", model=server.model, slots=4, openai=openai)
        made.append(OpenAIEngine(spec))
        made[-1].load(lambda fraction, what: None)
        return made[-1]

    yield make
    for engine in made:
        engine.close()


def ask(text: str, key: str = "a", sampling: Sampling = GREEDY) -> Task:
    return Task(key, (Turn("user", text),), sampling)


def continued(task: Task, said: Said, pieces: int) -> Task:
    """The task as it comes back, to another kind of engine, when so many pieces are stored."""
    stored = said.pieces[:pieces]
    return replace(
        task,
        key="b",
        prompt_ids=(1,),
        reply_ids=tuple(number for piece in stored for number in piece.token_ids),
        reply_text="".join(piece.text for piece in stored),
        fingerprint="of another",
    )


@pytest.mark.timeout(180)
def test_replies_stream_side_by_side(engine_of: Engines) -> None:
    heard = hear(engine_of(), ask("one", "a"), ask("two", "b"), ask("three", "c"))
    assert not heard.refused
    for said in heard.said.values():
        assert said.end == "length" and len(said.text) > 40
        assert 20 <= len(said.ids) <= 40


@pytest.mark.timeout(180)
def test_a_reply_goes_on_from_its_text(engine_of: Engines) -> None:
    engine = engine_of()
    whole = hear(engine, ask("Tell me")).said["a"]
    half = continued(ask("Tell me"), whole, len(whole.pieces) // 2)
    assert half.reply_text and half.reply_text != whole.text
    heard = hear(engine, half)
    assert not heard.refused
    said = heard.said["b"]
    assert said.text and said.end == "length"
    if engine._resuming.replay:
        assert half.reply_text + said.text == whole.text
    else:
        assert not said.text.startswith(half.reply_text), "what is shown is not said again"


@pytest.mark.timeout(180)
def test_a_cancelled_reply_gives_its_place_back(engine_of: Engines) -> None:
    engine = engine_of()
    for number in range(8):
        engine.add(ask("Tell me", str(number), replace(GREEDY, max_new_tokens=200)))
        while not any(isinstance(told, Piece) for told in engine.step(0.05)):
            pass
        engine.cancel(str(number))
    assert hear(engine, ask("Tell me")).said["a"].end == "length"


@pytest.mark.timeout(240)
def test_a_killed_servers_reply_goes_on_when_it_is_back(server: Server, engine_of: Engines) -> None:
    engine = engine_of()
    task = ask("Tell me", sampling=replace(GREEDY, max_new_tokens=100))
    engine.add(task)
    said = Said()
    with pytest.raises(EngineDead) as dead:
        while True:
            for told in engine.step(0.05):
                assert isinstance(told, Piece)
                said.hear(told)
                if len(said.ids) >= 5:
                    server.kill()
    assert dead.value.reason == "upstream_away" and dead.value.suspects == ("a",)
    server.start()
    heard = hear(engine_of(), continued(task, said, len(said.pieces)))
    assert heard.said["b"].end == "length" and not heard.refused
    assert not heard.said["b"].text.startswith(said.text)


@pytest.mark.timeout(180)
def test_a_reply_moves_to_an_engine_with_a_model_of_its_own_and_back(
    engine_of: Engines, llama_folder: Path
) -> None:
    ours, _ = engine_for(llama_folder)
    server = engine_of()
    begun = hear(server, replace(ask("Tell me"), sampling=replace(GREEDY, max_new_tokens=20)))
    there = continued(ask("Tell me"), begun.said["a"], len(begun.said["a"].pieces))
    rest = run_transformers(ours, there)["b"]
    assert rest.text and rest.end == "length" and any(rest.ids)

    mine = run_transformers(ours, ask("Tell me"))["a"]
    back = continued(ask("Tell me"), mine, 12)
    assert server.add(back).reply_ids == (0,) * 12, "counted, though nobody knows which"
    server.cancel("b")
