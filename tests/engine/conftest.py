"""Models and tokenizers that many tests of the engine share; built once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from .models import (
    CHATML_THINKING,
    FAMILIES,
    byte_level_tokenizer,
    save_model,
    sentencepiece_like_tokenizer,
)

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
