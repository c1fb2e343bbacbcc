"""Trains the bundled model within a time budget and writes it to ``training/build/model/``.

Resumes from ``training/build/checkpoint.pt``; the learning rate follows the elapsed time. The
committed weights in ``bundled_model/`` change only when somebody copies better ones there.
"""

import argparse
import json
import math
import random
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy
import torch
from transformers import (
    AutoTokenizer,
    GenerationConfig,
    PreTrainedTokenizerBase,
    Qwen3Config,
    Qwen3ForCausalLM,
)

from training.corpus import BUILD
from training.muon import Muon
from training.tokenizer import MODEL, POSITIONS, TURN_END, TURN_START

LONGEST = 1024  # tokens of a training row; the few longer dialogues are cut
CHUNK = 4096  # dialogues that are sorted by length together, so that padding is little
CHECKPOINT = BUILD / "checkpoint.pt"
UNFINISHED = BUILD / "checkpoint.part"
EXPORT = BUILD / "model"  # what `training.evaluate --model` reads
# On rows this short faster than the fused kernels of a CPU, above all backwards.
ATTENTION = "eager"
# Seconds that one step counts at most: a process that was stopped for a while has not trained.
LONGEST_STEP = 10.0


@dataclass(frozen=True, slots=True)
class Rows:
    """All dialogues as one array of ids, with the places that count for the loss."""

    ids: numpy.ndarray
    learnt: numpy.ndarray
    starts: numpy.ndarray


def configuration(vocabulary: int, eos: int, pad: int) -> Qwen3Config:
    """The shape of the model: about six million parameters, embeddings tied."""
    return Qwen3Config(
        vocab_size=vocabulary,
        hidden_size=256,
        intermediate_size=704,
        num_hidden_layers=6,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=64,
        max_position_embeddings=POSITIONS,
        tie_word_embeddings=True,
        rope_parameters={"rope_type": "default", "rope_theta": 10_000.0},
        bos_token_id=None,
        eos_token_id=eos,
        pad_token_id=pad,
        use_cache=True,
        attn_implementation=ATTENTION,
    )


def read_rows(path: Path, tokenizer: PreTrainedTokenizerBase) -> Rows:
    """Encode the dialogues; only what the assistant says is learnt, with its end mark."""
    start, end = tokenizer.convert_tokens_to_ids([TURN_START, TURN_END])
    newline = tokenizer.encode("\n")
    roles = {role: tokenizer.encode(role + "\n") for role in ("system", "user", "assistant")}
    ids: list[int] = []
    learnt: list[bool] = []
    starts = [0]
    with path.open(encoding="utf-8") as file:
        while lines := [line for _, line in zip(range(2000), file, strict=False)]:
            dialogues = [json.loads(line) for line in lines]
            texts = [message["content"] for messages in dialogues for message in messages]
            encoded = iter(tokenizer(texts, add_special_tokens=False)["input_ids"])
            for messages in dialogues:
                for message in messages:
                    head, body = [start, *roles[message["role"]]], [*next(encoded), end]
                    ids += head + body + newline
                    counts = message["role"] == "assistant"
                    learnt += [False] * len(head) + [counts] * len(body) + [False] * len(newline)
                starts.append(len(ids))
    return Rows(numpy.array(ids, "uint16"), numpy.array(learnt), numpy.array(starts))


def batches(rows: Rows, tokens: int, pad: int, seed: int) -> Iterator[tuple[torch.Tensor, ...]]:
    """Endless batches (ids, learnt), of about so many tokens, dialogues of like length together."""
    rng = random.Random(seed)
    order = list(range(len(rows.starts) - 1))
    while True:
        rng.shuffle(order)
        for at in range(0, len(order), CHUNK):
            length = {
                i: int(min(rows.starts[i + 1] - rows.starts[i], LONGEST))
                for i in order[at : at + CHUNK]
            }
            groups: list[list[int]] = [[]]
            for i in sorted(length, key=length.__getitem__):
                if (len(groups[-1]) + 1) * length[i] > tokens:
                    groups.append([])
                groups[-1].append(i)
            rng.shuffle(groups)
            for group in groups:
                width = max(length[i] for i in group)
                ids = torch.full((len(group), width), pad)
                learnt = torch.zeros((len(group), width), dtype=torch.bool)
                for row, i in enumerate(group):
                    part = slice(rows.starts[i], rows.starts[i] + length[i])
                    ids[row, : length[i]] = torch.from_numpy(rows.ids[part].astype("int64"))
                    learnt[row, : length[i]] = torch.from_numpy(rows.learnt[part])
                yield ids, learnt


def loss_of(model: Qwen3ForCausalLM, ids: torch.Tensor, learnt: torch.Tensor) -> torch.Tensor:
    """Mean cross-entropy of the learnt tokens; logits are made for these only."""
    hidden = model.model(input_ids=ids[:, :-1], use_cache=False).last_hidden_state
    wanted = learnt[:, 1:]
    return torch.nn.functional.cross_entropy(
        model.lm_head(hidden[wanted]).float(), ids[:, 1:][wanted]
    )


def optimizers(model: Qwen3ForCausalLM, rate: float) -> list[torch.optim.Optimizer]:
    """Muon for the matrices inside the layers, AdamW for the rest."""
    matrices = [p for n, p in model.named_parameters() if p.ndim == 2 and "embed" not in n]
    inside = {id(p) for p in matrices}
    rest = [p for p in model.parameters() if id(p) not in inside]
    return [
        Muon(matrices, lr=rate),
        torch.optim.AdamW(rest, lr=rate, betas=(0.9, 0.98), weight_decay=0.0),
    ]


