"""Which language a socket's reader wants, decided as for pages: by cookie, then by header."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.utils.translation import get_language_from_request


def language_of(scope: Mapping[str, Any]) -> str:
    """The language code for a WebSocket's scope."""
    request = HttpRequest()
    request.COOKIES = {
        settings.LANGUAGE_COOKIE_NAME: scope.get("cookies", {}).get(
            settings.LANGUAGE_COOKIE_NAME, ""
        )
    }
    headers = dict(scope.get("headers", ()))
    request.META["HTTP_ACCEPT_LANGUAGE"] = headers.get(b"accept-language", b"").decode("latin-1")
    return get_language_from_request(request)
