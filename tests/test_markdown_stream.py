"""A reply that grows shows, at its end, what its whole text renders to, however it was cut."""

from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from chat.markdown import Block, BlockStream, Growth, render
from chat.markdown import stream as markdown_stream
from chat.markdown.lines import HEAD, shape_of
from tests.payloads import PAYLOADS, assert_inert

PIECES = [
    "#", "##", "`", "```", "~~~", "-", "*", "+", "_", "=", "1.", "2)", "12345678", "|", "$", "$$",
    "\\[", "\\]", "\\", " ", "  ", "    ", "\t", "\n", "\n\n", "\r", "\r\n", ">", "a", "b c", "[x]",
    "[x]: http://a.example\n", "---", "***", "word", "😀",
    "\0", "- ", "1. ", "![a](http://e.example)",
    "\u2028", "\x0b", "\x0c", "\u00a0", "```py\n", "\n```\n", "| a |\n|---|\n", "  - ", "\n- ",
    "\n\n  ",
]  # fmt: skip
texts = st.one_of(st.lists(st.sampled_from(PIECES), max_size=25).map("".join), st.text())


class Page:
    """Does what the page does with growths and blocks."""

    def __init__(self, offset=0):
        self.end = offset
        self.grown = ""
        self.blocks = {}
        self.open = {}

    def take(self, parts):
        for part in parts:
            if isinstance(part, Growth):
                assert part.start == self.end
                assert part.end == part.start + len(part.text)
                assert part.text
                self.end = part.end
                self.grown += part.text
                _, shown = self.open.get(part.block_start, ("", ""))
                self.open[part.block_start] = (part.kind, shown + part.shown)
            else:
                covered = [at for at in self.blocks if part.start <= at < part.end]
                for at in covered:
                    del self.blocks[at]
                self.open.pop(part.start, None)
                self.blocks[part.start] = part

    def shown(self):
        return tuple(self.blocks[at] for at in sorted(self.blocks))


def cut(text, places):
    """The text cut at these places."""
    edges = [0, *sorted({min(place, len(text)) for place in places}), len(text)]
    return [text[a:b] for a, b in pairwise(edges)]


@settings(max_examples=400, deadline=None)
@given(texts, st.lists(st.integers(0, 60), max_size=6), st.integers(0, 1000))
@example("- \u2028=\x0c", [2], 0)
@example("-\r\n\r\n--\r", [1, 2, 3], 0)
def test_any_text_in_any_deltas_ends_as_the_whole(text, places, offset):
    stream, page = BlockStream(offset), Page(offset)
    for delta in cut(text, places):
        page.take(stream.feed(delta))
        assert stream.end == page.end
        assert stream.held <= HEAD
    page.take(stream.close())
    assert page.grown == text
    assert page.shown() == render(text, offset)
    assert page.open == {}


@settings(max_examples=300, deadline=None)
@given(texts)
def test_character_by_character_ends_as_the_whole(text):
    stream, page = BlockStream(), Page()
    for character in text:
        page.take(stream.feed(character))
    page.take(stream.close())
    assert page.grown == text
    assert page.shown() == render(text)


@settings(max_examples=300, deadline=None)
@given(texts, st.integers(0, 60), st.integers(0, 60))
def test_a_reader_who_comes_late_sees_what_the_first_one_sees(text, first, second):
    before, *later = cut(text, [first, second])
    stream, early, late = BlockStream(), Page(), Page()
    early.take(stream.feed(before))
    blocks, opening = stream.snapshot()
    late.take(blocks)
    late.end = stream.end
    if opening is not None:
        late.open[opening.start] = (opening.kind, opening.shown)
        assert opening.end == stream.end
        assert opening.text == text[opening.start : opening.end]
    for delta in later:
        parts = stream.feed(delta)
        early.take(parts)
        late.take(parts)
        assert early.open == late.open
    parts = stream.close()
    early.take(parts)
    late.take(parts)
    assert late.shown() == early.shown() == render(text)


