"""Names and words that do not exist, so that copying is learnt and not the words."""

import random

from training.grammar import read_toml

TEXTS = read_toml("invented")


def syllable(rng: random.Random) -> str:
    """A syllable: perhaps a beginning, a vowel, and often an end."""
    end = rng.choice(TEXTS["ends"]) if rng.random() < 0.4 else ""
    return rng.choice(TEXTS["starts"]) + rng.choice(TEXTS["vowels"]) + end


def invented(rng: random.Random) -> str:
    """A word of one to four syllables, small or capitalised, sometimes like a product's name."""
    word = "".join(syllable(rng) for _ in range(rng.choice((1, 2, 2, 3, 3, 4))))
    style = rng.random()
    if style < 0.3:
        return word.capitalize()
    if style < 0.36:
        return word.capitalize() + rng.choice(
            ("SQL", "DB", "OS", "JS", "X", "Lab", "Pro", "-2", "GPT")
        )
    if style < 0.4:
        return "".join(rng.choice("ABCDEFGHIKLMNOPRSTUVWXYZ") for _ in range(rng.randint(2, 5)))
    return word + (rng.choice(TEXTS["endings"]) if style < 0.7 else "")


def invented_name(rng: random.Random) -> str:
    """Something like a first name or the name of a town."""
    word = "".join(syllable(rng) for _ in range(rng.choice((1, 2, 2, 2, 3))))
    return (word + rng.choice(TEXTS["name_endings"])).capitalize()


def invented_name_ja(rng: random.Random) -> str:
    """A Japanese name put together from kanji, from kana or from its usual parts."""
    kind = rng.random()
    if kind < 0.3:
        return "".join(rng.choice(TEXTS["kana"]) for _ in range(rng.randint(2, 5)))
    if kind < 0.4:
        return "".join(rng.choice(TEXTS["hiragana"]) for _ in range(rng.randint(2, 4)))
    if kind < 0.65:
        return "".join(rng.choice(TEXTS["kanji"]) for _ in range(rng.choice((1, 2, 2, 3))))
    return rng.choice(TEXTS["name_starts"]) + rng.choice(TEXTS["name_ends"])


def invented_topic_ja(rng: random.Random) -> str:
    """A Japanese topic: kanji that seldom stand together, or a word in katakana."""
    kind = rng.random()
    if kind < 0.55:
        return "".join(rng.choice(TEXTS["kanji"]) for _ in range(rng.randint(2, 4)))
    word = "".join(rng.choice(TEXTS["kana"] + ["ー", "ン", "ッ"]) for _ in range(rng.randint(3, 7)))
    return word if kind < 0.85 else word + rng.choice(TEXTS["topic_ends_ja"])
