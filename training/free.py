"""Exchanges that copy from the prompt: unknown topics, names and what was said before."""

import random
import re
from collections.abc import Callable

from training.facts import WORDS
from training.grammar import Turns, expand, read_lines, read_toml, typed_en, typed_ja
from training.invented import invented, invented_name, invented_name_ja, invented_topic_ja

TOPICS = read_lines("topics_en")
TOPICS_JA = read_lines("topics_ja")
NAMES = read_lines("names")
NAMES_JA = read_lines("names_ja")
TEXTS = read_toml("free")


def topic(rng: random.Random) -> str:
    """Something that the model does not know."""
    kind = rng.random()
    if kind < 0.25:
        base = invented(rng) if rng.random() < 0.7 else f"{invented(rng)} {invented(rng)}"
    elif kind < 0.6:
        base = f"{rng.choice(TEXTS['kinds'])} {rng.choice(TEXTS['fields'])}"
        if rng.random() < 0.2:
            base = f"{invented(rng)} {rng.choice(TEXTS['fields'])}"
    else:
        base = rng.choice(TOPICS)
    if rng.random() < 0.35:
        pattern = rng.choice(TEXTS["compounds"])
        base = (
            pattern.replace("{other}", rng.choice(TOPICS))
            .replace("{place}", rng.choice(TEXTS["places"]))
            .replace("{}", base)
        )
    return base


def remark(rng: random.Random, turn: tuple[str, str], language: str) -> tuple[str, str]:
    """Something short that may follow any reply: thanks, doubt, again."""
    while True:
        chosen = rng.choice(TEXTS["remarks" if language == "en" else "remarks_ja"])
        sample = chosen["replies"][0]
        if len(turn[0] if "{prompt}" in sample else turn[1]) < 120 or "{" not in sample:
            break
    question = expand(rng.choice(chosen["asked"]), rng)
    reply = rng.choice(chosen["replies"]).replace("{reply}", turn[1]).replace("{prompt}", turn[0])
    return (typed_en if language == "en" else typed_ja)(question, rng), reply


def unknown_en(rng: random.Random) -> Turns:
    """A question about something unknown: say so, name it, and tell how to get a bigger model."""
    if rng.random() < 0.3:
        question = expand(rng.choice(TEXTS["long_asked"]), rng)
        question = question.replace("{language}", rng.choice(TEXTS["languages"]))
        question = question.replace("{other}", topic(rng)).replace("{}", topic(rng))
        return [(typed_en(question, rng), rng.choice(TEXTS["too_much"]))]
    name = topic(rng)
    question = expand(rng.choice(TEXTS["asked" if rng.random() < 0.88 else "letters"]), rng)
    question = question.replace("{city}", rng.choice(TEXTS["cities"]))
    if "{other}" in question:
        name, other = topic(rng), topic(rng)
        if rng.random() < 0.3:
            name, other = invented(rng), invented(rng)
        question, answer = question.replace("{other}", other), f"{name} and {other}"
    else:
        answer = name
    asked = name.lower() if rng.random() < 0.15 else name
    if asked != name:
        answer = answer.lower()
    turns = [
        (typed_en(question.replace("{}", asked), rng), rng.choice(TEXTS["unknown"]).format(answer))
    ]
    if rng.random() < 0.3:
        again = expand(
            "[why|why not|really|why don't you know|are you sure|try anyway|try|please try]", rng
        )
        turns.append((typed_en(again, rng), rng.choice((
            "Because I am very small: I have only about six million parameters. "
            "I know simple facts, sums and stories.",
            "I am sorry, I really do not know it. "
            "Ask me something simple, or choose a bigger model.",
        ))))  # fmt: skip
    return turns


def _filled(pattern: str, fill: dict[str, list[str]], rng: random.Random) -> str:
    return re.sub(r"\{(\w+)\}", lambda match: rng.choice(fill[match[1]]), expand(pattern, rng))


def everyday_en(rng: random.Random) -> Turns:
    """A question of any shape that is beyond the model."""
    everyday = TEXTS["everyday"]
    question = _filled(rng.choice(everyday["asked"]), everyday["fill"], rng)
    return [(typed_en(question, rng), rng.choice(everyday["replies"]))]


def everyday_ja(rng: random.Random) -> Turns:
    """The same in Japanese."""
    everyday = TEXTS["everyday"]
    question = _filled(rng.choice(everyday["asked_ja"]), everyday["fill_ja"], rng)
    return [(typed_ja(question, rng), rng.choice(everyday["replies_ja"]))]


