"""Daphne and the embedded worker on one event loop, and how both end.

Daphne itself knows no start-up and no shutdown: its own signal handling drops sockets without a
word. Here the order is: stop listening, stop the worker (store, release), say 1012 to every
socket, stop the loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
from collections.abc import Awaitable, Callable
from typing import Any

from daphne.endpoints import build_endpoint_description_strings
from daphne.server import Server, twisted_loop
from daphne.ws_protocol import WebSocketProtocol

from chat import events
from chat.background import leave_soon
from chatsite.flow import TAKEN, BoundedSocket, bounded

log = logging.getLogger(__name__)

RESTARTING = 1012
MAX_FRAME = 65_536
LAST_WORDS_SECONDS = 2.0
"""How long answers under way and close frames may take to leave."""


class SiteServer(Server):
    """Serves an ASGI application until SIGTERM, SIGINT or `shut_down`.

    `on_stop` is awaited after the ports are closed and before the sockets are.
    """

    def __init__(
        self, application: Any, address: str, port: int, on_stop: Callable[[], Awaitable[None]]
    ) -> None:
        super().__init__(
            bounded(application),
            endpoints=build_endpoint_description_strings(host=address, port=port),
            signal_handlers=False,
            http_timeout=60,
            websocket_timeout=-1,
            websocket_max_message_size=MAX_FRAME,
            websocket_max_frame_size=MAX_FRAME,
            ping_interval=20,
            ping_timeout=20,
            server_name="",
        )
        self.loop = twisted_loop
        self.failed = False
        self._ports: list[Any] = []
        self._on_stop = on_stop
        self._ending: asyncio.Task[None] | None = None

    def listen_success(self, port: Any) -> None:
        self._ports.append(port)
        # Say 1009 to whoever sends too much, instead of cutting the line without a word.
        self.ws_factory.setProtocolOptions(failByDrop=False)
        self.ws_factory.protocol = BoundedSocket
        super().listen_success(port)

    def create_application(self, protocol: Any, scope: dict[str, Any]) -> Any:
        if isinstance(protocol, BoundedSocket):
            scope[TAKEN] = protocol.taken
        return super().create_application(protocol, scope)

    def listen_error(self, failure: Any) -> None:
        self.failed = True
        super().listen_error(failure)

    def listen_to_signals(self) -> None:
        """From now on SIGTERM and SIGINT end in good order, even before `run`."""
        for number in (signal.SIGTERM, signal.SIGINT):
            self.loop.add_signal_handler(number, self.shut_down)

    def shut_down(self) -> None:
        """Begin to end; asking twice changes nothing."""
        if self._ending is None:
            leave_soon()
            self._ending = self.loop.create_task(self._end(), name="shutdown")

    async def _end(self) -> None:
        log.info("shutting down")
        try:
            for port in self._ports:
                port.stopListening()
            await self._on_stop()
            self._close_sockets()
            await self._let_answers_out()
            await events.hang_up()
        except Exception:
            log.exception("the shutdown was not clean")
        finally:
            self.stop()

    def _close_sockets(self) -> None:
        for protocol in list(self.connections):
            if isinstance(protocol, WebSocketProtocol):
                # `sendClose` refuses this code, which is the right one for a restart.
                with contextlib.suppress(Exception):
                    protocol.sendCloseFrame(code=RESTARTING, reasonUtf8=b"restarting")

    async def _let_answers_out(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LAST_WORDS_SECONDS):
                while any("disconnected" not in state for state in self.connections.values()):
                    await asyncio.sleep(0.05)
