"""Opens WebSockets to pages of exactly our own origins, on exactly our own hosts."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from autobahn.exception import Disconnected
from channels.security.websocket import WebsocketDenier
from django.conf import settings
from django.http.request import split_domain_port, validate_host

log = logging.getLogger(__name__)

Application = Callable[[dict[str, Any], Any, Any], Awaitable[None]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


class ExactOrigin:
    """Scheme, host and port of the page must be ours; browsers always say them."""

    def __init__(self, application: Application) -> None:
        self.application = application

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        headers = [(name.lower(), value.decode("latin-1")) for name, value in scope["headers"]]
        origins = [value for name, value in headers if name == b"origin"]
        hosts = [value for name, value in headers if name == b"host"]
        if len(hosts) != 1 or not validate_host(
            split_domain_port(hosts[0])[0], settings.ALLOWED_HOSTS
        ):
            log.warning("socket refused: host %.200r; CHATSITE_URL or ALLOWED_HOSTS name it", hosts)
        elif len(origins) != 1 or origins[0] not in settings.CHATSITE_ORIGINS:
            log.warning(
                "socket refused: origin %.200r is not %s; CHATSITE_URL sets it",
                origins,
                settings.CHATSITE_ORIGINS,
            )
        else:
            await self.application(scope, receive, _while_open(send))
            return
        await WebsocketDenier()(scope, receive, send)


def _while_open(send: Send) -> Send:
    """Drop what is said to a browser that has left; its `websocket.disconnect` is on its way."""

    async def send_or_drop(message: dict[str, Any]) -> None:
        with contextlib.suppress(Disconnected, OSError):  # Daphne's, and what ASGI asks for
            await send(message)

    return send_or_drop
