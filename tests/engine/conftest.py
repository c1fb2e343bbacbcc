"""Models, tokenizers, servers and engines that many tests of the engine share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from chat.engine.openai_engine import OpenAIEngine
from chat.engine.spec import EngineSpec, OpenAISpec

from .asking import Engines
from .models import (
    CHATML_THINKING,
    FAMILIES,
    byte_level_tokenizer,
    save_model,
    sentencepiece_like_tokenizer,
)
from .servers import Server, bad_server

TOKENIZERS = {
    "bytes": byte_level_tokenizer,
    "sentencepiece": sentencepiece_like_tokenizer,
    "bytes, thinking": lambda: byte_level_tokenizer(CHATML_THINKING),
    "bytes, no template": lambda: byte_level_tokenizer(None),
}


@pytest.fixture(scope="session", params=sorted(FAMILIES))
def family_folder(request: pytest.FixtureRequest, tmp_path_factory: Any) -> Path:
    """A model of each family."""
    return save_model(tmp_path_factory.mktemp(request.param), request.param)


@pytest.fixture(scope="session")
def llama_folder(tmp_path_factory: Any) -> Path:
    return save_model(tmp_path_factory.mktemp("llama"))


@pytest.fixture(scope="session", params=sorted(TOKENIZERS))
def tokenizer(request: pytest.FixtureRequest) -> Any:
    """Each kind of tokenizer."""
    return TOKENIZERS[request.param]()


@pytest.fixture(scope="session", params=["bytes", "sentencepiece"])
def vocabulary_tokenizer(request: pytest.FixtureRequest) -> Any:
    """Each kind of vocabulary."""
    return TOKENIZERS[request.param]()


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Makes servers that end with the test."""
    made: list[Server] = []

    def make(**options: Any) -> Server:
        made.append(bad_server(tmp_path, **options))
        return made[-1]

    yield make
    for server in made:
        server.kill()


@pytest.fixture
def engines() -> Iterator[Engines]:
    """Makes loaded engines that are closed with the test."""
    made: list[OpenAIEngine] = []

    def make(server: Server, model: str = "", slots: int = 8, **settings: Any) -> OpenAIEngine:
        openai = OpenAISpec(**{"url": server.url, "first": 5.0, "between": 5.0, **settings})
        engine = OpenAIEngine(EngineSpec(kind="openai", model=model, slots=slots, openai=openai))
        made.append(engine)
        engine.load(lambda fraction, what: None)
        return engine

    yield make
    for engine in made:
        engine.close()
