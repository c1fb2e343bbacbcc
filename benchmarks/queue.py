"""How much goes through the queue, and what a claim and a place cost when many wait.

    python -m benchmarks.queue

Enqueue, claim and end per second with 1, 2 and 4 processes, on SQLite and on PostgreSQL, with 0,
10 thousand and 1 million waiting; beside procrastinate (PostgreSQL) and RQ (Redis) with empty jobs.
See README.md in this folder for what each figure means.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import statistics
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

from benchmarks import models
from benchmarks.contenders import ROOT, Child, Meter
from benchmarks.report import surroundings

PEOPLE = 10_000
BATCH = 32
"""Claims and ends in one transaction: the slots of a worker."""
FREE = {
    "CHATSITE_SENDS_PER_MINUTE": "1000000000",
    "CHATSITE_SENDS_BURST": "1000000000",
    "CHATSITE_LOG_LEVEL": "WARNING",
    "REDIS_URL": "",
}
PEERS = {"procrastinate": "procrastinate==3.10.0", "rq": "rq==3.0.0"}
FILL = """
    WITH RECURSIVE number(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number WHERE n < {count})
    INSERT INTO chat_generation (
        queue_id, author_id, client_id, prompt, parameters, state, priority, turn, line, attempt,
        strikes, fingerprint, prompt_ids, dropped_turns, reply, reply_ids, reply_end,
        reasoning_end, token_count, claimed_tokens, reason, detail, created_at
    )
    SELECT {queue}, {first} + n % {people}, {uuid}, 'hello', '{{}}', 'waiting', 0, n / {people},
        'user ' || CAST({first} + n % {people} AS varchar), 0, 0, '', '', 0, '', '', 0, 0, 0, 0, '',
        '{{}}', '2026-01-01 00:00:00'
    FROM number
