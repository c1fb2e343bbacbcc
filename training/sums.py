"""Small arithmetic with the steps written out, and counting. Some pairs are held out."""

import random

from training.grammar import Turns, alternatives, expand, read_toml, typed_en, typed_ja

TEXTS = read_toml("sums")
# The pairs of heldout.tsv; single digits and the multiplication table must be learnt.
HELD_OUT = {(17, 25), (61, 35), (46, 26), (37, 63), (14, 9), (52, 17), (91, 27), (15, 7), (19, 8)}


def is_held_out(a: int, b: int) -> bool:
    """Whether sums of the two are kept for the evaluation: about one pair of twelve."""
    return max(a, b) > 12 and ((a, b) in HELD_OUT or (a * 7 + b * 13) % 12 == 5)


def added(a: int, b: int) -> str:
    """``17 + 25 = 30 + 12 = 42``: tens and ones apart, which a small model learns sooner."""
    tens, ones = a // 10 * 10 + b // 10 * 10, a % 10 + b % 10
    trivial = not tens or not ones or {tens, ones} == {a, b} or a >= 100 or b >= 100
    middle = "" if trivial else f"{tens} + {ones} = "
    return f"{a} + {b} = {middle}{a + b}"


def subtracted(a: int, b: int) -> str:
    """``42 - 17 = 32 - 7 = 25``: the tens first."""
    tens, ones = b // 10 * 10, b % 10
    middle = f"{a - tens} - {ones} = " if tens and ones and a >= b else ""
    return f"{a} - {b} = {middle}{a - b}"


def _numbers(rng: random.Random, operation: str) -> tuple[int, int]:
    while True:
        if operation == "*":
            a, b = rng.randint(1, 12), rng.randint(1, 12)
        elif rng.random() < 0.3:
            a, b = rng.randint(0, 20), rng.randint(0, 12)
        else:
            a, b = rng.randint(1, 99), rng.randint(1, 99)
        if operation == "-" and a < b and rng.random() < 0.95:
            a, b = b, a
        if operation == "*" or not is_held_out(a, b):
            return a, b


def solved(a: int, b: int, operation: str) -> str:
    """The sum with its result."""
    if operation == "+":
        return added(a, b)
    if operation == "-":
        return subtracted(a, b)
    if operation == "/":
        return f"{a * b} / {b} = {a}"
    return f"{a} × {b} = {a * b}"


def sums_en(rng: random.Random) -> Turns:
    """One to eight sums, the later ones perhaps put shortly."""
    turns: Turns = []
    for step in range(rng.choice((1, 1, 2, 3, 8))):
        operation = rng.choice("++++----**/")
        a, b = _numbers(rng, "*" if operation == "/" else operation)
        words = max(a, b) <= 12 and operation != "/" and rng.random() < 0.2
        shown = (TEXTS["words"][a], TEXTS["words"][b]) if words else (a, b)
        question = expand(rng.choice(TEXTS["forms"][operation]), rng).format(
            a=shown[0], b=shown[1], c=a * b
        )
        if step and rng.random() < 0.5:
            question = "and " + question.removeprefix("what is ")
        turns.append((typed_en(question, rng), solved(a, b, operation) + "."))
    return turns


def sums_ja(rng: random.Random) -> Turns:
    """The same in Japanese."""
    turns: Turns = []
    for step in range(rng.choice((1, 1, 2, 6))):
        operation = rng.choice("+++---**/")
        a, b = _numbers(rng, "*" if operation == "/" else operation)
        question = expand(rng.choice(TEXTS["forms_ja"][operation]), rng).format(a=a, b=b, c=a * b)
        if step and rng.random() < 0.3:
            question = rng.choice(("では、", "じゃあ", "次は")) + question
        turns.append((typed_ja(question, rng), solved(a, b, operation) + " です。"))
    return turns


