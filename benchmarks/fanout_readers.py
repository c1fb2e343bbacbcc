"""Readers of many replies at once, several for each, in one process; asked by fanout.py.

Frames are hardly parsed, so that the readers take as little of the processor as can be.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import msgspec
from websockets.asyncio.client import ClientConnection, connect

ACK_SECONDS = 1.0
CONNECTING = asyncio.Semaphore(20)


class Seen(msgspec.Struct):
    """What a reader needs of a frame."""

    type: str
    conversation: str = ""
    generation: int = 0
    offset: int = -1
    end: int = -1
    final: bool = False
    code: str = ""


_frame = msgspec.json.Decoder(Seen)


@asynccontextmanager
async def connected(url: str, cookie: str) -> AsyncIterator[ClientConnection]:
    async with CONNECTING:
        socket = await connect(
            url.replace("http", "ws") + "/ws/chat",
            origin=url,  # type: ignore[arg-type]
            additional_headers={"Cookie": f"chatsite_session={cookie}"},
            compression=None,
            open_timeout=60,
            ping_interval=None,
        )
        hello = _frame.decode(await socket.recv())
        if hello.type != "hello":
            raise RuntimeError(f"greeted with {hello}")
    yield socket
    await socket.close()


class View:
    """One tab: when the reply was how long, and what went wrong."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.marks: list[tuple[float, int]] = []
        self.deltas = 0
        self.gaps = 0
        self.snapshots = 0
        self.end = -1

    async def read(self, generation: int, deadline: float) -> None:
        acknowledged = time.monotonic()
        async with asyncio.timeout(deadline):
            async for text in self.socket:
                now = time.monotonic()
                frame = _frame.decode(text)
                if frame.generation != generation:
                    continue
                if frame.type == "delta":
                    self.deltas += 1
                    self.gaps += frame.offset != self.end
                    self.end = frame.end
                    self.marks.append((now, frame.end))
                elif frame.type == "snapshot":
                    self.snapshots += 1
                    self.end = frame.end
                if frame.final or (frame.type == "delta" and now - acknowledged > ACK_SECONDS):
                    acknowledged = now
                    ack = {"type": "ack", "generation": generation, "end": self.end}
                    await self.socket.send(json.dumps({**ack, "final": frame.final}))
                if frame.final:
                    self.end = frame.end
                    return


async def ask_and_read(ask: dict[str, Any], url: str, cookie: str, pause: float) -> dict[str, Any]:
    """One person asks in one tab, after a pause, and reads in as many as asked for."""
    async with AsyncExitStack() as stack:
        tabs = [
            View(await stack.enter_async_context(connected(url, cookie)))
            for _ in range(ask["viewers"])
        ]
        await READY.wait(ask["streams"])
        await asyncio.sleep(pause)
        first = tabs[0].socket
        prompt = {"type": "prompt", "id": str(uuid.uuid4()), "text": "hello"}
        await first.send(json.dumps(prompt))
        async for text in first:
            frame = _frame.decode(text)
            if frame.type == "refused":
                raise RuntimeError(f"refused: {frame.code}")
            if frame.type == "accepted":
                break
        for other in tabs[1:]:
            opening = {"type": "open", "conversation": frame.conversation}
            await other.socket.send(json.dumps(opening))
        await asyncio.gather(*(one.read(frame.generation, ask["deadline"]) for one in tabs))
    return {
        "generation": frame.generation,
        "views": [
            {
                "marks": one.marks,
                "deltas": one.deltas,
                "gaps": one.gaps,
                "snapshots": one.snapshots,
                "end": one.end,
            }
            for one in tabs
        ],
    }


class Ready:
    """Nobody asks before everybody is connected."""

    def __init__(self) -> None:
        self._count = 0
        self._all = asyncio.Event()

    async def wait(self, total: int) -> None:
        self._count += 1
        if self._count >= total:
            self._all.set()
        await self._all.wait()


READY = Ready()


async def streams(ask: dict[str, Any]) -> dict[str, Any]:
    global READY
    READY = Ready()
    urls, cookies = ask["urls"], ask["cookies"][: ask["streams"]]
    people = [
        ask_and_read(ask, urls[number % len(urls)], cookie, ask["ramp"] * number / len(cookies))
        for number, cookie in enumerate(cookies)
    ]
    return {"replies": await asyncio.gather(*people)}


_idle = AsyncExitStack()


async def idle(ask: dict[str, Any]) -> dict[str, Any]:
    """Open so many sockets that do nothing, until `leave`."""
    pairs = [(ask["urls"][n % len(ask["urls"])], ask["cookies"][0]) for n in range(ask["sockets"])]
    await asyncio.gather(*(_idle.enter_async_context(connected(*pair)) for pair in pairs))
    return {}


async def line(ask: dict[str, Any]) -> dict[str, Any]:
    """Everybody waits in line, asks again when answered, for so many seconds; who reads is seen."""
    replies: list[dict[str, Any]] = []
    refused = 0

    async def person(cookie: str) -> None:
        nonlocal refused
        async with connected(ask["urls"][0], cookie) as socket:
            while time.monotonic() < until:
                prompt = {"type": "prompt", "id": str(uuid.uuid4()), "text": "hello"}
                await socket.send(json.dumps(prompt))
                view, generation = View(socket), 0
                while not generation:
                    frame = _frame.decode(await socket.recv())
                    if frame.type == "refused":
                        refused += 1
                        return
                    generation = frame.generation if frame.type == "accepted" else 0
                left = until - time.monotonic()
                try:
                    await view.read(generation, max(0.1, left))
                except TimeoutError:
                    return
                tabs = {"marks": view.marks, "deltas": view.deltas, "gaps": view.gaps}
                more = {"snapshots": view.snapshots, "end": view.end}
                replies.append({"generation": generation, "views": [{**tabs, **more}]})

    until = time.monotonic() + ask["seconds"]
    await asyncio.gather(*(person(cookie) for cookie in ask["cookies"][: ask["people"]]))
    return {"replies": replies, "refused": refused}


async def main() -> None:
    print(json.dumps({"ready": True}), flush=True)
    while text := await asyncio.to_thread(sys.stdin.readline):
        ask = json.loads(text)
        try:
            if ask["do"] == "leave":
                await _idle.aclose()
                reply: dict[str, Any] = {}
            else:
                reply = await {"streams": streams, "idle": idle, "line": line}[ask["do"]](ask)
        except Exception as error:
            reply = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(reply), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
