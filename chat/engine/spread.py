"""One model over several devices: which layer is where, and each layer's cache beside it.

transformers puts layers on devices (`device_map`) and moves what goes through them, but its paged
cache is one tensor on one device. Here every device holds the pages of its own layers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from transformers.generation.continuous_batching import continuous_api
from transformers.generation.continuous_batching.cache_allocators.full_attention import (
    FullAttentionCacheAllocator,
)

from .base import EngineDead

Homes = Mapping[int, torch.device]
"""The device of each layer."""


def homes_of(model: Any) -> Homes:
    """Where each layer of a loaded model is."""
    return {
        module.layer_idx: weight.device
        for module in model.modules()
        if isinstance(getattr(module, "layer_idx", None), int)
        and (weight := next(module.parameters(), None)) is not None
    }


@contextmanager
def spread_cache(homes: Homes, model: str) -> Iterator[None]:
    """Caches that the library makes within the block are spread; without homes nothing changes.

    Raises EngineDead("model_unsupported") for layers that do not see their whole past.
    """
    made = continuous_api.PagedAttentionCache

    def make(**arguments: Any) -> Any:
        # First without memory: as a whole it would not fit on the first device.
        cache = made(**{**arguments, "device": torch.device("meta")})
        for allocator in cache.cache_allocators.values():
            if type(allocator) is not FullAttentionCacheAllocator:
                cause = "sliding attention cannot be spread over devices"
                raise EngineDead("model_unsupported", model=model, cause=cause)
            _spread(allocator, homes)
        cache.device = arguments["device"]
        return cache

    if homes:
        continuous_api.PagedAttentionCache = make
    try:
        yield
    finally:
        continuous_api.PagedAttentionCache = made


@dataclass(frozen=True, slots=True)
class _Home:
    """Pages of the layers on one device: as many blocks as the library counts, but narrower."""

    device: torch.device
    whole: int
    narrow: int

    def place(self, index: torch.Tensor) -> torch.Tensor:
        """From rows in the library's blocks of all layers to rows in ours of these layers."""
        index = index.to(self.device)
        return index // self.whole * self.narrow + index % self.whole


def _spread(allocator: Any, homes: Homes) -> None:
    """Give each layer of `allocator` its rows on its own device, and translate what points to
    them. Only whole pages move, so a row keeps its place within its page."""
    tokens = allocator.tokens_per_page
    whole = allocator.block_physical_stride
    blocks = allocator.cache_tensor.shape[0] * allocator.rows_per_token // whole
    shape = (allocator.num_key_value_heads, allocator.head_dim)
    mine: dict[int, _Home] = {}
    for device, count in Counter(homes[layer] for layer in allocator.layer_indices).items():
        narrow = allocator.rows_per_token * tokens * count
        rows = torch.zeros(blocks * narrow, *shape, dtype=allocator.cache_dtype, device=device)
        layers = [layer for layer in allocator.layer_indices if homes[layer] == device]
        for place, layer in enumerate(layers):
            views = rows[2 * place * tokens :], rows[(2 * place + 1) * tokens :]
            allocator._kv_token_views[layer] = views
            mine[layer] = _Home(device, whole, narrow)
    allocator._kv_page_views.clear()
    update = allocator.update

    def update_at_home(
        keys: torch.Tensor, values: torch.Tensor, layer: int, read: Any, write: Any
    ) -> Any:
        home = mine[layer]
        return update(keys, values, layer, home.place(read), home.place(write))

    allocator.update = update_at_home
