"""Markdown to safe HTML, by block: whole replies and replies that grow.

`render` is for a text that is there, `BlockStream` for one that is being written. The only
place of this project where HTML is made of what a model or a user wrote. Knows no Django.
"""

from chat.markdown.parts import Block, Growth, Opening, Segment
from chat.markdown.stream import BlockStream, render

__all__ = ["Block", "BlockStream", "Growth", "Opening", "Segment", "render"]
