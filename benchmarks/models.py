"""Models to measure with, made here without a download and kept in a folder outside the project.

Random weights are as fast as trained ones. Tokens that end a reply never win, so that every reply
has the length that was asked for.
"""

from __future__ import annotations

import os
import random
import shutil
import sysconfig
import tempfile
from collections.abc import Iterator
from pathlib import Path

SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
TEMPLATE = (
    "{%- for message in messages -%}"
    "{{- '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' -}}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\n' -}}{%- endif -%}"
)
SHAPES = {
    # name: hidden, intermediate, layers, heads, key-value heads, vocabulary
    "T": (256, 704, 6, 4, 2, 4_096),
    "M": (768, 2_048, 12, 12, 4, 16_384),
}
CORPUS_BYTES = 6_000_000
SPREAD = 0.06  # of random weights; narrow ones make a greedy reply repeat one token


def cache() -> Path:
    """Where models and the peer's environment are kept between runs."""
    named = os.environ.get("CHATSITE_BENCH_DIR", "")
    folder = Path(named) if named else Path(tempfile.gettempdir()) / "chatsite-bench"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def prepared(name: str, bundled: Path) -> Path:
    """The folder of a model: "M" or "T" (random), "bundled" (the site's own) or a path.

    It is made when it is not there yet, or older than what it is made from.
    """
    if name == "bundled":
        return _silenced(bundled, cache() / "model-bundled")
    if name in SHAPES:
        folder = cache() / f"model-{name}"
        if not (folder / "model.safetensors").exists():
            _random_model(name, folder)
        return folder
    return Path(name)


def prompts(folder: Path, count: int, tokens: int, seed: int) -> list[str]:
    """Different texts of about so many tokens each, from words of the model's vocabulary."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    words = sorted(
        word[1:]
        for word in tokenizer.get_vocab()
        if word.startswith("Ġ") and len(word) > 3 and word[1:].isascii() and word[1:].isalpha()
    )
    draw = random.Random(seed)
    texts = []
    for _ in range(count):
        text = draw.choice(words)
        while len(tokenizer.encode(text, add_special_tokens=False).ids) < tokens:
            text += " " + draw.choice(words)
        texts.append(text)
    return texts


def _random_model(name: str, folder: Path) -> None:
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    hidden, intermediate, layers, heads, pairs, vocabulary = SHAPES[name]
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=_tokenizer(vocabulary), eos_token=SPECIAL[2], pad_token=SPECIAL[0]
    )
    tokenizer.chat_template = TEMPLATE
    config = LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=hidden,
        intermediate_size=intermediate,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=pairs,
        max_position_embeddings=2_048,
        initializer_range=SPREAD,
        tie_word_embeddings=False,
        bos_token_id=None,
        eos_token_id=SPECIAL.index("<|im_end|>"),
        pad_token_id=0,
    )
    torch.manual_seed(1)
    model = LlamaForCausalLM(config)
    with torch.no_grad():
        model.lm_head.weight[: len(SPECIAL)] = 0
    _save(model.to(torch.bfloat16), tokenizer, folder)


def _silenced(source: Path, folder: Path) -> Path:
    """A copy of a trained model whose special tokens never win against the others."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    weights, made = source / "model.safetensors", folder / "model.safetensors"
    if not weights.exists():
        raise SystemExit(f"{source} has no weights yet; measure with --model T")
    if made.exists() and made.stat().st_mtime >= weights.stat().st_mtime:
        return folder
    tokenizer = AutoTokenizer.from_pretrained(source)
    model = AutoModelForCausalLM.from_pretrained(source)
    model.config.tie_word_embeddings = False
    head = torch.nn.Linear(model.config.hidden_size, model.config.vocab_size, bias=False)
    with torch.no_grad():
        head.weight.copy_(model.get_input_embeddings().weight)
        head.weight[tokenizer.all_special_ids] = 0
    head.to(model.dtype)
    model.set_output_embeddings(head)
    _save(model, tokenizer, folder)
    return folder


def _save(model: object, tokenizer: object, folder: Path) -> None:
    """Save as a whole or not at all: a run that was stopped leaves no half model."""
    half = folder.with_suffix(".half")
    shutil.rmtree(half, ignore_errors=True)
    model.save_pretrained(half)  # type: ignore[attr-defined]
    tokenizer.save_pretrained(half)  # type: ignore[attr-defined]
    shutil.rmtree(folder, ignore_errors=True)
    half.rename(folder)


def _tokenizer(vocabulary: int) -> object:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=SPECIAL,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_corpus(), trainer)
    return tokenizer


def _corpus() -> Iterator[str]:
    """The sources of Python's own standard library, in a fixed order."""
    size = 0
    for path in sorted(Path(sysconfig.get_paths()["stdlib"]).glob("*.py")):
        text = path.read_text(encoding="utf-8", errors="ignore")
        size += len(text)
        yield text
        if size > CORPUS_BYTES:
            return
