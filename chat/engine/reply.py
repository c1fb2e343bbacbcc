"""The text of one growing reply: detokenised, reasoning told apart, stop strings held back."""

from __future__ import annotations

from dataclasses import dataclass

from .detokenizer import Detokenizer
from .reasoning import Markers
from .stops import StopStrings

_NO_CHARACTER = "\N{REPLACEMENT CHARACTER}"
"""Instead of NUL, for which byte-level vocabularies have a token, and which PostgreSQL refuses."""


@dataclass(slots=True)
class Grown:
    """What a reply gained: `text`, of which the first `reasoning` characters are reasoning."""

    text: str = ""
    reasoning: int = 0


class ReplyText:
    """Fed with one token after the other; what it gives out is never taken back.

    A reply may think once, before anything else. Markers are never part of the text, and neither
    are the line ends that models put next to them.
    """

    def __init__(
        self,
        detokenizer: Detokenizer,
        silent: frozenset[int],
        stops: tuple[str, ...],
        markers: Markers | None = None,
        thinking: bool = False,
    ) -> None:
        """`silent` are tokens without text; `thinking` when the prompt has opened the reasoning."""
        self._detokenizer = detokenizer
        self._silent = silent
        self._stops = StopStrings(stops)
        self._markers = markers
        self.thinking = thinking
        self.stopped = False
        self._may_think = markers is not None and not thinking
        self._bare = thinking  # at the start of a part: line ends are dropped
        self._held = ""  # may turn out to be a marker, or blank space before one
        self._closing = StopStrings(
            (markers.close,) if markers and markers.close_id is None else ()
        )

    def push(self, token: int) -> Grown:
        """Add a token; what may be shown now. `stopped` is set when a stop string was met."""
        grown = Grown()
        markers = self._markers
        if markers is not None and token in (markers.open_id, markers.close_id):
            self._take(self._detokenizer.flush(), grown)
            self._turn(token == markers.open_id, grown)
        elif token not in self._silent and (text := self._detokenizer.push(token)):
            self._take(text, grown)
        return grown

    def push_text(self, text: str) -> Grown:
        """Add text that comes without tokens."""
        grown = Grown()
        self._take(text, grown)
        return grown

    def flush(self) -> Grown:
        """What was held back, when the reply ends for another reason than a stop string."""
        grown = Grown()
        self._take(self._detokenizer.flush(), grown)
        if self.thinking:
            self._emit_thought(self._closing.flush(), grown)
        else:
            held, self._held = self._held, ""
            self._may_think = False
            self._answer(held, grown)
            if not self.stopped:
                grown.text += self._stops.flush()
        return grown

    def _take(self, text: str, grown: Grown) -> None:
        """Sort certain text into reasoning and answer."""
        if not text or self.stopped:
            return
        text = text.replace("\0", _NO_CHARACTER)
        if self.thinking:
            thought, closed = self._closing.push(text)
            self._emit_thought(thought, grown)
            if closed:
                self._turn(False, grown)
                self._take(self._closing.rest, grown)
        elif self._may_think:
            self._decide(text, grown)
        else:
            self._answer(text, grown)

    def _decide(self, text: str, grown: Grown) -> None:
        """Before anything was said: hold blanks and what may be the text of a marker."""
        assert self._markers is not None
        self._held += text
        seen = self._held.lstrip()
        opening = self._markers.open if self._markers.open_id is None else ""
        if opening and seen.startswith(opening):
            self._turn(True, grown)
            self._take(seen[len(opening) :], grown)
        elif seen and not opening.startswith(seen):
            held, self._held = self._held, ""
            self._may_think = False
            self._answer(held, grown)

    def _turn(self, opened: bool, grown: Grown) -> None:
        """A marker was met. Later ones change nothing: a reply thinks only at its start."""
        if opened and self._may_think:
            self.thinking, self._may_think, self._held, self._bare = True, False, "", True
        elif not opened and self.thinking:
            self._emit_thought(self._closing.flush(), grown)
            self.thinking, self._bare = False, True

    def _emit_thought(self, text: str, grown: Grown) -> None:
        text = self._without_lead(text)
        grown.text += text
        grown.reasoning += len(text)

    def _answer(self, text: str, grown: Grown) -> None:
        text = self._without_lead(text)
        if text and not self.stopped:
            shown, self.stopped = self._stops.push(text)
            grown.text += shown

    def _without_lead(self, text: str) -> str:
        if self._bare:
            text = text.lstrip("\r\n")
            self._bare = not text
        return text
