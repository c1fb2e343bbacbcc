"""Reads the hand-written texts and varies how a question is typed.

A pattern is text with choices in brackets: ``[hi|hello] there`` stands for two phrasings.
"""

import random
import re
import tomllib
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TEXTS = Path(__file__).parent / "texts"
CHOICE = re.compile(r"\[([^\[\]]*\|[^\[\]]*)\]|\[([^\[\]|]+)\](?!\()")
PROPER = [
    "Japanese",
    "English",
    "German",
    "French",
    "Spanish",
    "Chinese",
    "Italian",
    "Korean",
    "Russian",
    "Portuguese",
    "Arabic",
    "Dutch",
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
    "Sunday",
    "Japan",
    "Germany",
    "France",
    "Italy",
    "Spain",
    "Europe",
    "America",
    "Mars",
    "Everest",
    "Fuji",
    "Einstein",
    "Newton",
    "Shakespeare",
    "Mozart",
    "Python",
    "Django",
    "Chatsite",
    "Markdown",
    "Christmas",
    "Easter",
]
QUESTION_WORDS = [
    "who",
    "what",
    "which",
    "where",
    "when",
    "why",
    "how",
    "is",
    "are",
    "am",
    "do",
    "does",
    "did",
    "can",
    "could",
    "will",
    "would",
    "should",
    "may",
]
INDIRECT = (
    "do you know ", "can you tell me ", "could you tell me ", "i want to know ", "tell me ",
    "please tell me ", "i wonder ", "i would like to know ", "do you remember ", "explain ",
)  # fmt: skip
REQUESTS = ("can you ", "could you ", "please ", "would you ", "i want you to ", "will you ")
ASKS_WHAT = re.compile(r"(what|who|where) (is|are) ((?:the|a|an|your|my|this) .+)")
ASKS_FOR = re.compile(r"(?:write|show|give|make|tell|list|name|explain|describe) ")
Turns = list[tuple[str, str]]
Typed = Callable[[str, random.Random], str]


@dataclass(frozen=True, slots=True)
class Block:
    """Phrasings of one question, the answers to it, and questions that may follow."""

    questions: tuple[str, ...]
    answers: tuple[str, ...]
    follow_ups: tuple[tuple[str, str], ...]

    @property
    def weight(self) -> float:
        """How often the block is drawn: more phrasings, more often, but not in proportion."""
        return sum(1 + pattern.count("|") for pattern in self.questions) ** 0.5


def expand(pattern: str, rng: random.Random) -> str:
    """One phrasing of a pattern, chosen at random."""
    while match := CHOICE.search(pattern):
        choices = (match[1] or match[2] or "").split("|")
        pattern = pattern[: match.start()] + rng.choice(choices) + pattern[match.end() :]
    return " ".join(pattern.split(" ")).strip()


def alternatives(patterns: str) -> list[str]:
    """The alternatives at the top level of a pattern, outside of brackets."""
    parts, depth, start = [], 0, 0
    for index, char in enumerate(patterns):
        depth += (char == "[") - (char == "]")
        if char == "|" and depth == 0:
            parts.append(patterns[start:index])
            start = index + 1
    return [*parts, patterns[start:]]


def read_blocks(name: str) -> list[Block]:
    """The blocks of ``texts/<name>.txt``: lines Q (question), A (answer), F (follow-up)."""
    blocks: list[Block] = []
    questions: list[str] = []
    answers: list[str] = []
    follow_ups: list[tuple[str, str]] = []
    lines = (TEXTS / f"{name}.txt").read_text(encoding="utf-8").splitlines()
    for line in [*lines, "Q end"]:
        kind, _, rest = line.partition(" ")
        if kind == "Q":
            if answers:
                blocks.append(Block(tuple(questions), tuple(answers), tuple(follow_ups)))
                questions, answers, follow_ups = [], [], []
            questions.append(rest)
        elif kind == "A":
            answers.append(rest.replace("\\n", "\n"))
        elif kind == "F":
            question, _, answer = rest.partition(" >> ")
            follow_ups.append((question, answer.replace("\\n", "\n")))
    return blocks


def read_rows(name: str) -> list[list[str]]:
    """The rows of ``texts/<name>.tsv`` without its comment lines."""
    lines = (TEXTS / f"{name}.tsv").read_text(encoding="utf-8").splitlines()
    return [line.split("\t") for line in lines if line and not line.startswith("#")]


def read_toml(name: str) -> dict[str, Any]:
    """The tables of ``texts/<name>.toml``."""
    return tomllib.loads((TEXTS / f"{name}.toml").read_text(encoding="utf-8"))


def read_lines(name: str) -> list[str]:
    """The lines of ``texts/<name>.txt`` without its comment lines."""
    lines = (TEXTS / f"{name}.txt").read_text(encoding="utf-8").splitlines()
    return [line.strip() for line in lines if line.strip() and not line.startswith("#")]


@dataclass(frozen=True, slots=True)
class Rephrasing:
    """A kind of question, by a pattern, and the other forms in which it may be asked."""

    match: re.Pattern[str]
    forms: tuple[str, ...]


