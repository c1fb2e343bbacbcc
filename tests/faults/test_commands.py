"""Workers and pages as commands of their own: how they start, end, share names, and refuse."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from chat.checks import CONFIGURATION, LATER
from chat.database import web
from chat.models import Generation, State, Worker
from chat.naming import host
from tests.acts import Bench, fresh, say
from tests.cast import Cast
from tests.faults.conftest import MakeWorker
from tests.served import ROOT, Site, environment
from tests.waiting import until

TEXT = "What one worker has begun, another one ends, and nobody reads anything twice. " * 3


async def grown(row: Generation, tokens: int) -> bool:
    return (await fresh(row)).token_count >= tokens


async def is_done(row: Generation) -> bool:
    return (await fresh(row)).state == State.DONE


async def states() -> dict[str, str]:
    return dict(await web(list, Worker.objects.values_list("name", "state")))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_worker_that_is_asked_to_end_gives_back_and_another_goes_on(
    cast: Cast, bench: Bench, worker: MakeWorker, number: int
) -> None:
    one = worker("one")
    await one.start()
    row = await say(cast.alice, TEXT)
    await until(lambda: grown(row, 20), "it grows")
    began = time.monotonic()
    one.signal(number)
    assert await one.ended() == 0
    assert time.monotonic() - began < 20
    given_back = await fresh(row)
    assert (given_back.state, given_back.strikes) == (State.WAITING, 0)
    assert TEXT.startswith(given_back.reply) and given_back.token_count >= 20
    await worker("two", CHATSITE_ECHO_DELAY="0.001").start()
    await until(lambda: is_done(row), "another one ends it", 30)
    assert (await fresh(row)).reply == TEXT
    assert await states() == {"one": Worker.State.STOPPED, "two": Worker.State.READY}


async def test_a_worker_that_is_asked_to_end_while_it_loads_is_gone_from_the_dashboard(
    queue: Any, worker: MakeWorker
) -> None:
    one = worker("one", "--engine=transformers")
    one.spawn()
    await until(lambda: web(Worker.objects.filter(name="one").exists), "it has registered", 30)
    one.signal(signal.SIGTERM)
    assert await one.ended() == 0
    assert await states() == {"one": Worker.State.STOPPED}


async def test_workers_without_a_name_get_one_each_and_take_it_back(
    queue: Any, worker: MakeWorker
) -> None:
    names = {f"{host()}-auto-1", f"{host()}-auto-2"}
    first, second = worker("first", "--no-name"), worker("second", "--no-name")
    await first.start()
    await second.start()
    assert set(await states()) == names
    first.signal(signal.SIGKILL)
    await first.ended()
    await first.start()
    assert await states() == dict.fromkeys(names, Worker.State.READY)
    assert await web(Worker.objects.filter(host=host()).count) == 2


async def test_a_name_that_lives_on_this_machine_is_refused(queue: Any, worker: MakeWorker) -> None:
    await worker("one").start()
    again = worker("again", "--no-name", "--name=one")
    again.spawn()
    assert await again.ended() == CONFIGURATION
    assert "A worker named one is alive on this machine" in again.log and "--name" in again.log
    assert await states() == {"one": Worker.State.READY}


async def test_of_two_with_one_name_the_older_ends_and_the_younger_goes_on(
    cast: Cast, bench: Bench, worker: MakeWorker, tmp_path: Path
) -> None:
    older = worker("one")
    await older.start()
    row = await say(cast.alice, TEXT)
    await until(lambda: grown(row, 20), "it grows")
    # Another state folder, as on another machine: its lock says nothing.
    younger = worker("younger", "--no-name", "--name=one", CHATSITE_VAR=str(tmp_path))
    await younger.start()
    assert await older.ended() == CONFIGURATION
    assert "Another worker has taken the name one" in older.log
    await until(lambda: is_done(row), "the younger one ends it", 30)
    assert (await fresh(row)).reply == TEXT
    assert await states() == {"one": Worker.State.READY}


async def test_a_name_that_lives_on_another_machine_is_refused(
    bench: Bench, worker: MakeWorker
) -> None:
    row = await bench.worker("far")
    await web(Worker.objects.filter(pk=row.pk).update, host="elsewhere")
    one = worker("one", "--no-name", "--name=far")
    one.spawn()
    beats = 0
    while one.process is not None and one.process.poll() is None:
        beats += 1
        await web(Worker.objects.filter(pk=row.pk).update, heartbeat=beats)
        await until(lambda: True, "a moment passes", step=0.1)
    assert one.process is not None and one.process.returncode == CONFIGURATION
    assert "A worker named far is alive on elsewhere" in one.log


NOWHERE = "redis://127.0.0.1:1/0"
WORKER = ("generationworker",)


@pytest.mark.parametrize(
    ("command", "changed", "code", "said"),
    [
        (WORKER, {"REDIS_URL": ""}, CONFIGURATION, "Set REDIS_URL"),
        (("serve", "--no-worker", "--port=47000"), {"REDIS_URL": ""}, CONFIGURATION, "REDIS_URL"),
        (WORKER, {"REDIS_URL": NOWHERE}, LATER, "Redis at 127.0.0.1:1 does not answer"),
        (
            WORKER,
            {"DATABASE_URL": "postgres://nobody:secret@127.0.0.1:1/none"},
            LATER,
            "The database does not answer",
        ),
        (
            WORKER,
            {"CHATSITE_ENGINE": "transformers", "CHATSITE_MODEL": "/no/such/folder"},
            CONFIGURATION,
            "there is no such folder",
        ),
        (WORKER, {"DATABASE_URL": "", "CHATSITE_VAR": "{new}"}, CONFIGURATION, "manage.py setup"),
        (
            ("serve", "--no-worker", "--port=47000"),
            {"DATABASE_URL": "", "CHATSITE_VAR": "{new}"},
            CONFIGURATION,
            "manage.py setup",
        ),
        (WORKER, {"CHATSITE_ENGINE": "nonsense"}, CONFIGURATION, "There is no engine nonsense"),
        (WORKER, {"DATABASE_URL": "someone:secret@host"}, CONFIGURATION, "DATABASE_URL is no"),
        (WORKER, {"DATABASE_URL": "my://a:secret@host/x"}, CONFIGURATION, "DATABASE_URL is no"),
        (WORKER, {"CHATSITE_LIMIT": "secret"}, CONFIGURATION, "CHATSITE_LIMIT must be a number"),
        (
            WORKER,
            {"CHATSITE_ENGINE": "openai", "CHATSITE_OPENAI_URL": "http://127.0.0.1:1/v1"},
            LATER,
            "The model's server 127.0.0.1:1 cannot be reached",
        ),
        (("serve", "--no-worker", "--model=x", "--port=47000"), {}, CONFIGURATION, "--model"),
    ],
)
def test_what_cannot_work_is_refused_with_what_to_set(
    queue: Any,
    database: str,
    redis_url: str,
    served_folder: Path,
    tmp_path: Path,
    command: tuple[str, ...],
    changed: dict[str, str],
    code: int,
    said: str,
) -> None:
    more = {"REDIS_URL": redis_url}
    more |= {name: value.format(new=tmp_path) for name, value in changed.items()}
    surroundings = environment(served_folder, database, **more)
    ended = run([sys.executable, "manage.py", *command], surroundings)
    assert ended.returncode == code, ended.stdout
    assert said in ended.stdout
    assert "Traceback" not in ended.stdout and "secret" not in ended.stdout


@pytest.mark.parametrize("server", ["daphne", "uvicorn"])
def test_an_asgi_server_alone_is_refused_with_what_to_set(
    queue: Any, database: str, served_folder: Path, server: str
) -> None:
    surroundings = environment(served_folder, database, REDIS_URL="")
    command = [sys.executable, "-m", server, "--port", "47000", "chatsite.asgi:application"]
    ended = run(command, surroundings)
    assert ended.returncode != 0 and "Set REDIS_URL" in ended.stdout
    assert "Traceback" not in ended.stdout, ended.stdout


def run(command: list[str], surroundings: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run to the end; errors are part of what it says."""
    return subprocess.run(
        command,
        cwd=ROOT,
        env=surroundings,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
        check=False,
    )


async def test_serve_without_redis_is_refused_beside_a_living_worker(
    queue: Any, worker: MakeWorker, database: str, served_folder: Path
) -> None:
    await worker("one").start()
    site = Site(served_folder, database, REDIS_URL="")
    site.spawn()
    assert await site.ended(30) == CONFIGURATION
    assert "The worker one is alive on this database" in site.log and "REDIS_URL" in site.log


async def test_pages_alone_run_no_engine(queue: Any, site: Any, redis_url: str) -> None:
    pages = site(server="pages", REDIS_URL=redis_url)
    await pages.start()
    assert not psutil.Process(pages.pid).children(recursive=True)
    assert await states() == {}
    assert await pages.stop() == 0
