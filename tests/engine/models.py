"""Small random models with real tokenizers, so that no test downloads anything.

A wide initialisation keeps greedy replies from repeating one token; the rows of special tokens
are zeroed so that replies do not end early.
"""

from __future__ import annotations

import json
import sysconfig
from functools import cache
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from tokenizers.normalizers import Prepend, Replace
from tokenizers.normalizers import Sequence as NormalizerSequence
from transformers import (
    GPTNeoXConfig,
    GPTNeoXForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
    Qwen3Config,
    Qwen3ForCausalLM,
)

CHATML = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n"
    "{{ message.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
CHATML_THINKING = CHATML.replace("assistant\n{% endif %}", "assistant\n<think>\n{% endif %}")
LLAMA2 = (
    "{{ bos_token }}{% for message in messages %}"
    "{% if message.role == 'system' %}{{ raise_exception('no system') }}{% endif %}"
    "{% if message.role == 'user' %}[INST] {{ message.content | trim }} [/INST]"
    "{% else %} {{ message.content | trim }} {{ eos_token }}{% endif %}{% endfor %}"
)
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
PLAIN_ADDED = ["<think>", "</think>", "<tool_call>", "</tool_call>"]
VOCABULARY = 1024


def _corpus() -> list[str]:
    library = Path(sysconfig.get_paths()["stdlib"])
    files = ["argparse.py", "asyncio/tasks.py", "json/encoder.py", "pathlib.py", "textwrap.py"]
    texts = [(library / name).read_text() for name in files]
    return [
        *(line for text in texts for line in text.splitlines()),
        "こんにちは世界。今日はいい天気ですね。東京に行きます。" * 20,
        "Ünïcödé 👩‍👩‍👧 🎉 " * 20,
    ]


def byte_level_tokenizer(template: str | None = CHATML) -> PreTrainedTokenizerFast:
    """GPT-2 style bytes, as Llama 3, Qwen and GPT-NeoX have."""
    return _finished(_trained_on_bytes(), template)


@cache
def _trained_on_bytes() -> str:
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY - len(PLAIN_ADDED),
        special_tokens=SPECIAL,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    backend.train_from_iterator(_corpus(), trainer)
    return str(backend.to_str())


def sentencepiece_like_tokenizer(template: str | None = LLAMA2) -> PreTrainedTokenizerFast:
    """Words with a leading ▁ and single bytes for the rest, as Llama 2 and Mistral have."""
    return _finished(_trained_on_words(), template)


@cache
def _trained_on_words() -> str:
    backend = Tokenizer(models.BPE(byte_fallback=True, unk_token="<unk>", fuse_unk=True))
    backend.normalizer = NormalizerSequence([Prepend("▁"), Replace(" ", "▁")])
    backend.decoder = decoders.Sequence(
        [
            decoders.Replace("▁", " "),
            decoders.ByteFallback(),
            decoders.Fuse(),
            decoders.Strip(content=" ", left=1, right=0),
        ]
    )
    octets = [f"<0x{number:02X}>" for number in range(256)]
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY - len(PLAIN_ADDED),
        special_tokens=["<unk>", *SPECIAL, *octets],
        limit_alphabet=120,
        show_progress=False,
    )
    backend.train_from_iterator(_corpus(), trainer)
    # The bytes are ordinary words of such a vocabulary, not added tokens.
    parsed = json.loads(backend.to_str())
    parsed["added_tokens"] = [t for t in parsed["added_tokens"] if t["content"] not in octets]
    return json.dumps(parsed)


def _finished(backend: str, template: str | None) -> PreTrainedTokenizerFast:
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_str(backend),
        bos_token="<|endoftext|>",
        eos_token="<|im_end|>",
        additional_special_tokens=["<|im_start|>"],
    )
    tokenizer.add_tokens(PLAIN_ADDED)
    tokenizer.chat_template = template
    return tokenizer


_SMALL: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": 256,
    "initializer_range": 0.1,
    "bos_token_id": 0,
    "eos_token_id": 2,
}
FAMILIES = {
    "llama": (LlamaForCausalLM, LlamaConfig(num_key_value_heads=2, **_SMALL)),
    "qwen3": (Qwen3ForCausalLM, Qwen3Config(num_key_value_heads=2, head_dim=16, **_SMALL)),
    "neox": (GPTNeoXForCausalLM, GPTNeoXConfig(**_SMALL)),
}


def save_model(
    folder: Path, family: str = "llama", tokenizer: PreTrainedTokenizerFast | None = None
) -> Path:
    """A random model of a family with a tokenizer, saved as any model is."""
    torch.manual_seed(7)
    kind, config = FAMILIES[family]
    model = kind(config)
    tokenizer = tokenizer or byte_level_tokenizer()
    with torch.no_grad():
        head = model.get_output_embeddings().weight
        head[tokenizer.all_special_ids] = 0.0
        head[sorted(tokenizer.added_tokens_decoder)] = 0.0
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
