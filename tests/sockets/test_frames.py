"""R27: malformed frames harm nobody: not the process, not other sockets, not the log."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from websockets.exceptions import ConnectionClosed

from chat import frames
from chat.database import web
from chat.models import Generation
from tests.cast import Cast
from tests.served import Site
from tests.sizes import size
from tests.tabs import Tabs, make_session, open_socket

ID = str(uuid.UUID(int=1))


def frame(kind: str, **fields: Any) -> str:
    return json.dumps({"type": kind, **fields})


KEPT_OPEN: list[tuple[str | bytes, str]] = [
    ("", "unreadable"),
    (b"", "binary"),
    (b'{"type": "look", "generation": 1}', "binary"),
    ("{", "unreadable"),
    ("nan", "unreadable"),
    ('{"a": NaN}', "unreadable"),
    ("[]", "unknown_frame"),
    ('"text"', "unknown_frame"),
    ("17", "unknown_frame"),
    ("null", "unknown_frame"),
    ("[" * 60_000, "unknown_frame"),
    ('{"type": "look", "generation": ' + "9" * 5_000 + "}", "unknown_frame"),
    ('{"type": "shutdown"}', "unknown_frame"),
    ('{"generation": 1}', "unknown_frame"),
    ('{"type": 7}', "unknown_frame"),
    ('{"type": null}', "unknown_frame"),
    ('{"type": ["look"]}', "unknown_frame"),
    ('{"type": "__class__"}', "unknown_frame"),
    ('{"type": "dispatch"}', "unknown_frame"),
    ('{"type": "websocket.disconnect"}', "unknown_frame"),
    ('{"type": "reply.delta"}', "unknown_frame"),
    ('{"type": "look", "generation": 1, "extra": 1}', "unknown_frame"),
    ('{"type": "look", "generation": -1}', "unknown_frame"),
    ('{"type": "look", "generation": 0}', "unknown_frame"),
    ('{"type": "look", "generation": 1e308}', "unknown_frame"),
    ('{"type": "look", "generation": "1"}', "unknown_frame"),
    ('{"type": "look", "generation": 1.5}', "unknown_frame"),
    ('{"type": "look", "generation": true}', "unknown_frame"),
    ('{"type": "look", "generation": 9007199254740992}', "unknown_frame"),
    ('{"type": "look", "generation": 9007199254740991}', "not_found"),
    ('{"type": "ack", "generation": 1, "end": -1}', "unknown_frame"),
    ('{"type": "ack", "generation": 1, "end": 1e308}', "unknown_frame"),
    ('{"type": "open", "conversation": "1"}', "unknown_frame"),
    ('{"type": "open", "conversation": "1; DROP TABLE chat_generation"}', "unknown_frame"),
    ('{"type": "open", "conversation": "{' + ID + '}"}', "unknown_frame"),
    ('{"type": "open", "conversation": "' + ID.upper() + '"}', "not_found"),
    (frame("open", conversation=ID, known=[1] * 3_000), "unknown_frame"),
    (frame("rename", conversation=ID, title="x" * 121), "unknown_frame"),
    (frame("rename", conversation=ID, title="\0"), "bad_text"),
    (frame("prompt", id=ID, text=""), "text_empty"),
    (frame("prompt", id=ID, text=" \n\t "), "text_empty"),
    (frame("prompt", id=ID, text="\u200b\u2060\ufeff"), "text_empty"),
    (frame("prompt", id=ID, text="a\0b"), "bad_text"),
    (frame("prompt", id=ID, text="a\ud800b"), "unreadable"),
    (frame("prompt", id=ID, text="x" * 32_001), "text_too_long"),
    ('{"type": "prompt", "id": "1", "text": "x"}', "unknown_frame"),
    ('{"type": "prompt", "text": "x"}', "unknown_frame"),
    (json.dumps({"type": "look", "generation": 1, "x": "y" * 60_000}), "unknown_frame"),
]


async def answer(socket: Any, sent: str | bytes) -> str:
    """The code that a frame is answered with."""
    await socket.send(sent)
    while (said := json.loads(await socket.recv()))["type"] not in ("error", "refused"):
        pass
    assert said["words"]
    return str(said["code"])


@pytest.mark.timeout(size(180, 900))
async def test_r27_malformed_frames_are_answered_and_harm_nobody(
    served: Site, cast: Cast, tabs: Tabs, figure: Callable[[str], None]
) -> None:
    reader = await tabs.of(served.port, cast.bob)
    pk = await reader.say("an undisturbed reply, " * 20)
    session = await web(make_session, cast.alice)
    wrong, closes = [], {}
    async with await open_socket(served.port, session) as socket:
        for sent, code in KEPT_OPEN:
            if (said := await answer(socket, sent)) != code:
                wrong.append((sent[:80], code, said))
        tried = len(KEPT_OPEN) + await garbage(socket, size(300, 10_000))
    for name, fatal in FATAL.items():
        closes[name] = await closed_by(served, session, fatal)
    assert (await reader.final(pk, 60)).text.strip() == ("an undisturbed reply, " * 20).strip()
    assert not reader.page.gaps and not reader.page.taken_back and not reader.closed
    figure(f"R27 malformed frames: {tried} answered, {len(wrong)} wrongly, closing ones {closes}")
    assert not wrong
    assert closes == {"65537 bytes": 1009, "invalid UTF-8": 1007}
    assert await web(Generation.objects.filter(author=cast.alice).count) == 0


FATAL: dict[str, str | bytes] = {"65537 bytes": "x" * 65_537, "invalid UTF-8": b"\xff\xfe{"}


async def closed_by(served: Site, session: str, sent: str | bytes) -> int:
    """The code with which a frame ends its socket."""
    async with await open_socket(served.port, session) as socket:
        try:
            if isinstance(sent, bytes):
                await socket.send(sent, text=True)  # bytes that claim to be text
            else:
                await socket.send(sent)
            while True:
                await socket.recv()
        except ConnectionClosed as closed:
            return closed.rcvd.code if closed.rcvd else 1006


async def garbage(socket: Any, count: int) -> int:
    """So many frames that hypothesis makes up: any JSON, and frames of ours with fields broken."""
    made: list[str] = []
    names = [kind.__struct_config__.tag for kind in frames.Inbound.__subclasses__()]
    keys = "type id text conversation parent generation end final known".split()  # noqa: SIM905
    plain = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
    anything = st.recursive(plain, lambda inner: st.lists(inner, max_size=3), max_leaves=5)
    value = anything | st.sampled_from(names)
    broken = st.dictionaries(st.sampled_from(keys), value, max_size=6)

    @settings(
        max_examples=count,
        deadline=None,
        phases=[Phase.generate],
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(anything | broken | broken.map(lambda fields: {**fields, "type": "look"}))
    def make(thing: Any) -> None:
        made.append(json.dumps(thing))

    make()
    for sent in made:
        await answer(socket, sent)
    return len(made)


async def test_frames_before_anything_is_open_are_answered(served: Site, cast: Cast) -> None:
    session = await web(make_session, cast.alice)
    async with await open_socket(served.port, session) as socket:
        for kind in ("look", "stop"):
            assert await answer(socket, frame(kind, generation=1)) == "not_found"


async def test_frames_of_somebody_not_signed_in_leave_no_trace(served: Site) -> None:
    async with await open_socket(served.port) as socket:
        with pytest.raises(ConnectionClosed) as closed:
            for _ in range(50):
                await socket.send('{"type": "look", "generation": 1}')
            await asyncio.wait_for(socket.recv(), 5)
    assert closed.value.rcvd is not None and closed.value.rcvd.code == 4001


async def test_opening_a_thousand_times_leaves_one_conversation_open(
    served: Site, cast: Cast, tabs: Tabs
) -> None:
    tab = await tabs.of(served.port, cast.alice)
    await tab.final(await tab.say("first"))
    conversation = tab.page.conversation
    session = await web(make_session, cast.alice)
    async with await open_socket(served.port, session) as socket:
        for _ in range(1_000):
            await socket.send(json.dumps({"type": "open", "conversation": conversation}))
        opened = 0
        while opened < 1_000:
            opened += json.loads(await socket.recv())["type"] == "opened"
    pk = await tab.say("second", parent=max(tab.page.turns))
    assert (await tab.final(pk)).text.strip() == "second"


async def test_browsers_that_leave_in_the_middle_of_an_answer_leave_no_trace(
    served: Site, cast: Cast, tabs: Tabs
) -> None:
    tab = await tabs.of(served.port, cast.alice)
    await tab.final(await tab.say("a turn to show"))
    session = await web(make_session, cast.alice)
    for _ in range(20):
        async with await open_socket(served.port, session) as socket:
            for _ in range(20):
                await socket.send(frame("open", conversation=tab.page.conversation))
            await socket.recv()
            socket.transport.abort()
    pk = await tab.say("and it goes on", parent=max(tab.page.turns))
    assert (await tab.final(pk)).text.strip() == "and it goes on"


async def test_the_same_id_with_another_text_is_refused_over_the_socket(
    served: Site, cast: Cast
) -> None:
    session = await web(make_session, cast.alice)
    async with await open_socket(served.port, session) as socket:
        await socket.send(json.dumps({"type": "prompt", "id": ID, "text": "one"}))
        said = await answer(socket, json.dumps({"type": "prompt", "id": ID, "text": "two"}))
    assert said == "id_used"


@pytest.mark.parametrize(
    "text",
    ["{{ 7*7 }}", "<|im_start|>system", "</s>[INST]", "e\u0301\u0300", "\u202eabc", "🦊" * 400],
)
async def test_any_clean_text_is_a_message_like_any_other(
    served: Site, cast: Cast, tabs: Tabs, text: str
) -> None:
    tab = await tabs.of(served.port, cast.alice)
    pk = await tab.say(text)
    await tab.final(pk)
    stored = await web(Generation.objects.get, pk=pk)
    assert (stored.prompt, stored.reply) == (text, text)
