"""The plots of a simulation: waits by kind of person, expected and real waits, limits."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchmarks.simulate.judge import Record, percentile


def draw(days: dict[str, Record], limits: dict[int, Record], to: Path) -> None:
    """Three panels in one small picture; raises ImportError without matplotlib."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, (waits, told, widths) = pyplot.subplots(1, 3, figsize=(14, 4.2))
    _waits(waits, days)
    if days:
        _told(told, next(iter(days.values())))
    _limits(widths, limits)
    figure.tight_layout()
    figure.savefig(to, dpi=90)


def _waits(axis: object, days: dict[str, Record]) -> None:
    for style, (name, record) in zip(("-", "--"), days.items(), strict=False):
        for colour, (who, values) in zip(("C0", "C3"), record.waits.items(), strict=True):
            axis.plot(  # type: ignore[attr-defined]
                [percentile(values, part) for part in range(100)],
                range(100),
                style,
                color=colour,
                label=f"{who}, {name}",
            )
    axis.set_xscale("symlog", linthresh=10)  # type: ignore[attr-defined]
    axis.set_xlim(left=0)  # type: ignore[attr-defined]
    _named(axis, "how many have waited less", "seconds", "% of messages")


def _told(axis: object, record: Record) -> None:
    some = sorted(record.first, key=lambda one: one.wait)[:: max(1, len(record.first) // 1_500)]
    axis.scatter(  # type: ignore[attr-defined]
        [(one.low + one.high) / 2 for one in some],
        [one.wait for one in some],
        s=3,
        c=["C0" if one.inside else "C3" for one in some],
    )
    most = max((one.high for one in some), default=1)
    axis.plot([0, most], [0, most], "k:", linewidth=1)  # type: ignore[attr-defined]
    _named(axis, "told and real waits (red: outside of the range)", "middle of what was told, s",
           "real wait, s", legend=False)  # fmt: skip


def _limits(axis: object, limits: dict[int, Record]) -> None:
    widths: Sequence[int] = sorted(limits)
    for label, values in (
        ("wait, median", [percentile(_all(limits[w]), 50) for w in widths]),
        ("wait, P95", [percentile(_all(limits[w]), 95) for w in widths]),
        ("to the whole reply, median", [percentile(limits[w].wholes, 50) for w in widths]),
    ):
        axis.plot(widths, values, marker="o", label=label)  # type: ignore[attr-defined]
    axis.set_xscale("log", base=2)  # type: ignore[attr-defined]
    axis.set_yscale("symlog", linthresh=10)  # type: ignore[attr-defined]
    _named(axis, "one limit or another", "replies at once, each worker", "seconds")


def _all(record: Record) -> list[float]:
    return record.waits["light"] + record.waits["heavy"]


def _named(axis: object, title: str, below: str, left: str, *, legend: bool = True) -> None:
    axis.set_title(title, fontsize=10)  # type: ignore[attr-defined]
    axis.set_xlabel(below)  # type: ignore[attr-defined]
    axis.set_ylabel(left)  # type: ignore[attr-defined]
    axis.grid(alpha=0.3)  # type: ignore[attr-defined]
    if legend:
        axis.legend(fontsize=8)  # type: ignore[attr-defined]
