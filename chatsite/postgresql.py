"""How this process uses PostgreSQL: how many connections, and how long anything may take.

Every wait has an end: a thread that waits for ever is one that serves nobody. It knows no tables.
"""

from __future__ import annotations

from typing import Any

STATEMENT_SECONDS = 15
"""The longest query of ours takes milliseconds; one that takes this long is stuck or a bug."""
LOCK_SECONDS = 5
"""Transactions hold a row's lock for milliseconds. Whoever gets none by then frees its thread; a
sender is asked to try again, a worker does so by itself."""
IDLE_SECONDS = 10
"""A process that was stopped inside a transaction loses it, and with it the locks that everybody
else waits for. It finds its connection gone when it wakes."""
CONNECT_SECONDS = 3
POOL_SECONDS = 5
"""How long a thread waits for a free connection, or for a database that is away."""
RECONNECT_SECONDS = 1
"""The pool tries again by itself with doubling pauses; cut short, the next one who asks for a
connection starts anew, so that an outage of minutes ends within POOL_SECONDS."""
DEAD_PEER_SECONDS = 10
"""A server that vanished with its network is noticed by then; TCP alone takes 15 minutes."""


def connection_limits(most: int, given: dict[str, Any]) -> dict[str, Any]:
    """Django's settings of a connection, with a pool of at most `most`; `given` are the options
    in the database's address, which win over ours.

    A process needs one for its worker, four for the threads of its sockets (chat/database.py), and
    one for each page that is made at the same moment; who finds none free waits in line.
    """
    seconds = {
        "statement_timeout": STATEMENT_SECONDS,
        "lock_timeout": LOCK_SECONDS,
        "idle_in_transaction_session_timeout": IDLE_SECONDS,
    }
    limits = " ".join(f"-c {name}={value}s" for name, value in seconds.items())
    return {
        "CONN_MAX_AGE": 0,  # between two uses a connection belongs to the pool
        "CONN_HEALTH_CHECKS": True,  # the pool never hands out a dead one
        "OPTIONS": {
            "pool": {
                "min_size": 1,
                "max_size": most,
                "timeout": POOL_SECONDS,
                "reconnect_timeout": RECONNECT_SECONDS,
            },
            "connect_timeout": CONNECT_SECONDS,
            "tcp_user_timeout": DEAD_PEER_SECONDS * 1_000,
            "keepalives_idle": DEAD_PEER_SECONDS // 2,
            "keepalives_interval": 2,
            "keepalives_count": 3,
            **given,
            "options": " ".join(filter(None, (limits, given.get("options")))),
        },
    }
