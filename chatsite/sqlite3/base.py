"""Django's SQLite backend, in which the transactions of one process take turns.

SQLite lets one connection write at a time; the others sleep 1, 2, 5 … 100 ms and look again,
however short the write was, and whoever has slept longest is not first. So a burst of messages
waited a second for what takes 0.2 s, and replies stood still meanwhile. Threads of one process
can do better: they wait for a lock. Between processes everything is as it was.
"""

from __future__ import annotations

import threading
from typing import Any

from django.db import OperationalError
from django.db.backends.sqlite3 import base

_turn = threading.Lock()


class DatabaseWrapper(base.DatabaseWrapper):
    """Has the turn from the BEGIN of a transaction until it has ended, however it ends."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._has_turn = False

    def _start_transaction_under_autocommit(self) -> None:
        seconds = self.settings_dict["OPTIONS"].get("timeout", 5)
        self._has_turn = self._has_turn or _turn.acquire(timeout=seconds)
        if not self._has_turn:  # waiting as long again for SQLite itself would help nobody
            raise OperationalError("database is locked: others of this process wait for it, too")
        try:
            super()._start_transaction_under_autocommit()  # type: ignore[misc]
        except BaseException:
            self._pass_turn()
            raise

    def _set_autocommit(self, autocommit: bool) -> None:
        """The last step of every transaction, committed or rolled back, is True."""
        try:
            super()._set_autocommit(autocommit)  # type: ignore[misc]
        finally:
            if autocommit:
                self._pass_turn()

    def _close(self) -> None:
        try:
            super()._close()  # type: ignore[misc]
        finally:
            self._pass_turn()

    def _pass_turn(self) -> None:
        if self._has_turn:
            self._has_turn = False
            _turn.release()
