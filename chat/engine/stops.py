"""Stop strings: a reply ends where one of them begins, and no part of one is ever shown."""

from __future__ import annotations


class StopStrings:
    """Watches a growing text for the first of several strings.

    Text that may turn out to be the beginning of a stop string is held back until it is decided.
    """

    __slots__ = ("_held", "_longest", "_stops", "rest")

    def __init__(self, stops: tuple[str, ...]) -> None:
        self._stops = tuple(stop for stop in stops if stop)
        self._longest = max((len(stop) for stop in self._stops), default=0)
        self._held = ""
        self.rest = ""  # what came after the one that was met

    def push(self, text: str) -> tuple[str, bool]:
        """Add `text`; what may be shown now, and whether a stop string was met."""
        if not self._stops:
            return text, False
        text = self._held + text
        found = [(at, stop) for stop in self._stops if (at := text.find(stop)) >= 0]
        if found:
            at, stop = min(found)
            self._held, self.rest = "", text[at + len(stop) :]
            return text[:at], True
        keep = self._undecided(text)
        self._held = text[len(text) - keep :]
        return text[: len(text) - keep], False

    def flush(self) -> str:
        """What is held back, when the reply ends for another reason."""
        held, self._held = self._held, ""
        return held

    def _undecided(self, text: str) -> int:
        """Length of the longest end of `text` that begins a stop string."""
        for length in range(min(self._longest - 1, len(text)), 0, -1):
            end = text[-length:]
            if any(stop.startswith(end) for stop in self._stops):
                return length
        return 0
