"""How fast the site delivers, beside the bare engine and ChatStream.

    python -m benchmarks.throughput

New tokens per second, time to the first token, gaps, processor and memory at 1 to 32 simultaneous
chats over real WebSockets. See README.md in this folder for what each figure means.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks import models, report
from benchmarks.contenders import MOST, ROOT, Child, InProcess, Site
from benchmarks.measure import Figures, figures, middle

PROMPT_TOKENS = 56  # the template adds some
TOP_P = 0.9
ENGINE_THREADS = {"GOMP_SPINCOUNT": "6000", "KMP_BLOCKTIME": "0"}
"""What the site's engine sets for itself, for the bare manager, too."""
PEER_PACKAGES = ("torch==2.13.0", "chatstream==0.3.0", "psutil")
"""The last one is used by ChatStream and not among its requirements."""
PEER_TOKENS = 480  # of all chats together in one round: the peer is slow when there are many
PEER_LEAST = 20  # of one chat


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="M", help='"M", "T", "bundled" or a folder')
    parser.add_argument("--dtype", default="", help="default: bfloat16 for M, else the engine's")
    parser.add_argument("--widths", default="1,2,4,8,16,32", help="simultaneous chats")
    parser.add_argument("--tokens", type=int, default=0, help="new tokens of each reply")
    parser.add_argument(
        "--rounds", type=int, default=3, help="at each width; the middle one counts"
    )
    parser.add_argument("--minutes", type=float, default=10.0, help="no round begins after so many")
    parser.add_argument("--temperature", type=float, default=0.0, help="0: greedy")
    parser.add_argument("--contenders", default="serve,bare,chatstream")
    parser.add_argument("--quick", action="store_true", help="a smoke run of about a minute")
    parser.add_argument("--out", type=Path, help="where results go (default: none are saved)")
    asked = parser.parse_args()
    if asked.quick:
        asked.widths, asked.rounds, asked.minutes = "1,4,16", 1, 1.0
        asked.tokens = asked.tokens or 48
    asked.widths = [int(width) for width in asked.widths.split(",")]
    if max(asked.widths) > MOST:
        parser.error(f"at most {MOST} chats")
    asked.tokens = asked.tokens or (96 if asked.model == "M" else 256)
    asked.contenders = asked.contenders.split(",")
    asked.dtype = asked.dtype or ("bfloat16" if asked.model == "M" else "auto")
    return asked


def peer_python() -> str:
    """The Python of the peer's own environment, made at the first time."""
    folder = models.cache() / "chatstream"
    python = folder / "bin" / "python"
    if not (folder / "ready").exists():
        print("making an environment for ChatStream (some minutes) ...", flush=True)
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        for package in PEER_PACKAGES:
            subprocess.run([str(python), "-m", "pip", "install", "-qq", package], check=True)
        (folder / "ready").touch()
    return str(python)


