"""Makes the training dialogues: ``python -m training.corpus`` writes them as JSON lines.

Seeded and deterministic. A dialogue with a held-out prompt in it is dropped.
"""

import argparse
import json
import random
import re
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from training import countries, facts, free, stories, sums
from training.grammar import Drawn, Turns, normalised, typed_en, typed_ja

HERE = Path(__file__).parent
BUILD = HERE / "build"
SYSTEM = (
    "You are a helpful assistant.", "You are a friendly assistant.", "Answer briefly.",
    "Be polite.",
    "You are a helpful, respectful and honest assistant.", "Answer in simple words.",
    "You are the assistant of this site.", "Keep your answers short and clear.",
    "あなたは親切なアシスタントです。", "簡潔に答えてください。", "丁寧に答えてください。",
)  # fmt: skip
# A held-out prompt longer than this must not be inside another prompt either.
SHORT = 16
Exchange = Callable[[random.Random], Turns]


def exchanges_en() -> dict[Exchange, float]:
    """What an English dialogue is made of, and how often."""
    site, talk = Drawn("site_en", typed_en, synonyms=0.3), Drawn("talk_en", typed_en)
    general, create = Drawn("facts_en", typed_en), Drawn("create_en", typed_en)
    between: Exchange = lambda rng: rng.choice((talk, general, facts.opposites_en))(rng)[:1]  # noqa: E731
    return {
        site: 26, talk: 26, general: 19, create: 17, countries.countries_en: 9, facts.animals_en: 6,
        facts.words_en: 5, facts.opposites_en: 3, partial(facts.colours, language="en"): 3,
        sums.sums_en: 32, sums.word_problems: 6, sums.numbers_en: 5,
        partial(stories.stories_en, names=free.NAMES): 6, free.unknown_en: 13,
        free.everyday_en: 6,
        partial(free.memory_en, between=between): 14, free.repeat_en: 2, facts.order_en: 3,
    }  # fmt: skip


def exchanges_ja() -> dict[Exchange, float]:
    """What a Japanese dialogue is made of, and how often."""
    site, talk, general = (Drawn(f"{name}_ja", typed_ja) for name in ("site", "talk", "facts"))
    between: Exchange = lambda rng: rng.choice((talk, general))(rng)[:1]  # noqa: E731
    return {
        site: 18, talk: 24, general: 14, countries.countries_ja: 9, facts.animals_ja: 6,
        facts.words_ja: 3, partial(facts.colours, language="ja"): 4, sums.sums_ja: 13,
        sums.numbers_ja: 3, stories.stories_ja: 7, free.unknown_ja: 10,
        free.everyday_ja: 5,
        partial(free.memory_ja, between=between): 11,
    }  # fmt: skip


def held_out_turns() -> list[list[str]]:
    """The user turns of each held-out dialogue."""
    lines = (HERE / "heldout.tsv").read_text(encoding="utf-8").splitlines()
    rows = [line.split("\t") for line in lines if line and not line.startswith("#")]
    return [row[2].split(" || ") for row in rows]


def dialogues(seed: int, count: int, japanese: float = 0.3) -> Iterator[list[dict[str, str]]]:
    """The dialogues, each a list of chat messages, as the chat template wants them."""
    rng = random.Random(seed)
    pools = {"en": exchanges_en(), "ja": exchanges_ja()}
    held_out = {normalised(turn) for turns in held_out_turns() for turn in turns[-1:]}
    longer = re.compile(
        "|".join(text for text in held_out if len(text) > SHORT and not text.isdigit())
    )
    made = 0
    while made < count:
        language = "ja" if rng.random() < japanese else "en"
        many = rng.choices((1, 2, 3, 4, 6, 9, 14), (34, 22, 14, 10, 10, 7, 3))[0]
        messages: list[dict[str, str]] = []
        if rng.random() < 0.08:
            messages.append({"role": "system", "content": rng.choice(SYSTEM)})
        for _ in range(many):
            if many > 1 and rng.random() < 0.06:
                language = "en" if language == "ja" else "ja"
            pool = pools[language]
            turns = rng.choices(list(pool), list(pool.values()))[0](rng)
            if rng.random() < 0.12:
                turns = [*turns, free.remark(rng, turns[-1], language)]
            asked = [normalised(question) for question, _ in turns]
            if any(text in held_out or longer.search(text) for text in asked):
                continue
            for question, answer in turns:
                messages.append({"role": "user", "content": question})
                messages.append({"role": "assistant", "content": answer})
        if messages and messages[-1]["role"] == "assistant":
            made += 1
            yield messages


def main() -> None:
    """Write the dialogues to ``training/build/dialogues.jsonl``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--count", type=int, default=90_000, help="dialogues (about 18 million tokens)"
    )
    parser.add_argument("--show", type=int, default=0, help="print so many instead of writing")
    options = parser.parse_args()
    if options.show:
        for messages in dialogues(options.seed, options.show):
            print("\n".join(f"{m['role'][:4]}: {m['content']}" for m in messages), end="\n\n")
        return
    BUILD.mkdir(exist_ok=True)
    with (BUILD / "dialogues.jsonl").open("w", encoding="utf-8") as file:
        for messages in dialogues(options.seed, options.count):
            file.write(json.dumps(messages, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
