"""Every WebSocket frame of the operators' dashboard, typed and validated here and nowhere else.

The conventions are those of chat/frames.py: one JSON object, `type` is the struct's name in lower
case. This module knows neither sockets nor the database.
"""

from __future__ import annotations

import uuid
from typing import Literal

import msgspec
from msgspec import Struct

from chat.frames import Id, read

PROTOCOL = 2
"""Goes up with every change that an old page would not understand; such a page reloads itself."""

Setting = Literal["limit", "size", "running_per_user", "waiting_per_user"]


class Inbound(Struct, frozen=True, tag_field="type", tag=str.lower, forbid_unknown_fields=True):
    """An act of an operator. `id` is made by the page and comes back with the answer."""

    id: uuid.UUID


class Set(Inbound, frozen=True):
    """Give a setting another value. `seen` is the one that the operator saw."""

    name: Setting
    value: int
    seen: int


class Slots(Inbound, frozen=True):
    """Let one worker run so many at once. `seen` is how many the operator saw."""

    worker: Id
    value: int
    seen: int


class Pause(Inbound, frozen=True):
    """Start nothing more; what runs goes on."""


class Resume(Inbound, frozen=True):
    """Start waiting ones again."""


class Cancel(Inbound, frozen=True):
    """Stop a generation, waiting or running; what it has written stays."""

    generation: Id


AnyInbound = Set | Slots | Pause | Resume | Cancel


class Outbound(Struct, frozen=True, tag_field="type", tag=str.lower, omit_defaults=True):
    """A frame to a page. Fields that have their default value are left out."""


class Figures(Struct, frozen=True):
    """The numbers of a queue. `speed` is tokens a second; `oldest` is when the waiting one that
    came first was sent; `binds` says what stops more from running: limit, slots, worker, paused.

    In words: `wait` is what a new message may expect, `effect` what the limit does now, and
    `notes` stand below the figures of the same name.
    """

    waiting: int
    running: int
    limit: int
    size: int
    running_per_user: int
    waiting_per_user: int
    paused: bool
    slots: int
    binds: str
    alive: int
    workers: int
    speed: float
    oldest: float | None
    wait: str
    effect: str
    notes: dict[str, str]


class Running(Struct, frozen=True):
    """A generation in progress. Speed is (tokens - `before`) over the seconds since `claimed`."""

    user: str
    guest: bool
    created: float
    claimed: float
    before: int
    strikes: int
    worker: str


class Waiting(Struct, frozen=True):
    """A generation in line. `tokens` it has already, if it was interrupted."""

    user: str
    guest: bool
    created: float
    tokens: int


class Hand(Struct, frozen=True):
    """A worker. `state` is the row's, or "dead" if its heartbeat stands still since `beat`.

    `quiet` is for how many seconds its heartbeat has not moved, 0 if no longer than usual. It may
    run `slots` at once, its engine could run `capacity`. `speed` is tokens a second.
    """

    name: str
    state: str
    words: str
    model: str
    device: str
    host: str
    slots: int
    capacity: int
    running: int
    speed: float
    memory: int
    quiet: int
    beat: float


class Alert(Struct, frozen=True):
    """Something is wrong: what it is, and what to do. `level` is danger, warn or note."""

    kind: str
    level: str
    words: str
    remedy: str
    since: float | None = None


class Line(Struct, frozen=True):
    """One recorded change, in words."""

    at: float
    who: str
    words: str


class Board(Outbound, frozen=True):
    """The whole dashboard, sent first. `now` is the server's time in seconds; all other times
    are of the same clock. `order` holds the ids of the first waiting ones, `held` those among
    them that are not eligible yet. `tokens` are apart from `running`: they change every second.
    """

    protocol: int
    queue: int
    name: str
    may: tuple[str, ...]
    now: float
    figures: Figures
    running: dict[int, Running]
    tokens: dict[int, int]
    waiting: dict[int, Waiting]
    order: tuple[int, ...]
    held: tuple[int, ...]
    workers: dict[int, Hand]
    alerts: tuple[Alert, ...]
    trail: dict[int, Line]


class Changes(Outbound, frozen=True):
    """What changed since the last frame: in a mapping null means gone; the rest replaces."""

    now: float
    figures: Figures | None = None
    running: dict[int, Running | None] = {}
    tokens: dict[int, int | None] = {}
    waiting: dict[int, Waiting | None] = {}
    order: tuple[int, ...] | None = None
    held: tuple[int, ...] | None = None
    workers: dict[int, Hand | None] = {}
    alerts: tuple[Alert, ...] | None = None
    trail: dict[int, Line | None] = {}


class May(Outbound, frozen=True):
    """The operator's permissions are others now."""

    may: tuple[str, ...]


class Done(Outbound, frozen=True):
    """The act `id` was carried out."""

    id: str
    words: str


class Refused(Outbound, frozen=True):
    """The act `id` was not carried out, and why; nothing has changed."""

    id: str
    code: str
    words: str


class Error(Outbound, frozen=True):
    """A frame could not be used; nothing has changed."""

    code: str
    words: str


_decoder: msgspec.json.Decoder[AnyInbound] = msgspec.json.Decoder(AnyInbound)
_encoder = msgspec.json.Encoder()


def decode(text: str | None, binary: bytes | None) -> AnyInbound:
    """Turn what a socket received into a typed frame; raises FrameError, never anything else."""
    return read(_decoder, text, binary)


def encode(frame: Outbound) -> str:
    """A frame as the text that goes over the socket."""
    return _encoder.encode(frame).decode()
