"""Answers the held-out prompts and prints the figures: ``python -m training.evaluate``.

What a program can check is checked here; whether a reply is grammatical and on topic is read by a
person and noted in ``judgement.tsv``, from which the shares are computed again.
"""

import argparse
import random
import re
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from training.corpus import BUILD, HERE, SHORT, dialogues
from training.grammar import normalised
from training.sums import is_held_out
from training.tokenizer import MODEL

LIMIT = 200  # tokens within which every reply must have ended by itself
JUDGEMENT = HERE / "judgement.tsv"


@dataclass(frozen=True, slots=True)
class HeldOut:
    """One held-out dialogue: its user turns and what a right last reply matches."""

    language: str
    pattern: str
    turns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Reply:
    """The last reply of a held-out dialogue."""

    text: str
    tokens: int
    ended: bool


def held_out() -> list[HeldOut]:
    """The rows of ``heldout.tsv``."""
    lines = (HERE / "heldout.tsv").read_text(encoding="utf-8").splitlines()
    rows = [line.split("\t") for line in lines if line and not line.startswith("#")]
    return [HeldOut(row[0], row[1], tuple(row[2].split(" || "))) for row in rows]


def check_unseen(prompts: list[HeldOut], seed: int, count: int) -> None:
    """Fail when a held-out prompt is in the training text, alone or inside a longer one."""
    seen = {
        normalised(message["content"])
        for messages in dialogues(seed, count)
        for message in messages
        if message["role"] == "user"
    }
    joined = "\n".join(seen)
    for prompt in prompts:
        text = normalised(prompt.turns[-1])
        inside = len(text) > SHORT and not text.isdigit() and text in joined
        assert text not in seen and not inside, f"in the training text: {prompt.turns[-1]}"


def repeats(text: str) -> bool:
    """Whether some run of four words (or twelve characters) comes three times."""
    words = text.split()
    runs = Counter(tuple(words[i : i + 4]) for i in range(len(words) - 3))
    pieces = Counter(text[i : i + 12] for i in range(len(text) - 11))
    japanese = not text.isascii() and max(pieces.values(), default=0) >= 3
    return max(runs.values(), default=0) >= 3 or japanese


def sampling(options: argparse.Namespace) -> dict[str, Any]:
    """What differs from the generation configuration of the model."""
    if options.temperature is None:
        return {}
    if options.temperature == 0:
        return {"do_sample": False, "temperature": None, "top_p": None}
    return {"temperature": options.temperature}


@torch.no_grad()
def answer(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompt: HeldOut,
    settings: dict[str, Any],
) -> Reply:
    """The reply to the last turn; the replies before it are the model's own, too."""
    messages: list[dict[str, str]] = []
    reply = Reply("", 0, False)
    for turn in prompt.turns:
        messages.append({"role": "user", "content": turn})
        text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        ids = tokenizer(text, return_tensors="pt", add_special_tokens=False)["input_ids"]
        out = model.generate(
            ids, attention_mask=torch.ones_like(ids), max_new_tokens=LIMIT, **settings
        )[0, ids.shape[1] :]
        ended = out[-1].item() in model.generation_config.eos_token_id
        reply = Reply(tokenizer.decode(out, skip_special_tokens=True), len(out), ended)
        messages.append({"role": "assistant", "content": reply.text})
    return reply


def judged() -> dict[str, str]:
    """How each reply was judged by reading it: good, wrong or bad, by prompt."""
    if not JUDGEMENT.exists():
        return {}
    lines = JUDGEMENT.read_text(encoding="utf-8").splitlines()
    rows = [line.split("\t") for line in lines if line and not line.startswith("#")]
    return {row[1]: row[0] for row in rows}


def report(prompts: list[HeldOut], replies: list[Reply], seconds: float) -> str:
    """The figures, in words."""
    lines = []
    for language in ("en", "ja"):
        pairs = [(p, r) for p, r in zip(prompts, replies, strict=True) if p.language == language]
        ended = sum(r.ended for _, r in pairs)
        wanted = [(p, r) for p, r in pairs if p.pattern]
        right = sum(bool(re.search(p.pattern, r.text)) for p, r in wanted)
        mean = sum(r.tokens for _, r in pairs) / len(pairs)
        lines.append(
            f"{language}: {len(pairs)} prompts; ended by itself {ended}; as expected "
            f"{right} of {len(wanted)}; repetitive {sum(repeats(r.text) for _, r in pairs)}; "
            f"mean {mean:.0f} tokens, longest {max(r.tokens for _, r in pairs)}"
        )
        judgement = judged()
        read = [mark for p, _ in pairs if (mark := judgement.get(" || ".join(p.turns)))]
        if read:
            fitting = len(read) - read.count("bad")
            lines.append(
                f"{language}: read {len(read)}; grammatical and on topic {fitting} "
                f"({fitting / len(read):.1%}), of these wrong {read.count('wrong')}"
            )
    total = sum(r.tokens for r in replies)
    lines.append(f"{total / seconds:.0f} tokens/s, one reply after another")
    return "\n".join(lines)


def main() -> None:
    """Answer all prompts, write the replies to a file and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--temperature", type=float, help="0: always the most likely token")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--model", type=Path, default=MODEL)
    parser.add_argument("--check", type=int, default=90_000, help="dialogues to look through")
    options = parser.parse_args()
    prompts = held_out()
    check_unseen(prompts, 1, options.check)
    assert is_held_out(17, 25), "the sums of heldout.tsv are in no training text"
    random.seed(options.seed)
    torch.manual_seed(options.seed)
    tokenizer = AutoTokenizer.from_pretrained(options.model)
    model = AutoModelForCausalLM.from_pretrained(options.model, dtype=torch.float32).eval()
    start = time.monotonic()
    replies = [answer(model, tokenizer, prompt, sampling(options)) for prompt in prompts]
    seconds = time.monotonic() - start
    BUILD.mkdir(exist_ok=True)
    with (BUILD / "replies.txt").open("w", encoding="utf-8") as file:
        for prompt, reply in zip(prompts, replies, strict=True):
            miss = "" if re.search(prompt.pattern, reply.text) else "  [not as expected]"
            loop = "  [repetitive]" if repeats(reply.text) else ""
            end = "" if reply.ended else "  [does not end]"
            file.write(f"> {' || '.join(prompt.turns)}{miss}{loop}{end}\n{reply.text}\n\n")
    print(report(prompts, replies, seconds))


if __name__ == "__main__":
    main()
