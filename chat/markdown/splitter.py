"""Cuts a growing text into top-level blocks, line by line.

Knows lines and offsets only: nothing of HTML. The same code cuts a whole text and a stream.
"""

from chat.markdown import lines
from chat.markdown.lines import Shape
from chat.markdown.parts import Growth, Opening, Segment

_CLOSERS = {"$$": "$$", "\\[": "\\]"}
_KINDS = {
    "fence": "code",
    "heading": "heading",
    "item": "list",
    "math": "math",
    "pipe": "table",
    "quote": "quote",
    "rule": "rule",
}


class Splitter:
    """Feed it text; it answers with growths and complete segments, in order.

    A few characters at the start of a line are held back until they say what the line is (at
    most `lines.HEAD`; most lines are decided by the first one).
    """

    def __init__(self, offset: int = 0) -> None:
        self.end = offset  # of what was given out
        self.held = ""
        self._line: list[str] | None = None  # pieces of the line that is decided, None before
        self._line_hidden = False
        self._growth: Growth | None = None  # being collected from neighbours that are alike
        self._key = (0, "", "", 0)
        self._run: list[tuple[str, str]] = []  # its (text, shown)
        self._out: list[Growth | Segment] = []
        self._begin(offset)

    def _begin(self, start: int) -> None:
        self.start = start
        self.kind = ""  # "" while only blank lines came
        self.language = ""
        self.level = 0
        self._text: list[str] = []
        self._shown: list[str] = []
        self._lines = 0  # complete ones, without leading blank ones
        self._after_blank = False
        self._mark = ""  # of the fence, the list or the formula
        self._size = 0  # length of the fence; columns of the list's item; 1: pipe-led

    # -- in -------------------------------------------------------------------------------

    def feed(self, text: str) -> list[Growth | Segment]:
        """Take the next piece of text."""
        if self._line is not None and "\n" not in text:
            if not text:
                return []
            self._line.append(text)
            self._emit(text, "" if self._line_hidden else text)
        else:
            for piece in _pieces(text):
                self._piece(piece)
        return self._answer()

    def close(self) -> list[Growth | Segment]:
        """No more text comes: everything held or open is given out."""
        if self._line is None and self.held:
            self._decide(self.held, True)
        if self._line is not None:
            self._end_line()
        if self._text:
            self._cut()
        return self._answer()

    def opening(self) -> Opening | None:
        """The open block, without the characters held back."""
        if not self._text:
            return None
        return Opening(
            self.start,
            self.end,
            self.kind or "paragraph",
            self.language,
            self.level,
            "".join(self._text),
            "".join(self._shown),
        )

    # -- one line -------------------------------------------------------------------------

    def _piece(self, piece: str) -> None:
        """A piece that holds no line end but perhaps its last character."""
        complete = piece[-1] == "\n"
        if self._line is None:
            self.held += piece
            if not self._decide(self.held, complete):
                return
        else:
            self._line.append(piece)
            self._emit(piece, "" if self._line_hidden else piece)
        if complete:
            self._end_line()

    def _decide(self, head: str, complete: bool) -> bool:
        """Say what the held line start is, give it out; False while that is not known."""
        if self.kind == "code" and self._mark:
            hidden = self._fenced(head, complete)
        else:
            hidden = self._shaped(head, complete)
        if hidden is None:
            return False
        self._line_hidden = hidden == -1
        self._line = [head]
        self.held = ""
        self._emit(head, "" if hidden == -1 else head[hidden:])
        return True

    def _fenced(self, head: str, complete: bool) -> int | None:
        """Inside a code block: hide what may be the closing fence. -1 hides the whole line."""
        body = head.strip(" \r\n")
        if len(head) - len(head.lstrip(" ")) >= 4 or body.strip(self._mark):
            return 0
        if len(body) >= self._size or len(head) >= lines.HEAD:
            return -1
        return 0 if complete else None

    def _shaped(self, head: str, complete: bool) -> int | None:
        """Outside of code: begin a new block if this line does. Answers as `_fenced`."""
        shape = lines.shape_of(head[:-1] if head[-1] == "\n" else head, complete)
        if shape is None:
            return None
        if self.kind and not self._continues(shape):
            self._cut()
        if not self.kind:
            self._open(shape)
        elif shape.kind == "item" and self.kind == "list" and shape.indent < self._size:
            self._size = 0  # the item's columns are known at the end of its line
        if shape.kind == "blank":
            return 0 if self.kind in ("list", "code") else -1
        if shape.kind in ("fence", "rule"):
            return -1 if self.kind != "list" else 0
        return min(shape.hidden, len(head)) if shape.kind == self.kind else 0

    def _open(self, shape: Shape) -> None:
        """The first line that is not blank says what the block is."""
        if shape.kind == "blank":
            return
        self.kind = _KINDS.get(shape.kind, "code" if shape.indent >= 4 else "paragraph")
        self.level = shape.level
        if shape.kind in ("item", "math", "fence"):
            self._mark = shape.mark
        if shape.kind == "fence":
            self._size = 3
        if shape.kind == "pipe":
            self._size = 1

    def _continues(self, shape: Shape) -> bool:
        """The line belongs to the open block."""
        if shape.kind == "blank" or self.kind == "math":
            return True
        if self.kind == "code":
            return shape.indent >= 4
        if self.kind == "list":
            return self._continues_list(shape)
        if self.kind == "quote":
            return shape.kind == "quote" or not shape.interrupts
        if shape.kind == "pipe":
            return self._size == 1 or self.kind == "table"
        if shape.mark == "solid" and (self.kind == "paragraph" or self._lines == 1):
            return True
        return not shape.interrupts

    def _continues_list(self, shape: Shape) -> bool:
        if shape.indent >= min(self._size, lines.HEAD - 4):
            return True
        if shape.kind == "item" and shape.mark == self._mark:
            return True
        return not self._after_blank and not shape.interrupts

    def _end_line(self) -> None:
        """The line is complete: what the whole of it changes."""
        line = "".join(self._line or ())
        self._line = None
        self._line_hidden = False
        blank = lines.is_blank(line)
        if blank and (not self.kind or not self._lines):
            self.kind = ""
            return
        self._lines += 1
        match self.kind:
            case "code" if self._mark:
                self._end_fenced(line)
            case "math":
                self._end_math(line, blank)
            case "heading":
                self._cut()
            case "rule":
                self._end_rule(line)
            case "list":
                self._after_blank = blank
                if self._size == 0:
                    self._size = lines.item_width(line)
            case "quote" if blank:
                self._cut()
            case "paragraph" | "table":
                self._end_text(line, blank)

    def _end_fenced(self, line: str) -> None:
        if self._lines > 1:
            if lines.closes_fence(line, self._mark, self._size):
                self._cut()
            return
        fence = lines.fence_of(line)
        if fence is None:  # "```like``` this"
            self.kind, self._mark, self._size = "paragraph", "", 0
        else:
            self._mark, self._size, self.language = fence

    def _end_math(self, line: str, blank: bool) -> None:
        body = line.strip(" \t\r\n")
        first = self._lines == 1
        closer = _CLOSERS[self._mark]
        inside = body[2:] if first else body
        if blank or inside.endswith(closer):
            self._cut()
        elif closer in inside:
            self.kind = "paragraph"

    def _end_rule(self, line: str) -> None:
        if lines.is_rule(line):
            self._cut()
        else:
            self.kind = "paragraph"

    def _end_text(self, line: str, blank: bool) -> None:
        """Of a paragraph or of what may be a table."""
        if blank:
            self._cut()
        elif self._lines == 2 and lines.is_delimiter(line):
            self.kind = "table"
        elif self._lines == 2 and self.kind == "table":
            self.kind = "paragraph"
        elif self.kind == "paragraph" and self._size == 0 and self._lines > 1:
            self.level = lines.setext_level(line)
            if self.level:
                self.kind = "heading"
                self._cut()

    # -- out ------------------------------------------------------------------------------

    def _emit(self, text: str, shown: str) -> None:
        """Give text out as growth of the open block; neighbours alike become one growth."""
        self._text.append(text)
        self._shown.append(shown)
        self.end += len(text)
        kind = self.kind or "paragraph"
        key = (self.start, kind, self.language, self.level)
        if self._growth is None or self._key != key:
            self._flush()
            start = self.end - len(text)
            self._key = key
            self._growth = Growth(
                start, self.end, "", kind, self.language, self.level, self.start, ""
            )
            self._out.append(self._growth)
        self._growth.end = self.end
        self._run.append((text, shown))

    def _flush(self) -> None:
        """Complete the growth that is being collected."""
        if self._growth is not None:
            self._growth.text = "".join([text for text, _ in self._run])
            self._growth.shown = "".join([shown for _, shown in self._run])
            self._growth = None
            self._run.clear()

    def _cut(self) -> None:
        """The open block ends where the given-out text ends."""
        self._flush()
        text = "".join(self._text)
        kind = self.kind or "paragraph"
        self._out.append(Segment(self.start, self.end, kind, self.language, text))
        self._begin(self.end)

    def _answer(self) -> list[Growth | Segment]:
        self._flush()
        out, self._out = self._out, []
        return out


def _pieces(text: str) -> list[str]:
    """The text cut behind every line feed, and nowhere else (str.splitlines knows more)."""
    parts = text.split("\n")
    pieces = [part + "\n" for part in parts[:-1]]
    if parts[-1]:
        pieces.append(parts[-1])
    return pieces
