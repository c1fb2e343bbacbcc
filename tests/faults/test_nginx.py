"""Two page processes behind nginx, with the file of deploy/: what it passes on, and what not."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.cast import Cast
from tests.faults import r9
from tests.faults.conftest import MakeWorker
from tests.served import ROOT, Site, free_port
from tests.services import missing
from tests.tabs import Tabs
from tests.waiting import until, until_sync

MakeSite = Callable[..., Site]
MakeProxy = Callable[[int, list[int]], None]


@pytest.fixture
def proxy(tmp_path: Path) -> Iterator[MakeProxy]:
    """Starts nginx on a port, in front of page processes on others."""
    program = shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/sbin")
    if program is None:
        missing("nginx is not installed")
    running: list[subprocess.Popen[bytes]] = []

    def start(port: int, pages: list[int]) -> None:
        servers = "".join(f"server 127.0.0.1:{page} max_fails=1 fail_timeout=2s;" for page in pages)
        (tmp_path / "upstream.conf").write_text(servers)
        site = (ROOT / "deploy/nginx/chatsite.conf").read_text()
        assert "listen 80;" in site and "include /etc/nginx/chatsite/upstream.conf;" in site
        site = site.replace("listen 80;", f"listen 127.0.0.1:{port};")
        (tmp_path / "site.conf").write_text(site.replace("/etc/nginx/chatsite", str(tmp_path)))
        kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        paths = "".join(f"{kind}_temp_path {tmp_path}/{kind};" for kind in kinds)
        (tmp_path / "nginx.conf").write_text(
            f"daemon off; pid {tmp_path}/pid; error_log stderr; events {{}}"
            f"http {{ access_log off; {paths} include {tmp_path}/site.conf; }}"
        )
        with (tmp_path / "nginx.log").open("wb") as log:
            running.append(
                subprocess.Popen(
                    [program, "-c", str(tmp_path / "nginx.conf")], stdout=log, stderr=log
                )
            )
        until_sync(lambda: answer(port, b"") != 0, "nginx answers")

    yield start
    for process in running:
        process.terminate()
        process.wait(10)


def answer(port: int, body: bytes, **headers: str) -> int:
    """The status of a POST to a page; 0 if nobody listens."""
    request = urllib.request.Request(f"http://127.0.0.1:{port}/login", data=body, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=10) as got:
            return int(got.status)
    except urllib.error.HTTPError as refused:
        return refused.code
    except OSError:
        return 0


@pytest.mark.timeout(180)
async def test_a_reply_streams_through_nginx_while_page_processes_restart(
    site: MakeSite,
    worker: MakeWorker,
    proxy: MakeProxy,
    redis_url: str,
    cast: Cast,
    tabs: Tabs,
    figure: Callable[[str], None],
) -> None:
    port = free_port()
    more = {
        "REDIS_URL": redis_url,
        "CHATSITE_URL": f"http://127.0.0.1:{port}",
        "CHATSITE_TRUSTED_PROXIES": "127.0.0.1",
    }
    pages = [site(server="pages", **more) for _ in range(2)]
    process = worker("one", CHATSITE_ECHO_DELAY="0.06")
    await asyncio.gather(process.start(), *(page.start() for page in pages))
    await asyncio.to_thread(proxy, port, [page.port for page in pages])

    tab = await tabs.of(port, cast.alice)
    for page in pages:
        pk = await tab.say(r9.TEXT * 2)
        await until(lambda p=pk: p in tab.page.turns and tab.page.turns[p].end > 10, "it grows", 30)
        assert await page.stop() == 0
        seen = tab.page.turns[pk].end
        await until(lambda p=pk, s=seen: tab.page.turns[p].end > s, "the other one goes on", 20)
        await page.start()
        turn = await tab.final(pk, 60)
        assert turn.text.strip() == (r9.TEXT * 2).strip() and not tab.page.taken_back
    assert tab.closed and set(tab.closed) == {1012}
    figure("R16 behind nginx, two page processes: both restarted in mid-reply, lost 0")

    assert await asyncio.to_thread(answer, port, b"x" * 300_000) == 413, "no page sends so much"
    assert await asyncio.to_thread(answer, port, b"", Cookie="x" * 9_000) == 400, "too long"
