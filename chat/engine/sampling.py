"""Draws the next token of every running task at once, repeatably.

The library's continuous batching has one random state for all and drops repetition penalties.
Here noise depends on a task's seed and the absolute position of the token only, so a reply is the
same alone, in a batch, and resumed. Knows tensors, not text.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import torch
from transformers.generation.continuous_batching.cb_logits_processors import (
    ContinuousBatchingLogitsProcessor,
    ContinuousBatchingLogitsProcessorList,
)
from transformers.generation.continuous_batching.requests import FutureRequestState
from transformers.generation.logits_process import LogitsProcessorList

from .base import Sampling
from .noise import gumbel, key_of
from .nucleus import keep_nucleus, largest, threshold_of_nucleus

_NARROW = 1024  # more candidates than this are cheaper to draw from the whole vocabulary
_NUCLEUS = 96  # candidates in which a nucleus is looked for first; it mostly fits


@dataclass(slots=True)
class _Row:
    """How one task draws, and what its repetition penalty has seen."""

    sampling: Sampling
    top_k: int
    seen: set[int] = field(default_factory=set)
    seen_ids: torch.Tensor | None = None

    def see(self, token: int) -> None:
        if self.seen_ids is not None and token not in self.seen:
            if len(self.seen) == len(self.seen_ids):
                self.seen_ids = torch.cat([self.seen_ids, torch.empty_like(self.seen_ids)])
            self.seen_ids[len(self.seen)] = token
            self.seen.add(token)


class Sampler(ContinuousBatchingLogitsProcessor):
    """Penalty, temperature, top-k, top-p and noise, in this order; makes its choice the greatest.

    The library then takes the greatest score. It tells before each step whose rows come.
    """

    supported_kwargs: dict[str, type] = {}
    ignored_kwargs: tuple[str, ...] = ()

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._tasks: dict[str, _Row] = {}
        self._batch: list[_Row] = []
        self._positions: list[int] = []

    def processors(self) -> ContinuousBatchingLogitsProcessorList:
        """This sampler as the list that a continuous batching manager wants."""
        made = ContinuousBatchingLogitsProcessorList(LogitsProcessorList([self]))
        made.tensors_required = 1
        return made

    def add(self, key: str, sampling: Sampling, ids: Iterable[int], vocabulary: int) -> None:
        """A task joins; `ids` are those of its prompt and its reply so far."""
        top_k = min(sampling.top_k, vocabulary)
        row = _Row(sampling, 0 if top_k == vocabulary else top_k)
        if sampling.repetition_penalty != 1.0:
            row.seen = set(ids)
            row.seen_ids = torch.tensor(sorted(row.seen), dtype=torch.long, device=self._device)
        self._tasks[key] = row

    def remove(self, key: str) -> None:
        """A task left."""
        self._tasks.pop(key, None)

    # -- called by the library ----------------------------------------------------------------

    def fill_defaults(self, int32_tensor: torch.Tensor) -> None:
        """Nothing travels in the library's argument tensor."""
        int32_tensor.zero_()

    def prepare_tensor_args(
        self, requests_with_new_token: list[FutureRequestState]
    ) -> torch.Tensor:
        """Remember whose scores will come, in which order, and the position of each new token."""
        states = [future.state for future in requests_with_new_token]
        self._batch = [self._tasks[state.request_id] for state in states]
        self._positions = [len(s.initial_tokens) + len(s.generated_tokens) for s in states]
        for row, state in zip(self._batch, states, strict=True):
            if state.generated_tokens:
                row.see(state.generated_tokens[-1])
        return torch.empty(0, dtype=torch.int32)

    def __call__(self, scores: torch.Tensor, tensor_arg: torch.Tensor) -> torch.Tensor:
        """Make the drawn token of each row its greatest; `scores` has shape (rows, vocabulary)."""
        groups: dict[str, list[int]] = {"narrow": [], "nucleus": [], "wide": []}
        for at, row in enumerate(self._batch):
            if row.seen_ids is not None:
                self._penalize(scores[at], row)
            if (group := _group(row)) is not None:
                groups[group].append(at)
        if groups["narrow"]:
            self._draw_narrow(scores, groups["narrow"])
        if groups["nucleus"]:
            groups["wide"] += self._draw_nucleus(scores, groups["nucleus"])
        if groups["wide"]:
            self._draw_wide(scores, groups["wide"])
        return scores

    # -- the chain ----------------------------------------------------------------------------

    def _penalize(self, scores: torch.Tensor, row: _Row) -> None:
        """Make seen tokens less likely (Keskar et al. 2019, CTRL)."""
        assert row.seen_ids is not None
        ids = row.seen_ids[: len(row.seen)]
        seen = scores.index_select(0, ids)
        penalty = row.sampling.repetition_penalty
        scores.index_copy_(0, ids, torch.where(seen < 0, seen * penalty, seen / penalty))

    def _draw_narrow(self, scores: torch.Tensor, rows: list[int]) -> None:
        """Rows with a top-k: only the candidates get noise."""
        top_k = self._column([self._batch[at].top_k for at in rows])
        values, ids = largest(self._of(scores, rows), max(self._batch[at].top_k for at in rows))
        values = values / self._temperatures(rows)
        rank = torch.arange(values.shape[1], device=self._device)
        values = values.masked_fill(rank >= top_k, -torch.inf)
        keep_nucleus(values, values.logsumexp(-1, keepdim=True), self._top_p(rows))
        self._choose(scores, rows, values, ids)

    def _draw_nucleus(self, scores: torch.Tensor, rows: list[int]) -> list[int]:
        """Rows with a top-p only; those whose nucleus is too wide for the candidates come back."""
        cooled = self._of(scores, rows) / self._temperatures(rows)
        total = cooled.logsumexp(-1, keepdim=True)
        values, ids = largest(cooled, min(_NUCLEUS, cooled.shape[1]))
        covered = keep_nucleus(values, total, self._top_p(rows)).tolist()
        inside = [at for at, row in enumerate(rows) if covered[at]]
        if len(inside) == len(rows):
            self._choose(scores, rows, values, ids)
        elif inside:
            chosen = torch.tensor(inside, device=self._device)
            self._choose(scores, [rows[at] for at in inside], values[chosen], ids[chosen])
        return [row for at, row in enumerate(rows) if not covered[at]]

    def _draw_wide(self, scores: torch.Tensor, rows: list[int]) -> None:
        """Rows that draw from (nearly) the whole vocabulary."""
        values = self._of(scores, rows) / self._temperatures(rows)
        for at, row in enumerate(rows):
            if top_k := self._batch[row].top_k:
                last = torch.topk(values[at], top_k).values[-1]
                values[at].masked_fill_(values[at] < last, -torch.inf)
        if any(self._batch[at].sampling.top_p < 1.0 for at in rows):
            chances = values.softmax(-1)
            least = threshold_of_nucleus(chances, self._top_p(rows))
            values.masked_fill_(chances < least, -torch.inf)
        ids = torch.arange(values.shape[1], device=self._device)
        self._choose(scores, rows, values, ids.unsqueeze(0))

    def _choose(
        self, scores: torch.Tensor, rows: list[int], values: torch.Tensor, ids: torch.Tensor
    ) -> None:
        """Add noise to the candidates; the greatest is a fair draw (the Gumbel-max trick)."""
        keys = [key_of(self._batch[at].sampling.seed, self._positions[at]) for at in rows]
        noisy = values + gumbel(ids, torch.tensor(keys, dtype=torch.int32, device=self._device))
        best = noisy.argmax(-1, keepdim=True)
        tokens = ids.expand(len(rows), -1).gather(1, best).squeeze(1)
        scores[torch.tensor(rows, device=self._device), tokens] = torch.inf

    def _of(self, scores: torch.Tensor, rows: list[int]) -> torch.Tensor:
        if len(rows) == len(scores):
            return scores
        return scores[torch.tensor(rows, device=self._device)]

    def _temperatures(self, rows: list[int]) -> torch.Tensor:
        return self._column([self._batch[at].sampling.temperature for at in rows])

    def _top_p(self, rows: list[int]) -> torch.Tensor:
        return self._column([self._batch[at].sampling.top_p for at in rows])

    def _column(self, values: list[int] | list[float]) -> torch.Tensor:
        return torch.tensor(values, device=self._device).unsqueeze(1)


def _group(row: _Row) -> str | None:
    """How a row draws: None is the greatest score as it is."""
    if row.sampling.temperature == 0.0 or row.top_k == 1:
        return None
    if 0 < row.top_k <= _NARROW:
        return "narrow"
    return "nucleus" if row.top_k == 0 and row.sampling.top_p < 1.0 else "wide"
