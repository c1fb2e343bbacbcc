"""How much of each promise is tried: little in the suite, all of it by benchmarks/faults.py."""

from __future__ import annotations

import os
from typing import TypeVar

T = TypeVar("T")

FULL = os.environ.get("CHATSITE_FAULTS") == "full"


def size(suite: T, full: T) -> T:
    """The number for this run."""
    return full if FULL else suite
