"""Writers of one process take turns on SQLite, however their transactions end."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.contrib.auth import get_user_model
from django.db import IntegrityError, connection, transaction

from chatsite.sqlite3.base import _turn

pytestmark = pytest.mark.skipif(connection.vendor != "sqlite", reason="SQLite's own trouble")


@pytest.fixture(autouse=True)
def _nobody_keeps_the_turn(database: str) -> Iterator[None]:
    yield
    assert not _turn.locked()


def test_the_next_writer_begins_when_the_one_before_has_ended() -> None:
    begun, waiting = threading.Event(), threading.Event()
    order: list[str] = []

    def first() -> None:
        with transaction.atomic():
            begun.set()
            waiting.wait()
            order.append("first ends")
        connection.close()

    def second() -> None:
        begun.wait()
        waiting.set()
        with transaction.atomic():
            order.append("second begins")
        connection.close()

    with ThreadPoolExecutor(2) as threads:
        for done in [threads.submit(first), threads.submit(second)]:
            done.result()
    assert order == ["first ends", "second begins"]


def test_a_transaction_that_fails_passes_its_turn() -> None:
    get_user_model().objects.create(username="taken")
    with pytest.raises(IntegrityError), transaction.atomic():
        get_user_model().objects.create(username="taken")
    assert not _turn.locked()


def test_a_connection_that_is_closed_in_a_transaction_passes_its_turn() -> None:
    with transaction.atomic():
        assert _turn.locked()
        connection.close()
        assert not _turn.locked()


def test_an_inner_transaction_keeps_the_outer_ones_turn() -> None:
    with transaction.atomic():
        with transaction.atomic():
            pass
        assert _turn.locked()
