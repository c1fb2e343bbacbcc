"""The database goes away, stands still, forgets or has no room; replies lose nothing by it."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.postgres_server import PostgresServer, postgres_server  # noqa: F401
from tests.served import ROOT, Site
from tests.tabs import Tab
from tests.waiting import until
from tests.worker_process import WorkerProcess

TEXT = "A reply goes on where it was, when its storage comes back, and nobody has to press a key. "
STORED = (
    "SELECT state, reply, reply_end, reply_ids, token_count, attempt, strikes FROM chat_generation"
)
MakeReaders = Callable[..., "asyncio.Future[list[Tab]]"]


@pytest_asyncio.fixture
async def readers() -> AsyncIterator[Callable[..., object]]:
    """Makes people with a tab each on a site whose database is not the test's."""
    tabs: list[Tab] = []

    async def make(site: Site, *names: str) -> list[Tab]:
        code = (
            "from tests.cast import person; from tests.tabs import make_session\n"
            f"print(*(make_session(person(name)) for name in {names!r}))"
        )
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "manage.py", "shell", "-v", "0", "-c", code),
            cwd=ROOT,
            env=site._environment,
            stdout=subprocess.PIPE,
        )
        said, _ = await process.communicate()
        mine = [Tab(site.port, session) for session in said.decode().split()]
        assert len(mine) == len(names)
        tabs.extend(mine)
        for tab in mine:
            await tab.connect()
        return mine

    yield make
    for tab in tabs:
        await tab.close()


@pytest.fixture
def site_in(served_folder: Path) -> Iterator[Callable[..., Site]]:
    """Makes sites in folders of their own; they must not log a bug."""
    sites: list[Site] = []

    def make(folder: Path, **environment: str) -> Site:
        if (served_folder / "static").exists():
            shutil.copytree(served_folder / "static", folder / "static")
        sites.append(Site(folder, **{"CHATSITE_ECHO_DELAY": "0.02", **environment}))
        return sites[-1]

    yield make
    for site in sites:
        site.close()
        assert "Traceback" not in site.log, site.log[-6_000:]


def codes(tab: Tab) -> list[str]:
    """What the page of this tab was told in words, as codes."""
    return sorted({frame["code"] for frame in tab.page.errors})


def is_whole(row: tuple[object, ...], text: str) -> bool:
    """Whether a stored reply is done, has no hole in text or ids, and was claimed once."""
    state, reply, end, ids, tokens, attempt, strikes = row
    same = [int(token) for token in str(ids).split()] == list(map(ord, str(reply)))
    sizes = end == tokens == len(str(reply))
    return state == "done" and reply == text and same and sizes and (attempt, strikes) == (1, 0)


@pytest.mark.timeout(240)
async def test_r28_replies_survive_a_postgresql_that_stops_at_once_and_comes_back(
    postgres_server: PostgresServer,  # noqa: F811
    redis_url: str,
    site_in: Callable[..., Site],
    readers: Callable[..., object],
    tmp_path: Path,
    figure: Callable[[str], None],
) -> None:
    more = {"REDIS_URL": redis_url, "CHATSITE_SLOTS": "2", "CHATSITE_ECHO_DELAY": "0.02"}
    site = site_in(tmp_path, DATABASE_URL=postgres_server.url, **more)
    await site.start("--limit", "4")
    watching = WorkerProcess(tmp_path, postgres_server.url, "watching", **more)
    await watching.start()
    tabs = await readers(site, "p1", "p2", "p3", "p4")
    text, back = TEXT * 8, []
    try:
        pks = await asyncio.gather(*(tab.say(text) for tab in tabs))
        pairs = list(zip(tabs, pks, strict=True))
        for end in (60, 240):
            for tab, pk in pairs:
                await tab.reaches(pk, end)
            await asyncio.to_thread(postgres_server.stop_at_once)
            shown = {pk: tab.page.turns[pk].end for tab, pk in pairs}
            await asyncio.sleep(3)  # the fault itself
            await asyncio.to_thread(postgres_server.start)
            began = time.monotonic()
            for tab, pk in pairs:
                await tab.reaches(pk, shown[pk] + 1, 20)
            back.append(time.monotonic() - began)
        turns = [await tab.final(pk, 60) for tab, pk in pairs]
        log = site.log + watching.log
    finally:
        watching.close()
    rows = await asyncio.to_thread(postgres_server.rows, STORED)
    whole = sum(is_whole(row, text) for row in rows)
    lost = sum(turn.text.strip() != text.strip() for turn in turns)
    taken_back = sum(tab.page.taken_back for tab in tabs)
    figure(
        f"R28 PostgreSQL stopped at once {len(back)} times in mid-reply: whole and claimed once "
        f"{whole}/{len(rows)}, tabs with lost text {lost}, taken back {taken_back}, went on "
        f"{max(back):.1f} s after its start, flushes that it had lost and that were written again "
        f"{log.count('lost a flush')}"
    )
    assert whole == len(rows) == 4 and not lost and not taken_back and max(back) < 15
    assert "rescued" not in log, "no living worker is robbed"


