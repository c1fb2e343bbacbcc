"""The last door before the page: which tags, attributes, classes and addresses may pass.

Knows nothing of Markdown. Everything that this project shows as HTML of a model goes through it.
"""

import re

import nh3
from pygments.token import STANDARD_TYPES


def _words(names: str) -> frozenset[str]:
    return frozenset(names.split())


_MATH_TAGS = _words(
    "math menclose mfrac mi mmultiscripts mn mo mover mpadded mphantom mprescripts mroot mrow ms "
    "mspace msqrt mstyle msub msubsup msup mtable mtd mtext mtr munder munderover none"
)
_TAGS = _MATH_TAGS | _words(
    "a blockquote br code div em figcaption figure h3 h4 h5 h6 hr li ol p pre s span strong "
    "table tbody td th thead tr ul"
)
# Presentation of formulas. No href, no style, no actiontype, no src: none can load or run.
_MATH_ATTRIBUTES = _words(
    "accent columnalign columnlines columnspacing columnspan depth display displaystyle fence "
    "form height largeop linethickness lspace mathvariant maxsize minsize movablelimits notation "
    "rowalign rowlines rowspacing rowspan rspace scriptlevel separator stretchy symmetric "
    "voffset width"
)
_DIRECTED = ("blockquote", "div", "h3", "h4", "h5", "h6", "li", "ol", "p", "pre", "table", "ul")
_ADDRESS = re.compile(r"(?:https?://[^/?#\s\\]|mailto:)[^\x00-\x20\x7f]*\Z", re.IGNORECASE)
# Longer than any address that a person follows; addresses given once can be used many times.
ADDRESS_LIMIT = 2_000


def is_safe_address(address: str) -> bool:
    """An absolute web or mail address: never one of this site, never a script or data."""
    return len(address) <= ADDRESS_LIMIT and _ADDRESS.match(address) is not None


def _attributes() -> dict[str, set[str]]:
    allowed = {tag: set(_MATH_ATTRIBUTES) for tag in _MATH_TAGS}
    for tag in _DIRECTED:
        allowed.setdefault(tag, set()).add("dir")
    allowed["a"] = {"href"}
    allowed["ol"].add("start")
    allowed["figure"] = {"data-language"}
    return allowed


_cleaner = nh3.Cleaner(
    tags=set(_TAGS),
    clean_content_tags={"script", "style"},
    attributes=_attributes(),
    allowed_classes={
        "a": {"image"},
        "code": {"formula"},
        "div": {"formula", "table"},
        "figure": {"code"},
        "p": {"plain"},
        "span": {name for name in STANDARD_TYPES.values() if name},
        "td": {"left", "center", "right"},
        "th": {"left", "center", "right"},
    },
    set_tag_attribute_values={"a": {"target": "_blank"}},
    link_rel="noopener noreferrer nofollow",
    url_schemes={"http", "https", "mailto"},
    url_relative="deny",
)


def clean(html: str) -> str:
    """The same HTML with everything dropped that is not on the lists above."""
    return _cleaner.clean(html)
