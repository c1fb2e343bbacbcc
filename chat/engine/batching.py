"""Sets up the library's continuous batching for one model."""

from __future__ import annotations

from typing import Any

from transformers import GenerationConfig
from transformers.generation.configuration_utils import ContinuousBatchingConfig
from transformers.generation.continuous_batching.cache import group_layers_by_attn_type
from transformers.generation.continuous_batching.continuous_api import ContinuousBatchingManager

from . import row_attention
from .hardware import Room
from .loading import Loaded

FLASH = "flash"  # whichever kernel of that kind the library finds


def attentions(loaded: Loaded) -> tuple[str, ...]:
    """The attention functions to try, the fastest first.

    Ours is for CPUs and for models whose layers all see the whole past.
    """
    if loaded.homes:
        return ("sdpa",)  # the kernels of the others read the cache by themselves
    if loaded.device.type == "cuda":
        return (FLASH, "sdpa")
    layers = group_layers_by_attn_type(loaded.model.config.get_text_config())
    if loaded.device.type == "cpu" and set(layers) == {"full_attention"}:
        row_attention.register()
        return (row_attention.NAME, "sdpa")
    return ("sdpa",)


def batching_config(
    room: Room, flash: bool = False, spread: bool = False
) -> ContinuousBatchingConfig:
    """The library's batching, sized explicitly: by itself it would take most of the memory.

    Graphs and double-buffering stay off on every device: both would run steps without calling
    the sampler, which needs each task's position.
    """
    return ContinuousBatchingConfig(
        page_size=room.page_size,
        num_blocks=room.blocks,
        max_batch_tokens=room.batch_tokens,
        max_requests_per_batch=room.slots,
        max_memory_percent=0.95,
        safety_margin=0.0,
        use_cuda_graph=False,
        use_async_batching=False,
        auto_switch_to_flash=flash,
        max_blocks_per_request=0 if spread else None,
    )


def make_manager(loaded: Loaded, room: Room, attention: str) -> ContinuousBatchingManager:
    """The library's manager, never started: the engine steps it, and samples by itself."""
    # Greedy for the library: the sampler makes its choice the greatest score.
    generation = GenerationConfig(do_sample=False, eos_token_id=-1)
    loaded.model.set_attn_implementation("sdpa")  # the only one that the constructor accepts
    manager: Any = loaded.model.init_continuous_batching(
        generation,
        batching_config(room, flash=attention == FLASH, spread=bool(loaded.homes)),
    )
    assert isinstance(manager, ContinuousBatchingManager)
    if attention == row_attention.NAME:
        loaded.model.set_attn_implementation(attention)
    return manager