"""


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--databases", default="sqlite,postgresql")
    parser.add_argument("--depths", default="0,10000,1000000", help="how many wait")
    parser.add_argument("--workers", default="1,2,4", help="processes")
    parser.add_argument("--seconds", type=float, default=4.0, help="of each measurement")
    parser.add_argument("--peers", default="procrastinate,rq", help="empty for none")
    parser.add_argument("--jobs", type=int, default=3_000, help="of each peer")
    parser.add_argument(
        "--postgresql", default="postgres://postgres@127.0.0.1:5432/chatsite_bench",
        help="an address whose database may be emptied",
    )  # fmt: skip
    parser.add_argument("--redis", default="redis://127.0.0.1:6379/13")
    parser.add_argument("--quick", action="store_true", help="a smoke run of a minute")
    parser.add_argument("--out", type=Path, help="a file for the table")
    asked = parser.parse_args()
    if asked.quick:
        asked.depths, asked.workers, asked.seconds, asked.jobs = "0,10000", "1,2", 1.0, 300
    asked.depths = [int(depth) for depth in asked.depths.split(",")]
    asked.workers = [int(count) for count in asked.workers.split(",")]
    return asked


class Site:
    """An empty site on one database, with so many people and so many waiting messages."""

    def __init__(self, url: str, folder: Path, depth: int, log: Path) -> None:
        self._environment = {**FREE, "DATABASE_URL": url, "CHATSITE_VAR": str(folder)}
        self._log = log
        self._depth = depth
        code = f"from benchmarks.queue import fill; fill({depth})"
        for command in (["manage.py", "migrate", "-v0"], ["-c", code]):
            subprocess.run(
                [sys.executable, *command],
                check=True, cwd=ROOT, env={**os.environ, **self._environment},
            )  # fmt: skip

    def hands(self, count: int, stack: contextlib.ExitStack) -> list[Child]:
        made = []
        for number in range(count):
            command = [sys.executable, "-m", "benchmarks.queue_hand", f"hand-{number}"]
            child = Child(command, self._log, **self._environment)
            stack.callback(child.stop)
            child.answer()
            made.append(child)
        return made


def fill(depth: int) -> None:
    """Everybody gone, PEOPLE come, so many messages wait; runs in a process of its own."""
    import django

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "chatsite.settings")
    django.setup()
    from django.contrib.auth import get_user_model
    from django.core.management import call_command
    from django.db import connection

    from chat.admission import default_queue

    call_command("flush", interactive=False, verbosity=0)
    User = get_user_model()
    User.objects.bulk_create(
        (User(username=f"p{number}", password="!") for number in range(PEOPLE)), batch_size=1_000
    )
    queue = default_queue()
    queue.limit, queue.size, queue.waiting_per_user = 10_000, 10_000_000, 1_000_000
    # Everybody may run as many as there are: the order of the claims is what is measured.
    queue.running_per_user = 1_000
    queue.save()
    if depth:
        uuid = "gen_random_uuid()" if connection.vendor == "postgresql" else "hex(randomblob(16))"
        first = User.objects.order_by("pk").values_list("pk", flat=True)[0]
        sql = FILL.format(count=depth, queue=queue.pk, first=first, people=PEOPLE, uuid=uuid)
        with connection.cursor() as cursor:
            if connection.vendor == "postgresql":
                cursor.execute("SET statement_timeout = 0")
            cursor.execute(sql)
            cursor.execute("ANALYZE")


def at_once(children: list[Child], **question: Any) -> list[dict[str, Any]]:
    """Ask all of them at the same moment."""
    answers: list[dict[str, Any]] = [{} for _ in children]

    def ask(number: int) -> None:
        answers[number] = children[number].ask(**question)

    threads = [threading.Thread(target=ask, args=(n,)) for n in range(len(children))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if not all(answers):
        raise RuntimeError("a process gave no answer; see the log")
    return answers


def measured(site: Site, workers: list[int], seconds: float, say: Callable[[str], None]) -> None:
    """All figures of one site, as lines of the table."""
    with contextlib.ExitStack() as stack:
        (hand,) = site.hands(1, stack)
        for what in ("rank", "claim", "enqueue"):
            took = hand.ask(do="alone", what=what, seconds=seconds)["took"]
            ordered = sorted(took)
            say(
                f"    one {what:8} median {statistics.median(took) * 1e3:8.2f} ms, "
                f"P95 {ordered[int(len(ordered) * 0.95)] * 1e3:8.2f} ms  ({len(took)} times)"
            )
    for count in workers:
        with contextlib.ExitStack() as stack:
            hands = site.hands(count, stack)
            rates = []
            for what in ("enqueue", "drain", "whole"):
                meter = Meter({str(hand.pid): hand.pid for hand in hands})
                done = at_once(hands, do="many", what=what, seconds=seconds, most=BATCH)
                _, others, _ = meter.read()
                total = sum(one["done"] for one in done)
                spent = sum(one["processor"] for one in done)
                rate = sum(one["done"] / one["wall"] for one in done)
                each = spent / total * 1e3 if total else 0.0
                rates.append(f"{what} {rate:7.0f}/s ({each:.2f} ms cpu, others {others:.1f})")
            say(f"    {count} processes: {', '.join(rates)}")


def peer_python(name: str) -> str:
    """The Python of a peer's own environment, made at the first time."""
    folder = models.cache() / name
    python = folder / "bin" / "python"
    if not (folder / "ready").exists():
        packages = [PEERS[name], *(["psycopg[binary,pool]"] if name == "procrastinate" else [])]
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "-qq", *packages], check=True)
        (folder / "ready").touch()
    return str(python)


def peers(asked: argparse.Namespace, say: Callable[[str], None]) -> None:
    """Empty jobs through other people's queues."""
    for name in asked.peers.split(",") if asked.peers else ():
        url = asked.postgresql if name == "procrastinate" else asked.redis
        for count in asked.workers:
            command = [peer_python(name), "-P", str(ROOT / "benchmarks" / "queue_peers.py")]
            done = subprocess.run(
                [*command, name, url, str(asked.jobs), str(count)],
                check=True, capture_output=True, text=True, timeout=300,
            )  # fmt: skip
            say(f"    {PEERS[name]}, {count} processes: {done.stdout.strip().splitlines()[-1]}")


def main() -> None:
    asked = arguments()
    lines: list[str] = []

    def say(line: str) -> None:
        print(line, flush=True)
        lines.append(line)

    say("\n".join(surroundings({})[:1]))
    log = models.cache() / "queue.log"
    for database in asked.databases.split(","):
        for depth in asked.depths:
            with tempfile.TemporaryDirectory() as folder:
                url = asked.postgresql
                if database == "sqlite":
                    url = f"sqlite:///{folder}/bench.sqlite3"
                site = Site(url, Path(folder), depth, log)
                say(f"  {database}, {depth:,} waiting  {datetime.now():%H:%M}")
                measured(site, asked.workers, asked.seconds, say)
    peers(asked, say)
    if asked.out:
        asked.out.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