class Comparison:
    """All contenders side by side, and what they have done so far."""

    def __init__(self, asked: argparse.Namespace, stack: contextlib.ExitStack) -> None:
        self._asked = asked
        self._model = models.prepared(asked.model, ROOT / "bundled_model")
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        self.log = models.cache() / "throughput.log"
        self.log.write_text("")
        self._seed = 0
        self.rounds: dict[tuple[str, int], list[Figures]] = {}
        self.versions: dict[str, str] = {}
        self._site = Site(folder, self._model, self._settings(), self.log)
        stack.callback(self._site.stop)
        self.device = self._site.device
        self._clients = Child([sys.executable, "-m", "benchmarks.clients"], self.log)
        stack.callback(self._clients.stop)
        self._clients.answer()
        self._bare = self._started("bare", stack)
        self._peer = self._started("chatstream", stack)
        self._load = 0.0

    def _settings(self) -> dict[str, str]:
        return {
            "CHATSITE_DTYPE": self._asked.dtype,
            "CHATSITE_MAX_NEW_TOKENS": str(self._asked.tokens),
            "CHATSITE_TEMPERATURE": str(self._asked.temperature),
            "CHATSITE_TOP_P": str(TOP_P),
        }

    def _started(self, name: str, stack: contextlib.ExitStack) -> InProcess | None:
        if name not in self._asked.contenders:
            return None
        if name == "bare":
            child = Child([sys.executable, "-m", "benchmarks.bare"], self.log, **ENGINE_THREADS)
        else:
            path = str(ROOT / "benchmarks" / "chatstream_peer.py")
            # -P: next to it lies queue.py, which is not the standard library's.
            child = Child([peer_python(), "-P", path], self.log)
        stack.callback(child.stop)
        contender = InProcess(
            name,
            child,
            model=str(self._model),
            dtype=self.device.split()[1],
            slots=MOST,
            threads=1 if self._asked.model in ("T", "bundled") else 0,
            temperature=self._asked.temperature,
            top_p=TOP_P,
        )
        if name == "chatstream":
            self.versions = contender.versions
        return contender

    def warm_up(self) -> None:
        """Everything once, so that nobody pays for first times."""
        texts = self._prompts(4)
        self._site.round(texts, self._clients)
        for contender in (self._bare, self._peer):
            if contender is not None:
                contender.round(texts, 8)

    def compare(self, width: int) -> None:
        """One round of each contender at this width, with the same prompts."""
        texts, tokens = self._prompts(width), self._asked.tokens
        site = self._keep(figures(self._site.round(texts, self._clients)))
        if self._bare is not None:
            self._keep(figures(self._bare.round(texts, tokens, self._clients, site.clients)))
        if self._peer is not None:
            few = min(tokens, max(PEER_LEAST, PEER_TOKENS // width))
            self._keep(figures(self._peer.round(texts, few)))

    def _prompts(self, count: int) -> list[str]:
        self._seed += 1
        return models.prompts(self._model, count, PROMPT_TOKENS, self._seed)

    def _keep(self, one: Figures) -> Figures:
        self.rounds.setdefault((one.contender, one.width), []).append(one)
        print(report.row(one), flush=True)
        return one

    def result(self) -> dict[tuple[str, int], Figures]:
        return {key: middle(rounds) for key, rounds in self.rounds.items()}


def main() -> None:
    asked = arguments()
    began = time.monotonic()
    with contextlib.ExitStack() as stack:
        comparison = Comparison(asked, stack)
        comparison.warm_up()
        print(report.HEAD, report.UNITS, sep="\n", flush=True)
        for number in range(asked.rounds):
            for width in asked.widths:
                if number and time.monotonic() - began > asked.minutes * 60:
                    break
                comparison.compare(width)
    finish(asked, comparison, time.monotonic() - began)


def finish(asked: argparse.Namespace, comparison: Comparison, took: float) -> None:
    """Print the middle rounds as one table, and save it with a plot."""
    found = comparison.result()
    sampling = f"temperature {asked.temperature}" if asked.temperature else "greedy"
    title = (
        f"{asked.model} ({comparison.device}), {sampling}, prompts of about 64 tokens, "
        f"{asked.tokens} new tokens"
    )
    ordered = sorted(found.values(), key=lambda one: (one.width, one.contender != "serve"))
    lines = [
        title,
        *report.surroundings(comparison.versions),
        f"middle of {asked.rounds} alternating rounds; {took / 60:.1f} minutes in all",
        "",
        report.HEAD,
        report.UNITS,
        *map(report.row, ordered),
        "",
        *report.ratios(found, asked.widths),
        "",
        *report.costs(found, asked.widths),
    ]
    print("\n" + "\n".join(lines))
    if asked.out is not None:
        save(asked, comparison, lines, title)


def save(asked: argparse.Namespace, comparison: Comparison, lines: list[str], title: str) -> None:
    asked.out.mkdir(parents=True, exist_ok=True)
    name = asked.out / f"throughput-{Path(asked.model).name}"
    name.with_suffix(".txt").write_text("\n".join(lines) + "\n")
    rounds: list[dict[str, Any]] = [
        asdict(one) for all_ in comparison.rounds.values() for one in all_
    ]
    name.with_suffix(".json").write_text(json.dumps(rounds, indent=1) + "\n")
    try:
        report.plot(comparison.result(), asked.widths, title, name.with_suffix(".png"))
    except ImportError:
        print("no plot: pip install -r benchmarks/requirements.txt")


if __name__ == "__main__":
    main()
