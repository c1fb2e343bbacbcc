"""What to run: everything an engine's process is told when it starts."""

from __future__ import annotations

from typing import Literal

import msgspec


class EchoSpec(msgspec.Struct, frozen=True, kw_only=True):
    """How the engine without a model behaves; all times in seconds.

    `recite` is said instead of the prompt when it is not empty; `reasoning` is thought first.
    A prompt that contains `crash_word` ends the process, one that contains `hang_word` makes it
    sleep for ever, one that contains `kill_word` ends the worker with it, each after `poison_after`
    tokens of its reply; they are for fault tests and empty (off) by default.
    """

    step_delay: float = 0.05
    prefill_delay: float = 0.0
    load_delay: float = 0.0
    recite: str = ""
    reasoning: str = ""
    crash_word: str = ""
    hang_word: str = ""
    kill_word: str = ""
    poison_after: int = 0


class OpenAISpec(msgspec.Struct, frozen=True, kw_only=True):
    """Which server with OpenAI's interface runs the model, and how patient we are; in seconds.

    `connect` is the time to reach it, `first` to its first token, `between` from token to token.
    `retries` are for one reply without a new token in between. `resume` says how an answer goes on
    that was begun: "prefill" (the server continues a final assistant message), "replay" (it is
    asked again, and what it repeats is not shown twice), "never", or "auto": a trial finds out.
    `temperature` and `top_p` are for that trial: some servers keep their first request's.
    """

    url: str = "http://127.0.0.1:8001/v1"
    key: str = ""
    connect: float = 5.0
    first: float = 120.0
    between: float = 30.0
    retries: int = 3
    resume: Literal["auto", "prefill", "replay", "never"] = "auto"
    temperature: float = 0.7
    top_p: float = 0.9

    def __repr__(self) -> str:
        return "OpenAISpec()"  # a key has no place in logs


class EngineSpec(msgspec.Struct, frozen=True, kw_only=True):
    """Which model to run, where and how. 0, "" and "auto" mean that the engine chooses.

    `model` is a Hugging Face name or a folder; for "openai" what the server calls it.
    `memory_share` is the part of the free memory that the key-value cache may take, `page_size`
    the tokens in one page of it (on CUDA 256 at least).
    `max_batch_tokens` is how many tokens one step reads at most: it bounds how long a joining
    prompt stalls the others. `fast_matmul` computes float32 products in bf16 (faster on CPUs that
    have it, but a resumed reply may then differ).
    """

    kind: Literal["transformers", "echo", "openai"] = "transformers"
    model: str = ""
    device: str = "auto"
    dtype: str = "auto"
    slots: int = 0
    context_length: int = 0
    memory_share: float = 0.0
    page_size: int = 32
    num_blocks: int = 0
    max_batch_tokens: int = 0
    threads: int = 0
    fast_matmul: bool = False
    load_deadline: float = 1800.0
    hang_after: float = 60.0
    echo: EchoSpec = EchoSpec()
    openai: OpenAISpec = OpenAISpec()
