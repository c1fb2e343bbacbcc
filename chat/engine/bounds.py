"""What values of a task make sense, whatever model runs it."""

from __future__ import annotations

import math

from .base import PromptRefused, Sampling


def check_sampling(sampling: Sampling) -> None:
    """Refuse what has no meaning or would break the batch, by the name of the parameter."""
    sound = {
        "temperature": math.isfinite(sampling.temperature) and sampling.temperature >= 0,
        "top_k": sampling.top_k >= 0,
        "top_p": 0 < sampling.top_p <= 1,  # NaN compares false
        "repetition_penalty": 0 < sampling.repetition_penalty < math.inf,
        "max_new_tokens": sampling.max_new_tokens >= 1,
    }
    for name, good in sound.items():
        if not good:
            raise PromptRefused("sampling_out_of_range", parameter=name)
