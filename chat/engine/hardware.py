"""Chooses device, number format, threads and the size of the key-value cache."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import psutil
import torch

from .base import EngineDead
from .spec import EngineSpec

_TINY = 30_000_000  # parameters below which a second thread costs more than it brings
_CPU_SLOTS = 32
_MOST_SLOTS = 256
_CPU_WINDOW = 8192  # tokens; a longer prompt would be read for minutes
_GPU_WINDOW = 32768
_STALL = {"cpu": 128, "mps": 512}  # prompt tokens per step, so that running replies hardly pause
_GPU_STALL = 2048
_GPU_PAGE = 256  # tokens; flash attention wants whole 256s
_SHARE, _GPU_SHARE = 0.5, 0.85  # of free memory; a CPU's is everybody's
_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
# How many times faster bf16 must be: it rounds float32 weights, and saves memory for 16-bit ones.
_FASTER = {torch.float32: 1.3}
_FASTER_16 = 0.8


@dataclass(frozen=True, slots=True)
class Room:
    """The size of everything that depends on memory; `blocks` are of `page_size` tokens."""

    slots: int
    context_length: int
    blocks: int
    batch_tokens: int
    page_size: int


def choose_device(asked: str) -> torch.device:
    """The device asked for, or the best there is; EngineDead("device_missing") without it."""
    if asked == "auto":
        cuda, mps = torch.cuda.is_available(), torch.backends.mps.is_available()
        return torch.device("cuda" if cuda else "mps" if mps else "cpu")
    try:
        device = torch.device(asked)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError):
        raise EngineDead("device_missing", device=asked) from None
    return device


def choose_dtype(asked: str, device: torch.device, stored: torch.dtype) -> torch.dtype:
    """The format asked for; else what suits the device, on a CPU by measuring it."""
    if asked != "auto":
        short = {"fp32": "float32", "bf16": "bfloat16", "fp16": "float16"}.get(asked, asked)
        if short not in _DTYPES:
            raise EngineDead("dtype_unknown", dtype=asked)
        return _DTYPES[short]
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
    if device.type == "mps":
        return torch.float16
    gain = _product_time(torch.float32) / _product_time(torch.bfloat16)
    return torch.bfloat16 if gain >= _FASTER.get(stored, _FASTER_16) else torch.float32


def _product_time(dtype: torch.dtype) -> float:
    """Seconds of a product as decoding makes them: a few rows with a square of weights."""
    few, square = torch.ones(8, 1024, dtype=dtype), torch.ones(1024, 1024, dtype=dtype)
    times = []
    for _ in range(12):
        started = time.perf_counter()
        torch.nn.functional.linear(few, square)
        times.append(time.perf_counter() - started)
    return min(times)


def choose_threads(asked: int, parameters: int) -> int:
    """How many threads compute: one for tiny models, else the physical cores this process has."""
    if asked:
        return asked
    if parameters < _TINY:
        return 1
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return max(1, min(usable or 1, psutil.cpu_count(logical=False) or usable or 1))


def choose_room(
    spec: EngineSpec,
    config: Any,
    device: torch.device,
    dtype: torch.dtype,
    layers: Mapping[torch.device, int] | None = None,
) -> Room:
    """Slots, window and cache that fit into the share of free memory; never less than one reply.

    `layers` says how many are on which device, if they are on several.
    """
    cpu = device.type == "cpu"
    most = int(getattr(config, "max_position_embeddings", None) or _CPU_WINDOW)
    window = min(most, spec.context_length or (_CPU_WINDOW if cpu else _GPU_WINDOW))
    slots = spec.slots or (_CPU_SLOTS if cpu else _MOST_SLOTS)
    batch = max(spec.max_batch_tokens or _STALL.get(device.type, _GPU_STALL), slots)
    gpu = device.type == "cuda"
    page = max(spec.page_size, _GPU_PAGE) if gpu else spec.page_size
    share = spec.memory_share or (_GPU_SHARE if gpu else _SHARE)
    possible = min(
        int(free_memory(home) * share) // _bytes_per_block(page, config, dtype, batch, count)
        for home, count in (layers or {device: int(config.num_hidden_layers)}).items()
    )
    wanted = slots * -(-window // page) + 1
    blocks = min(spec.num_blocks or wanted, possible)
    if blocks < 2:
        raise EngineDead("out_of_memory", needed="cache")
    # one block is kept free: a request that fills the cache to the last token cannot move
    window = min(window, (blocks - 1) * page)
    if not spec.slots and not cpu:
        slots = max(1, min(slots, blocks * page * 2 // window))
    return Room(slots, window, blocks, batch, page)


def free_memory(device: torch.device) -> int:
    """Bytes that could be taken on the device now."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    return int(psutil.virtual_memory().available)


def _bytes_per_block(
    page_size: int, config: Any, dtype: torch.dtype, batch: int, layers: int
) -> int:
    """Memory of one block in so many layers, and its share of what reading it takes in one."""
    heads = int(config.num_attention_heads)
    pairs = int(getattr(config, "num_key_value_heads", None) or heads)
    size = int(getattr(config, "head_dim", None) or config.hidden_size // heads)
    stored = 2 * layers * pairs * size * dtype.itemsize
    read = (2 * heads + pairs) * size * dtype.itemsize + 16
    mask = batch * dtype.itemsize
    return int(page_size * (stored + read + mask))