def schedule(done: float) -> float:
    """The share of the highest learning rate: a short rise, then a cosine down to 2 %."""
    if done < 0.01:
        return done / 0.01
    return 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * min(done, 1.0)))


def export(model: Qwen3ForCausalLM, tokenizer: PreTrainedTokenizerBase) -> None:
    """Write the weights in bf16, the configuration, the sampling settings and the tokenizer."""
    state = {name: value.to(torch.bfloat16) for name, value in model.state_dict().items()}
    with torch.device("meta"):
        copy = Qwen3ForCausalLM(model.config)
    copy = copy.to_empty(device="cpu").to(torch.bfloat16)
    copy.load_state_dict(state)
    copy.tie_weights()
    copy.generation_config = GenerationConfig(
        do_sample=True,
        temperature=0.3,
        top_p=0.9,
        max_new_tokens=512,
        eos_token_id=[tokenizer.eos_token_id, tokenizer.pad_token_id],
        pad_token_id=tokenizer.pad_token_id,
    )
    copy.save_pretrained(EXPORT)
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        shutil.copyfile(MODEL / name, EXPORT / name)


def made(options: argparse.Namespace, tokenizer: PreTrainedTokenizerBase) -> Qwen3ForCausalLM:
    """The model to train: with random weights, or with those in the box."""
    if options.warm:
        return Qwen3ForCausalLM.from_pretrained(
            MODEL, dtype=torch.float32, attn_implementation=ATTENTION
        )
    return Qwen3ForCausalLM(
        configuration(len(tokenizer), tokenizer.eos_token_id, tokenizer.pad_token_id)
    )


def use_cores(threads: int) -> None:
    """Compute on so many threads (0: torch's own choice), in bf16 where the processor does."""
    if threads:
        torch.set_num_threads(threads)
    if torch.cpu.get_capabilities().get("amx_bf16"):
        # A quarter more tokens a second. Sums stay in 32 bits, and so do the weights.
        torch.backends.mkldnn.matmul.fp32_precision = "bf16"


def train(options: argparse.Namespace) -> None:
    """Train until the time is over; keep a checkpoint and an export every few minutes."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    use_cores(options.threads)
    torch.manual_seed(options.seed)
    tokenizer = AutoTokenizer.from_pretrained(MODEL)
    rows = read_rows(BUILD / "dialogues.jsonl", tokenizer)
    print(
        f"{len(rows.starts) - 1} dialogues, {len(rows.ids)} tokens, "
        f"{rows.learnt.mean():.0%} of them learnt",
        flush=True,
    )
    model = made(options, tokenizer).to(device).train()
    print(f"{model.num_parameters() / 1e6:.2f} million parameters on {device}", flush=True)
    if options.compile:
        for layer in model.model.layers:
            layer.compile(dynamic=True)
    optims = optimizers(model, options.rate)
    spent, seen, step = 0.0, 0, 0
    if CHECKPOINT.exists() and not options.restart:
        kept = torch.load(CHECKPOINT, map_location=device)
        model.load_state_dict(kept["model"])
        for optim, state in zip(optims, kept["optims"], strict=True):
            optim.load_state_dict(state)
        spent, seen, step = kept["spent"], kept["seen"], kept["step"]
    budget, last, saved, mean = options.minutes * 60, time.monotonic(), spent, None
    for ids, learnt in batches(rows, options.tokens, tokenizer.pad_token_id, options.seed + step):
        for optim in optims:
            for group in optim.param_groups:
                group["lr"] = options.rate * schedule(spent / budget)
        with torch.autocast(device, torch.bfloat16, enabled=device == "cuda"):
            loss = loss_of(model, ids.to(device), learnt.to(device))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optim in optims:
            optim.step()
            optim.zero_grad(set_to_none=True)
        mean = loss.item() if mean is None else 0.98 * mean + 0.02 * loss.item()
        now = time.monotonic()
        spent, last = spent + min(now - last, LONGEST_STEP), now
        step, seen = step + 1, seen + ids.numel()
        if step % 20 == 0:
            print(
                f"{spent:6.0f} s  step {step}  loss {mean:.4f}  {seen / spent:.0f} tokens/s",
                flush=True,
            )
        over = spent >= budget or step == options.steps
        if over or spent - saved > 180:
            saved = spent
            kept = {"model": model.state_dict(), "optims": [o.state_dict() for o in optims]}
            # First beside it: a run that is ended while it writes must leave a whole checkpoint.
            torch.save({**kept, "spent": spent, "seen": seen, "step": step}, UNFINISHED)
            UNFINISHED.replace(CHECKPOINT)
            export(model, tokenizer)
        if over:
            print(
                f"trained {spent:.0f} s, {step} steps, {seen} tokens, loss {mean:.4f}", flush=True
            )
            return


def main() -> None:
    """Read the options and train."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=60, help="time to train, over all runs")
    parser.add_argument("--steps", type=int, default=0, help="stop after so many steps (a trial)")
    parser.add_argument(
        "--tokens", type=int, default=2560, help="tokens of a batch, padding included"
    )
    parser.add_argument("--rate", type=float, default=4e-3, help="highest learning rate")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=0, help="of the processor; 0: all")
    parser.add_argument(
        "--warm", action="store_true", help="start from bundled_model/ when there is no checkpoint"
    )
    parser.add_argument(
        "--compile", action="store_true", help="half as many tokens again; needs a C++ compiler"
    )
    parser.add_argument("--restart", action="store_true", help="ignore an existing checkpoint")
    train(parser.parse_args())


if __name__ == "__main__":
    main()
