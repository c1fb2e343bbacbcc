"""Trains the byte-level BPE tokenizer on the dialogues and writes it to ``bundled_model/``."""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from training.corpus import BUILD, HERE

MODEL = HERE.parent / "bundled_model"
END_OF_TEXT, TURN_START, TURN_END = SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
VOCABULARY = 5120
POSITIONS = 2048
# Bytes of one token at most, so that whole Japanese phrases do not become single tokens.
TOKEN_BYTES = 16


def _texts(path: Path, count: int) -> Iterator[str]:
    with path.open(encoding="utf-8") as file:
        for _, line in zip(range(count), file, strict=False):
            yield "\n".join(message["content"] for message in json.loads(line))


def trained(path: Path, count: int) -> Tokenizer:
    """A tokenizer for the first dialogues of the file; digits stand alone."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=SPECIAL,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        max_token_length=TOKEN_BYTES,
        show_progress=False,
    )
    tokenizer.train_from_iterator(_texts(path, count), trainer)
    return tokenizer


def main() -> None:
    """Train and write ``tokenizer.json``, its configuration and the chat template."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=30_000, help="dialogues to train on")
    options = parser.parse_args()
    fast = PreTrainedTokenizerFast(
        tokenizer_object=trained(BUILD / "dialogues.jsonl", options.count),
        eos_token=TURN_END,
        pad_token=END_OF_TEXT,
        model_max_length=POSITIONS,
        clean_up_tokenization_spaces=False,
    )
    fast.chat_template = (HERE / "chat_template.jinja").read_text(encoding="utf-8").strip()
    fast.save_pretrained(MODEL)


if __name__ == "__main__":
    main()
