"""The largest scores of each row, and the smallest set of tokens that makes up top-p."""

from __future__ import annotations

import torch

_HALVINGS = 30  # of the interval in which a nucleus's threshold lies: below float32's precision


def largest(scores: torch.Tensor, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Values and ids of each row's `count` largest scores, in falling order.

    Exact, like torch.topk, which on a CPU takes 4 times as long on a whole vocabulary: the
    largest scores lie in the blocks with the largest maxima.
    """
    rows, vocabulary = scores.shape
    blocks = vocabulary // 32
    if scores.device.type != "cpu" or blocks < 4 * count:
        return torch.topk(scores, count)
    head = scores[:, : blocks * 32].view(rows, 32, blocks)  # a block: every blocks-th token
    best = torch.topk(head.amax(1), count, sorted=False).indices.unsqueeze(1)
    inside = head.gather(2, best.expand(rows, 32, count)).reshape(rows, -1)
    strides = torch.arange(32, device=scores.device).view(1, 32, 1) * blocks
    ids = (best + strides).reshape(rows, -1)
    if rest := vocabulary - blocks * 32:
        inside = torch.cat([inside, scores[:, -rest:]], 1)
        tail = torch.arange(vocabulary - rest, vocabulary, device=scores.device)
        ids = torch.cat([ids, tail.expand(rows, rest)], 1)
    values, at = torch.topk(inside, count)
    return values, ids.gather(1, at)


def keep_nucleus(values: torch.Tensor, total: torch.Tensor, top_p: torch.Tensor) -> torch.Tensor:
    """Drop in place what lies beyond top-p; whether each row's nucleus lies inside the candidates.

    `values` are scores in falling order, `total` the logarithm of the sum of all their
    exponentials, the ones left out too. The token that reaches top-p is kept (Holtzman 2020).
    """
    reached = (values - total).exp_().cumsum(-1)
    before = reached.roll(1, -1)
    before[:, 0] = 0.0
    values.masked_fill_(before >= top_p, -torch.inf)
    return reached[:, -1] >= top_p.squeeze(1)


def threshold_of_nucleus(chances: torch.Tensor, top_p: torch.Tensor) -> torch.Tensor:
    """The least probability inside each row's nucleus, by bisection; no sorting.

    A row with a top-p of 1 keeps everything.
    """
    low = torch.zeros_like(top_p)
    high = chances.amax(-1, keepdim=True)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        enough = (chances * (chances >= middle)).sum(-1, keepdim=True) >= top_p
        low = torch.where(enough, middle, low)
        high = torch.where(enough, high, middle)
    return torch.where(top_p >= 1.0, torch.zeros_like(low), low)
