"""The whole site before a real server: `transformers serve` runs the model, pages get the reply."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings

from chat.database import web
from chat.models import Generation, State
from tests.cast import Cast
from tests.served import Site
from tests.tabs import Tabs
from tests.waiting import until

from .servers import Server, transformers_serve

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def upstream(tmp_path: Path) -> Any:
    """Starts a server with a model; it ends with the test."""
    made: list[Server] = []

    def start(model: Path | str) -> Server:
        made.append(transformers_serve(tmp_path, Path(model)))
        return made[-1]

    yield start
    for server in made:
        server.kill()


def before(site: Callable[..., Site], server: Server, **more: str) -> Site:
    """A site that sends its generations there; greedy, so that a reply can be asked for again."""
    return site(
        CHATSITE_ENGINE="openai",
        CHATSITE_OPENAI_URL=server.url,
        CHATSITE_OPENAI_MODEL=server.model,
        CHATSITE_TEMPERATURE="0",
        CHATSITE_TOP_P="1",
        **more,
    )


async def test_the_bundled_model_answers_through_a_server(
    site: Callable[..., Site], upstream: Callable[..., Server], cast: Cast, tabs: Tabs
) -> None:
    server = upstream(settings.BUNDLED_MODEL)
    served = before(site, server)
    await served.start()
    assert f"on 127.0.0.1:{server.port} (openai)" in served.log
    tab = await tabs.of(served.port, cast.alice)
    turn = await tab.final(await tab.say("Hello! Who are you?"), 60)
    row = await web(Generation.objects.get)
    assert (row.state, row.reason) == (State.DONE, "stop")
    assert turn.text.strip() == row.reply.strip() and row.token_count > 2
    assert row.fingerprint.startswith("openai-")


async def test_a_reply_outlives_the_server_that_speaks_it(
    site: Callable[..., Site],
    upstream: Callable[..., Server],
    cast: Cast,
    tabs: Tabs,
    llama_folder: Path,
    figure: Callable[[str], None],
) -> None:
    server = upstream(llama_folder)
    served = before(site, server, CHATSITE_MAX_NEW_TOKENS="400")
    await served.start()
    tab = await tabs.of(served.port, cast.alice)
    pk = await tab.say("Tell me everything")
    await tab.turn(pk, 30)
    await until(lambda: tab.page.turns[pk].end, "the reply has begun", 60, step=0.001)
    server.kill()
    await until(lambda: "the engine died: upstream_away" in served.log, "it is noticed", 30)
    begun = await web(Generation.objects.get)
    assert begun.reply_end > 0 and not begun.ended, "nothing is lost, and nothing has failed"
    assert tab.page.turns[pk].end <= begun.reply_end
    await until(
        lambda: tab.page.turns[pk].stage["name"] == "paused", "its reader is told to wait", 60
    )
    said = tab.page.turns[pk].stage
    server.start()
    final = await tab.final(pk, 120)
    row = await web(Generation.objects.get)
    assert (row.state, row.reason) == (State.DONE, "length"), row.reason
    assert row.reply.startswith(begun.reply) and row.reply_end > begun.reply_end
    assert final.end == row.reply_end
    figure(
        f"server killed after {begun.reply_end} of {row.reply_end} characters; meanwhile the page "
        f"said: {said['words']}"
    )


async def test_a_server_that_is_not_there_is_named_at_the_start(site: Callable[..., Site]) -> None:
    served = site(CHATSITE_ENGINE="openai", CHATSITE_OPENAI_URL="http://127.0.0.1:1/v1")
    assert served.spawn().wait(60) != 0
    assert "127.0.0.1:1 cannot be reached" in served.log
    assert "Traceback" not in served.log