def unknown_ja(rng: random.Random) -> Turns:
    """The same in Japanese."""
    name = rng.choice(TOPICS_JA) if rng.random() < 0.5 else invented_topic_ja(rng)
    if rng.random() < 0.2:
        name = f"{name}と{rng.choice(TOPICS_JA)}"
    question = expand(rng.choice(TEXTS["asked_ja"]), rng).replace("{}", name)
    turns = [(typed_ja(question, rng), rng.choice(TEXTS["unknown_ja"]).format(name))]
    if rng.random() < 0.25:
        again = rng.choice(("なぜですか", "どうしてですか", "本当ですか", "なぜ"))
        turns.append(
            (
                typed_ja(again, rng),
                "私はとても小さなモデルだからです。簡単な質問や計算なら答えられます。",
            )
        )
    return turns


LIKED = [row[0] for row in WORDS] + TOPICS


def memory_en(rng: random.Random, between: Callable[[random.Random], Turns]) -> Turns:
    """Something that the person says about themselves, and is asked about a little later."""
    said = rng.choice(TEXTS["personal"])
    fields = {
        "name": invented_name(rng) if rng.random() < 0.6 else rng.choice(NAMES),
        "city": invented_name(rng) if rng.random() < 0.5 else rng.choice(TEXTS["cities"]),
        "thing": invented(rng) if rng.random() < 0.35 else rng.choice(LIKED),
        "pet": rng.choice(TEXTS["pets"]),
        "age": rng.randint(5, 90),
    }  # fmt: skip
    told = expand(rng.choice(said["tells"]), rng).format(**fields)
    turns = [
        (
            typed_en(told, rng) if rng.random() < 0.5 else told,
            rng.choice(said["replies"]).format(**fields),
        )
    ]
    if rng.random() < 0.8:
        for _ in range(rng.choice((0, 0, 1, 1, 2, 3))):
            turns.extend(between(rng))
        asked = expand(rng.choice(said["asks"]), rng).format(**fields)
        turns.append((typed_en(asked, rng), rng.choice(said["answers"]).format(**fields)))
    return turns


def memory_ja(rng: random.Random, between: Callable[[random.Random], Turns]) -> Turns:
    """The same in Japanese, with names."""
    name = invented_name_ja(rng) if rng.random() < 0.5 else rng.choice(NAMES_JA)
    told = expand(
        f"[私の名前は{name}です|{name}です|私は{name}です|{name}と言います|{name}といいます"
        f"|はじめまして、{name}です|名前は{name}です|{name}と申します|私は{name}と言います"
        f"|こんにちは、{name}です|僕は{name}です|{name}と呼んでください]",
        rng,
    )
    reply = rng.choice(
        (f"はじめまして、{name}さん。", f"こんにちは、{name}さん。何かお手伝いしましょうか。")
    )
    turns = [(typed_ja(told, rng), reply)]
    if rng.random() < 0.8:
        for _ in range(rng.choice((0, 0, 1, 2))):
            turns.extend(between(rng))
        asked = expand(
            "[私の名前は何ですか|私の名前は|名前を覚えていますか|私は誰ですか|私の名前を覚えていますか"
            "|私の名前を言ってください|私の名前は何でしたか|私は何という名前ですか|私の名前が分かりますか"
            "|僕の名前は|さっき言った名前は何ですか|私の名前を知っていますか]",
            rng,
        )
        turns.append((typed_ja(asked, rng), f"あなたのお名前は{name}さんです。"))
    return turns


def repeat_en(rng: random.Random) -> Turns:
    """Say something after the person; choose between two things."""
    a, b = rng.choice(LIKED), rng.choice(LIKED)
    if rng.random() < 0.3:
        a = invented(rng)
    if rng.random() < 0.6:
        question = expand(f"[say|repeat|write|please say|repeat after me:|type] {a}", rng)
        return [(typed_en(question, rng), a[0].upper() + a[1:] + ".")]
    question = expand(
        f"[{a} or {b}|what is better, {a} or {b}|do you prefer {a} or {b}"
        f"|which do you like more, {a} or {b}]",
        rng,
    )
    answer = rng.choice(
        (
            f"Both {a} and {b} have their good sides. Which do you like more?",
            f"I have no favourites, but many people like {a}, and many like {b}.",
        )
    )
    return [(typed_en(question, rng), answer)]
