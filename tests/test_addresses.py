"""Origins as browsers write them, and whose address counts behind a proxy."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.test import RequestFactory

from chatsite.addresses import client_address, local_origins, origin, origins_of, socket_address


def test_an_origin_leaves_the_usual_port_out() -> None:
    assert origin("https", "chat.example.com", 443) == "https://chat.example.com"
    assert origin("http", "localhost", 8000) == "http://localhost:8000"


@pytest.mark.parametrize(
    ("url", "origins"),
    [
        ("https://chat.example.com", ["https://chat.example.com"]),
        ("https://chat.example.com:8443/x", ["https://chat.example.com:8443"]),
        ("http://chat.example.com", ["http://chat.example.com"]),
        ("http://[fd00::1]:8000", ["http://[fd00::1]:8000"]),
        ("", []),
    ],
)
def test_a_public_address_is_one_origin(url: str, origins: list[str]) -> None:
    assert origins_of(url) == origins


@pytest.mark.parametrize("url", ["chat.example.com", "ftp://x", "https://", "//x"])
def test_a_public_address_that_is_none_is_refused_with_a_sentence(url: str) -> None:
    with pytest.raises(ImproperlyConfigured, match="must be like https://"):
        origins_of(url)


def test_a_loopback_server_has_loopback_origins_only() -> None:
    assert local_origins("127.0.0.1", 8000) == [
        "http://localhost:8000",
        "http://127.0.0.1:8000",
        "http://[::1]:8000",
    ]


@pytest.mark.parametrize(
    ("peer", "forwarded", "proxies", "address"),
    [
        ("203.0.113.5", "", [], "203.0.113.5"),
        ("203.0.113.5", "10.9.9.9", [], "203.0.113.5"),
        ("10.0.0.1", "203.0.113.5", ["10.0.0.0/8"], "203.0.113.5"),
        ("10.0.0.1", "198.51.100.1, 203.0.113.5, 10.0.0.2", ["10.0.0.0/8"], "203.0.113.5"),
        ("10.0.0.1", "nonsense", ["10.0.0.0/8"], "10.0.0.1"),
    ],
)
def test_a_forwarded_address_counts_only_from_a_proxy_of_ours(
    settings: Any, peer: str, forwarded: str, proxies: list[str], address: str
) -> None:
    settings.CHATSITE_TRUSTED_PROXIES = proxies
    request = RequestFactory().get("/", REMOTE_ADDR=peer, HTTP_X_FORWARDED_FOR=forwarded)
    assert client_address(request) == address
    headers = [(b"x-forwarded-for", forwarded.encode())]
    assert socket_address({"client": (peer, 1), "headers": headers}) == address
