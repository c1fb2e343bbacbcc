"""What the engine's process and its feed cost beside the library's bare batching.

    python -m benchmarks.engine --model T M --widths 1 2 4 8 16 32

Both run the same weights with the same settings in turn, round after round, so that other load
on the machine meets both alike. Rates are new tokens per second; the second figure of a pair is
the processor time per token (model, sampling, text, both ends of the pipe), which other load
hardly touches.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import time
from pathlib import Path
from typing import Any

import psutil
import torch
from transformers import GenerationConfig

from benchmarks.models import prepared, prompts
from chat.engine.base import Dead, Sampling, Step, Task, Turn
from chat.engine.batching import batching_config
from chat.engine.control_tokens import ControlTokens
from chat.engine.hardware import choose_room
from chat.engine.loading import load
from chat.engine.spec import EngineSpec
from chat.engine.template import ChatTemplate
from chat.feed import Feed

BUNDLED = Path(__file__).resolve().parent.parent / "bundled_model"
SAMPLINGS = {
    "greedy": Sampling(0.0, 0, 1.0, 1.0, max_new_tokens=64, seed=1),
    "sampled": Sampling(0.7, 50, 0.9, 1.0, max_new_tokens=64, seed=1),
    "penalized": Sampling(0.7, 50, 0.9, 1.1, max_new_tokens=64, seed=1),
    "nucleus": Sampling(0.7, 0, 0.9, 1.0, max_new_tokens=64, seed=1),
}


class Bare:
    """The library's manager in its own thread, greedy, with its results taken from its queue."""

    def __init__(self, spec: EngineSpec) -> None:
        loaded = load(spec, lambda fraction, what: None)
        config = loaded.model.config.get_text_config()
        room = choose_room(spec, config, loaded.device, loaded.model.dtype)
        self._template = ChatTemplate(loaded.tokenizer, ControlTokens(loaded.tokenizer))
        generation = GenerationConfig(do_sample=False, eos_token_id=-1)
        self._manager = loaded.model.init_continuous_batching(generation, batching_config(room))
        self._manager.start()

    def run(self, texts: list[str], new_tokens: int) -> float:
        """Tokens per second with one stream per text."""
        for text in texts:
            ids = self._template.encode((Turn("user", text),))
            self._manager.add_request(ids, max_new_tokens=new_tokens, streaming=True)
        times: list[float] = []
        ended = 0
        while ended < len(texts):
            if (result := self._manager.get_result(timeout=60)) is not None:
                times.append(time.perf_counter())
                ended += result.is_finished()
        return rate(times, len(texts))

    def stop(self) -> None:
        self._manager.stop(hard_stop=True)


async def fed(feed: Feed, texts: list[str], sampling: Sampling) -> float:
    """The same through the feed."""
    for number, text in enumerate(texts):
        feed.add(Task(str(number), (Turn("user", text),), sampling))
    times: list[float] = []
    ended = 0
    while ended < len(texts):
        message = await feed.receive()
        if isinstance(message, Dead):
            raise SystemExit(f"the engine died: {message}")
        if isinstance(message, Step):
            for piece in message.pieces:
                times += [time.perf_counter()] * len(piece.token_ids)
                ended += bool(piece.end)
    return rate(times, len(texts))


def rate(times: list[float], width: int) -> float:
    """Tokens per second while all streams run: without prompts, between the middle eighths."""
    first, last = len(times) // 8, len(times) * 7 // 8
    return (last - first) / (times[last] - times[first])


async def measure(name: str, settings: argparse.Namespace) -> None:
    folder = prepared(name, BUNDLED)
    spec = EngineSpec(model=str(folder), dtype=settings.dtype, threads=settings.threads)
    bare = Bare(spec)
    feed = Feed(spec)
    model = await feed.start()
    print(f"{name}: {model.parameters / 1e6:.1f}M {model.dtype}, {torch.get_num_threads()} threads")
    print(f"{'width':>6}{'bare':>18}" + "".join(f"{way:>30}" for way in settings.ways))
    for width in settings.widths:
        texts = prompts(folder, width, 64, seed=width)
        rates: dict[str, list[float]] = {}
        work: dict[str, list[float]] = {}
        for _ in range(settings.rounds):
            before = work_done()
            rates.setdefault("bare", []).append(await asyncio.to_thread(bare.run, texts, 64))
            work.setdefault("bare", []).append(work_done() - before)
            for way in settings.ways:
                before = work_done(feed)
                rates.setdefault(way, []).append(await fed(feed, texts, SAMPLINGS[way]))
                work.setdefault(way, []).append(work_done(feed) - before)
        report(width, rates, work, settings.ways)
    await feed.stop()
    bare.stop()


def work_done(feed: Feed | None = None) -> float:
    """Processor seconds used so far here and, for the feed, in the engine's process."""
    child = psutil.Process(feed.pid).cpu_times() if feed is not None else (0.0, 0.0)
    return time.process_time() + child[0] + child[1]


def report(
    width: int, rates: dict[str, list[float]], work: dict[str, list[float]], ways: list[str]
) -> None:
    rate = {way: statistics.median(found) for way, found in rates.items()}
    each = {way: min(found) / (width * 64) * 1e3 for way, found in work.items()}
    cells = (
        f"{rate[way]:8.0f} {rate[way] / rate['bare']:5.0%} {each[way]:6.2f} ms"
        f" {each['bare'] / each[way]:5.0%}"
        for way in ways
    )
    print(f"{width:6}{rate['bare']:8.0f}{each['bare']:7.2f} ms" + "".join(cells), flush=True)


def main() -> None:
    parser: Any = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", nargs="+", default=["T", "M"])
    parser.add_argument("--widths", nargs="+", type=int, default=[1, 2, 4, 8, 16, 32])
    parser.add_argument("--ways", nargs="+", default=["greedy", "sampled"])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--threads", type=int, default=0)
    settings = parser.parse_args()
    for name in settings.model:
        asyncio.run(measure(name, settings))


if __name__ == "__main__":
    main()
