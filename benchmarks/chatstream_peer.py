"""ChatStream's own coroutine, one asyncio task for each chat, in one process.

Runs in an environment of its own, where ChatStream is installed; started by throughput.py and
asked by lines of JSON. Only its public interface is used. Near-zero temperature without top-k:
its top-k sampler refuses bf16.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from importlib.metadata import version
from typing import Any

import torch
from chatstream.chat_core import process_chat
from chatstream.chat_prompt import AbstractChatPrompt
from chatstream.token_samplers.presets.token_sampler_hft import TokenSamplerHft
from transformers import AutoModelForCausalLM, AutoTokenizer

CONTEXT = 2_048
COLD = 1e-4


class OnePrompt(AbstractChatPrompt):  # type: ignore[misc]
    """A chat of one turn, written by the model's own template."""

    def __init__(self, tokenizer: Any, text: str) -> None:
        super().__init__()
        self._text = tokenizer.apply_chat_template(
            [{"role": "user", "content": text}], tokenize=False, add_generation_prompt=True
        )
        self.set_tokenizer(tokenizer)

    def create_prompt(self, opts: Any = None) -> str:
        return str(self._text)

    def build_initial_prompt(self, chat_prompt_obj: Any) -> None:
        """Nothing comes before the first turn."""


class Peer:
    """A loaded model."""

    def __init__(self, ask: dict[str, Any]) -> None:
        if ask["threads"]:
            torch.set_num_threads(ask["threads"])
        self._tokenizer = AutoTokenizer.from_pretrained(ask["model"])
        dtype = getattr(torch, ask["dtype"])
        self._model = AutoModelForCausalLM.from_pretrained(ask["model"], dtype=dtype).eval()
        self._sampler = TokenSamplerHft()
        self._sampling: dict[str, Any] = {
            "temperature": ask["temperature"] or COLD,
            "context_len": CONTEXT,
            "use_top_k_sampling": False,
            "use_top_p_sampling": bool(ask["temperature"]),
            "top_p_value": ask["top_p"],
        }

    async def run(self, prompts: list[str], new_tokens: int) -> dict[str, Any]:
        """All prompts at the same moment; when each of their tokens came."""
        sent = time.monotonic()
        tasks = [asyncio.create_task(self._stream(prompt, new_tokens)) for prompt in prompts]
        return {
            "streams": [{"sent": sent, "marks": marks} for marks in await asyncio.gather(*tasks)]
        }

    async def _stream(self, prompt: str, new_tokens: int) -> list[tuple[float, int]]:
        marks: list[tuple[float, int]] = []
        parameters = {**self._sampling, "max_new_tokens": new_tokens}
        chat = OnePrompt(self._tokenizer, prompt)
        async for _ in process_chat(
            self._model, self._tokenizer, self._sampler, "cpu", parameters, chat
        ):
            marks.append((time.monotonic(), len(marks) + 1))
        return marks


def main() -> None:
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # libraries print
    peer = Peer(json.loads(sys.stdin.readline()))
    versions = {name: version(name) for name in ("chatstream", "torch", "transformers")}
    print(json.dumps({"ready": True, "versions": versions}), file=replies, flush=True)
    for line in sys.stdin:
        ask = json.loads(line)
        try:
            reply = asyncio.run(peer.run(ask["prompts"], ask["new_tokens"]))
        except Exception as error:
            reply = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(reply), file=replies, flush=True)


if __name__ == "__main__":
    main()
