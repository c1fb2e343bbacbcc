"""The promises of reliability in full numbers: `python -m benchmarks.faults [r3 r9 ...]`.

Runs the tests of tests/ with the numbers that the promises name instead of the suite's small
ones, and prints the figures at the end. Takes up to an hour; without names all of them run.
"""

from __future__ import annotations

import os
import sys

os.environ["CHATSITE_FAULTS"] = "full"

import pytest

NUMBERS = (*range(1, 10), *range(11, 25), 27, 30)
NAMES = (*(f"r{number}" for number in NUMBERS), "every_interleaving")


def main(names: list[str]) -> int:
    wanted = " or ".join(f"_{name}_" if name in NAMES else name for name in names or NAMES)
    paths = ["tests/queue", "tests/faults", "tests/sockets"]
    return pytest.main([*paths, "-q", "-k", wanted, "--no-header"])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
