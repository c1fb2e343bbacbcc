"""What the first characters of a line say about it, and what a whole line does to its block.

Knows the grammar of single lines only: not where blocks begin, nothing of HTML.
"""

import re

from msgspec import Struct

# After so many characters a line's shape is decided with what is there. Enough for the longest
# list marker: indent 3, nine digits, ")", a space and the first character of the item.
HEAD = 16

_MARKERS = frozenset("#>`~-*+_=0123456789|$\\ \t\r")
_HEADING = re.compile(r"(#{1,6})(?:[ \t]+|$)")
_ORDERED = re.compile(r"([0-9]{1,9})([.)])([ \t]+|$)(.?)")
_RULE = re.compile(r" {0,3}(?:(?:-[ \t]*){3,}|(?:\*[ \t]*){3,}|(?:_[ \t]*){3,})$")
_SETEXT = re.compile(r" {0,3}(=+|-+)[ \t]*$")
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})[ \t]*([^\n]*)$")
_LANGUAGE = re.compile(r"[\w+#.-]{1,32}")
_ITEM = re.compile(r"( {0,3})([-+*]|[0-9]{1,9}[.)])([ \t]*)")


class Shape(Struct, frozen=True):
    """What a line starts as. `mark` is its marker: "#", ">", "`", "-", "." and so on."""

    kind: str
    indent: int = 0
    mark: str = ""
    level: int = 0
    hidden: int = 0  # characters at the line's start that are markup, not text
    interrupts: bool = False  # ends a paragraph without a blank line between


BLANK = Shape("blank")
TEXT = Shape("text")


def shape_of(head: str, complete: bool) -> Shape | None:
    """Shape of a line that starts with `head`; None while more characters could change it.

    `complete` says that the line ends there. The answer never changes once given, however the
    line goes on: that is what makes a reply's blocks independent of how it was cut into deltas.
    """
    if head and head[0] not in _MARKERS:
        return TEXT
    if len(head) >= HEAD:
        head, complete = head[:HEAD], True
    head = head.replace("\r", " ")
    body = head.lstrip(" \t")
    skipped = len(head) - len(body)
    indent = len(head[:skipped].expandtabs(4))
    if not body:
        if not complete:
            return None
        return Shape("text", indent) if len(head) == HEAD else BLANK
    if indent >= 4:
        return Shape("text", indent)
    return _marked(body, complete, indent, skipped)


def _marked(body: str, complete: bool, indent: int, skipped: int) -> Shape | None:
    """Shape of a line by its first character that is not a space."""
    first = body[0]
    if first == ">":
        if len(body) < 2 and not complete:
            return None
        hidden = skipped + (2 if body[1:2] == " " else 1)
        return Shape("quote", indent, ">", hidden=hidden, interrupts=True)
    if first == "|":
        return Shape("pipe", indent, "|", interrupts=True)
    if first == "#":
        return _heading(body, complete, indent, skipped)
    if first in "`~":
        return _fence(body, complete, indent)
    if first in "-*+_":
        return _dashes(body, complete, indent)
    if first in "0123456789":
        return _ordered(body, complete, indent)
    if first in "$\\":
        opener = "$$" if first == "$" else "\\["
        if len(body) < 2 and not complete:
            return None
        if body[:2] == opener:
            return Shape("math", indent, opener, hidden=skipped + 2, interrupts=True)
    return Shape("text", indent)


def _heading(body: str, complete: bool, indent: int, skipped: int) -> Shape | None:
    run = len(body) - len(body.lstrip("#"))
    if run == len(body) and run < 7 and not complete:
        return None
    if run <= 6 and (run == len(body) or body[run] in " \t"):
        return Shape("heading", indent, "#", run, skipped + min(run + 1, len(body)), True)
    return Shape("text", indent)


def _fence(body: str, complete: bool, indent: int) -> Shape | None:
    run = len(body) - len(body.lstrip(body[0]))
    if run >= 3:
        return Shape("fence", indent, body[0], interrupts=True)
    return None if run == len(body) and not complete else Shape("text", indent)


def _dashes(body: str, complete: bool, indent: int) -> Shape | None:
    """A line that starts with one of - * + _: a list item, a rule, or text."""
    mark = body[0]
    second = body[1:2]
    if second and second not in (mark, " ", "\t"):
        return Shape("text", indent)
    only_marks = not body.strip(mark + " \t")
    if not complete and (only_marks or not second):
        return None
    if only_marks and mark != "+" and body.count(mark) >= 3:
        # A row of nothing but "-" right below a paragraph makes that a heading.
        solid = mark == "-" and not body.rstrip(" \t").strip("-")
        return Shape("rule", indent, "solid" if solid else mark, interrupts=True)
    if mark != "_" and second in ("", " ", "\t"):
        return Shape("item", indent, mark, interrupts=bool(body[1:].strip(" \t")))
    return Shape("text", indent)


def _ordered(body: str, complete: bool, indent: int) -> Shape | None:
    match = _ORDERED.match(body)
    if match is None:
        digits = len(body) - len(body.lstrip("0123456789"))
        undecided = digits <= 9 and (digits == len(body) or body[digits:] in (".", ")"))
        return None if undecided and not complete else Shape("text", indent)
    number, mark, _, following = match.groups()
    if not following and not complete:
        return None
    starts_list = bool(following) and int(number) == 1
    return Shape("item", indent, mark, interrupts=starts_list)


def is_blank(line: str) -> bool:
    """Nothing but white space of Markdown's kind (an em space is text)."""
    return not line.strip(" \t\r\n")


def is_rule(line: str) -> bool:
    """A thematic break."""
    return _RULE.match(line.rstrip("\r\n")) is not None


def setext_level(line: str) -> int:
    """Level of the heading that this underline makes of the paragraph above, or 0."""
    match = _SETEXT.match(line.rstrip("\r\n"))
    return 0 if match is None else 1 if match[1][0] == "=" else 2


def is_delimiter(line: str) -> bool:
    """The line of dashes below a table's head."""
    # A row of dashes without a single pipe or colon is a heading's underline.
    return "-" in line and ("|" in line or ":" in line) and not line.strip("|:- \t\r\n")


def fence_of(line: str) -> tuple[str, int, str] | None:
    """(character, length, language) of a line that opens a code block."""
    match = _FENCE.match(line.rstrip("\r\n"))
    if match is None or (match[1][0] == "`" and "`" in match[2]):
        return None
    return match[1][0], len(match[1]), language_of(match[2])


def language_of(info: str) -> str:
    """The language named after a fence, in lower case and of harmless characters."""
    words = info.split(maxsplit=1)
    match = _LANGUAGE.match(words[0]) if words else None
    return match[0].lower() if match else ""


def closes_fence(line: str, mark: str, length: int) -> bool:
    """This line ends a code block that was opened by `length` times `mark`."""
    body = line.strip(" \t\r\n")
    indent = len(line) - len(line.lstrip(" \t"))
    return indent < 4 and len(body) >= length and not body.strip(mark)


def item_width(line: str) -> int:
    """Columns that the following lines of a list item must be indented by."""
    match = _ITEM.match(line)
    if match is None:
        return 2
    indent, marker, gap = match.groups()
    columns = len(indent) + len(marker)
    spaces = len((" " * columns + gap).expandtabs(4)) - columns
    if match.end() == len(line.rstrip("\r\n")) or not 1 <= spaces <= 4:
        spaces = 1
    return columns + spaces
