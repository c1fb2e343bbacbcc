"""The text of one streamed reply: what of it is reasoning, what is new, what is not for readers.

Knows neither servers nor requests.
"""

from __future__ import annotations

from .reasoning import Markers
from .reply import Grown, ReplyText

MARKERS = Markers("<think>", "</think>", None, None)
"""Of servers that do not take reasoning out themselves."""
_BLANKS = " \t\r\n"


class Diverged(Exception):
    """Asked again, the server says something else than what is shown already."""


class _NoTokens:
    """Streams come as text."""

    def push(self, token: int) -> str:
        return ""

    def flush(self) -> str:
        return ""


class StreamedText:
    """Fed with the parts of one stream; what it gives out is new and never taken back.

    `shown` is the answer that readers have already. The stream continues it (`prefilled`), or
    starts from the beginning and has to repeat it.
    """

    def __init__(self, stops: tuple[str, ...], shown: str, prefilled: bool) -> None:
        self._text = ReplyText(
            _NoTokens(), frozenset(), stops, None if prefilled and shown else MARKERS
        )
        self._prefilled = prefilled and bool(shown)
        self._missing = "" if self._prefilled else shown  # still to be repeated
        # A server is given the answer without its last blanks: models rather begin with one.
        self._overlap = shown[len(shown.rstrip(_BLANKS)) :] if self._prefilled else ""
        self._answered = bool(shown)

    @property
    def stopped(self) -> bool:
        """Whether a stop string was met."""
        return self._text.stopped

    @property
    def thinking(self) -> bool:
        """Whether the next text is reasoning, as far as marks in the text tell."""
        return self._text.thinking and not self._answered

    @property
    def repeating(self) -> bool:
        """Whether what comes is still what readers have."""
        return bool(self._missing)

    def reason(self, text: str) -> Grown:
        """What the server calls reasoning. It belongs before the answer, or to nobody; a server
        that is given the beginning of an answer may take the rest for reasoning."""
        if self._prefilled:
            return self.say(text)
        return Grown() if self._answered else Grown(text, len(text))

    def say(self, text: str) -> Grown:
        """A part of the answer, or of reasoning between marks. Raises Diverged."""
        return self._sorted(self._text.push_text(text))

    def flush(self) -> Grown:
        """What was held back, at the end. Raises Diverged if the repetition is not complete."""
        grown = self._sorted(self._text.flush())
        if self._missing:
            raise Diverged
        return grown

    def _sorted(self, grown: Grown) -> Grown:
        thought, said = grown.text[: grown.reasoning], grown.text[grown.reasoning :]
        said = self._unrepeated(said)
        if self._answered:
            thought = ""
        self._answered = self._answered or bool(said)
        return Grown(thought + said, len(thought))

    def _unrepeated(self, said: str) -> str:
        if self._overlap and said:
            same = 0
            while same < min(len(said), len(self._overlap)) and said[same] == self._overlap[same]:
                same += 1
            self._overlap = self._overlap[same:] if same == len(said) else ""
            said = said[same:]
        if self._missing and said:
            known = self._missing[: len(said)]
            if not said.startswith(known):
                raise Diverged
            self._missing = self._missing[len(known) :]
            said = said[len(known) :]
        return said
