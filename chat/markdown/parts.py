"""What a reply is given out as: growing text, complete blocks as text, and as HTML.

All offsets are code points of the reply's stored text.
"""

from msgspec import Struct


class Growth(Struct):
    """Text that a block gained: `text` as the model wrote it, `shown` without its markup.

    `kind`, `language` and `level` may differ from the block's last growth: then the element
    that shows the block has to be of another kind from here on.
    """

    start: int
    end: int
    text: str
    kind: str
    language: str
    level: int
    block_start: int
    shown: str


class Segment(Struct, frozen=True):
    """A block that is complete, as text."""

    start: int
    end: int
    kind: str
    language: str
    text: str


class Opening(Struct):
    """The block that is still growing: what it is so far and its text so far."""

    start: int
    end: int
    kind: str
    language: str
    level: int
    text: str
    shown: str


class Block(Struct, frozen=True):
    """One top-level block of a reply, as safe HTML. Offsets are code points of the reply.

    The blocks of a reply tile it: each starts where the one before ended. `html` is "" where
    there is nothing to see (blank lines, the definition of a link).
    """

    start: int
    end: int
    kind: str
    html: str
    language: str = ""
