"""Every WebSocket frame of the chat page, in and out: typed and validated here and nowhere else.

A frame is one JSON object whose `type` is the struct's name in lower case. docs/protocol.md tells
when each is sent; this module knows neither sockets nor the database.
"""

from __future__ import annotations

import re
import uuid
from typing import Annotated, TypeVar

import msgspec
from msgspec import Meta, Struct

T = TypeVar("T")

PROTOCOL = 1
"""Goes up with every change that an old page would not understand; such a page reloads itself."""

MAX_TEXT = 32_000
"""Characters (code points) that a person may send at once."""
MAX_FRAME = 65_536
"""Bytes of one frame from a browser."""
MAX_TITLE = 120
"""Characters of a conversation's title."""
MAX_KNOWN = 2_000
"""Finished turns that a page may name as already shown when it opens a conversation."""

FURTHEST = 2**53 - 1  # JavaScript's exact integers only
Id = Annotated[int, Meta(ge=1, le=FURTHEST)]
"""A generation's id."""
Position = Annotated[int, Meta(ge=0, le=FURTHEST)]
"""A place in a reply's stored text, in code points, counted by the server only."""

_SURROGATE = re.compile("[\ud800-\udfff]")
_INVISIBLE = re.compile(r"[\s\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\u00ad\u180e\u3164]*")


class FrameError(Exception):
    """A frame that is not one of ours; `code` says why, `about` names the prompt it came with. Of
    a limit, `most` is how much it allows and `retry` when it ends, in seconds."""

    def __init__(self, code: str, about: str = "", retry: int = 0, most: int = 0) -> None:
        super().__init__(code)
        self.code, self.about, self.retry, self.most = code, about, retry, most


class Inbound(Struct, frozen=True, tag_field="type", tag=str.lower, forbid_unknown_fields=True):
    """A frame from a browser."""


class Open(Inbound, frozen=True):
    """Show me this conversation. `known` are the finished turns that the page already has."""

    conversation: uuid.UUID
    known: Annotated[tuple[Id, ...], Meta(max_length=MAX_KNOWN)] = ()


class Prompt(Inbound, frozen=True):
    """Answer this. `id` is made by the browser: sending it again makes no second generation.

    Without a `conversation` a new one is made. `parent` is the turn that this one follows;
    None starts the conversation (or starts it anew, as a sibling of its first turn).
    """

    id: uuid.UUID
    text: str
    conversation: uuid.UUID | None = None
    parent: Id | None = None


class Stop(Inbound, frozen=True):
    """End this generation now, waiting or running; what it has written stays."""

    generation: Id


class Ack(Inbound, frozen=True):
    """The page has shown the reply up to `end`; `final` once it has shown how it ended."""

    generation: Id
    end: Position
    final: bool = False


class Look(Inbound, frozen=True):
    """Something did not fit: send me the whole state of this generation again."""

    generation: Id


class Rename(Inbound, frozen=True):
    """Give a conversation of mine another title."""

    conversation: uuid.UUID
    title: Annotated[str, Meta(max_length=MAX_TITLE)]


class Delete(Inbound, frozen=True):
    """Delete a conversation of mine with all its turns; running ones are stopped first."""

    conversation: uuid.UUID


AnyInbound = Open | Prompt | Stop | Ack | Look | Rename | Delete


class Outbound(Struct, frozen=True, tag_field="type", tag=str.lower, omit_defaults=True):
    """A frame to a browser. Fields that have their default value are left out."""


class Hello(Outbound, frozen=True):
    """The first frame. A page of another `protocol` keeps what was typed and reloads.

    `busy` are the conversations in which something waits or runs: in all others nothing does.
    """

    protocol: int
    user: str
    guest: bool = False
    busy: tuple[str, ...] = ()


class Part(Struct, frozen=True, omit_defaults=True):
    """Plain text, without Markdown's marks, to append to the open block that begins at `block`.

    `kind` is the element to put it in: paragraph, heading (`level`), list, quote, table, code
    (`language`), math, rule, or reasoning.
    """

    block: int
    kind: str
    text: str
    language: str = ""
    level: int = 0


class Rendered(Struct, frozen=True):
    """A closed block: `html` replaces everything shown between `start` and `end`."""

    start: int
    end: int
    kind: str
    html: str


