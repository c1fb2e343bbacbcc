"""Readers of the site: many people with one tab each, over real WebSockets, in one process.

Started by throughput.py and asked by lines of JSON. Frames are hardly parsed, so that the readers
take as little as possible of the processor that the site needs.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
import uuid
from typing import Any

import msgspec
from websockets.asyncio.client import ClientConnection, connect

ACK_SECONDS = 1.0
LOAD_PERIOD = 0.02


class Seen(msgspec.Struct):
    """What a reader needs of a frame."""

    type: str
    generation: int = 0
    end: int = -1
    final: bool = False
    code: str = ""


_frame = msgspec.json.Decoder(Seen)


class Reader:
    """One person who asks once and reads the whole reply."""

    def __init__(self, url: str, cookie: str, prompt: str) -> None:
        self.url, self.cookie, self.prompt = url, cookie, prompt
        self.socket: ClientConnection
        self.sent = 0.0
        self.generation = 0
        self.marks: list[tuple[float, int]] = []
        self.frames = 0
        self.bytes = 0

    async def connect(self) -> None:
        self.socket = await connect(
            self.url.replace("http", "ws") + "/ws/chat",
            origin=self.url,  # type: ignore[arg-type]
            additional_headers={"Cookie": f"chatsite_session={self.cookie}"},
        )
        hello = _frame.decode(await self.socket.recv())
        if hello.type != "hello":
            raise RuntimeError(f"greeted with {hello}")

    async def read(self) -> None:
        self.sent = acknowledged = time.monotonic()
        await self.socket.send(
            json.dumps({"type": "prompt", "id": str(uuid.uuid4()), "text": self.prompt})
        )
        async for text in self.socket:
            now = time.monotonic()
            frame = _frame.decode(text)
            self.frames += 1
            self.bytes += len(text)
            if frame.type == "refused":
                raise RuntimeError(f"refused: {frame.code}")
            self.generation = self.generation or frame.generation
            if frame.end > (self.marks[-1][1] if self.marks else 0):
                self.marks.append((now, frame.end))
            if frame.final:
                await self._acknowledge(frame.end, final=True)
                return
            if frame.type == "delta" and now - acknowledged > ACK_SECONDS:
                acknowledged = now
                await self._acknowledge(frame.end)
        raise RuntimeError("the socket closed in the middle of a reply")

    async def _acknowledge(self, end: int, final: bool = False) -> None:
        frame = {"type": "ack", "generation": self.generation, "end": end, "final": final}
        await self.socket.send(json.dumps(frame))


async def read_all(ask: dict[str, Any]) -> dict[str, Any]:
    """Connect all readers, let them ask at the same moment, and tell what they saw."""
    pairs = zip(ask["cookies"], ask["prompts"], strict=True)
    readers = [Reader(ask["url"], cookie, prompt) for cookie, prompt in pairs]
    await asyncio.gather(*(reader.connect() for reader in readers))
    await asyncio.gather(*(reader.read() for reader in readers))
    await asyncio.gather(*(reader.socket.close() for reader in readers))
    return {
        "streams": [
            {"sent": r.sent, "generation": r.generation, "marks": r.marks} for r in readers
        ],
        "frames": sum(r.frames for r in readers),
        "bytes": sum(r.bytes for r in readers),
    }


async def burn(share: float) -> None:
    """Keep so much of one core busy, in small bites, until cancelled."""
    while True:
        began = time.thread_time()
        while time.thread_time() - began < share * LOAD_PERIOD:
            json.loads('{"type":"delta","end":1234}')
        await asyncio.sleep(LOAD_PERIOD * (1 - share))


async def answer(line: str, load: list[asyncio.Task[None]]) -> dict[str, Any]:
    """Do what one line asks."""
    ask = json.loads(line)
    if ask["do"] == "read":
        async with asyncio.timeout(ask["timeout"]):
            return await read_all(ask)
    if ask["do"] == "burn":
        load.append(asyncio.create_task(burn(ask["share"])))
    elif ask["do"] == "rest":
        load.pop().cancel()
    return {}


async def main() -> None:
    load: list[asyncio.Task[None]] = []
    print(json.dumps({"ready": True}), flush=True)
    while line := await asyncio.to_thread(sys.stdin.readline):
        try:
            reply = await answer(line, load)
        except Exception as error:
            reply = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(reply), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
