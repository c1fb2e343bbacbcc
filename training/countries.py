"""Exchanges about countries: capitals, languages, continents, with questions that refer back."""

import random

from training.grammar import Turns, alternatives, expand, read_rows, typed_en, typed_ja

COUNTRIES = read_rows("countries")
THE = {"Netherlands", "United States", "Philippines"}


def country_name(country: str) -> str:
    """The country as it stands in a sentence."""
    return f"the {country}" if country in THE else country


def spoken(country: str, rng: random.Random) -> str:
    """The country as somebody may type it."""
    name = country_name(country) if rng.random() < 0.8 else country
    return name.lower() if rng.random() < 0.25 else name


def _country_fact(row: list[str], kind: str) -> tuple[str, str]:
    name, capital, language, continent = country_name(row[0]), row[1], row[2], row[3]
    if kind == "capital":
        return (
            "[what is|what's|tell me|which city is|name|do you know] the capital[ city|] of {}"
            "|{} capital|[what|which] city is the capital of {}|capital of {}"
            "|what is {}'s capital|the capital of {}"
            "|[do you happen to know|can you tell me|i need|i forgot] the capital of {}"
            "|the capital [city |]of {}[ please|]|{}'s capital[ city|]"
            "|what is the [main|capital] city of {}"
            "|[what|which] city is {}'s capital|[what|which] is {}'s capital"
            "|{}, what is the capital"
            "|[how|what] is the capital of {} called|what is the name of the capital of {}",
            f"The capital of {name} is {capital}.",
        )
    if kind == "language":
        return (
            "[what|which] language[s|] [do they speak|is spoken|do people speak] in {}"
            "|what do [they|people] speak in {}|which language has {}"
            "|[what|which] language do [people in {}|the people of {}|you need in {}] speak"
            "|[what|which] [languages are|language is] [used|spoken] in {}|the language of {}"
            "|what is the [official |]language [of|in] {}|how do people talk in {}",
            f"In {name} people speak {language}.",
        )
    if kind == "continent":
        return (
            "[where is|on which continent is|which continent is] {}"
            "|[in what|in which] part of the world is {}|where does {} lie"
            "|[on|in] [what|which] continent [is|lies] {}"
            "|[what|which] continent [is {} on|does {} belong to]"
            "|[is {} in Europe or in Asia|the continent of {}]|where [in the world|on earth] is {}",
            f"{name[0].upper()}{name[1:]} is in {continent}.",
        )
    if kind == "about":
        return (
            "tell me [about|something about|a bit about] {}|what do you know about {}"
            "|describe {}|what is {}|tell me [a bit|a little|more|something] about {}"
            "|what can you tell me about {}"
            "|[some facts|a few words] about {}|what kind of country is {}|{}",
            f"{name[0].upper()}{name[1:]} is a country in {continent}. Its capital is {capital}, "
            f"and people speak {language}.",
        )
    return (
        "what is the capital of {} and [what|which] language do [they|people] speak[ there|]"
        "|[tell me |]the capital and the language of {}"
        "|[what|which] language is spoken in {} and what is the capital[ city|]",
        f"The capital of {name} is {capital}. People there speak {language}.",
    )


def _about_two(rng: random.Random) -> Turns:
    row, other = rng.sample(COUNTRIES, 2)
    name, name2 = country_name(row[0]), country_name(other[0])
    kind = rng.random()
    if kind < 0.3:
        question = f"what [is the capital|are the capitals] of {name} and [of |]{name2}"
        answer = f"The capital of {name} is {row[1]}, and the capital of {name2} is {other[1]}."
    elif kind < 0.65:
        question = (
            f"[{row[1]} is the capital of which country|which country has the capital {row[1]}"
            f"|where is {row[1]}|what is {row[1]}|of which country is {row[1]} the capital"
            f"|in which country is {row[1]}]"
        )
        answer = f"{row[1]} is the capital of {name}."
    else:
        city = rng.choice((row[1], other[1]))
        question = f"is {city} the capital of {name}"
        answer = f"{'Yes' if city == row[1] else 'No'}, the capital of {name} is {row[1]}."
    return [(typed_en(expand(question, rng), rng), answer)]


