"""Exchanges made from tables: animals, words, colours, opposites and sums."""

import random

from training.grammar import Turns, alternatives, expand, read_lines, read_rows, typed_en, typed_ja

ANIMALS = read_rows("animals")
WORDS = read_rows("words")
THINGS = read_rows("things")
OPPOSITES = [tuple(line.split()) for line in read_lines("opposites")]
PLURALS = {
    "mouse": "mice", "sheep": "sheep", "wolf": "wolves", "fox": "foxes", "deer": "deer",
    "salmon": "salmon", "butterfly": "butterflies", "octopus": "octopuses", "ostrich": "ostriches",
    "fish": "fish", "arachnid": "arachnids", "mollusc": "molluscs",
}  # fmt: skip
NUMBERS = ["no", "one", "two", "three", "four", "five", "six", "seven", "eight"]


def with_article(noun: str) -> str:
    """The noun with "a" or "an"."""
    return f"an {noun}" if noun[0] in "aeiou" else f"a {noun}"


def plural(noun: str) -> str:
    """The plural of an animal of the table."""
    return PLURALS.get(noun, noun + "s")


def animals_en(rng: random.Random) -> Turns:
    """A question about an animal."""
    name, group, legs, habit, food = rng.choice(ANIMALS)[:5]
    one, many = with_article(name), plural(name)
    count = NUMBERS[int(legs)] + (" leg" if legs == "1" else " legs")
    if name == "snail":
        count = "one foot and no legs"
    facts = {
        "legs": (f"how many legs [does {one} have|do {many} have|has {one}|have {many} got"
                 f"|has {one} got|are there on {one}]"
                 f"|[{name} legs, how many|number of legs of {one}]",
                 f"{one.capitalize()} has {count}."),
        "food": (f"what [does {one} eat|do {many} eat]|what is the food of {many}"
                 f"|what do you feed {one}|what [food|kind of food|sort of food] "
                 f"[does {one} eat|do {many} eat|do {many} like|does {one} like]"
                 f"|what [do {many}|does {one}] [like to eat|feed on|live on|have for dinner]"
                 f"|what is on the menu of {many}", f"{many.capitalize()} eat {food}."),
        "about": (f"tell me [something|a fact|] about [{many}|{one}|the {name}]|what is {one}"
                  f"|what do you know about {many}|describe {one}|what are {many}"
                  f"|do you [like|know] {many}|a fact about {many}"
                  f"|tell me a fact about [{one}|{many}]"
                  f"|what can you [say|tell me] about [{many}|{one}|the {name}]|{many}"
                  f"|[describe|explain] [{many}|the {name}|{one}][ for me| to me|]|i like {many}",
                  f"{one.capitalize()} is {with_article(group)}. It {habit}."),
        "does": (f"what [does {one} do|do {many} do|sound does {one} make|can {one} do]"
                 f"|what is special about {many}"
                 f"|[what|which] [sound|noise] [does {one}|do {many}] make"
                 f"|how does {one} sound|what do {many} say", f"{one.capitalize()} {habit}."),
        "group": (f"what kind of animal is {one}|what sort of animal is {one}"
                  f"|[what|which] [group|class|family] [of animals |]"
                  f"[does {one}|do {many}] belong to"
                  f"|[what|which] kind of animals are {many}",
                  f"{one.capitalize()} is {with_article(group)}."),
    }  # fmt: skip
    if rng.random() < 0.2:
        return _animal_yes_no(one, many, group, legs, rng)
    kinds = rng.sample(tuple(facts), rng.choice((1, 1, 1, 2, 2, 3)))
    turns = []
    for kind in kinds:
        pattern, answer = facts[kind]
        question = expand(rng.choice(alternatives(pattern)), rng)
        if turns:
            question = {
                "legs": "[and |]how many legs [does it|do they] have|[and|] the legs",
                "food": "[and |]what [does it|do they] [like to |]eat|what is [its|their] food",
                "about": "tell me more about [it|them]|describe [it|them]",
                "does": "[and |]what [does it|do they] do|what is special about [it|them]",
                "group": "what [kind|sort] of [animal is it|animals are they]",
            }[kind]  # fmt: skip
            question = expand(rng.choice(alternatives(question)), rng)
        turns.append((typed_en(question.replace("  ", " "), rng), answer))
    return turns