_REPHRASED = read_toml("rephrased")
PREFIXES, SUFFIXES = _REPHRASED["prefixes"], _REPHRASED["suffixes"]
PREFIXES_JA = _REPHRASED["prefixes_ja"]
SYNONYMS: dict[str, list[str]] = _REPHRASED["synonyms"]
REPHRASINGS, REPHRASINGS_JA = (
    [Rephrasing(re.compile(row["match"]), tuple(row["forms"])) for row in _REPHRASED[language]]
    for language in ("en", "ja")
)


def rephrased(question: str, rephrasings: list[Rephrasing], rng: random.Random) -> str:
    """The question in another form, when there is one."""
    found = [(row, match) for row in rephrasings if (match := row.match.fullmatch(question))]
    if not found:
        return question
    row, match = rng.choice(found)
    # The form is put together before it is filled, because a question may contain brackets.
    form = expand(rng.choice(row.forms), rng)
    return " ".join(re.sub(r"\\(\d)", lambda group: match[int(group[1])] or "", form).split())


def with_synonyms(question: str, rng: random.Random) -> str:
    """The question with one word replaced by another that means the same on the site."""
    known = [word for word in question.split() if word in SYNONYMS]
    if not known:
        return question
    word = rng.choice(known)
    return re.sub(rf"\b{word}\b", rng.choice(SYNONYMS[word]), question, count=1)


def normalised(text: str) -> str:
    """Letters and digits only, in lower case: two prompts with the same are the same prompt."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return "".join(char for char in folded if char.isalnum())


def typed_en(question: str, rng: random.Random) -> str:
    """An English question as somebody may type it: case, punctuation, politeness, slips."""
    again = rng.random() < 0.4
    text = rephrased(question, REPHRASINGS, rng) if again else _indirect(question, rng)
    words = text.split()
    is_question = bool(words) and words[0].lower() in QUESTION_WORDS
    if len(words) > 2 and rng.random() < 0.15:
        text = rng.choice(PREFIXES) + text
    if len(words) > 2 and rng.random() < 0.08 and text[-1].isalnum():
        text += rng.choice(SUFFIXES)
    style = rng.random()
    if style < 0.6:
        text = _formal(text)
    elif style > 0.95:
        text = text.upper() if rng.random() < 0.2 else text.lower()
    if len(text) > 12 and rng.random() < 0.03:
        at = rng.randrange(3, len(text) - 2)
        text = text[:at] + text[at + 1 :] if rng.random() < 0.5 else _swapped(text, at)
    if not text[-1:].isalnum():
        return text
    if is_question:
        return text + rng.choice(("?", "?", "?", "", "", "?", " ?", "??"))
    return text + rng.choice((".", "!", "", "", "", "", "."))


def typed_ja(question: str, rng: random.Random) -> str:
    """A Japanese question as somebody may type it."""
    text = question
    for _ in range(rng.choice((0, 0, 1, 1, 2))):
        text = rephrased(text, REPHRASINGS_JA, rng)
    if len(text) > 6 and rng.random() < 0.1:
        text = rng.choice(PREFIXES_JA) + text
    if not text[-1:].isalnum():
        return text
    if text.endswith(("か", "は", "の", "とは")):
        return text + rng.choice(("？", "？", "", "?", "。"))
    return text + rng.choice(("。", "。", "", "", "！"))


def _indirect(text: str, rng: random.Random) -> str:
    """Sometimes "can you tell me what the sea is" for "what is the sea"."""
    if rng.random() < 0.1 and (match := ASKS_WHAT.fullmatch(text)):
        return f"{rng.choice(INDIRECT)}{match[1]} {match[3]} {match[2]}"
    if rng.random() < 0.12 and ASKS_FOR.match(text):
        return rng.choice(REQUESTS) + text
    return text


def _formal(text: str) -> str:
    text = re.sub(r"\bi\b", "I", text)
    for word in PROPER:
        text = re.sub(rf"\b{word.lower()}\b", word, text)
    return text[:1].upper() + text[1:]


def _swapped(text: str, at: int) -> str:
    return text[:at] + text[at + 1] + text[at] + text[at + 2 :]


class Drawn:
    """Draws exchanges from the blocks of some text files."""

    def __init__(self, name: str, typed: Typed, synonyms: float = 0.0) -> None:
        """``synonyms`` is the share of questions with one word replaced (English only)."""
        self._synonyms = synonyms
        self._blocks = read_blocks(name)
        self._weights = [block.weight for block in self._blocks]
        self._typed = typed

    def __call__(self, rng: random.Random) -> Turns:
        block = rng.choices(self._blocks, self._weights)[0]
        question = expand(rng.choice(block.questions), rng)
        if rng.random() < self._synonyms:
            question = with_synonyms(question, rng)
        question = self._typed(question, rng)
        turns = [(question, rng.choice(block.answers))]
        if block.follow_ups and rng.random() < 0.35:
            many = min(len(block.follow_ups), rng.choice((1, 1, 2)))
            for question, answer in rng.sample(block.follow_ups, many):
                turns.append((self._typed(expand(question, rng), rng), answer))
        return turns