KINDS = ("capital", "capital", "capital", "language", "continent", "about", "both")
FOLLOW_KINDS = {
    "capital": "[and of|and|what about|and the capital of|how about|and for] {}",
    "language": "[and in|what about|and|how about] {}",
    "continent": "[and|what about|and where is|how about] {}",
    "about": "[and|what about|and about|how about] {}",
    "both": "[and|what about|how about|and for] {}",
}
THERE = {
    "capital": "[and|] what is [its capital|the capital|the capital there]",
    "language": "[and|] [what|which] language [do they speak|is spoken|do people speak][ there|]",
    "continent": "[and|] [where is it|on which continent is it|where is that]",
}
NO_NUMBERS = (
    "[and|] [how many people live there|what is its population|and its population|"
    "how big is it|how old is it|what is it famous for|what can i see there|is it nice there|"
    "how is the weather there|who rules there|tell me more|more about it]"
)


def countries_en(rng: random.Random) -> Turns:
    """A question about a country, perhaps with follow-ups that refer to it."""
    if rng.random() < 0.15:
        return _about_two(rng)
    row = rng.choice(COUNTRIES)
    kind = rng.choice(KINDS)
    patterns, answer = _country_fact(row, kind)
    pattern = rng.choice(alternatives(patterns)).replace("{}", spoken(row[0], rng))
    turns = [(typed_en(expand(pattern, rng), rng), answer)]
    while rng.random() < 0.4:
        choice = rng.random()
        name = country_name(row[0])
        if choice < 0.5:
            row = rng.choice(COUNTRIES)
            question = FOLLOW_KINDS[kind].replace("{}", spoken(row[0], rng))
            answer = _country_fact(row, kind)[1]
        elif choice < 0.75:
            kind = rng.choice(tuple(THERE))
            question, answer = THERE[kind], _country_fact(row, kind)[1]
        elif choice < 0.88:
            question = (
                "[in japanese please|in japanese|say it in japanese|and in japanese|now in japanese"
                "|japanese please|the same in japanese|please answer in japanese"
                "|and how in japanese]"
            )
            turns.append((typed_en(expand(question, rng), rng), f"{row[4]}の首都は{row[5]}です。"))
            break
        else:
            question = NO_NUMBERS
            answer = (
                f"I do not know that about {name}. I am a small model and know only its capital, "
                "its language and where it is."
            )
        turns.append((typed_en(expand(question, rng).strip(), rng), answer))
    return turns


def countries_ja(rng: random.Random) -> Turns:
    """The same in Japanese."""
    row = rng.choice(COUNTRIES)
    kind = rng.choice(("capital", "capital", "language"))
    turns: Turns = []
    for step in range(rng.choice((1, 1, 2, 3))):
        if kind == "capital":
            question = (
                "{}の首都は[どこですか|何ですか||どこ|何という町ですか|]"
                "|{}の首都[を教えてください|を教えて|]"
                "|{}の首都は[どこでしょう|何でしょうか|分かりますか]|{}の首都の名前[は|は何ですか]"
                "|{}の首都[を知っていますか|が知りたいです|の名前を教えて]|{}の首都はどの町ですか"
            )
            answer = f"{row[4]}の首都は{row[5]}です。"
        else:
            question = (
                "{}では[何語を話しますか|どんな言葉を話しますか|何語が話されていますか|何語を使いますか]"
                "|{}の[言葉|言語|公用語]は[何ですか|]|{}の人は何語を話しますか"
            )
            answer = f"{row[4]}では{row[6]}を話します。"
        pattern = rng.choice(alternatives(question))
        if step:
            pattern = rng.choice(("{}は", "では、{}は", "{}の場合は", "じゃあ{}は"))
        text = expand(pattern.replace("{}", row[4]), rng)
        turns.append((typed_ja(text, rng), answer))
        row = rng.choice(COUNTRIES)
    return turns
