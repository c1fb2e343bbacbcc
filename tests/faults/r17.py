"""R17 and R18: clients that never read, and one that floods; what they cost the others."""

from __future__ import annotations

import asyncio
import json
import socket
import time
import uuid
from types import TracebackType
from typing import Any

import psutil
from django.conf import settings
from django.utils import timezone
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from chat.models import Conversation, Generation, Queue, State
from tests.tabs import open_socket

MIB = 1024 * 1024
LINE = "A **long** reply with `code` and *marks*, as somebody who does not read it gets it. "


def long_conversation(user: Any, turns: int = 20, size: int = 20_000) -> str:
    """A stored conversation of so many finished turns; its id."""
    now = timezone.now()
    conversation = Conversation.objects.create(user=user, title="long", updated_at=now)
    parent, reply = None, (LINE * 10 + "\n\n") * (size // (10 * len(LINE)))
    for number in range(turns):
        parent = Generation.objects.create(
            queue=Queue.objects.get(),
            author=user,
            conversation=conversation,
            parent=parent,
            client_id=uuid.uuid4(),
            prompt=f"turn {number}",
            turn=number,
            line="user",
            state=State.DONE,
            reason="stop",
            reply=reply,
            reply_end=len(reply),
            created_at=now,
            ended_at=now,
        )
    return str(conversation.pk)


async def slow_client(port: int, session: str, conversation: str) -> ClientConnection:
    """Asks for a long conversation, three times, and reads nothing of it."""
    narrow = socket.socket()
    narrow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    narrow.setblocking(False)
    await asyncio.get_running_loop().sock_connect(narrow, ("127.0.0.1", port))
    client = await connect(
        f"ws://127.0.0.1:{port}/ws/chat",
        sock=narrow,
        origin=f"http://127.0.0.1:{port}",  # type: ignore[arg-type]
        additional_headers={"Cookie": f"{settings.SESSION_COOKIE_NAME}={session}"},
        max_queue=1,
        max_size=None,
        ping_interval=None,
        close_timeout=0.1,
        compression=None,
    )
    for _ in range(3):
        await client.send(json.dumps({"type": "open", "conversation": conversation}))
    return client


async def round_trips(port: int, session: str, seconds: float) -> list[float]:
    """How long one normal client waits for answers, again and again; seconds."""
    took: list[float] = []
    client = await open_socket(port, session)
    ends = time.monotonic() + seconds
    async with client:
        while time.monotonic() < ends:
            began = time.monotonic()
            await client.send(json.dumps({"type": "look", "generation": 2**50}))
            while json.loads(await client.recv())["type"] != "error":
                pass
            took.append(time.monotonic() - began)
            await asyncio.sleep(0.1)
    return took


def p99(values: list[float]) -> float:
    return sorted(values)[int(len(values) * 0.99)]


async def flood(port: int, session: str, count: int) -> tuple[int, int | None]:
    """Send frames of 60 kB as fast as they are taken; how many went out, and the close code."""
    client = await open_socket(port, session)
    frame, sent = json.dumps({"type": "nonsense", "text": "x" * 60_000}), 0

    async def read() -> None:
        async for _ in client:
            pass

    reading = asyncio.create_task(read(), name="reading")
    try:
        for _ in range(count):
            await client.send(frame)
            sent += 1
    except ConnectionClosed:
        pass
    await asyncio.wait([reading], timeout=60)
    return sent, client.close_code


class Memory:
    """Watches the greatest resident memory of a process, from when it is entered."""

    def __init__(self, pid: int) -> None:
        self._process = psutil.Process(pid)
        self.before = self.most = 0

    async def __aenter__(self) -> Memory:
        self.before = self.most = self._process.memory_info().rss
        self._task = asyncio.create_task(self._watch(), name="memory")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: object, traceback: TracebackType | None
    ) -> None:
        self._task.cancel()
        await asyncio.wait([self._task])

    async def _watch(self) -> None:
        while True:
            self.most = max(self.most, self._process.memory_info().rss)
            await asyncio.sleep(0.02)

    @property
    def grown(self) -> float:
        """MiB above the beginning."""
        return (self.most - self.before) / MIB


def connections(pid: int, port: int) -> int:
    """How many clients a server has."""
    held = psutil.Process(pid).net_connections("tcp")
    return sum(one.status == "ESTABLISHED" and one.laddr.port == port for one in held)
