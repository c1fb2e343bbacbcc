"""One block of Markdown to safe HTML, in bounded time.

Knows nothing of streams. What is too deep, too wide or too costly is shown as plain text.
"""

import html
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.ruler import RuleOptionsType
from markdown_it.rules_block import StateBlock
from markdown_it.rules_core import StateCore
from markdown_it.rules_inline import StateInline
from markdown_it.token import Token
from mdit_py_plugins.gfm_autolink import gfm_autolink_plugin

from chat.markdown import formulas, highlighting, lines, safety

# All per block. Each is far beyond what a reader reads and keeps a hostile block below 0.5 s.
SIZE_LIMIT = 200_000  # characters of source
HTML_LIMIT = 2_000_000  # characters of HTML
INLINE_LIMIT = 16_000  # characters of one paragraph, item or cell that get inline marks
STEP_LIMIT = 25_000  # positions at which rules were tried
TOKEN_LIMIT = 20_000  # about 6,000 cells of a table or 4,000 items of a list
DEPTH_LIMIT = 40  # open elements: 40 quotes or 20 lists in each other
REFERENCE_LIMIT = 100_000  # characters of addresses that references were replaced by
_DIRECTED = frozenset(
    f"{name}_open"
    for name in ("paragraph", "heading", "blockquote", "bullet_list", "ordered_list", "list_item")
)
_TASKS = {"[ ] ": "☐ ", "[x] ": "☑ ", "[X] ": "☑ "}


class TooMuch(Exception):
    """A block goes beyond one of the limits."""


class References(dict[str, Any]):
    """Addresses that a reply defined by name ("[name]: address"), with a cap on their use."""

    spent = 0

    def get(self, label: str, default: Any = None) -> Any:
        """The definition of a label; raises TooMuch when all uses together grow too large."""
        found = super().get(label, default)
        if found:
            self.spent += len(found["href"])
            if self.spent > REFERENCE_LIMIT:
                raise TooMuch("references")
        return found


def block_html(text: str, references: References) -> str:
    """Safe HTML of one block's source; definitions in it are added to `references`."""
    if lines.is_blank(text):
        return ""
    references.spent = 0
    env = {"references": references, "steps": STEP_LIMIT, "formulas": formulas.BLOCK_LIMIT}
    try:
        if len(text) > SIZE_LIMIT:
            raise TooMuch("size")
        made = safety.clean(_markdown.render(text, env))
        if len(made) > HTML_LIMIT:
            raise TooMuch("html")
        return made
    except Exception:  # the parsers may trip over anything; a reply is shown whatever happens
        return plain_html(text)


def plain_html(text: str) -> str:
    """The text as it is, in one paragraph."""
    return safety.clean(f'<p class="plain" dir="auto">{html.escape(text.strip())}</p>')


# -- limits while parsing ---------------------------------------------------------------------


def _limit_blocks(state: StateBlock, start_line: int, end_line: int, silent: bool) -> bool:
    if state.level > DEPTH_LIMIT or len(state.tokens) > TOKEN_LIMIT:
        raise TooMuch("depth or tokens")
    _step(state.env)
    return False


def _limit_inline(state: StateInline, silent: bool) -> bool:
    _step(state.env)
    return False


def _step(env: Any) -> None:
    env["steps"] -= 1
    if env["steps"] < 0:
        raise TooMuch("steps")


def _limit_tokens(state: StateCore) -> None:
    """Between blocks and inline marks: leave very long texts unmarked."""
    if len(state.tokens) > TOKEN_LIMIT:
        raise TooMuch("tokens")
    for token in state.tokens:
        if token.type == "inline" and len(token.content) > INLINE_LIMIT:
            token.type = "long_text"


# -- what the tokens become -------------------------------------------------------------------


