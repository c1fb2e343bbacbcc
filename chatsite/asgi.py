"""What an ASGI server runs: Django's pages, and WebSockets from our own origins only."""

from __future__ import annotations

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "chatsite.settings")

from django.apps import apps
from django.core.asgi import get_asgi_application

alone = not apps.ready
"""Whether an ASGI server has imported this by itself. Commands set Django up, and check, before."""
pages = get_asgi_application()

from channels.auth import AuthMiddlewareStack
from channels.routing import ProtocolTypeRouter, URLRouter
from channels.security.websocket import WebsocketDenier
from django.urls import path, re_path

from chat.consumers import ChatConsumer
from chatsite.sockets import ExactOrigin
from queueadmin.consumers import DashboardConsumer

sockets = URLRouter(
    [
        path("ws/chat", ChatConsumer.as_asgi()),
        path("ws/queue", DashboardConsumer.as_asgi()),
        re_path("", WebsocketDenier.as_asgi()),  # else an unknown path is an error of ours
    ]
)

application = ProtocolTypeRouter(
    {"http": pages, "websocket": ExactOrigin(AuthMiddlewareStack(sockets))}
)

if alone:
    from chatsite.alone import prepare

    prepare()
