"""`manage.py serve` as people run it: first start, second start, signals, and clear refusals."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import re
import shutil
import signal
import socket
import stat
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from websockets.exceptions import ConnectionClosed

from chat.checks import CONFIGURATION, LATER
from chat.database import web
from chat.models import Generation, Queue, State
from tests.cast import Cast
from tests.faults import r9
from tests.served import Site
from tests.sizes import size
from tests.tabs import Tab, Tabs
from tests.waiting import until

MakeSite = Callable[..., Site]


@pytest.fixture
def alone(tmp_path: Path, served_folder: Path) -> Iterator[Site]:
    """A site on a new folder: its own database and key. Only the static files are there already."""
    if (served_folder / "static").exists():
        shutil.copytree(served_folder / "static", tmp_path / "static")
    site = Site(tmp_path)
    yield site
    site.close()


def refusal_of(process: subprocess.Popen[bytes], site: Site, code: int = 1) -> str:
    """The last sentence of a start that must fail."""
    assert process.wait(60) == code, site.log
    assert "Traceback" not in site.log
    return site.log.strip().splitlines()[-1]


@pytest.mark.timeout(180)
async def test_the_first_start_sets_everything_up_and_the_second_changes_nothing(
    alone: Site,
) -> None:
    await alone.start()
    assert len(re.findall(r"name +operator\n +password +\S{16}", alone.log)) == 1
    key = alone.folder / "secret_key"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    before = key.read_text()
    assert await alone.stop(signal.SIGINT) == 0
    first = alone.log
    alone.spawn()
    await until(lambda: "Ready." in alone.log.removeprefix(first), "it is ready again", 60)
    assert await alone.stop() == 0, "from the moment that it says so, it ends in good order"
    second = alone.log.removeprefix(first)
    assert "password" not in second and key.read_text() == before
    assert "Applying" not in second
    assert "Traceback" not in alone.log


async def test_a_second_serve_on_the_same_folder_is_refused_in_a_sentence(site: MakeSite) -> None:
    served = site()
    await served.start()
    log = served.folder / "second.log"
    other = site()
    other.path = log
    log.write_text("")
    said = refusal_of(other.spawn(), other, LATER)
    assert "Another `serve` runs on the state folder" in said and "CHATSITE_VAR" in said
    assert served.process is not None and served.process.poll() is None


def test_a_busy_port_is_said_before_the_model_is_loaded(site: MakeSite) -> None:
    served = site()
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", served.port))
        busy.listen()
        said = refusal_of(served.spawn(), served, LATER)
    assert f"port {served.port}" in said and "--port" in said


def test_a_missing_model_is_named(site: MakeSite) -> None:
    served = site()
    said = refusal_of(served.spawn("--model", "missing"), served, CONFIGURATION)
    assert "missing" in said and "cannot be loaded" in said


@pytest.mark.parametrize("limit", ["0", "-3", "10001"])
def test_a_limit_that_makes_no_sense_is_refused(site: MakeSite, limit: str) -> None:
    served = site()
    assert "--limit must be" in refusal_of(served.spawn("--limit", limit), served)


@pytest.mark.timeout(180)
async def test_r16_sigterm_in_mid_reply_closes_with_1012_and_the_reply_continues(
    site: MakeSite, cast: Cast, tabs: Tabs, figure: Callable[[str], None]
) -> None:
    served = site(CHATSITE_ECHO_DELAY="0.02")
    await served.start()
    tab = await tabs.of(served.port, cast.alice)
    pk = await tab.say(r9.TEXT)
    await until(lambda: pk in tab.page.turns and tab.page.turns[pk].end > 30, "it grows")
    began = time.monotonic()
    assert await served.stop() == 0
    took = time.monotonic() - began
    seen = tab.page.turns[pk].text
    await until(lambda: tab.closed, "the socket is closed")
    stored = await web(Generation.objects.get, pk=pk)
    assert (stored.state, stored.strikes) == (State.WAITING, 0)
    assert stored.reply.startswith(seen)
    await served.start()
    resumed = time.monotonic()
    await until(lambda: tab.page.turns[pk].end > len(seen), "it goes on", 5)
    resumed = time.monotonic() - resumed
    turn = await tab.final(pk)
    assert turn.text.startswith(seen) and turn.text.strip() == r9.TEXT.strip()
    assert tab.closed == [1012] and not tab.page.taken_back
    figure(
        f"R16 sigterm: closed with {tab.closed[0]}, exit 0 after {took:.1f} s, "
        f"resumed {resumed:.1f} s after the start, shown prefix unchanged"
    )
    assert took < 20


@pytest.mark.timeout(size(240, 1_800))
async def test_r9_a_killed_site_s_replies_continue_from_what_was_shown(
    site: MakeSite, cast: Cast, tabs: Tabs, figure: Callable[[str], None]
) -> None:
    served = site(CHATSITE_ECHO_DELAY="0.02")
    await served.start()
    count = size(4, 20)
    kills = await r9.kill_at_random(served, tabs, cast.alice, count=count, seed=9)
    figure(str(kills))
    assert kills.finished == kills.unchanged == kills.count == count and kills.gap < 15


@pytest.mark.timeout(size(180, 1_800))
async def test_r1_what_was_accepted_is_stored_whenever_the_site_is_killed(
    site: MakeSite, cast: Cast, tabs: Tabs, figure: Callable[[str], None]
) -> None:
    await web(Queue.objects.update, waiting_per_user=100_000, size=100_000)
    served, chance, rounds = site(), random.Random(1), size(3, 100)
    await served.start()
    tab = await tabs.of(served.port, cast.alice)
    for _ in range(rounds):
        sender = asyncio.create_task(send_without_end(tab), name="sender")
        await asyncio.sleep(chance.uniform(0.05, 0.5))  # the random moment
        await served.stop(signal.SIGKILL)
        await asyncio.wait([sender])
        await served.start()
        await until(lambda: not tab.page.outbox, "what was on its way is sent again", 20)
    stored = set(await web(list, Generation.objects.values_list("client_id", flat=True)))
    missing = [one for one in tab.page.accepted if uuid.UUID(one) not in stored]
    figure(
        f"R1 sigkill of serve, {rounds} rounds: {len(tab.page.accepted)} accepted, "
        f"not stored {len(missing)}, stored twice {len(stored) - len(tab.page.accepted)}"
    )
    assert not missing and len(stored) == len(tab.page.accepted) > rounds
    assert await web(Generation.objects.count) == len(stored)


async def send_without_end(tab: Tab) -> None:
    """New messages, one after the other, until the connection is gone."""
    with contextlib.suppress(ConnectionClosed, AssertionError):
        while True:
            await tab.send(tab.page.prompt("one of many"))
            await asyncio.sleep(0.005)


@pytest.mark.parametrize("engine", ["busy", "stopped"])
async def test_r30_kill_9_of_serve_leaves_no_engine(
    site: MakeSite, cast: Cast, tabs: Tabs, figure: Callable[[str], None], engine: str
) -> None:
    served = site(CHATSITE_ECHO_DELAY="0.001")
    await served.start()
    tab = await tabs.of(served.port, cast.alice)
    await tab.say("x" * 4_000)
    child = served.engine()
    if engine == "stopped":
        os.kill(child.pid, signal.SIGSTOP)
    await served.stop(signal.SIGKILL)
    killed = time.monotonic()
    await until(lambda: not psutil.pid_exists(child.pid) or child.status() == "zombie", "gone", 2)
    figure(f"R30 kill -9 of serve, {engine} engine: gone {time.monotonic() - killed:.2f} s later")


async def test_an_engine_that_dies_is_replaced_under_a_running_site(
    site: MakeSite, cast: Cast, tabs: Tabs
) -> None:
    served = site(CHATSITE_ECHO_DELAY="0.02")
    await served.start()
    tab = await tabs.of(served.port, cast.alice)
    pk = await tab.say(r9.TEXT)
    await until(lambda: pk in tab.page.turns and tab.page.turns[pk].end > 20, "it grows")
    served.engine().kill()
    turn = await tab.final(pk)
    assert turn.text.strip() == r9.TEXT.strip() and not tab.page.taken_back and not tab.closed


async def test_prompts_and_replies_are_never_in_the_log(
    site: MakeSite, cast: Cast, tabs: Tabs
) -> None:
    served = site(CHATSITE_ECHO_DELAY="0.001", CHATSITE_LOG_LEVEL="DEBUG")
    await served.start()
    tab = await tabs.of(served.port, cast.alice)
    await tab.final(await tab.say("xyzzy-secret"))
    served.engine().kill()
    await tab.final(await tab.say("xyzzy-secret", parent=max(tab.page.turns)))
    assert await served.stop() == 0
    assert "xyzzy" not in served.log
