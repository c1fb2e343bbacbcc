"""Worker processes on one database: one owner for each generation, and none that died matters."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from chat.database import web
from chat.models import Generation, Queue, State, Worker
from tests.acts import Bench, fresh, say
from tests.cast import Cast, person
from tests.faults import r3
from tests.faults.conftest import MakeWorker
from tests.sizes import size
from tests.waiting import until
from tests.worker_process import WorkerProcess

TEXT = "Everything that was shown stays shown, whatever happens to the one who wrote it. " * 3


async def name_of(row: Generation) -> str:
    """The worker that runs it now."""
    values = Generation.objects.filter(pk=row.pk).values_list("worker__name", flat=True)
    return await web(values.get) or ""


async def grown(row: Generation, tokens: int) -> bool:
    return (await fresh(row)).token_count >= tokens


@pytest.mark.timeout(size(180, 1_800))
def test_r3_four_processes_never_claim_twice_nor_above_the_limit(
    queue: Queue, database: str, tmp_path: Path, figure: Callable[[str], None]
) -> None:
    total = size(400, 10_000)
    result = r3.race(tmp_path, database, total=total, limit=5)
    figure(str(result))
    assert (result.claimed, result.double, result.above, result.locked) == (total, 0, 0, 0)
    assert set(Generation.objects.values_list("state", "attempt")) == {(State.DONE, 1)}


async def is_done(row: Generation) -> bool:
    return (await fresh(row)).state == State.DONE


@pytest.mark.timeout(180)
async def test_r9_r11_a_third_worker_goes_on_for_a_dead_one_and_a_zombie_cannot_write(
    cast: Cast, bench: Bench, worker: MakeWorker, figure: Callable[[str], None]
) -> None:
    text = TEXT * 4  # nobody is done before the fault, on a busy machine neither
    rows = [await say(user, text) for user in (cast.alice, cast.bob)]
    workers = {
        name: worker(name, "--slots=1", CHATSITE_ECHO_DELAY="0.04") for name in ("one", "two")
    }
    for process in workers.values():
        await process.start()
    for row in rows:
        await until(lambda r=row: grown(r, 5), "both grow, each in a worker of its own")
    dead, zombie = [await name_of(row) for row in rows]
    await worker("three", "--slots=4", CHATSITE_ECHO_DELAY="0.002").start()
    await stop_outside_of_a_transaction(workers[zombie])
    workers[dead].signal(signal.SIGKILL)
    killed, shown = time.monotonic(), [await fresh(row) for row in rows]
    await until(lambda: has_new_attempt(shown[0]), "the dead one's goes on", 20)
    gap = time.monotonic() - killed
    await until(lambda: has_new_attempt(shown[1]), "the zombie's goes on", 20)
    workers[zombie].signal(signal.SIGCONT)
    # The old attempt's engine went on while its worker slept: all of it is there to be written.
    breaches = 0
    while not await is_done(rows[1]):
        stored = await fresh(rows[1])
        breaches += not text.startswith(stored.reply) or stored.reply_end != stored.token_count
        breaches += stored.attempt != shown[1].attempt + 1
        await asyncio.sleep(0.05)
    await until(lambda: is_done(rows[0]), "both are finished", 30)
    ends = [await fresh(row) for row in rows]
    kept = all(end.reply.startswith(row.reply) for end, row in zip(ends, shown, strict=True))
    figure(f"R9 worker killed: another went on after {gap:.1f} s, shown prefix kept {kept}")
    figure(f"R11 zombie after SIGSTOP and SIGCONT: writes of the old attempt {breaches}")
    assert breaches == 0 and kept and gap < 15
    assert [(end.reply, end.strikes) for end in ends] == [(text, 0)] * 2
    ready = Worker.objects.filter(state=Worker.State.READY)
    await until(lambda: web(lambda: ready.count() == 2), "the zombie is a worker again")


async def has_new_attempt(before: Generation) -> bool:
    """Whether another claim has added to it."""
    stored = await fresh(before)
    return stored.attempt > before.attempt and stored.token_count > before.token_count


async def stop_outside_of_a_transaction(process: WorkerProcess) -> None:
    """SIGSTOP; on SQLite a process that is stopped while it writes blocks everybody."""
    while True:
        process.signal(signal.SIGSTOP)
        began = time.monotonic()
        lock = asyncio.create_task(web(hold_the_write_lock, 0.0))
        await asyncio.wait([lock], timeout=1)
        if lock.done():
            await lock
            assert time.monotonic() - began < 2
            return
        process.signal(signal.SIGCONT)
        await lock


async def test_a_living_worker_is_never_robbed_while_a_writer_blocks_the_database(
    cast: Cast, bench: Bench, worker: MakeWorker
) -> None:
    for name in ("one", "two"):
        await worker(name).start()
    row = await say(cast.alice, TEXT)
    await until(lambda: grown(row, 10), "it grows")
    await web(hold_the_write_lock, 4.0)
    await until(lambda: is_done(row), "it is finished", 30)
    stored = await fresh(row)
    assert (stored.reply, stored.attempt, stored.strikes) == (TEXT, 1, 0)


def hold_the_write_lock(seconds: float) -> None:
    from django.db import transaction

    with transaction.atomic():
        Queue.objects.select_for_update().get()
        time.sleep(seconds)  # the fault itself


@pytest.mark.parametrize("engine", ["busy", "hung", "stopped"])
async def test_r30_no_engine_outlives_its_killed_worker(
    cast: Cast, bench: Bench, worker: MakeWorker, figure: Callable[[str], None], engine: str
) -> None:
    process = worker("one", CHATSITE_ECHO_DELAY="0.001", CHATSITE_ECHO_HANG="hang")
    await process.start()
    child = process.engine()
    row = await say(cast.alice, "hang" if engine == "hung" else TEXT * 16)
    await until(lambda: claimed(row), "it runs")
    if engine == "stopped":
        os.kill(child.pid, signal.SIGSTOP)
    process.signal(signal.SIGKILL)
    killed = time.monotonic()
    await until(lambda: gone(child), "the engine is gone", 2)
    figure(
        f"R30 kill -9 with a {engine} engine: it is gone {time.monotonic() - killed:.2f} s later"
    )


@pytest.mark.timeout(180)
async def test_r12_a_prompt_that_kills_whole_workers_spares_its_neighbours(
    bench: Bench, worker: MakeWorker, figure: Callable[[str], None]
) -> None:
    await bench.set(limit=8)
    people = [await web(person, f"p{number}") for number in range(8)]
    at = random.randrange(8)
    texts = [f"innocent {n} says something long enough" for n in range(8)]
    texts[at] = "p0ison"
    rows = [await say(user, text) for user, text in zip(people, texts, strict=True)]
    process, bad, deaths = worker("one", CHATSITE_ECHO_KILL="p0ison"), rows.pop(at), 0
    await process.start()
    while (await fresh(bad)).state != State.FAILED:
        if process.process is not None and process.process.poll() is not None:
            deaths += 1
            process.spawn()  # as a service manager does
        await asyncio.sleep(0.05)
    for row in rows:
        await until(lambda r=row: is_done(r), "the innocent are answered", 30)
    stored, others = await fresh(bad), [await fresh(row) for row in rows]
    finished = sum(row.reply == row.prompt for row in others)
    figure(
        f"R12 a prompt that kills the worker's process: {deaths} deaths, then failed with "
        f"{stored.reason}; innocent finished {finished}/7"
    )
    assert (stored.reason, stored.strikes, finished) == ("engine_died", 3, 7)
    assert deaths == 3, "only the poison is tried after it was found"


async def claimed(row: Generation) -> bool:
    return (await fresh(row)).state == State.RUNNING


def gone(process: psutil.Process) -> bool:
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
