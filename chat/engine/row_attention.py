"""Attention for continuous batching on a CPU: every reply looks at its own past only.

The library lays all replies of a step end to end and masks what is not theirs, so attention grows
with the square of the width. Here replies of about equal length are padded to one product, and
prompts are done one by one; keys and values stay in the library's paged cache.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface

NAME = "rows"
_UNKNOWN = ("softcap", "s_aux", "position_bias", "sliding_window")
_SLACK = 64  # tokens of padding that cost less than another product


@dataclass(slots=True)
class _Group:
    """Replies that gain one token each, padded to the longest: where they and their past are."""

    rows: torch.Tensor  # their places in the step
    past: torch.Tensor  # flat places of their keys in the cache, (replies × longest)
    mask: torch.Tensor | None  # what is padding, (replies, 1, 1, longest)


@dataclass(slots=True)
class _Prompt:
    """A part of one prompt: its places in the step, its past, and who sees whom."""

    first: int
    last: int
    past: torch.Tensor
    mask: torch.Tensor


@dataclass(slots=True)
class _Plan:
    """How one step is cut; the same for all layers."""

    groups: list[_Group] = field(default_factory=list)
    prompts: list[_Prompt] = field(default_factory=list)


class RowAttention:
    """An attention function of transformers; plans each step once, at its first layer."""

    def __init__(self) -> None:
        self._step: torch.Tensor | None = None
        self._plan = _Plan()
        self._nothing = torch.empty(0, dtype=torch.long)

    def __call__(
        self,
        module: torch.nn.Module,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        attention_mask: torch.Tensor | None,
        scaling: float | None = None,
        **kwargs: Any,
    ) -> tuple[torch.Tensor, None]:
        """Shapes (1, heads, tokens, size) in, (1, tokens, heads, size) out."""
        if attention_mask is not None or any(kwargs.get(name) is not None for name in _UNKNOWN):
            raise NotImplementedError("attention with extras")
        layer = int(module.layer_idx)  # type: ignore[arg-type]
        cache = kwargs["cache"]
        allocator = cache.layer_to_allocator[layer]
        if self._step is not kwargs["cu_seq_lens_q"]:
            self._plan = self._planned(allocator, query.dtype, kwargs)
            self._step = kwargs["cu_seq_lens_q"]
        kwargs["read_index"] = [self._nothing] * len(kwargs["read_index"])  # write only
        cache.update(key_states=key, value_states=value, layer_idx=layer, kwargs=kwargs)
        pages = allocator.get_cache_for_block_table(layer)
        keys, values = (page.view(-1, *page.shape[2:]) for page in pages)
        out = torch.empty_like(query.transpose(1, 2), memory_format=torch.contiguous_format)
        for group in self._plan.groups:
            _look_together(query, keys, values, group, scaling, out)
        for prompt in self._plan.prompts:
            _look_back(query, keys, values, prompt, scaling, out)
        return out, None

    def _planned(self, allocator: Any, dtype: torch.dtype, kwargs: dict[str, Any]) -> _Plan:
        starts = kwargs["cu_seq_lens_q"].tolist()
        ends = kwargs["cu_seq_lens_k"][allocator.layer_type].tolist()
        index = kwargs["read_index"][allocator.index]
        if not index.numel():  # prompts without a past: all they see is written in this step
            index = kwargs["write_index"][allocator.index]
        plan = _Plan()
        replies: list[tuple[int, int, int]] = []  # length, place, where its past begins
        for at in range(len(starts) - 1):
            length = ends[at + 1] - ends[at]
            if starts[at + 1] - starts[at] == 1:
                replies.append((length, starts[at], ends[at]))
            else:
                past = index[ends[at] : ends[at + 1]]
                mask = _causal(starts[at + 1] - starts[at], length, dtype)
                plan.prompts.append(_Prompt(starts[at], starts[at + 1], past, mask))
        plan.groups = [_grouped(part, index, dtype) for part in _alike(sorted(replies))]
        return plan


def register() -> None:
    """Make the name known to transformers."""
    AttentionInterface.register(NAME, RowAttention())


def _look_together(
    query: torch.Tensor,
    keys: torch.Tensor,
    values: torch.Tensor,
    group: _Group,
    scaling: float | None,
    out: torch.Tensor,
) -> None:
    """One product for all replies of a group; heads that share keys are rows of one query."""
    count, (heads, size) = len(group.rows), (query.shape[1], query.shape[3])
    pairs = keys.shape[1]
    shape = (count, -1, pairs, size)
    seen = keys.index_select(0, group.past).view(shape).transpose(1, 2)
    told = values.index_select(0, group.past).view(shape).transpose(1, 2)
    asked = query[0].index_select(1, group.rows).transpose(0, 1)
    asked = asked.reshape(count, pairs, heads // pairs, size)
    found = scaled_dot_product_attention(asked, seen, told, group.mask, scale=scaling)
    out[0].index_copy_(0, group.rows, found.reshape(count, heads, size))


def _look_back(
    query: torch.Tensor,
    keys: torch.Tensor,
    values: torch.Tensor,
    prompt: _Prompt,
    scaling: float | None,
    out: torch.Tensor,
) -> None:
    """A part of a prompt with its past."""
    asked = query[:, :, prompt.first : prompt.last]
    seen = keys.index_select(0, prompt.past).transpose(0, 1).unsqueeze(0)
    told = values.index_select(0, prompt.past).transpose(0, 1).unsqueeze(0)
    shared = query.shape[1] // keys.shape[1]
    if shared > 1:
        seen, told = (part.repeat_interleave(shared, 1) for part in (seen, told))
    found = scaled_dot_product_attention(asked, seen, told, prompt.mask, scale=scaling)
    out[:, prompt.first : prompt.last] = found.transpose(1, 2)


def _alike(replies: list[tuple[int, int, int]]) -> Iterator[list[tuple[int, int, int]]]:
    """Parts of a sorted list in which the longest is at most half as long again as the first."""
    part: list[tuple[int, int, int]] = []
    for reply in replies:
        if part and reply[0] > part[0][0] * 1.5 + _SLACK:
            yield part
            part = []
        part.append(reply)
    if part:
        yield part


def _grouped(part: list[tuple[int, int, int]], index: torch.Tensor, dtype: torch.dtype) -> _Group:
    lengths = torch.tensor([length for length, _, _ in part]).unsqueeze(1)
    begins = torch.tensor([begin for _, _, begin in part]).unsqueeze(1)
    rows = torch.tensor([row for _, row, _ in part])
    columns = torch.arange(part[-1][0]).unsqueeze(0)
    past = index[(begins + torch.minimum(columns, lengths - 1)).flatten()]
    mask = None
    if part[0][0] != part[-1][0]:
        mask = torch.zeros(len(part), part[-1][0], dtype=dtype)
        mask.masked_fill_(columns >= lengths, -torch.inf)
        mask = mask[:, None, None, :]
    return _Group(rows, past, mask)


def _causal(new: int, total: int, dtype: torch.dtype) -> torch.Tensor:
    """Each of the `new` last tokens sees itself and all before it."""
    return torch.full((new, total), -torch.inf, dtype=dtype).triu_(total - new + 1)
