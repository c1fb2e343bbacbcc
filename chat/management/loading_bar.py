"""A progress bar for the time in which a model loads, on terminals and in logs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import Progress as Bar

from chat.engine.base import Progress


@contextmanager
def loading_bar() -> Iterator[Progress]:
    """Gives what shows how far loading is: a fraction from 0 to 1, and a word."""
    with Bar(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("Loading the model", total=1.0)

        def show(fraction: float, what: str) -> None:
            bar.update(task, completed=fraction, description=f"Loading: {what}")

        yield show
