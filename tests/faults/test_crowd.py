"""Eight connections of one process at once: the limit, and nobody waits in a circle."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from chat.models import Queue
from tests.faults import r3_crowd
from tests.sizes import size


@pytest.mark.timeout(size(240, 1_800))
def test_r3_eight_connections_never_exceed_the_limit_nor_wait_in_a_circle(
    queue: Queue, figure: Callable[[str], None]
) -> None:
    crowd = r3_crowd.crowd(queue, limit=2, acts=size(150, 2_000), seed=3)
    stuck = r3_crowd.settle(queue)
    figure(f"{crowd}, left waiting for ever {stuck}")
    assert not crowd.errors and not crowd.above and not stuck
    assert set(crowd.claimed.values()) == {1} and len(crowd.claimed) > 20
