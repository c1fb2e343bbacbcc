"""R4: every tab shows each delta once, in order."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass

from chat.database import web
from chat.markdown import render
from chat.models import Generation, Queue
from tests.cast import person
from tests.tabs import Tab, Tabs
from tests.waiting import until

PHRASES = (
    "the quick **brown** fox `jumps` over *the* lazy dog",
    "素早い 狐 🦊 naïve — “so” it is, and so it stays",
    "one word after the other, as slowly as anybody can read",
)


def text_of(seed: int, size: int) -> str:
    """Markdown of about `size` characters: paragraphs, lists and code, always the same."""
    chance, made = random.Random(seed), ""
    while len(made) < size:
        line = chance.choice(PHRASES)
        shapes = f"{line}\n\n", f"- {line}\n", f"## {line}\n\n", f"```py\n{line}\n```\n"
        made += chance.choice(shapes)
    return made[:size].rstrip() + " end"


@dataclass
class Reading:
    """What the tabs of so many replies showed."""

    replies: int = 0
    deltas: int = 0
    lost: int = 0
    duplicates: int = 0
    gaps: int = 0
    taken_back: int = 0
    ahead: int = 0

    def __str__(self) -> str:
        return (
            f"R4 delivery: {self.replies} replies in tabs, {self.deltas} deltas, lost {self.lost}, "
            f"duplicate {self.duplicates}, inversions and gaps {self.gaps}, "
            f"taken back {self.taken_back}, stages ahead of their text {self.ahead}"
        )


async def read(tabs: Tabs, port: int, conversations: int, each: int, size: int) -> Reading:
    """Let so many people read one reply each in so many tabs."""
    await web(Queue.objects.update, limit=32, paused=True)
    users = [await web(person, f"r4-{number}") for number in range(conversations)]
    texts = [text_of(number, size) for number in range(conversations)]
    groups = await asyncio.gather(
        *(open_tabs(tabs, port, *one, each) for one in zip(users, texts, strict=True))
    )
    await web(Queue.objects.update, paused=False)
    reading = Reading()
    for pk, group in groups:
        for tab in group:
            await tab.final(pk, 120)
        row = await web(Generation.objects.get, pk=pk)
        expected = [(block.start, block.end, block.html) for block in render(row.reply)]
        for tab in group:
            reading.replies += 1
            reading.deltas += tab.page.deltas
            reading.duplicates += tab.page.duplicates
            reading.gaps += tab.page.gaps
            reading.taken_back += tab.page.taken_back
            reading.ahead += tab.page.ahead
            shown = tab.page.turns[pk]
            reading.lost += (row.reply_end - shown.end) or int(shown.html != expected)
    return reading


async def open_tabs(
    tabs: Tabs, port: int, user: object, text: str, count: int
) -> tuple[int, list[Tab]]:
    first = await tabs.of(port, user)
    pk = await first.say(text)
    more = [await tabs.of(port, user, first.page.conversation) for _ in range(count - 1)]
    for tab in more:
        await until(lambda t=tab: pk in t.page.turns, "the other tabs show it, too")
    return pk, [first, *more]