@pytest.mark.timeout(180)
async def test_r28_a_writer_that_holds_sqlite_for_ten_seconds_costs_only_time(
    site_in: Callable[..., Site],
    readers: Callable[..., object],
    tmp_path: Path,
    figure: Callable[[str], None],
) -> None:
    site = site_in(tmp_path)
    await site.start()
    alice, bob = await readers(site, "alice", "bob")
    text = TEXT * 4
    first = await alice.say(text)
    await alice.reaches(first, 40)
    with contextlib.closing(sqlite3.connect(tmp_path / "chatsite.sqlite3")) as writer:
        writer.execute("BEGIN IMMEDIATE")
        held = time.monotonic()
        prompt = bob.page.prompt("are you there?")
        await bob.send(prompt)
        await asyncio.sleep(10.5)  # the fault itself
        writer.rollback()
    released = time.monotonic()
    await until(lambda: prompt["id"] in bob.page.accepted, "the message is accepted", 20)
    accepted = time.monotonic() - released
    second = int(bob.page.accepted[prompt["id"]]["generation"])
    turns = [await alice.final(first, 60), await bob.final(second, 60)]
    with contextlib.closing(sqlite3.connect(tmp_path / "chatsite.sqlite3")) as reader:
        rows = reader.execute(f"{STORED} ORDER BY id").fetchall()
    whole = is_whole(rows[0], text) and is_whole(rows[1], "are you there?")
    figure(
        f"R28 a writer held SQLite for {released - held:.0f} s: replies whole and claimed once "
        f"{whole}, the message sent meanwhile accepted {accepted:.1f} s later, "
        f"sender told meanwhile: {codes(bob) or 'nothing'}"
    )
    assert whole and len(rows) == 2 and turns[0].text.strip() == text.strip()
    assert not alice.page.taken_back and "rescued" not in site.log


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder with room for 24 MB."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=24m,mode=0700", "none", str(folder)]
    done = subprocess.run(mount, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"a small file system cannot be mounted here: {done.stderr.strip()}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def fill(folder: Path) -> Path:
    """A file that takes all the room there is."""
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as file:
        size = 1 << 16
        while size:
            try:
                file.write(os.urandom(size))
            except OSError as error:
                assert error.errno == errno.ENOSPC
                size >>= 1
    return filler


@pytest.mark.timeout(240)
async def test_r29_a_full_disk_is_said_and_passes(
    small_disk: Path,
    site_in: Callable[..., Site],
    readers: Callable[..., object],
    figure: Callable[[str], None],
) -> None:
    caps = {"RUNNING_PER_USER": "100", "WAITING_PER_USER": "100", "SLOTS": "100"}
    caps["MAX_NEW_TOKENS"] = "1000"
    site = site_in(small_disk, **{f"CHATSITE_{name}": value for name, value in caps.items()})
    await site.start("--limit", "100")
    alice, bob = await readers(site, "alice", "bob")
    text, long = (TEXT * 20)[:1_000], "x" * 2_000
    first = await alice.say(text)
    for _ in range(3):
        await bob.say(text)
    await alice.reaches(first, 40)
    filler = await asyncio.to_thread(fill, small_disk)
    began = time.monotonic()
    while not bob.page.errors:  # until what is left of the database's own pages is used up
        assert time.monotonic() - began < 60
        if not bob.page.outbox and bob._socket is not None:
            await bob.send(bob.page.prompt(long))
        await asyncio.sleep(0.02)
    told = time.monotonic() - began
    filler.unlink()
    freed = time.monotonic()
    await until(lambda: not bob.page.outbox, "what was refused is sent again and accepted", 30)
    accepted = time.monotonic() - freed
    turn = await alice.final(first, 90)
    for frame in bob.page.accepted.values():
        await bob.final(int(frame["generation"]), 90)
    with contextlib.closing(sqlite3.connect(small_disk / "chatsite.sqlite3")) as reader:
        rows = reader.execute(f"{STORED} ORDER BY id").fetchall()
    whole = sum(is_whole(row, text if at < 4 else long[:1_000]) for at, row in enumerate(rows))
    figure(
        f"R29 full disk: the sender is told {codes(bob)} after {told:.1f} s, accepted "
        f"{accepted:.1f} s after there was room again, {whole}/{len(rows)} replies whole, "
        f"lost of {len(bob.page.accepted) + 1} accepted {len(bob.page.accepted) + 1 - len(rows)}"
    )
    assert whole == len(rows) == len(bob.page.accepted) + 1
    assert turn.text.strip() == text.strip() and not alice.page.taken_back
    assert codes(bob) == ["unavailable"]
