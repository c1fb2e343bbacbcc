"""A growing reply as blocks: growth while a block is open, HTML when it is complete."""

from chat.markdown.parts import Block, Growth, Opening, Segment
from chat.markdown.rendering import References, block_html
from chat.markdown.splitter import Splitter


def render(text: str, offset: int = 0) -> tuple[Block, ...]:
    """A whole text as blocks; `offset` is added to all positions."""
    return BlockStream(offset).whole(text)


class BlockStream:
    """Splits a growing reply into blocks while it grows, and renders each once.

    `feed` is `split` and `render_segment` in one; a caller who must not wait for the rendering
    (an event loop) calls the two apart, the second elsewhere, in the order of the segments. A
    block may end without a line feed in the text: a list does at the next paragraph's first letter.
    """

    def __init__(self, offset: int = 0) -> None:
        self._splitter = Splitter(offset)
        self._references = References()
        self._blocks: list[Block] = []
        # Blocks whose HTML might change by a later definition of a link:
        # (place in _blocks, segment, how many definitions there were).
        self._linking: list[tuple[int, Segment, int]] = []

    @property
    def end(self) -> int:
        """Where the text given out so far ends; `held` characters more were fed."""
        return self._splitter.end

    @property
    def held(self) -> int:
        """Characters kept back until they say what their line is."""
        return len(self._splitter.held)

    def feed(self, text: str) -> list[Growth | Block]:
        """Growths and completed blocks, in order. A block replaces what it covers."""
        return [self._rendered(part) for part in self._splitter.feed(text)]

    def split(self, text: str) -> list[Growth | Segment]:
        """As `feed`, but completed blocks come as text, for `render_segment`."""
        return self._splitter.feed(text)

    def render_segment(self, segment: Segment) -> Block:
        """Render the next segment that `split` gave."""
        before = len(self._references)
        made = block_html(segment.text, self._references)
        block = Block(segment.start, segment.end, segment.kind, made, segment.language)
        if "]" in segment.text:
            self._linking.append((len(self._blocks), segment, before))
        self._blocks.append(block)
        return block

    def close(self) -> list[Growth | Block]:
        """The end: what was held, the last block, and every block that a definition changed.

        After applying these, the page shows exactly `render` of the whole text.
        """
        parts = [self._rendered(part) for part in self._splitter.close()]
        return parts + self._changed()

    def _changed(self) -> list[Growth | Block]:
        """Blocks that used a link's name before it was defined, rendered again."""
        changed: list[Growth | Block] = []
        for place, segment, known in self._linking:
            if known == len(self._references):
                continue
            old = self._blocks[place]
            made = block_html(segment.text, self._references)
            if made != old.html:
                new = Block(old.start, old.end, old.kind, made, old.language)
                self._blocks[place] = new
                changed.append(new)
        self._linking.clear()
        return changed

    def whole(self, text: str) -> tuple[Block, ...]:
        """Take all the text at once and close."""
        self.feed(text)
        self.close()
        return tuple(self._blocks)

    def open_block(self) -> Opening | None:
        """The block that is still growing; None between blocks."""
        return self._splitter.opening()

    def snapshot(self) -> tuple[list[Block], Opening | None]:
        """All for a reader who comes now: completed blocks and the open one."""
        return list(self._blocks), self.open_block()

    def _rendered(self, part: Growth | Segment) -> Growth | Block:
        return self.render_segment(part) if isinstance(part, Segment) else part
