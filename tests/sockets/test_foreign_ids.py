"""R23: nobody learns of another person's conversations, not even that they exist."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx2 as httpx
import pytest

from chat.database import web
from chat.models import Conversation, Generation
from tests.cast import Cast
from tests.reader import Frame
from tests.served import Site
from tests.tabs import Tabs, make_session, open_socket
from tests.waiting import until

INTRUDERS = ("bob", "guest", "operator", "watcher")


@dataclass(frozen=True)
class Ids:
    """A conversation and a generation in it: somebody's, or nobody's."""

    conversation: str
    generation: int


UNKNOWN = Ids(str(uuid.uuid4()), 2**40)


def frames(ids: Ids, own: str) -> list[Frame]:
    """Every frame that names something, with these ids in every place that takes one."""
    prompt = {"type": "prompt", "text": "let me in"}
    return [
        {"type": "open", "conversation": ids.conversation},
        {"type": "open", "conversation": ids.conversation, "known": [ids.generation]},
        {**prompt, "conversation": ids.conversation},
        {**prompt, "conversation": ids.conversation, "parent": ids.generation},
        {**prompt, "conversation": own, "parent": ids.generation},
        {**prompt, "parent": ids.generation},
        {"type": "stop", "generation": ids.generation},
        {"type": "look", "generation": ids.generation},
        {"type": "ack", "generation": ids.generation, "end": 0, "final": True},
        {"type": "rename", "conversation": ids.conversation, "title": "mine"},
        {"type": "delete", "conversation": ids.conversation},
    ]


async def answers(served: Site, session: str, sent: list[Frame], ids: Ids) -> list[list[str]]:
    """What each frame is answered with; ids are replaced, so that only a difference shows."""
    said: list[list[str]] = []
    async with await open_socket(served.port, session) as socket:
        while json.loads(await socket.recv())["type"] != "hello":
            pass
        for frame in sent:
            if frame["type"] == "prompt":
                frame = {**frame, "id": str(uuid.uuid4())}
            await socket.send(json.dumps(frame))
            await socket.send('{"type": "end of answers"}')
            answer: list[str] = []
            while (got := json.loads(await socket.recv())).get("code") != "unknown_frame":
                if got["type"] != "listed" or ids.conversation == got["conversation"]:
                    answer.append(plain(got, ids, frame))
            said.append(answer)
    return said


def plain(got: Frame, ids: Ids, frame: Frame) -> str:
    names = {ids.conversation: "CONVERSATION", str(ids.generation): "GENERATION"}
    names[frame.get("id", "")] = "ID"
    return str({key: names.get(str(value), value) for key, value in sorted(got.items())})


@pytest.mark.parametrize("state", ["running", "done"])
async def test_r23_a_foreign_id_is_answered_as_an_unknown_one(
    served: Site, cast: Cast, tabs: Tabs, figure: Callable[[str], None], state: str
) -> None:
    alice = await tabs.of(served.port, cast.alice)
    pk = await alice.say("my secret plan, " * (150 if state == "running" else 1))
    if state == "done":
        await alice.final(pk)
    else:
        await until(lambda: pk in alice.page.turns and alice.page.turns[pk].end, "it grows")
    hers = Ids(alice.page.conversation or "", pk)
    asked = 0
    for name in INTRUDERS:
        user = getattr(cast, name)
        own = await tabs.of(served.port, user)
        await own.final(await own.say("mine"))
        session = await web(make_session, user)
        mine = own.page.conversation or ""
        foreign = await answers(served, session, frames(hers, mine), hers)
        unknown = await answers(served, session, frames(UNKNOWN, mine), UNKNOWN)
        assert foreign == unknown
        assert "secret" not in str(foreign)
        asked += len(foreign)
    stored = await web(Generation.objects.select_related("conversation").get, pk=pk)
    assert stored.state == state and stored.conversation.title.startswith("my secret")
    assert await web(Generation.objects.filter(conversation=hers.conversation).count) == 1
    figure(f"R23 frames with a foreign id ({state}): {asked} asked, leaks 0, changes 0")
    await alice.send({"type": "stop", "generation": pk})


async def test_r23_a_page_of_a_foreign_conversation_is_one_that_does_not_exist(
    served: Site, cast: Cast, tabs: Tabs, figure: Callable[[str], None]
) -> None:
    alice = await tabs.of(served.port, cast.alice)
    await alice.final(await alice.say("my secret plan"))
    hers, nobody = alice.page.conversation or "", UNKNOWN.conversation
    asked = 0
    for name in (*INTRUDERS, ""):
        session = await web(make_session, getattr(cast, name)) if name else ""
        for path in ("/c/{}/", "/c/{}", "/admin/chat/conversation/{}/change/"):
            for method in ("GET", "HEAD", "POST", "DELETE"):
                said = [await request(served, method, path, one, session) for one in (hers, nobody)]
                assert said[0] == said[1] and "secret" not in str(said)
                assert said[0][0] != 200 and said[0][0] < 500
                asked += 1
    assert await web(Conversation.objects.filter(pk=hers).exists)
    figure(f"R23 pages of a foreign conversation: {asked} asked, leaks 0")


async def request(
    served: Site, method: str, path: str, pk: str, session: str
) -> tuple[int, str, Any]:
    """Status, body and target, without the id itself and without tokens."""
    cookies = {"chatsite_session": session} if session else {}
    async with httpx.AsyncClient(cookies=cookies) as client:
        url = f"http://127.0.0.1:{served.port}{path.format(pk)}"
        said = await client.request(method, url)
    target = said.headers.get("location", "").replace(pk, "ID")
    return said.status_code, said.text.replace(pk, "ID"), target
