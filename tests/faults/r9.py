"""R9: kill -9 of the whole site in mid-reply; replies go on, and nothing is taken back."""

from __future__ import annotations

import random
import signal
import time
from dataclasses import dataclass
from typing import Any

from tests.served import Site
from tests.tabs import Tabs
from tests.waiting import until

TEXT = "What a reader has seen is never taken back, not even when the power is cut off now. " * 2


@dataclass
class Kills:
    """What readers saw of so many replies, each of them interrupted once."""

    count: int = 0
    finished: int = 0
    unchanged: int = 0
    gap: float = 0.0

    def __str__(self) -> str:
        return (
            f"R9 sigkill: finished {self.finished}/{self.count}, "
            f"prefix unchanged {self.unchanged}/{self.count}, longest gap {self.gap:.1f} s"
        )


async def kill_at_random(
    served: Site, tabs: Tabs, user: Any, count: int, seed: int, how: int = signal.SIGKILL
) -> Kills:
    """Interrupt `count` replies, each at a random token, and start the site again each time."""
    chance, kills = random.Random(seed), Kills()
    tab = await tabs.of(served.port, user)
    for _ in range(count):
        pk, at = await tab.say(TEXT), chance.randint(1, len(TEXT) - 20)
        await until(lambda p=pk, a=at: p in tab.page.turns and tab.page.turns[p].end >= a, "grown")
        await served.stop(how)
        interrupted, shown = time.monotonic(), tab.page.turns[pk]
        seen, end = shown.text, shown.end
        kills.count += 1
        await served.start()
        await until(lambda p=pk, e=end: tab.page.turns[p].end > e, "it goes on", 15)
        kills.gap = max(kills.gap, time.monotonic() - interrupted)
        turn = await tab.final(pk, 30)
        kills.finished += turn.stage["name"] == "done" and turn.text.strip() == TEXT.strip()
        kills.unchanged += turn.text.startswith(seen.rstrip("\n")) and not tab.page.taken_back
    return kills