@settings(max_examples=500, deadline=None)
@given(st.text(alphabet="#>`~-*+_=019.)|$\\[ \t\r\u00a0x", max_size=20))
def test_what_a_lines_start_says_never_changes(line):
    answers = [shape_of(line[:n], False) for n in range(len(line) + 1)]
    answers.append(shape_of(line, True))
    known = [answer for answer in answers if answer is not None]
    assert all(answer == known[0] for answer in known)
    assert answers[-1] is not None


@pytest.mark.parametrize("payload", PAYLOADS)
def test_a_payload_split_over_deltas_is_inert(payload):
    text = f"before {payload}\n\n- {payload}\n\n> {payload}"
    for step in (1, 2, 3, 7, 19):
        stream, page = BlockStream(), Page()
        for at in range(0, len(text), step):
            parts = stream.feed(text[at : at + step])
            page.take(parts)
        page.take(stream.close())
        for block in page.shown():
            assert_inert(block.html)
        assert page.shown() == render(text)


def kinds(text, step=1):
    """Every (kind, language, level) that growths of the text carried, in order, once each."""
    stream, seen = BlockStream(), []
    for at in range(0, len(text), step):
        for part in stream.feed(text[at : at + step]):
            if isinstance(part, Growth) and part.shown:
                now = (part.kind, part.language, part.level)
                if not seen or seen[-1] != now:
                    seen.append(now)
    return seen


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("words\n", [("paragraph", "", 0)]),
        ("## Title\n", [("heading", "", 2)]),
        ("- a\n- b\n", [("list", "", 0)]),
        ("12. a\n", [("list", "", 0)]),
        ("> a\n", [("quote", "", 0)]),
        ("**bold** words\n", [("paragraph", "", 0)]),
        ("```python\nx = 1\n```\n", [("code", "python", 0)]),
        ("| a |\n|---|\n| 1 |\n", [("table", "", 0)]),
        ("$$\nx\n$$\n", [("math", "", 0)]),
        ("a | b\n--|--\n1 | 2\n", [("paragraph", "", 0), ("table", "", 0)]),
    ],
)
def test_an_open_block_is_of_the_right_kind_from_its_first_character_on(text, expected):
    assert kinds(text) == expected


def test_fences_and_hashes_are_not_shown_while_a_block_is_open():
    stream = BlockStream()
    shown = "".join(
        part.shown
        for part in stream.feed("# Title\n```python\nx = '`'\n```\n> said\n")
        if isinstance(part, Growth)
    )
    assert shown == "Title\nx = '`'\nsaid\n"


@pytest.mark.parametrize(
    "text", ["words\n\n", "# a\n", "```\nx\n```\n", "---\n", "> a\n\n", "$$x$$\n"]
)
def test_a_block_that_is_certainly_complete_closes_at_once(text):
    assert isinstance(BlockStream().feed(text)[-1], Block)


def test_a_list_stays_one_block_over_blank_lines_and_code():
    text = "1. one\n\n   ```\n   x\n   ```\n\n2. two\n\nend"
    assert [block.kind for block in render(text)] == ["list", "paragraph"]


def test_only_blocks_that_a_later_definition_changes_come_again_at_the_end():
    stream = BlockStream()
    stream.feed("See [a].\n\nNot [b].\n\n[a]: https://a.example\n\n")
    [again] = [part for part in stream.close() if isinstance(part, Block)]
    assert (again.start, again.end) == (0, 10)
    assert 'href="https://a.example"' in again.html


def test_a_block_is_rendered_once(monkeypatch):
    rendered = []
    real = markdown_stream.block_html

    def counted(text, references):
        rendered.append(text)
        return real(text, references)

    monkeypatch.setattr(markdown_stream, "block_html", counted)
    stream = BlockStream()
    for character in "# a\n\nb [c] d\n\n- e\n\n```\nf\n```\n":
        stream.feed(character)
    stream.close()
    assert rendered == ["# a\n", "\nb [c] d\n\n", "- e\n\n", "```\nf\n```\n"]


def test_splitting_and_rendering_apart_is_the_same_as_feeding():
    text = "# a\n\nb\n\n```python\nc\n```\n"
    apart, together = BlockStream(), BlockStream()
    parts = [
        part if isinstance(part, Growth) else apart.render_segment(part)
        for part in apart.split(text)
    ]
    assert parts == together.feed(text)
    assert apart.close() == together.close()
