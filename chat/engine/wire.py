"""Frames between an engine's process and its feed: 4 bytes of length, then one msgpack value."""

from __future__ import annotations

import struct
from collections.abc import Iterator

import msgspec

from .base import Dead, Loading, Message, Model, Prepared, Refused, Step, Task
from .spec import EngineSpec

_LENGTH = struct.Struct(">I")


class Start(msgspec.Struct, frozen=True, tag="start"):
    """The first command: what to load."""

    spec: EngineSpec


class Add(msgspec.Struct, frozen=True, tag="add"):
    """Take a task in."""

    task: Task


class Cancel(msgspec.Struct, frozen=True, tag="cancel"):
    """Forget a task."""

    key: str


Command = Start | Add | Cancel

_encoder = msgspec.msgpack.Encoder()
_commands = msgspec.msgpack.Decoder(Start | Add | Cancel)
_messages = msgspec.msgpack.Decoder(Model | Loading | Prepared | Step | Refused | Dead)


def pack(value: Command | Message) -> bytes:
    """One frame, ready to be written."""
    body = _encoder.encode(value)
    return _LENGTH.pack(len(body)) + body


def unpack_command(body: bytes) -> Command:
    """The command in a frame's body."""
    command: Command = _commands.decode(body)
    return command


def unpack_message(body: bytes) -> Message:
    """The message in a frame's body."""
    message: Message = _messages.decode(body)
    return message


class Frames:
    """Cuts a stream of bytes into the bodies of its frames; keeps what is not whole yet."""

    def __init__(self) -> None:
        self._held = bytearray()

    def feed(self, received: bytes) -> Iterator[bytes]:
        """The bodies that are whole now, in order."""
        self._held += received
        start = 0
        while len(self._held) - start >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(self._held, start)
            end = start + _LENGTH.size + length
            if end > len(self._held):
                break
            yield bytes(self._held[start + _LENGTH.size : end])
            start = end
        del self._held[:start]