def _animal_yes_no(one: str, many: str, group: str, legs: str, rng: random.Random) -> Turns:
    if rng.random() < 0.5 and legs in "2468":
        asked = rng.choice((legs, legs, "2", "4", "6", "8"))
        question = rng.choice(
            (
                f"do {many} have {NUMBERS[int(asked)]} legs",
                f"has {one} {NUMBERS[int(asked)]} legs",
                f"does {one} have {NUMBERS[int(asked)]} legs",
                f"have {many} [got |]{asked} legs",
                f"{many} have {NUMBERS[int(asked)]} legs, right",
                f"is it true that {many} have {NUMBERS[int(asked)]} legs",
            )
        )
        question = expand(question, rng)
        start = "Yes" if asked == legs else "No"
        return [(typed_en(question, rng), f"{start}, {one} has {NUMBERS[int(legs)]} legs.")]
    other = rng.choice((group, group, "mammal", "bird", "fish", "insect"))
    question = expand(
        rng.choice(
            (
                f"is {one} [really |actually |]{with_article(other)}",
                f"are {many} [really |actually |]{plural(other)}",
                f"do {many} belong to the {plural(other)}",
                f"i think {many} are {plural(other)}",
            )
        ),
        rng,
    )
    start = "Yes" if other == group else "No"
    return [(typed_en(question, rng), f"{start}, {one} is {with_article(group)}.")]


def animals_ja(rng: random.Random) -> Turns:
    """The same in Japanese."""
    row = rng.choice(ANIMALS)
    name, habit = row[5], row[6]
    if rng.random() < 0.3 and row[2] in "02468":
        count = {
            "0": "ありません",
            "2": "二本です",
            "4": "四本です",
            "6": "六本です",
            "8": "八本です",
        }
        question = expand(
            f"{name}の足は[何本ですか|何本ありますか|いくつありますか|何本]"
            f"|{name}[には足が何本ありますか|は足が何本ありますか|の足の数は何本ですか|は何本足ですか]",
            rng,
        )
        question = rng.choice(alternatives(question))
        answer = f"{name}の足は{count[row[2]]}。"
    else:
        question = expand(
            f"{name}[について教えてください|について教えて|とは何ですか|はどんな動物ですか"
            f"|の特徴は何ですか|が好きです|はどんな生き物ですか|のことを話してください|って何ですか"
            f"|を知っていますか|は何をしますか]", rng)  # fmt: skip
        answer = f"{name}は{habit}。"
    return [(typed_ja(question, rng), answer)]


DAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
MONTHS = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
]
SIZES = [
    "ant",
    "bee",
    "mouse",
    "frog",
    "cat",
    "fox",
    "dog",
    "sheep",
    "pig",
    "wolf",
    "lion",
    "bear",
    "cow",
    "horse",
    "elephant",
    "whale",
]


def order_en(rng: random.Random) -> Turns:
    """Neighbours in the week and the year, and which of two animals is bigger."""
    kind = rng.random()
    if kind < 0.35:
        small, big = sorted(rng.sample(range(len(SIZES)), 2))
        pair = [with_article(SIZES[small]), with_article(SIZES[big])]
        shown = rng.sample(pair, 2)
        which = rng.choice(("bigger", "smaller", "larger"))
        question = (
            f"[which is|what is|who is] {which}, {shown[0]} or {shown[1]}"
            f"|is {shown[0]} {which} than {shown[1]}"
        )
        answer = f"{pair[1].capitalize()} is bigger than {pair[0]}."
        return [(typed_en(expand(rng.choice(alternatives(question)), rng), rng), answer)]
    names, unit = (DAYS, "day") if kind < 0.7 else (MONTHS, "month")
    at, step = rng.randrange(len(names)), rng.choice((-1, 1))
    where = "after" if step == 1 else "before"
    question = f"[what|which {unit}] [comes|is] {where} {names[at]}"
    answer = f"{names[(at + step) % len(names)]} comes {where} {names[at]}."
    return [(typed_en(expand(question, rng), rng), answer)]


