"""Loads a model and its tokenizer, and says in a short code why it could not."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer
from transformers.utils.logging import disable_progress_bar

from .base import EngineDead, Progress
from .hardware import choose_device, choose_dtype, choose_threads
from .model_files import find_model
from .spec import EngineSpec
from .spread import Homes, homes_of

BALANCED = "balanced"
"""The device's name that means all GPUs together, each with about as many layers."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model ready to run, with all that belongs to it."""

    name: str
    folder: Path
    model: Any
    tokenizer: Any
    device: torch.device
    parameters: int
    homes: Homes
    """The device of each layer; empty if the whole model is on one."""


def load(spec: EngineSpec, progress: Progress) -> Loaded:
    """Load what the spec names. Raises EngineDead: "model_missing", "model_unsupported",
    "model_broken", "device_missing", "out_of_memory"."""
    disable_progress_bar()
    folder = find_model(spec.model, progress)
    name = folder.name if Path(spec.model).expanduser().is_dir() else spec.model
    with causes(name):
        progress(0.1, "tokenizer")
        tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
        spread = spec.device == BALANCED
        device = choose_device("cuda" if spread else spec.device)
        config = AutoConfig.from_pretrained(folder, trust_remote_code=False)
        dtype = choose_dtype(spec.dtype, device, _stored_dtype(config))
        progress(0.2, "weights")
        model = AutoModelForCausalLM.from_pretrained(
            folder,
            config=config,
            dtype=dtype,
            use_safetensors=True,
            trust_remote_code=False,
            attn_implementation="sdpa",
            device_map=BALANCED if spread else None,
        )
        progress(0.8, "device")
        model = (model if spread else model.to(device)).eval().requires_grad_(False)
        homes = homes_of(model) if spread else {}
        device = model.device
    parameters = sum(weight.numel() for weight in model.parameters())
    torch.set_num_threads(choose_threads(spec.threads, parameters))
    if spec.fast_matmul and device.type == "cpu":
        torch.backends.mkldnn.matmul.fp32_precision = "bf16"  # type: ignore[attr-defined]
    return Loaded(name, folder, model, tokenizer, device, parameters, homes)


@contextmanager
def causes(name: str) -> Iterator[None]:
    """Turns what libraries raise while a model is prepared into an EngineDead with its cause."""
    try:
        yield
    except EngineDead:
        raise
    except (MemoryError, torch.OutOfMemoryError):
        raise EngineDead("out_of_memory", model=name) from None
    except (KeyError, NotImplementedError, ImportError, AttributeError) as error:
        raise EngineDead("model_unsupported", model=name, cause=_short(error)) from error
    except ValueError as error:
        broken = isinstance(error, json.JSONDecodeError)
        reason = "model_broken" if broken else "model_unsupported"
        raise EngineDead(reason, model=name, cause=_short(error)) from error
    except RuntimeError as error:
        reason = "out_of_memory" if out_of_memory(error) else "model_broken"
        raise EngineDead(reason, model=name, cause=_short(error)) from error
    except Exception as error:  # safetensors and tokenizers raise types of their own
        raise EngineDead("model_broken", model=name, cause=_short(error)) from error


def out_of_memory(error: BaseException) -> bool:
    """Whether an error means that memory ran out; on a CPU that is an ordinary RuntimeError."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and "allocate memory" in str(error)


def _short(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"[:200]


def _stored_dtype(config: Any) -> torch.dtype:
    stored = getattr(config, "dtype", None)
    return stored if isinstance(stored, torch.dtype) else torch.float32
