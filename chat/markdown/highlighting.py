"""Code to HTML with classes only; static/chat/highlight.css gives the classes their colours."""

import html
import time
from collections.abc import Iterable, Iterator
from functools import lru_cache
from io import StringIO
from typing import Any

from pygments.formatters import HtmlFormatter
from pygments.lexer import Lexer
from pygments.lexers import find_lexer_class_by_name
from pygments.util import ClassNotFound

# Characters. Highlighting costs about 2 us each; a block beyond that is data, not code to read.
SIZE_LIMIT = 100_000
# Some lexers take a time that grows with the square of a line's length.
LINE_LIMIT = 2_000
# Seconds of this thread's CPU. On text made for it, some lexers need the square of its length.
TIME_LIMIT = 0.3
_formatter = HtmlFormatter(nowrap=True)


# Lexers by their first alias. Others can hang on text made for it, for longer than any limit
# here can cut off: `python -m benchmarks.lexers` tries them.
_LANGUAGES = """
    ada arduino awk bash batch bibtex c clojure cmake common-lisp cpp csharp css cython d dart
    delphi diff django docker elixir elm erlang fish fortran fsharp gas gdscript gherkin glsl go
    graphql groovy haskell html http ini java javascript json jsonnet jsx julia kotlin less llvm
    lua meson mysql nasm nginx nimrod nixos perl php postgresql powershell prolog protobuf puppet
    python qml racket ruby rust sass scala scss splus sql swift terraform tex text toml tsx
    typescript vim vue xml yaml zig
"""
TRIED = frozenset(_LANGUAGES.split())


@lru_cache(maxsize=256)
def _lexer_class(language: str) -> type[Lexer] | None:
    try:
        found: type[Lexer] = find_lexer_class_by_name(language)
    except ClassNotFound:
        return None
    return found if found.aliases[0] in TRIED else None


def code_html(source: str, language: str) -> str:
    """Escaped code, highlighted when the language is known and the size allows it."""
    if language and len(source) <= SIZE_LIMIT:
        lexer_class = _lexer_class(language)
        if lexer_class is not None and max(map(len, source.split("\n"))) <= LINE_LIMIT:
            # One per block: some lexers keep what they saw, and blocks render in threads.
            lexer = lexer_class(stripnl=False, ensurenl=False)
            try:
                return _spans(lexer.get_tokens(source))
            except TimeoutError:
                pass
    return html.escape(source, quote=False)


def _spans(tokens: Iterable[tuple[Any, str]]) -> str:
    """The tokens as HTML; TimeoutError when they take too long to come."""
    latest = time.thread_time() + TIME_LIMIT
    written = StringIO()

    def in_time() -> Iterator[tuple[Any, str]]:
        for token in tokens:
            if time.thread_time() > latest:
                raise TimeoutError
            yield token

    _formatter.format(in_time(), written)
    return written.getvalue()
