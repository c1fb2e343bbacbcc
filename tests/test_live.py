"""Growing replies: what each reader is told adds up to the stored text and its rendering."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from chat.live import LiveReply, rendered
from chat.models import Generation

TEXT = (
    "# Title\n\nSome **bold** text.\n\n- one\n- two\n\n"
    "```python\nprint(1)\n```\n\nThe end 終わり 🎉"
)


def row(text: str, reasoning: int = 0, state: str = "running") -> Generation:
    return Generation(pk=1, state=state, reply=text, reply_end=len(text), reasoning_end=reasoning)


def delta(offset: int, text: str, reasoning: int = 0) -> dict[str, Any]:
    end = offset + len(text)
    return {"offset": offset, "end": end, "text": text, "reasoning": reasoning}


async def grown(text: str, cuts: list[int]) -> tuple[LiveReply, dict[tuple[int, int], str]]:
    """A reply told in pieces, and the blocks that were put in place on the way."""
    reply = LiveReply(1)
    await reply.look(row(""))
    blocks: dict[tuple[int, int], str] = {}
    ends = [*sorted({cut for cut in cuts if 0 < cut < len(text)}), len(text)]
    at = 0
    for end in ends:
        frame = await reply.grow(delta(at, text[at:end]))
        assert frame is not None
        for block in msgspec.json.decode(frame).get("blocks", ()):
            blocks[block["start"], block["end"]] = block["html"]
        at = end
    return reply, blocks


@settings(deadline=None)  # rendering hops to a thread: machines are noisy
@given(st.lists(st.integers(1, len(TEXT)), max_size=12))
async def test_a_reply_in_pieces_ends_as_the_whole_is_rendered(cuts: list[int]) -> None:
    reply, blocks = await grown(TEXT, cuts)
    for block in await reply.close(row(TEXT, state="done")):
        blocks[block.start, block.end] = block.html
    assert blocks == {(block.start, block.end): block.html for block in rendered(TEXT, 0)}


@settings(deadline=None)  # rendering hops to a thread: machines are noisy
@given(st.integers(1, len(TEXT) - 1))
async def test_a_reader_who_comes_in_the_middle_sees_all_of_it(cut: int) -> None:
    early, _ = await grown(TEXT[:cut], [])
    late = LiveReply(1)
    await late.look(row(TEXT[:cut]))
    assert await late.shown() == await early.shown()


async def test_a_delta_is_encoded_once_for_all_readers() -> None:
    reply = LiveReply(1)
    await reply.look(row(""))
    first = await reply.grow(delta(0, "Hello"))
    assert first is not None
    assert await reply.grow(delta(0, "Hello")) is first


async def test_a_delta_after_a_gap_is_not_told() -> None:
    reply = LiveReply(1)
    await reply.look(row("Hel"))
    assert await reply.grow(delta(4, "o")) is None


async def test_reasoning_comes_as_a_part_of_its_own() -> None:
    reply = LiveReply(1)
    await reply.look(row(""))
    frame = await reply.grow(delta(0, "Hmm. Yes", reasoning=5))
    assert frame is not None
    parts = msgspec.json.decode(frame)["parts"]
    assert [(part["kind"], part["text"]) for part in parts] == [
        ("reasoning", "Hmm. "),
        ("paragraph", "Yes"),
    ]
    end, reasoning, _, opened = await reply.shown()
    assert (end, reasoning) == (8, "Hmm. ")
    assert opened is not None
    assert (opened.block, opened.text) == (5, "Yes")
