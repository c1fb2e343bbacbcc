"""Bounds what one WebSocket may keep in Daphne's memory: Daphne itself has no flow control.

Inbound: while messages wait for the application, no more is read from the network, so the sender's
own machine makes it wait. Outbound: what a client does not read is bounded in size and time; this
is the last line, behind the window of chat/window.py, which trusts the page. Knows no frames.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any

from daphne.ws_protocol import WebSocketProtocol
from twisted.internet.interfaces import IPushProducer
from zope.interface import implementer  # type: ignore[import-untyped]

log = logging.getLogger(__name__)

MOST_WAITING, FEW_WAITING = 8, 2
"""Messages of at most 64 KiB: when reading stops, and when it goes on."""

MOST_UNREAD = 4 * 1024 * 1024
"""Bytes that may pile up once the network's own buffers are full."""

STALLED_SECONDS = 50.0
"""A client that takes nothing for so long is gone. A little more than the window's silence, whose
close says why."""

Receive = Callable[[], Awaitable[dict[str, Any]]]
TAKEN = "chatsite.taken"
"""In the scope: what to call when the application has taken a message."""


def bounded(application: Any) -> Any:
    """The application, which tells the socket of each message that it takes."""

    async def run(scope: dict[str, Any], receive: Receive, send: Any) -> None:
        taken: Callable[[], None] | None = scope.pop(TAKEN, None)

        async def receive_and_tell() -> dict[str, Any]:
            message = await receive()
            if taken is not None:
                taken()
            return message

        await application(scope, receive_and_tell, send)

    return run


@implementer(IPushProducer)
class BoundedSocket(WebSocketProtocol):
    """A WebSocket with flow control in both directions."""

    def connectionMade(self) -> None:
        super().connectionMade()
        self._resting = False
        """Nothing is read, since the application has enough to do."""
        self._stalled: float | None = None
        """Since when the network takes nothing more; None while it does."""
        self._unread = 0
        # The channel of the HTTP request that this was is registered still, and does nothing.
        self.transport.unregisterProducer()
        self.transport.registerProducer(self, True)

    # -- inbound ---------------------------------------------------------------------------------

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        super().onMessage(payload, isBinary)
        if not self._resting and self.application_queue.qsize() >= MOST_WAITING:
            self._resting = True
            self.transport.pauseProducing()

    def taken(self) -> None:
        """The application has taken a message."""
        if self._resting and self.application_queue.qsize() <= FEW_WAITING:
            self._resting = False
            self.transport.resumeProducing()

    # -- outbound: the transport says when its buffer is full, and when it is empty again ----------

    def pauseProducing(self) -> None:
        if self._stalled is None:
            self._stalled, self._unread = time.monotonic(), 0

    def resumeProducing(self) -> None:
        self._stalled = None
        if self.transport.disconnecting:
            self.transport.unregisterProducer()  # else it would wait for more, for ever

    def stopProducing(self) -> None:
        """The connection is gone."""

    def serverSend(self, content: Any, binary: bool = False) -> None:
        super().serverSend(content, binary)
        if self._stalled is not None:
            self._unread += len(content)
            if self._unread > MOST_UNREAD:
                self._give_up()

    def check_timeouts(self) -> None:
        super().check_timeouts()
        if self._stalled is not None and time.monotonic() - self._stalled > STALLED_SECONDS:
            self._give_up()

    def _give_up(self) -> None:
        log.info("a client does not read, its connection is cut")
        self._stalled = None
        self.transport.abortConnection()