def word_problems(rng: random.Random) -> Turns:
    """A sum in a sentence."""
    operation = rng.choice("+-")
    a, b = _numbers(rng, operation)
    if a < b:
        a, b = b, a
    things, name = rng.choice(TEXTS["things"]), rng.choice(TEXTS["names"])
    if rng.random() < 0.3:
        a, b = a % 20 + 1, b % 12 + 1
        a, b = (a, b) if a >= b else (b, a)
        if is_held_out(a, b):
            return word_problems(rng)
    who, have, has = ("I", "have", "You have")
    if rng.random() < 0.5:
        who, have, has = name, "has", f"{name} has"
    if operation == "+":
        more = rng.choice((f"get {b} more", f"buy {b} more", f"find {b} more", f"get {b}"))
    else:
        more = rng.choice((f"lose {b}", f"give away {b}", f"sell {b}", f"give {b} away"))
    if who != "I":
        more = more.replace("get", "gets").replace("buy", "buys").replace("find", "finds")
        more = more.replace("lose", "loses").replace("give", "gives").replace("sell", "sells")
    asked = "do i have" if who == "I" else f"does {name} have"
    again = "I" if who == "I" else rng.choice(("she", "he"))
    rest = "left" if operation == "-" else "there now"
    question = (
        f"{who} {have} {a} {things}[ and|. Then {again}] {more}. How many {things} {asked}[ now|]?"
        f"|if {who} {have} {a} {things} and {more}, how many {things} {asked}[ now|]?"
        f"|{who} {have} {a} {things} and {more}. How many are {rest}?"
    )
    question = rng.choice(alternatives(question))
    tail = "" if operation == "+" else " left"
    result = added(a, b) if operation == "+" else subtracted(a, b)
    return [
        (
            expand(question, rng).replace(" i ", " I "),
            f"{result}. {has} {result.split()[-1]} {things}{tail}.",
        )
    ]


def numbers_en(rng: random.Random) -> Turns:
    """Comparing, neighbours, even and odd, double and half; and sums that are too big."""
    a, b = rng.randint(1, 99), rng.randint(1, 99)
    kind = rng.randrange(6)
    if kind == 0 and a != b:
        question = (
            f"which [number |]is [bigger|larger|greater], {a} or {b}"
            f"|is {a} [bigger|larger|greater|smaller|less] than {b}"
            f"|[what|which|which one] is [bigger|larger|greater|more|smaller], {a} or {b}"
            f"|which of {a} and {b} is [bigger|larger|greater]"
        )
        answer = f"{max(a, b)} is bigger than {min(a, b)}."
    elif kind == 1:
        question = (
            f"[what|which number|what number] [comes|is|comes next|comes right] after {a}"
            f"|which number [follows|comes after|is the next after|is next to] {a}"
            f"|[what is|tell me|which is] the [next number|number] [after|following] {a}"
            f"|what is next after {a}"
        )
        answer = f"After {a} comes {a + 1}."
    elif kind == 2:
        question = (
            f"[what|which number|what number] [comes|is|comes right] before {a}"
            f"|[what is|tell me|which is] the number before {a}"
        )
        answer = f"Before {a} comes {a - 1}."
    elif kind == 3:
        question = (
            f"is {a} [even|odd|an even number|an odd number|even or odd|odd or even]"
            f"|is {a} an [even or odd|even or an odd|odd or even] number"
            f"|[is the number|tell me if|do you know if] {a} [is |][even|odd][ or not|]"
        )
        answer = f"{a} is {'odd' if a % 2 else 'even'}."
    elif kind == 4:
        a = rng.randint(1, 50)
        question, answer = f"[what is|what's] [double|twice|two times] {a}", f"2 × {a} = {2 * a}."
    else:
        a, b = rng.randint(100, 9999), rng.randint(13, 9999)
        sign = rng.choice("+-*/")
        word = {"+": "plus", "-": "minus", "*": "times", "/": "divided by"}[sign]
        question = (
            f"[what is |what's |calculate |how much is |]{a} [{sign}|{word}] {b}"
            f"|[can you |please |][add|multiply|divide|subtract] {a} [and|by|with] {b}|{a}{sign}{b}"
        )
        if rng.random() < 0.3:
            question = (
                f"[what is |]the [square root|logarithm|sine|cube] of {a}"
                f"|integrate x^{a % 9}|solve [x^2 = {a}|2x + {b} = {a}]"
            )
        answer = (
            "I can do only small sums, up to about a hundred. Please use a calculator for this one."
        )
    return [(typed_en(expand(rng.choice(alternatives(question)), rng), rng), answer)]


def numbers_ja(rng: random.Random) -> Turns:
    """The same in Japanese."""
    a, b = rng.randint(1, 99), rng.randint(1, 99)
    kind = rng.randrange(4)
    if kind == 0 and a != b:
        return [
            (
                typed_ja(f"{a}と{b}では、どちらが大きいですか", rng),
                f"{max(a, b)} のほうが大きいです。",
            )
        ]
    if kind == 1:
        return [(typed_ja(f"{a}の次の数は何ですか", rng), f"{a} の次は {a + 1} です。")]
    if kind == 2:
        return [(typed_ja(f"{a}は偶数ですか", rng), f"{a} は{'奇数' if a % 2 else '偶数'}です。")]
    a, b = rng.randint(100, 9999), rng.randint(13, 9999)
    question = expand(f"{a}[+|-|×|÷|たす|かける]{b}は", rng)
    return [
        (
            typed_ja(question, rng),
            "私は百くらいまでの小さな計算しかできません。電卓を使ってください。",
        )
    ]
