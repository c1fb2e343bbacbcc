"""Sizes: what fits, and what is said when nothing does."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from msgspec.structs import replace
from transformers import LlamaConfig

from chat.engine import hardware
from chat.engine.base import EngineDead
from chat.engine.spec import EngineSpec

CPU = torch.device("cpu")
CONFIG = LlamaConfig(
    hidden_size=1024, num_hidden_layers=20, num_attention_heads=16, max_position_embeddings=4096
)
SPEC = EngineSpec()


def room(**settings: Any) -> hardware.Room:
    spec = replace(SPEC, **settings)
    return hardware.choose_room(spec, CONFIG, CPU, torch.float32)


@pytest.fixture
def free(monkeypatch: pytest.MonkeyPatch) -> Any:
    return lambda size: monkeypatch.setattr(hardware, "free_memory", lambda device: size)


def test_with_enough_memory_every_slot_has_its_window(free: Any) -> None:
    free(10**12)
    assert room() == hardware.Room(32, 4096, 32 * 128 + 1, 128, 32)
    assert room(slots=200).batch_tokens == 200


def test_with_little_memory_the_window_shrinks_to_the_cache(free: Any) -> None:
    free(400_000_000)
    small = room()
    assert 256 < small.context_length < 4096
    assert small.context_length == (small.blocks - 1) * 32


def test_with_no_memory_there_is_no_engine(free: Any) -> None:
    free(1_000_000)
    with pytest.raises(EngineDead, match="out_of_memory"):
        room()


def test_the_window_is_never_longer_than_the_models(free: Any) -> None:
    free(10**12)
    assert room(context_length=100_000).context_length == 4096
    assert room(context_length=512).context_length == 512


def test_tiny_models_run_on_one_thread_and_a_setting_wins() -> None:
    assert hardware.choose_threads(0, 6_000_000) == 1
    assert hardware.choose_threads(3, 6_000_000) == 3
    assert hardware.choose_threads(0, 10**9) >= 1


@pytest.mark.parametrize(
    ("stored", "gain", "chosen"),
    [
        (torch.float32, 2.0, torch.bfloat16),
        (torch.float32, 1.1, torch.float32),
        (torch.bfloat16, 1.0, torch.bfloat16),
        (torch.bfloat16, 0.5, torch.float32),
        (torch.float16, 0.5, torch.float32),
    ],
)
def test_on_a_cpu_the_faster_format_is_measured(
    monkeypatch: pytest.MonkeyPatch, stored: torch.dtype, gain: float, chosen: torch.dtype
) -> None:
    times = {torch.float32: gain, torch.bfloat16: 1.0}
    monkeypatch.setattr(hardware, "_product_time", times.__getitem__)
    assert hardware.choose_dtype("auto", CPU, stored) == chosen
    assert hardware.choose_dtype("bf16", CPU, stored) == torch.bfloat16