def _dress(state: StateCore) -> None:
    """Levels, directions and alignment of block tokens; tasks and images of inline ones."""
    for place, token in enumerate(state.tokens):
        if token.type in ("heading_open", "heading_close"):
            # The page's own headings are h1 and h2.
            token.tag = f"h{min(int(token.tag[1]) + 2, 6)}"
        if token.type in _DIRECTED:
            token.attrSet("dir", "auto")
        elif token.type in ("th_open", "td_open") and "style" in token.attrs:
            token.attrs = {"class": str(token.attrs["style"]).removeprefix("text-align:")}
        elif token.type == "inline":
            if place > 1 and state.tokens[place - 2].type == "list_item_open":
                _dress_task(token)
            _dress_images(token)


def _dress_task(token: Token) -> None:
    """An item that begins with a box gets a sign that needs no form element."""
    first = token.children[0] if token.children else None
    if first is not None and first.type == "text" and first.content[:4] in _TASKS:
        first.content = _TASKS[first.content[:4]] + first.content[4:]


def _dress_images(token: Token) -> None:
    """Mark images that stand inside a link: links cannot stand inside each other."""
    depth = 0
    for child in token.children or ():
        if child.type in ("link_open", "link_close"):
            depth += child.nesting
        elif child.type == "image":
            child.meta["linked"] = depth > 0


class _Renderer(RendererHTML):
    """The tokens' HTML where ours differs from the parser's own."""

    def fence(self, tokens: Sequence[Token], idx: int, options: Any, env: Any) -> str:
        return _figure(tokens[idx].content, lines.language_of(tokens[idx].info))

    def code_block(self, tokens: Sequence[Token], idx: int, options: Any, env: Any) -> str:
        return _figure(tokens[idx].content, "")

    def image(self, tokens: Sequence[Token], idx: int, options: Any, env: Any) -> str:
        """A link: an image that loads by itself could carry the reader's text to a stranger."""
        token = tokens[idx]
        words = html.escape(self.renderInlineAsText(token.children, options, env))
        if token.meta.get("linked"):
            return words
        address = str(token.attrs.get("src", ""))
        host = html.escape(urlsplit(address).hostname or "")
        label = f"{words} ({host})" if words and host else words or host
        return f'<a class="image" href="{html.escape(address)}">{label}</a>'

    def table_open(self, tokens: Sequence[Token], idx: int, options: Any, env: Any) -> str:
        return '<div class="table"><table dir="auto">'

    def table_close(self, tokens: Sequence[Token], idx: int, options: Any, env: Any) -> str:
        return "</table></div>"

    def long_text(self, tokens: Sequence[Token], idx: int, options: Any, env: Any) -> str:
        return html.escape(tokens[idx].content)

    def formula_inline(self, tokens: Sequence[Token], idx: int, options: Any, env: Any) -> str:
        return _formula(tokens[idx], False, env)

    def formula_block(self, tokens: Sequence[Token], idx: int, options: Any, env: Any) -> str:
        return _formula(tokens[idx], True, env)


def _figure(source: str, language: str) -> str:
    code = highlighting.code_html(source, language)
    return (
        f'<figure class="code" data-language="{language}"><figcaption>{language}</figcaption>'
        f'<pre dir="ltr"><code>{code}</code></pre></figure>'
    )


def _formula(token: Token, display: bool, env: Any) -> str:
    env["formulas"] -= len(token.content)
    return formulas.as_html(token.content, display, token.markup, env["formulas"] >= 0)


def _parser() -> MarkdownIt:
    md = MarkdownIt(
        "commonmark",
        {"html": False, "breaks": True, "xhtmlOut": False, "maxNesting": 100},
        renderer_cls=_Renderer,
    )
    md.enable(["table", "strikethrough"])
    md.use(gfm_autolink_plugin)
    md.validateLink = safety.is_safe_address  # type: ignore[method-assign, assignment]
    formulas.install(md)
    everywhere: RuleOptionsType = {"alt": ["paragraph", "reference", "blockquote", "list"]}
    md.block.ruler.before("table", "limit", _limit_blocks, everywhere)
    md.inline.ruler.before("text", "limit", _limit_inline)
    md.core.ruler.after("block", "limit", _limit_tokens)
    md.core.ruler.push("dress", _dress)
    return md


_markdown = _parser()
