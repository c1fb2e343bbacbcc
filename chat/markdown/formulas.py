"""LaTeX to MathML, and the Markdown rules that find formulas.

Knows $...$, $$...$$, \\(...\\) and \\[...\\]. What cannot be converted is shown as its source.
"""

import html
import re
from functools import lru_cache
from xml.etree import ElementTree

from latex2mathml.converter import convert_to_element
from markdown_it import MarkdownIt
from markdown_it.ruler import RuleOptionsType
from markdown_it.rules_block import StateBlock
from markdown_it.rules_inline import StateInline

# Characters. A formula beyond that is not one that a reader could read; converting is slow.
FORMULA_LIMIT = 2_000
# Characters of formulas in one block. 64 kB of formulas would take seconds.
BLOCK_LIMIT = 8_000
_CLOSERS = {"$$": "$$", "\\[": "\\]", "\\(": "\\)"}


@lru_cache(maxsize=256)  # a reply on a subject repeats its symbols
def mathml(source: str, display: bool) -> str | None:
    """MathML of a formula, or None where it is too long or wrong."""
    if len(source) > FORMULA_LIMIT:
        return None
    try:
        element = convert_to_element(source, display="block" if display else "inline")
        for part in element.iter():
            # The converter writes character references as text and never escapes: undo the
            # first, leave the second to the writer below.
            if part.text:
                part.text = html.unescape(part.text)
        element.attrib.pop("xmlns", None)
        return ElementTree.tostring(element, encoding="unicode")
    except Exception:  # it raises a dozen of its own kinds, IndexError, RecursionError, ...
        return None


def as_html(source: str, display: bool, markup: str, affordable: bool = True) -> str:
    """A formula for the page; its source as code where it cannot be converted."""
    converted = mathml(source, display) if affordable else None
    if converted is None:
        shown = html.escape(f"{markup}{source}{_CLOSERS.get(markup, markup)}")
        converted = f'<code class="formula">{shown}</code>'
    return f'<div class="formula" dir="ltr">{converted}</div>' if display else converted


def install(md: MarkdownIt) -> None:
    """Add the rules for formulas to a Markdown parser."""
    alternatives: RuleOptionsType = {"alt": ["paragraph", "reference", "blockquote", "list"]}
    md.block.ruler.before("fence", "formula", _block_rule, alternatives)
    md.inline.ruler.before("escape", "formula", _inline_rule)


def _block_rule(state: StateBlock, start_line: int, end_line: int, silent: bool) -> bool:
    """$$ or \\[ at a line's start, up to a line that ends with the closing mark."""
    if state.is_code_block(start_line):
        return False
    first = _line(state, start_line)
    opener = first[:2]
    if opener not in ("$$", "\\["):
        return False
    closer = _CLOSERS[opener]
    found: list[str] = []
    for number in range(start_line, end_line):
        text = _line(state, number).strip()
        text = text[2:] if number == start_line else text
        outside = number > start_line and state.sCount[number] < state.blkIndent
        if outside or (not text and number > start_line):
            return False
        if closer in text:
            if not text.endswith(closer) or closer in text[:-2]:
                return False
            found.append(text[:-2])
            break
        found.append(text)
    else:
        return False
    if not silent:
        state.line = start_line + len(found)
        token = state.push("formula_block", "math", 0)
        token.content = "\n".join(found).strip()
        token.markup = opener
        token.block = True
        token.map = [start_line, state.line]
    return True


def _line(state: StateBlock, number: int) -> str:
    return state.src[state.bMarks[number] + state.tShift[number] : state.eMarks[number]]


# The closing mark of each kind, with nothing escaped before it. "$" keeps to the rule of
# Pandoc: no space inside the marks, no digit behind ("$5 and $6" are prices, so is "US$5").
_INLINE: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("$$", re.compile(r"\$\$((?:[^$\\]|\\.){1,2000})\$\$", re.DOTALL)),
    (
        "$",
        re.compile(
            r"(?<![A-Za-z0-9])\$(?![\s$])((?:[^$\\]|\\.){1,2000})(?<!\s)\$(?![0-9])", re.DOTALL
        ),
    ),
    ("\\(", re.compile(r"\\\(((?:[^\\]|\\[^()\[\]]){1,2000})\\\)", re.DOTALL)),
    ("\\[", re.compile(r"\\\[((?:[^\\]|\\[^()\[\]]){1,2000})\\\]", re.DOTALL)),
)


def _inline_rule(state: StateInline, silent: bool) -> bool:
    """A formula inside a line of text."""
    if state.src[state.pos] not in "$\\":
        return False
    for markup, pattern in _INLINE:
        if not state.src.startswith(markup, state.pos):
            continue
        match = pattern.match(state.src, state.pos, state.posMax)
        if match is None or not match[1].strip():
            return False
        if not silent:
            token = state.push("formula_inline", "math", 0)
            token.content = match[1].strip()
            token.markup = markup
        state.pos = match.end()
        return True
    return False
