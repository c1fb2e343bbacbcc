"""Muon, the optimizer for weight matrices, in fp32: torch's own is in bf16, slow on many CPUs."""

from collections.abc import Iterable

import torch

# Newton-Schulz coefficients of Keller Jordan, https://kellerjordan.github.io/posts/muon/
A, B, C = 3.4445, -4.7750, 2.0315


def orthogonal(matrix: torch.Tensor, steps: int = 5) -> torch.Tensor:
    """About the nearest matrix with singular values near one."""
    x = matrix.T if matrix.shape[0] > matrix.shape[1] else matrix
    x = x / (x.norm() + 1e-7)
    for _ in range(steps):
        square = x @ x.T
        x = A * x + (B * square + C * square @ square) @ x
    return x.T if matrix.shape[0] > matrix.shape[1] else x


class Muon(torch.optim.Optimizer):
    """Momentum, made orthogonal, scaled so that AdamW's learning rates fit."""

    def __init__(
        self,
        params: Iterable[torch.nn.Parameter],
        lr: float,
        momentum: float = 0.95,
        weight_decay: float = 0.02,
    ) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:
        """One update."""
        for group in self.param_groups:
            rate, momentum = group["lr"], group["momentum"]
            for param in group["params"]:
                if param.grad is None:
                    continue
                state = self.state[param]
                average = state.setdefault("average", torch.zeros_like(param))
                average.lerp_(param.grad, 1 - momentum)
                update = orthogonal(param.grad.lerp(average, momentum))
                param.mul_(1 - rate * group["weight_decay"])
                param.add_(update, alpha=-0.2 * rate * max(param.shape) ** 0.5)
