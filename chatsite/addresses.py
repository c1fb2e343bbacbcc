"""Which addresses this site answers to, and whose address a visitor has.

Exact origins, scheme and port included: a page of another origin must not open our sockets.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterable, Mapping
from urllib.parse import urlsplit

import psutil
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpRequest


def local_names(address: str) -> list[str]:
    """Host names and addresses under which a server that listens on `address` is reached."""
    names = ["localhost", "127.0.0.1", "[::1]"]
    if address not in ("127.0.0.1", "localhost", "::1"):
        names += [socket.gethostname(), address]
    if address in ("0.0.0.0", "::"):
        for interface in psutil.net_if_addrs().values():
            names += [a.address for a in interface if a.family == socket.AF_INET]
    return list(dict.fromkeys(name for name in names if name not in ("0.0.0.0", "::")))


def origin(scheme: str, host: str, port: int) -> str:
    """The origin as a browser writes it: the scheme's own port is left out."""
    usual = {"http": 80, "https": 443}
    return f"{scheme}://{host}" + ("" if port == usual[scheme] else f":{port}")


def local_origins(address: str, port: int) -> list[str]:
    """The origins of pages that a server on `address` and `port` gives out by itself."""
    return [origin("http", name, port) for name in local_names(address)]


def allow(address: str, port: int) -> None:
    """Make the running site answer to the names of `address` and `port`, unless CHATSITE_URL
    says which name it has."""
    if settings.CHATSITE_URL:
        return
    names = [*settings.ALLOWED_HOSTS, *local_names(address)]
    settings.ALLOWED_HOSTS = list(dict.fromkeys(names))
    settings.CHATSITE_ORIGINS = local_origins(address, port)


def origins_of(url: str) -> list[str]:
    """The one origin of a site's public address; empty without one."""
    if not url:
        return []
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return [origin(parts.scheme, host_of(url), port)]


def host_of(url: str) -> str:
    """The host of a site's public address as it stands in a Host header, without the port."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ImproperlyConfigured(
            f"CHATSITE_URL is {url!r}; it must be like https://chat.example.com"
        )
    return f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname


def _forwarded(peer: str, forwarded: str, proxies: Iterable[str]) -> str:
    """The nearest address that is not one of our proxies, read from the right."""
    networks = [ipaddress.ip_network(proxy, strict=False) for proxy in proxies]
    nearest = peer
    for hop in [peer, *reversed([part.strip() for part in forwarded.split(",") if part.strip()])]:
        try:
            address = ipaddress.ip_address(hop)
        except ValueError:
            return nearest
        nearest = hop
        if not any(address in network for network in networks):
            return nearest
    return nearest


def client_address(request: HttpRequest) -> str:
    """The visitor's address; X-Forwarded-For counts only behind CHATSITE_TRUSTED_PROXIES."""
    meta = request.META
    return _forwarded(
        meta.get("REMOTE_ADDR", ""),
        meta.get("HTTP_X_FORWARDED_FOR", ""),
        settings.CHATSITE_TRUSTED_PROXIES,
    )


def socket_address(scope: Mapping[str, object]) -> str:
    """The same for a WebSocket's scope."""
    client = scope.get("client") or ("", 0)
    headers = dict(scope.get("headers") or ())  # type: ignore[call-overload]
    return _forwarded(
        client[0],  # type: ignore[index]
        headers.get(b"x-forwarded-for", b"").decode("latin-1"),
        settings.CHATSITE_TRUSTED_PROXIES,
    )
