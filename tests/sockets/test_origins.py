"""R24: sockets open for pages of exactly our own origin, on exactly our own host."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from websockets.exceptions import ConnectionClosed

from chat.database import web
from tests.cast import Cast
from tests.served import Site
from tests.tabs import make_session, open_socket

ORIGINS = [
    ("http://127.0.0.1:{port}", True),
    ("http://localhost:{port}", True),
    ("http://[::1]:{port}", True),
    ("http://127.0.0.1", False),
    ("http://127.0.0.1:{other}", False),
    ("https://127.0.0.1:{port}", False),
    ("http://127.0.0.2:{port}", False),
    ("http://127.0.0.1.example.com:{port}", False),
    ("http://example.com", False),
    ("http://user@127.0.0.1:{port}", False),
    ("http://127.0.0.1:{port}/", False),
    ("http://127.0.0.1:{port}.example.com", False),
    ("HTTP://127.0.0.1:{port}", False),
    ("null", False),
    ("", False),
    (None, False),
]
HOSTS = [
    ("127.0.0.1:{port}", True),
    ("localhost:{port}", True),
    ("localhost", True),
    ("example.com", False),
    ("example.com:{port}", False),
    ("127.0.0.1.example.com", False),
    ("", False),
]


async def opens(
    served: Site, session: str, origin: str | None, host: str | None = None, path: str = "/ws/chat"
) -> bool:
    """Whether a handshake with exactly these headers opens a socket; else it is refused."""
    host = f"127.0.0.1:{served.port}" if host is None else host
    lines = [
        f"GET {path} HTTP/1.1",
        f"Host: {host}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        f"Cookie: chatsite_session={session}",
        *([] if origin is None else [f"Origin: {origin}"]),
    ]
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
    writer.write("\r\n".join([*lines, "", ""]).encode())
    status = int((await asyncio.wait_for(reader.readline(), 10)).split()[1])
    writer.close()
    await writer.wait_closed()
    assert status in (101, 400, 403, 404), status
    return status == 101


async def test_r24_only_our_own_origins_and_hosts_open_a_socket(
    served: Site, cast: Cast, figure: Callable[[str], None]
) -> None:
    session = await web(make_session, cast.alice)
    ours = f"http://127.0.0.1:{served.port}"
    wrong = []
    for template, expected in ORIGINS:
        origin = template and template.format(port=served.port, other=served.port + 1)
        if await opens(served, session, origin) != expected:
            wrong.append(origin)
    for template, expected in HOSTS:
        host = template.format(port=served.port)
        if await opens(served, session, ours, host) != expected:
            wrong.append(f"host {host}")
    figure(f"R24 origins and hosts: {len(ORIGINS) + len(HOSTS)} tried, wrongly answered {wrong}")
    assert not wrong


async def test_an_unknown_path_is_refused_without_a_trace(served: Site, cast: Cast) -> None:
    session = await web(make_session, cast.alice)
    ours = f"http://127.0.0.1:{served.port}"
    for path in ("/ws/other", "/ws/", "/", "/ws/chat/x", "/ws/chat?x=1"):
        assert await opens(served, session, ours, path=path) == (path == "/ws/chat?x=1")


async def test_a_huge_cookie_harms_nobody(served: Site, cast: Cast) -> None:
    async with await open_socket(served.port, "x" * 8_192) as socket:
        with pytest.raises(ConnectionClosed) as closed:
            await socket.recv()
    assert closed.value.rcvd is not None and closed.value.rcvd.code == 4001
    async with await open_socket(served.port, await web(make_session, cast.alice)) as socket:
        assert '"hello"' in str(await socket.recv())