def words_en(rng: random.Random) -> Turns:
    """A definition, a translation or an opposite."""
    word, japanese, reading, meaning = rng.choice(WORDS)[:4]
    kind = rng.random()
    if kind < 0.4:
        question = f"what is [{with_article(word)}|{word}|the {word}]|what does {word} mean" \
                   f"|define {word}|explain the word {word}|[the |]meaning of {word}" \
                   f"|what is [the meaning of|the definition of] [the word |]{word}" \
                   f"|what is meant by [the word |]{word}|what is {with_article(word)}"  # fmt: skip
        answer = f"{word.capitalize()}: {meaning}."
    elif kind < 0.75:
        question = f"[what is|what's|how do you say|say|translate] {word} in japanese" \
                   f"|translate {word}[ into japanese| to japanese]|the japanese word for {word}" \
                   f"|{word} in japanese" \
                   f"|how is [the word |]{word} [called|said|written] in japanese" \
                   f"|[what is|tell me|do you know] the japanese [word |name |]for {word}" \
                   f"|how can i say {word} in japanese" \
                   f"|what do [japanese people|they] say for {word}" \
                   f"|how [do i|would you] [write|say|translate] {word} in japanese"  # fmt: skip
        answer = f"In Japanese, {word} is **{japanese}** ({reading})."
    else:
        question = (
            f"what does {japanese} mean[ in english|]|what is {japanese}[ in english|]"
            f"|translate {japanese}[ to english| into english|]|what is the meaning of {japanese}"
            f"|{japanese}[ in english|]|[how do i|can you] read {japanese}"
        )
        answer = f"{japanese} ({reading}) means **{word}**."
    turns = [(typed_en(expand(rng.choice(alternatives(question)), rng), rng), answer)]
    if 0.4 < kind < 0.75 and rng.random() < 0.4:
        word, japanese, reading = rng.choice(WORDS)[:3]
        question = expand(f"[and|what about|and what is] {word}", rng)
        turns.append(
            (typed_en(question, rng), f"In Japanese, {word} is **{japanese}** ({reading}).")
        )
    return turns


def words_ja(rng: random.Random) -> Turns:
    """A translation into English."""
    word, japanese = rng.choice(WORDS)[:2]
    question = expand(
        f"「{japanese}」は英語で[何ですか|何と言いますか|なんと言いますか|]", rng)  # fmt: skip
    if rng.random() < 0.3:
        question = expand(f"{japanese}を英語[に訳して|で言って][ください|]", rng)
    return [(typed_ja(question, rng), f"「{japanese}」は英語で **{word}** です。")]


def opposites_en(rng: random.Random) -> Turns:
    """An opposite, in either direction."""
    turns = []
    for step in range(rng.choice((1, 1, 2))):
        pair = list(rng.choice(OPPOSITES))
        word, other = pair
        question = (
            f"[what is|what's|tell me] the opposite of {word}"
            f"|opposite of {word}|the opposite of {word}|the opposite word [of|to|for] {word}"
            f"|[give me|say|name|i need] the opposite of {word}|what is the contrary of {word}"
            f"|which word is the opposite of {word}|what is not {word}"
        )
        if step:
            question = f"[and of|and|what about|how about|and the opposite of] {word}"
        text = expand(rng.choice(alternatives(question)), rng)
        turns.append((typed_en(text, rng), f"The opposite of {word} is {other}."))
    return turns


def colours(rng: random.Random, language: str) -> Turns:
    """The colour of a thing."""
    thing, colour, thing_ja, colour_ja = rng.choice(THINGS)
    if language == "ja":
        question = expand(
            f"{thing_ja}[は何色ですか|はどんな色ですか|は何色|の色は何ですか|の色は何色ですか|の色を教えてください]",
            rng,
        )
        return [(typed_ja(question, rng), f"{thing_ja}は{colour_ja}です。")]
    bare = thing.split(" ", 1)[-1]
    pattern = rng.choice((
        f"[what|which] [colour|color] [is|has] {thing}",
        f"[what is the|tell me the|what's the|the] [colour|color] of [{thing}|{bare}|the {bare}]",
        f"[what|which] [colour|color] [is|has|are] [the |]{bare}[ usually| normally|]",
    ))  # fmt: skip
    question = expand(pattern, rng)
    return [(typed_en(question, rng), f"{thing[0].upper()}{thing[1:]} is {colour}.")]
