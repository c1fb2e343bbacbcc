"""Short stories put together from plots, heroes, places and things."""

import random

from training.facts import ANIMALS, with_article
from training.grammar import Turns, expand, read_lines, read_toml, typed_en, typed_ja
from training.invented import invented_name

PLOTS = read_lines("stories_en")
PLOTS_JA = read_lines("stories_ja")
TEXTS = read_toml("stories")
HEROES = [row[0] for row in ANIMALS] + TEXTS["heroes"]
HEROES_JA = [row[5] for row in ANIMALS] + TEXTS["heroes_ja"]
ADJECTIVES = TEXTS["adjectives"]
MORE = "[another one|another|one more|tell me another one|another story please|more|again]"


def story(rng: random.Random, hero: str) -> str:
    """A story about the hero."""
    friend = rng.choice([other for other in HEROES if other != hero])
    text = rng.choice(PLOTS)
    values = {
        "hero": hero, "a_hero": with_article(hero), "A_hero": with_article(hero).capitalize(),
        "friend": friend, "a_friend": with_article(friend),
        "place": rng.choice(TEXTS["places"]), "thing": rng.choice(TEXTS["things"]),
    }  # fmt: skip
    return text.format(**values)


def named_story(rng: random.Random, name: str) -> str:
    """A story about somebody with a name."""
    text = rng.choice(PLOTS)
    friend = rng.choice(HEROES)
    text = text.replace("the {hero}", name).replace("The {hero}", name)
    text = text.replace("{a_hero}", f"a child called {name}").replace("{A_hero}", name)
    return text.format(
        friend=friend, a_friend=with_article(friend), place=rng.choice(TEXTS["places"]),
        thing=rng.choice(TEXTS["things"]), hero=name,
    )  # fmt: skip


def story_ja(rng: random.Random, hero: str) -> str:
    """A story in Japanese."""
    friend = rng.choice([other for other in HEROES_JA if other != hero])
    return rng.choice(PLOTS_JA).format(
        hero=hero,
        friend=friend,
        place=rng.choice(TEXTS["places_ja"]),
        thing=rng.choice(TEXTS["things_ja"]),
    )


def stories_en(rng: random.Random, names: list[str]) -> Turns:
    """A request for a story, perhaps about somebody, perhaps with another one after it."""
    hero, kind = rng.choice(HEROES), rng.random()
    if rng.random() < 0.4 and " " not in hero:
        hero = f"{rng.choice(ADJECTIVES)} {hero}"
    if kind < 0.4:
        question, text = rng.choice(TEXTS["openers"]), story(rng, hero)
    elif kind < 0.85:
        who = with_article(hero)
        if rng.random() < 0.15:
            who += (
                f" and [{with_article(rng.choice(HEROES))}|a friend|its friend|{rng.choice(names)}]"
            )
        question = rng.choice(TEXTS["about"]).replace("{}", who)
        text = story(rng, hero)
    else:
        name = invented_name(rng) if rng.random() < 0.3 else rng.choice(names)
        who = rng.choice((name, f"a [girl|boy|child] [named|called] {name}"))
        question, text = rng.choice(TEXTS["about"]).replace("{}", who), named_story(rng, name)
    turns = [(typed_en(expand(question, rng), rng), text)]
    if rng.random() < 0.3:
        choice = rng.random()
        if choice < 0.4:
            question, answer = MORE, story(rng, rng.choice(HEROES))
        elif choice < 0.6:
            ending = " got lost, found a friend and came home happy. The end."
            question = "[shorter please|shorter|make it shorter|a shorter one|too long]"
            answer = f"{with_article(hero).capitalize()}{ending}"
            if kind >= 0.85:
                answer = f"{name}{ending}"
        else:
            question = (
                "[nice story|i like it|that was nice|nice|great story|that was a good story"
                "|beautiful|what a [nice|lovely|good|sweet] story"
                "|[that|it|this] was a [nice|sweet|great|wonderful|funny] [story|one|tale]"
                "|i [liked|love|really like] [it|that|this story|the story]"
                "|well told]"
            )
            answer = "Thank you! I am glad that you like the story."
        turns.append((typed_en(expand(question, rng), rng), answer))
    return turns


def stories_ja(rng: random.Random) -> Turns:
    """The same in Japanese."""
    hero = rng.choice(HEROES_JA)
    question = rng.choice(TEXTS["openers_ja"])
    if rng.random() < 0.25:
        hero = rng.choice(TEXTS["adjectives_ja"]) + hero
    if rng.random() < 0.55:
        question = rng.choice(TEXTS["about_ja"]).replace("{}", hero)
    turns = [(typed_ja(expand(question, rng), rng), story_ja(rng, hero))]
    if rng.random() < 0.25:
        question = rng.choice(("もう一つ", "もう一つお願いします", "別のお話をしてください"))
        turns.append((question, story_ja(rng, rng.choice(HEROES_JA))))
    return turns
