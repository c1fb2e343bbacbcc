"""The library's continuous batching manager by itself: no site, no queue, no delivery.

Started by throughput.py and asked by lines of JSON. Model, cache and batch are set up exactly as
the site's engine does it; the manager runs in its own thread, as the library has it.
"""

from __future__ import annotations

import json
import os
import sys
import time
from itertools import count
from typing import Any

import torch
import transformers
from transformers import GenerationConfig

from chat.engine.batching import batching_config
from chat.engine.hardware import choose_room
from chat.engine.loading import load
from chat.engine.spec import EngineSpec

PATIENCE = 280.0  # seconds for one reply on a machine that is busy with something else


class Bare:
    """A loaded model and its manager."""

    def __init__(self, ask: dict[str, Any]) -> None:
        spec = EngineSpec(model=ask["model"], dtype=ask["dtype"], slots=ask["slots"])
        loaded = load(spec, lambda fraction, what: None)
        config = loaded.model.config.get_text_config()
        room = choose_room(spec, config, loaded.device, loaded.model.dtype)
        sampling: dict[str, Any] = {"do_sample": False}
        if ask["temperature"]:
            sampling = {
                "do_sample": True,
                "temperature": ask["temperature"],
                "top_p": ask["top_p"],
                "top_k": None,
            }
        self._tokenizer = loaded.tokenizer
        self._numbers = count()
        self._manager = loaded.model.init_continuous_batching(
            GenerationConfig(eos_token_id=-1, **sampling), batching_config(room)
        )
        self._manager.start()

    def run(self, prompts: list[str], new_tokens: int) -> dict[str, Any]:
        """All prompts at the same moment; when each of their tokens came."""
        ids = [self._encode(prompt) for prompt in prompts]
        sent = time.monotonic()
        for prompt in ids:
            self._manager.add_request(
                prompt,
                request_id=str(next(self._numbers)),
                max_new_tokens=new_tokens,
                record_timestamps=True,
                eos_token_id=-1,
            )
        streams = []
        while len(streams) < len(ids):
            output = self._manager.get_result(timeout=PATIENCE)
            if output is None or output.error:
                raise RuntimeError(f"no result: {output and output.error}")
            marks = [(at, number) for number, at in enumerate(output.timestamps, 1)]
            streams.append({"sent": sent, "marks": marks})
        return {"streams": streams}

    def _encode(self, prompt: str) -> list[int]:
        text = self._tokenizer.apply_chat_template(
            [{"role": "user", "content": prompt}], tokenize=False, add_generation_prompt=True
        )
        return list(self._tokenizer.encode(text, add_special_tokens=False))


def main() -> None:
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # libraries print
    bare = Bare(json.loads(sys.stdin.readline()))
    versions = {"torch": torch.__version__, "transformers": transformers.__version__}
    print(json.dumps({"ready": True, "versions": versions}), file=replies, flush=True)
    for line in sys.stdin:
        ask = json.loads(line)
        try:
            reply = bare.run(ask["prompts"], ask["new_tokens"])
        except Exception as error:
            reply = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(reply), file=replies, flush=True)
    os._exit(0)  # the manager's thread is no daemon


if __name__ == "__main__":
    main()
