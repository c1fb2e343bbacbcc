"""Writes a random model with the tokenizer of a folder as GGUF, for llama.cpp's servers.

A program of its own, for an interpreter that has the package gguf (and nothing of ours):
`python tests/engine/gguf_model.py FOLDER FILE`. The tokenizer must be a byte-level one.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import gguf
import numpy as np

HIDDEN, FEED_FORWARD, LAYERS, HEADS, KEY_HEADS, WINDOW = 64, 128, 2, 4, 2, 512


def write(folder: Path, file: Path) -> None:
    """A llama of two layers. Control tokens never come, so that replies reach their length."""
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    template = (folder / "chat_template.jinja").read_text()
    added = {token["id"]: token["content"] for token in tokenizer["added_tokens"]}
    words = {**{n: text for text, n in tokenizer["model"]["vocab"].items()}, **added}
    tokens = [words[number] for number in range(len(words))]
    writer = gguf.GGUFWriter(str(file), "llama")
    writer.add_name("random")
    writer.add_context_length(WINDOW)
    writer.add_embedding_length(HIDDEN)
    writer.add_feed_forward_length(FEED_FORWARD)
    writer.add_block_count(LAYERS)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KEY_HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(HIDDEN // HEADS)
    writer.add_vocab_size(len(tokens))
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    kinds = (gguf.TokenType.NORMAL, gguf.TokenType.CONTROL)
    writer.add_token_types([kinds[number in added] for number in range(len(tokens))])
    merges = tokenizer["model"]["merges"]
    writer.add_token_merges([m if isinstance(m, str) else " ".join(m) for m in merges])
    writer.add_bos_token_id(tokens.index("<|endoftext|>"))
    writer.add_eos_token_id(tokens.index("<|im_end|>"))
    writer.add_add_bos_token(False)
    writer.add_chat_template(template)
    for name, tensor in weights(len(tokens), sorted(added)).items():
        writer.add_tensor(name, tensor)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def weights(vocabulary: int, mute: list[int]) -> dict[str, np.ndarray]:
    """Wide random weights: greedy replies do not repeat one token for ever."""
    random = np.random.default_rng(7)

    def matrix(rows: int, columns: int) -> np.ndarray:
        return (random.standard_normal((rows, columns)) * 0.1).astype(np.float32)

    ones = np.ones(HIDDEN, dtype=np.float32)
    narrow = HIDDEN // HEADS * KEY_HEADS
    head = matrix(vocabulary, HIDDEN)
    head[mute] = 0.0
    made = {"token_embd.weight": matrix(vocabulary, HIDDEN), "output.weight": head}
    made["output_norm.weight"] = ones
    for layer in range(LAYERS):
        block = {
            "attn_norm": ones,
            "ffn_norm": ones,
            "attn_q": matrix(HIDDEN, HIDDEN),
            "attn_k": matrix(narrow, HIDDEN),
            "attn_v": matrix(narrow, HIDDEN),
            "attn_output": matrix(HIDDEN, HIDDEN),
            "ffn_gate": matrix(FEED_FORWARD, HIDDEN),
            "ffn_up": matrix(FEED_FORWARD, HIDDEN),
            "ffn_down": matrix(HIDDEN, FEED_FORWARD),
        }
        made |= {f"blk.{layer}.{name}.weight": tensor for name, tensor in block.items()}
    return made


if __name__ == "__main__":
    write(Path(sys.argv[1]), Path(sys.argv[2]))