class Stage(Struct, frozen=True, omit_defaults=True):
    """Where a generation stands, for the line under its reply.

    `state` is the row's state; `name` is finer: waiting, after (the current reply), paused,
    preparing, thinking, generating, continuing, done, length, stopped, held, failed.
    `words` is the sentence to show, in the reader's language. `position` counts from 1; `wait` is
    the expected wait in seconds, (low, high). `again` tells that sending the same text again
    makes sense.
    """

    state: str
    name: str
    words: str
    position: int | None = None
    wait: tuple[int, int] | None = None
    again: bool = False


class Snapshot(Outbound, frozen=True):
    """The whole state of one generation; replaces whatever the page shows of it."""

    generation: int
    parent: int | None
    prompt: str
    stage: Stage
    end: int
    reasoning: str = ""
    blocks: tuple[Rendered, ...] = ()
    open: Part | None = None
    final: bool = False


class Opened(Outbound, frozen=True):
    """The answer to `open`: the turns from the first to the newest; snapshots follow."""

    conversation: str
    title: str
    path: tuple[int, ...]


class Delta(Outbound, frozen=True):
    """The reply grew from `offset` to `end`: first append `parts`, then put `blocks` in place.

    A page whose reply does not end at `offset` ignores it if it already has `end`, else looks.
    """

    generation: int
    offset: int
    end: int
    parts: tuple[Part, ...] = ()
    blocks: tuple[Rendered, ...] = ()


class Staged(Outbound, frozen=True):
    """The stage changed. `end` is the stored length: a page that has less of it looks."""

    generation: int
    stage: Stage
    end: int
    final: bool = False
    blocks: tuple[Rendered, ...] = ()


class Accepted(Outbound, frozen=True):
    """The prompt `id` is stored as `generation`. `again` if it was stored before."""

    id: str
    conversation: str
    generation: int
    parent: int | None = None
    again: bool = False


class Refused(Outbound, frozen=True):
    """The prompt `id` was not taken, and why; `retry` is when it may be sent again, in seconds."""

    id: str
    code: str
    words: str
    retry: int = 0


class Listed(Outbound, frozen=True):
    """A line of the sidebar: a conversation appeared, changed or (`gone`) was deleted."""

    conversation: str
    title: str = ""
    stage: str = ""
    words: str = ""
    gone: bool = False


class Error(Outbound, frozen=True):
    """A frame could not be used; nothing has changed. `about` names what it was about, `retry` is
    when to try again (seconds). One before `hello` says why the socket is closed."""

    code: str
    words: str
    about: str = ""
    retry: int = 0


_decoder: msgspec.json.Decoder[AnyInbound] = msgspec.json.Decoder(AnyInbound)
_encoder = msgspec.json.Encoder()


def decode(text: str | None, binary: bytes | None) -> AnyInbound:
    """Turn what a socket received into a typed frame; raises FrameError, never anything else."""
    frame = read(_decoder, text, binary)
    if isinstance(frame, Prompt):
        check_text(frame.text, about=str(frame.id))
    if isinstance(frame, Rename) and not is_clean(frame.title):
        raise FrameError("bad_text")
    return frame


def read(decoder: msgspec.json.Decoder[T], text: str | None, binary: bytes | None) -> T:
    """What a socket received as one of the decoder's types; raises FrameError, nothing else."""
    if binary is not None or text is None:
        raise FrameError("binary")
    try:
        raw = text.encode()
    except UnicodeEncodeError:
        raise FrameError("unreadable") from None
    if len(raw) > MAX_FRAME:
        raise FrameError("frame_too_large")
    try:
        return decoder.decode(raw)
    except msgspec.ValidationError:
        raise FrameError("unknown_frame") from None
    except (msgspec.DecodeError, RecursionError, ValueError):
        raise FrameError("unreadable") from None


def check_text(text: str, about: str = "") -> None:
    """Raise FrameError if a person's text cannot be sent to a model."""
    if not is_clean(text):
        raise FrameError("bad_text", about)
    if len(text) > MAX_TEXT:
        raise FrameError("text_too_long", about)
    if _INVISIBLE.fullmatch(text):
        raise FrameError("text_empty", about)


def is_clean(text: str) -> bool:
    """Whether text has neither NUL nor lone surrogates, which databases and tokenizers refuse."""
    return "\0" not in text and not _SURROGATE.search(text)


def encode(frame: Outbound) -> str:
    """A frame as the text that goes over the socket."""
    return _encoder.encode(frame).decode()
