"""What Markdown becomes on the page, and that nothing in it can run, load or take too long."""

import time
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chat.markdown import render
from chat.markdown.stylesheet import stylesheet
from tests.payloads import PAYLOADS, Reader, assert_inert

# Seconds of CPU that 64 kB may take. Here it is below 0.5; a slower machine is given twice that.
PATIENCE = 1.0
SIZE = 64 * 1024


def whole(text):
    return "".join(block.html for block in render(text))


def filled(piece):
    return (piece * (SIZE // len(piece) + 1))[:SIZE]


# -- safety -----------------------------------------------------------------------------------


@pytest.mark.parametrize("payload", PAYLOADS)
def test_a_payload_is_inert_wherever_it_stands(payload):
    for around in (
        "{}",
        "words {} words",
        "> {}",
        "- {}",
        "| {} |\n|---|\n| {} |",
        "# {}",
        "**{}**",
    ):
        assert_inert(whole(around.replace("{}", payload)))


def test_there_are_at_least_two_hundred_different_payloads():
    assert len(set(PAYLOADS)) >= 200


@settings(max_examples=300, deadline=None)
@given(st.lists(st.one_of(st.sampled_from(PAYLOADS), st.text(max_size=8)), max_size=5))
def test_payloads_mixed_with_anything_are_inert(parts):
    assert_inert(whole("".join(parts)))


def test_raw_html_is_shown_as_its_own_text():
    html = whole("say <b>hi</b> & <script>alert(1)</script>")
    assert Reader(html).text.strip() == "say <b>hi</b> & <script>alert(1)</script>"


def test_html_inside_a_formula_is_text():
    reader = Reader(whole(r"$\text{<a href=http://evil.example>x</a>}$"))
    assert "a" not in [tag for tag, _ in reader.elements]
    assert "<a" in reader.text


def test_a_link_that_is_no_web_or_mail_address_stays_source():
    for address in ("javascript:alert(1)", "/logout", "//evil.example", "data:text/html,x"):
        html = whole(f"[x]({address})")
        assert "<a" not in html
        assert f"[x]({address})" in Reader(html).text


def test_a_remote_image_becomes_a_link_with_its_words_and_host():
    [block] = render("![a *cat*](https://evil.example/cat.png)")
    [link] = [a for tag, a in Reader(block.html).elements if tag == "a"]
    assert link["href"] == "https://evil.example/cat.png"
    assert link["class"] == "image"
    assert Reader(block.html).text.strip() == "a cat (evil.example)"


def test_an_image_inside_a_link_leaves_one_link():
    html = whole("[![cat](https://evil.example/c.png)](https://a.example/)")
    assert [a["href"] for tag, a in Reader(html).elements if tag == "a"] == ["https://a.example/"]


# -- what it looks like -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "kind", "expected"),
    [
        ("Hello *you* **all**", "paragraph", '<p dir="auto">Hello <em>you</em> <strong>all'),
        ("~~gone~~", "paragraph", "<s>gone</s>"),
        ("one\ntwo", "paragraph", "one<br>\ntwo"),
        ("# Title", "heading", '<h3 dir="auto">Title</h3>'),
        ("###### Deep", "heading", '<h6 dir="auto">Deep</h6>'),
        ("Title\n===", "heading", '<h3 dir="auto">Title</h3>'),
        ("- a\n  - b", "list", '<ul dir="auto">\n<li dir="auto">b</li>'),
        ("3. c\n4. d", "list", '<ol start="3" dir="auto">'),
        ("- [ ] a\n- [x] b", "list", '<li dir="auto">☑ b</li>'),
        ("> wise", "quote", '<blockquote dir="auto">\n<p dir="auto">wise</p>'),
        ("---", "rule", "<hr>"),
        ("| a |\n|--:|\n| 1 |", "table", '<td class="right">1</td>'),
        ("a | b\n--|--\n1 | 2", "table", '<div class="table"><table dir="auto">'),
        ("$$\nx\n$$", "math", '<math display="block">'),
        ("\\[ x \\]", "math", '<math display="block">'),
        ("a \\(x^2\\) b", "paragraph", "<msup><mi>x</mi><mn>2</mn></msup>"),
        ("a $x_1$ b", "paragraph", "<msub><mi>x</mi><mn>1</mn></msub>"),
        ("https://a.example/x", "paragraph", '<a href="https://a.example/x"'),
        ("    four spaces", "code", "<code>four spaces"),
    ],
)
def test_markdown_becomes_html(source, kind, expected):
    [block] = render(source)
    assert block.kind == kind
    assert expected in block.html


def test_code_stands_in_a_figure_with_its_language_and_classes_only():
    [block] = render("```Python title=x\nreturn 'a'\n```\n")
    assert (block.kind, block.language) == ("code", "python")
    assert block.html.startswith(
        '<figure class="code" data-language="python"><figcaption>python</figcaption>'
        '<pre dir="ltr"><code><span class="k">return</span>'
    )


def test_code_of_an_unknown_language_or_an_unclosed_fence_is_code_all_the_same():
    [block] = render("```klingon\n<b>\n")
    assert block.kind == "code"
    assert '<pre dir="ltr"><code>&lt;b&gt;\n</code></pre>' in block.html


def test_prices_are_not_formulas():
    html = whole("It costs $5 to $6, or US$7 (in Canada CA$9), or 8 $.")
    assert "math" not in html
    assert "formula" not in html


@pytest.mark.parametrize("broken", [r"\frac", r"\left(", "{" * 500, "x_a_b", r"\begin{matrix}"])
def test_a_broken_formula_is_shown_as_its_source(broken):
    html = whole(f"so ${broken}$ there")
    assert f"${broken}$" in Reader(html).text


def test_names_of_links_are_found_before_and_after_their_use():
    html = whole("See [a].\n\n[a]: https://a.example\n\nAgain [a].")
    assert html.count('href="https://a.example"') == 2


def test_blocks_tile_the_text_from_the_offset_on():
    text = "# a\n\nb\n- c\n\n\n```\nd\n```\n\n"
    blocks = render(text, offset=100)
    assert blocks[0].start == 100
    assert blocks[-1].end == 100 + len(text)
    assert all(one.end == other.start for one, other in pairwise(blocks))


def test_no_text_is_no_blocks():
    assert render("") == ()


def test_white_space_makes_nothing_to_see():
    assert {block.html for block in render(" \n\n\t\n")} == {""}


# -- in bounded time --------------------------------------------------------------------------

TRAPS = {
    "10,000 quotes in each other": ">" * 10_000,
    "quotes on every line": filled(">" * 50 + "a\n"),
    "10,000 columns": "|a" * 10_000 + "|\n" + "|-" * 10_000 + "|\n" + "|b" * 10_000 + "|",
    "99 columns and empty rows": "|a" * 99 + "|\n" + "|-" * 99 + "|\n" + filled("|\n"),
    "one emoji": "😀" * SIZE,
    "combining marks": "a" + "\u0301" * SIZE,
    "NULs": "\0" * SIZE,
    "lists in lists": "".join("  " * depth + "- a\n" for depth in range(250)),
    "lists on one line": filled("- "),
    "list items": filled("1. a\n"),
    "brackets": filled("["),
    "images in images": filled("!["),
    "half links": filled("[a]("),
    "links": filled("[a](http://a.example)"),
    "stars": filled("*a **a "),
    "underscores": filled("_a__"),
    "backticks of every length": "".join("`" * n + " " for n in range(1, 350)),
    "angles": filled("<http://a"),
    "colons": filled(":"),
    "at signs": filled("a@a."),
    "dollars": filled("$a "),
    "formulas": filled("$x$ "),
    "formula blocks": filled("$$\nx_1\n$$\n\n"),
    "an open formula": "$$\n" + filled("x\n"),
    "round brackets": filled("\\("),
    "formulas in braces": filled("$" + "{" * 900 + "}" * 900 + "$ "),
    "HTML in formulas": filled("$<b>\\frac{<i>}{$"),
    "definitions": filled("[a]: http://x\n"),
    "a long address used often": "[a]: http://x/" + "y" * 1900 + "\n\n" + filled("[a]"),
    "spaces": " " * SIZE,
    "tabs": "\t" * SIZE,
    "carriage returns": "\r" * SIZE,
    "line feeds": "\n" * SIZE,
    "dashes and spaces": "--" + " " * SIZE + "x",
    "headings": filled("## a b c d e\n"),
    "code": "```python\n" + filled("def f(x): return x + 'a'\n"),
    "code of blank lines": "```cpp\n" + "\n" * SIZE,
    "long fences": "`" * 20_000 + "\nfoo\n" + "`" * 19_999,
    "tags": filled("<div><b>x</b></div>"),
    "right to left": "\u202e" * SIZE,
}


@pytest.mark.parametrize("name", TRAPS)
def test_a_hostile_text_takes_bounded_time(name):
    started = time.process_time()
    blocks = render(TRAPS[name])
    assert time.process_time() - started < PATIENCE
    assert blocks[-1].end == len(TRAPS[name])


def test_what_is_too_deep_is_shown_as_plain_text():
    [block] = render(">" * 10_000 + " here")
    assert block.html.startswith('<p class="plain" dir="auto">')
    assert "here" in block.html


def test_one_hostile_block_leaves_the_others_as_they_are():
    blocks = render("# Title\n\n" + ">" * 10_000 + "\n\n**bold**\n")
    assert [block.kind for block in blocks] == ["heading", "quote", "paragraph"]
    assert "<strong>bold</strong>" in blocks[2].html


def test_a_long_ordinary_list_is_not_taken_for_a_hostile_one():
    item = "- **Name**: some `code` and [a link](http://a.example/) with a dozen words behind it\n"
    [block] = render(item * 400)
    assert block.html.count("<strong>") == 400


@settings(max_examples=200, deadline=None)
@given(st.text())
def test_any_text_can_be_rendered(text):
    assert_inert(whole(text))


# -- colours ----------------------------------------------------------------------------------


def test_the_stylesheet_in_the_tree_is_the_one_that_is_made():
    path = Path(__file__).parents[1] / "static" / "chat" / "highlight.css"
    assert path.read_text(encoding="utf-8") == stylesheet()
