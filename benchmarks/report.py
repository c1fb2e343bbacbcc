"""The table and the plot of a comparison."""

from __future__ import annotations

import platform
from datetime import datetime
from importlib.metadata import version
from pathlib import Path

import psutil

from benchmarks.measure import Figures

NOISE = 0.1  # cores kept busy by others; above, a row is marked
HEAD = (
    "chats  contender    decode  undist.   total   first    gap    p99    cpu   cores  clients"
    "  memory  others"
)
UNITS = (
    "                     tok/s    tok/s   tok/s      ms     ms     ms ms/tok                 "
    "      MB"
)


def surroundings(versions: dict[str, str]) -> list[str]:
    """Which machine, when, and which versions."""
    ours = ("torch", "transformers", "django", "channels", "daphne")
    said = [f"{name} {version(name)}" for name in ours]
    peers = [f"{name} {number}" for name, number in versions.items()]
    memory = psutil.virtual_memory().total / 2**30
    return [
        f"{datetime.now():%Y-%m-%d %H:%M}, {psutil.cpu_count()} cores of {_processor()}, "
        f"{memory:.0f} GiB, Python {platform.python_version()}",
        f"site and bare manager: {', '.join(said)}",
        *([f"peer: {', '.join(peers)}"] if peers else []),
    ]


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor()


def row(one: Figures) -> str:
    """One line of the table."""
    noisy = "*" if one.others > NOISE else " "
    return (
        f"{one.width:5}  {one.contender:11}{one.decode:8.1f} {one.undisturbed:8.1f}"
        f" {one.total:7.1f} {one.first * 1e3:7.0f} {one.gap * 1e3:6.1f} {one.gap99 * 1e3:6.1f}"
        f" {one.cores / one.total * 1e3:6.2f}"
        f" {one.cores:7.2f} {one.clients:8.2f} {one.memory / 2**20:7.0f} {one.others:7.2f}{noisy}"
    )


def ratios(found: dict[tuple[str, int], Figures], widths: list[int]) -> list[str]:
    """How the site compares at every width."""
    lines = ["chats  of the bare manager's decode / undisturbed rate, of the peer's"]
    for width in widths:
        site = found.get(("serve", width))
        if site is None:
            continue
        said = f"{width:5}"
        if bare := found.get(("bare", width)):
            said += (
                f"  {site.decode / bare.decode:7.0%} / {site.undisturbed / bare.undisturbed:4.0%}"
            )
        if peer := found.get(("chatstream", width)):
            said += (
                f"  {site.decode / peer.decode:13.1f} / {site.undisturbed / peer.undisturbed:.1f}"
            )
        lines.append(said)
    return lines


def costs(found: dict[tuple[str, int], Figures], widths: list[int]) -> list[str]:
    """Where the site's processor time goes."""
    lines = ["chats  ms of CPU per token: web process, engine, clients   frames/s"]
    for width in widths:
        if site := found.get(("serve", width)):
            spent = site.processor
            lines.append(
                f"{width:5}  {spent['web']:24.2f} {spent['engine']:11.2f} "
                f"{spent['clients']:8.2f} {site.deltas:10.0f}"
            )
    return lines


def plot(found: dict[tuple[str, int], Figures], widths: list[int], title: str, to: Path) -> None:
    """Tokens per second, time to the first token and the gap over the number of chats."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    panels = [
        ("new tokens per second", lambda one: one.decode),
        ("time to first token, ms (median)", lambda one: one.first * 1e3),
        ("gap between tokens, ms (median)", lambda one: one.gap * 1e3),
    ]
    names = {"serve": "Chatsite", "bare": "bare manager", "chatstream": "ChatStream 0.3.0"}
    figure, axes = pyplot.subplots(1, len(panels), figsize=(13, 4))
    for axis, (label, value) in zip(axes, panels, strict=True):
        for name, shown in names.items():
            points = [(w, value(found[name, w])) for w in widths if (name, w) in found]
            if points:
                axis.plot(*zip(*points, strict=True), marker="o", label=shown)
        axis.set_xscale("log", base=2)
        axis.set_xticks(widths, [str(width) for width in widths])
        axis.set_ylim(bottom=0)
        axis.set_xlabel("simultaneous chats")
        axis.set_title(label, fontsize=10)
        axis.grid(alpha=0.3)
    axes[0].legend()
    figure.suptitle(title)
    figure.tight_layout()
    figure.savefig(to, dpi=120)
