"""Channel layers that misbehave, on purpose and always in the same way."""

from __future__ import annotations

import asyncio
import random
from typing import Any

from chat import events
from chat.layer import InMemoryLayer


class LosingTheEnd(InMemoryLayer):
    """Loses every event from the moment that `losing` is set."""

    losing = False

    async def group_send(self, group: str, message: dict[str, Any]) -> None:
        if not type(self).losing:
            await super().group_send(group, message)


class Misbehaving(InMemoryLayer):
    """Loses half of what readers should hear, doubles a tenth and holds a tenth back."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._chance = random.Random(5)
        self._late: list[tuple[str, dict[str, Any]]] = []

    async def group_send(self, group: str, message: dict[str, Any]) -> None:
        if message["type"] == events.QUEUE_CHANGED:
            await super().group_send(group, message)
            return
        late, self._late = self._late, []
        fate = self._chance.random()
        if fate < 0.1:
            self._late.append((group, message))
        elif fate < 0.2:
            await super().group_send(group, message)
            await super().group_send(group, message)
        elif fate < 0.5:
            await super().group_send(group, message)
        for one in late:
            await super().group_send(*one)
        await asyncio.sleep(0)
