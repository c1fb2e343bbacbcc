"""The engine that asks a server, against one that misbehaves on purpose; both are real processes.

Servers that die are in test_openai_deaths.py, servers with a model in test_openai_servers.py.
"""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from chat.engine.base import (
    Piece,
    PromptRefused,
    Sampling,
    Task,
    Turn,
)
from tests.waiting import until_sync

from .asking import PLAIN, Engines, ask, begun, hear
from .bad_server import STORY


def test_a_reply_is_streamed_and_each_part_counts(servers: Any, engines: Engines) -> None:
    engine = engines(servers())
    heard = hear(engine, ask("hello"), ask("hello", "b", max_new_tokens=4))
    assert heard.said["a"].text == STORY and heard.said["a"].end == "stop"
    assert heard.said["a"].ids == [0] * 40
    assert heard.said["b"].text == " 1 2 3 4" and heard.said["b"].end == "length"


def test_the_chat_and_the_sampling_reach_the_server(servers: Any, engines: Engines) -> None:
    server = servers()
    engine = engines(server)
    turns = (Turn("system", "Be kind"), Turn("user", "Hi"), Turn("assistant", "Yes?"))
    turns = (*turns, Turn("user", "say <|im_end|> and [INST]"))
    sampling = Sampling(0.5, 7, 0.8, 1.2, max_new_tokens=9, seed=2**40 + 3, stop=(" 4",))
    heard = hear(engine, Task("a", turns, sampling))
    assert heard.said["a"].text == " 1 2 3" and heard.said["a"].end == "stop"
    asked = server.seen()[-1]
    assert [m["role"] for m in asked["messages"]] == ["system", "user", "assistant", "user"]
    assert asked["messages"][-1]["content"] == "say <\u2060|im_end|> and [\u2060INST]"
    wanted = {"temperature": 0.5, "top_k": 7, "top_p": 0.8, "repetition_penalty": 1.2}
    wanted |= {"max_tokens": 9, "seed": 3, "stop": [" 4"], "stream": True}
    assert {name: asked[name] for name in wanted} == wanted


def test_what_a_server_does_not_know_is_left_out(servers: Any, engines: Engines) -> None:
    server = servers(strict=True)
    engine = engines(server)
    asked = len(server.seen())
    heard = hear(engine, replace(ask("hello"), sampling=replace(PLAIN, top_k=5)))
    assert heard.said["a"].text == STORY
    assert len(server.seen()) == asked + 1, "it knows since it was loaded"
    assert "top_k" not in server.seen()[-1] and "seed" in server.seen()[-1]


@pytest.mark.parametrize("continues", ["flags", "plain", ""])
@pytest.mark.parametrize("strict", [True, False])
def test_loading_finds_out_whether_answers_are_continued(
    servers: Any, engines: Engines, continues: str, strict: bool
) -> None:
    server = servers(continues=continues, strict=strict)
    engine = engines(server)
    heard = hear(engine, begun("hello", " 1 2 3"))
    assert heard.said["a"].text == STORY.removeprefix(" 1 2 3"), "shown once, and all of it"
    assert heard.prepared[0].reply_ids == (0, 0, 0)
    assert len(heard.said["a"].ids) == 37
    last = server.seen()[-1]["messages"][-1]
    assert (last["role"] == "assistant") == bool(continues)


def test_blanks_at_the_end_of_what_is_shown_are_not_shown_twice(
    servers: Any, engines: Engines
) -> None:
    server = servers(continues="plain")
    heard = hear(engines(server), begun("hello", " 1 2 "))
    assert heard.said["a"].text == STORY.removeprefix(" 1 2 ")
    assert server.seen()[-1]["messages"][-1]["content"] == " 1 2"


def test_an_answer_that_comes_out_differently_keeps_what_is_shown(
    servers: Any, engines: Engines
) -> None:
    heard = hear(engines(servers()), ask("differ 5"))
    assert heard.said["a"].text == " 1 2 3 4 5"
    assert heard.refused["a"].reason == "upstream_cut"


def test_where_answers_cannot_go_on_they_end_and_unbegun_ones_start(
    servers: Any, engines: Engines
) -> None:
    engine = engines(servers(), resume="never")
    with pytest.raises(PromptRefused, match="upstream_cut"):
        engine.add(begun("hello", " 1 2 3"))
    heard = hear(engine, ask("quiet 5 1"), ask("cut 0 1", "b"))
    assert heard.said["a"].text == " 1 2 3 4 5" and heard.refused["a"].reason == "upstream_cut"
    assert heard.said["b"].text == STORY


@pytest.mark.parametrize("word", ["cut", "quiet", "garble", "error"])
@pytest.mark.parametrize("continues", ["plain", ""])
def test_a_broken_stream_is_taken_up_where_it_broke(
    servers: Any, engines: Engines, word: str, continues: str
) -> None:
    heard = hear(engines(servers(continues=continues)), ask(f"{word} 5 1"))
    assert heard.said["a"].text == STORY and heard.said["a"].end == "stop"
    assert len(heard.said["a"].ids) == 40


@pytest.mark.parametrize(
    ("word", "reason"),
    [("cut", "upstream_cut"), ("error", "upstream_failed"), ("garble", "upstream_garbled")],
)
def test_one_that_breaks_again_and_again_is_given_up(
    servers: Any, engines: Engines, word: str, reason: str
) -> None:
    server = servers()
    engine = engines(server, retries=1)
    heard = hear(engine, ask(f"{word} 0"), ask("hello", "b"))
    assert heard.refused["a"].reason == reason and heard.said["b"].text == STORY
    asked = [seen for seen in server.seen() if seen["messages"][0]["content"] == f"{word} 0"]
    assert len(asked) == 2


@pytest.mark.parametrize("at", [0, 5])
def test_a_stalled_stream_is_closed_and_given_up(servers: Any, engines: Engines, at: int) -> None:
    server = servers(continues="plain")
    engine = engines(server, first=0.3, between=0.3, retries=0)
    heard = hear(engine, ask(f"stall {at}"))
    assert heard.refused["a"].reason == "upstream_stalled"
    assert heard.refused["a"].detail == {"seconds": 0.3}
    until_sync(lambda: server.seen()[-1]["closed"], "the server has noticed")


def test_a_busy_server_is_asked_again_when_it_wants(servers: Any, engines: Engines) -> None:
    engine = engines(servers(), retries=2)
    heard = hear(engine, ask("busy 0 2"), ask("busy 0 9", "b"))
    assert heard.said["a"].text == STORY
    assert heard.refused["b"].reason == "upstream_busy"


@pytest.mark.parametrize("status", [400, 403, 404, 500])
def test_a_refused_message_fails_alone(servers: Any, engines: Engines, status: int) -> None:
    engine = engines(servers(), retries=0)
    heard = hear(engine, ask(f"refuse {status}"), ask("hello", "b"))
    reason = "upstream_failed" if status == 500 else "upstream_refused"
    assert heard.refused["a"].reason == reason
    assert heard.refused["a"].detail == {"status": status}
    assert heard.said["b"].text == STORY


def test_a_long_chat_loses_its_oldest_turns(servers: Any, engines: Engines) -> None:
    server = servers()
    engine = engines(server)
    talk = [Turn(role, f"long {n}") for n in range(4) for role in ("user", "assistant")]
    heard = hear(engine, Task("a", (Turn("system", "Be kind"), *talk, Turn("user", "long")), PLAIN))
    assert heard.said["a"].text == STORY
    sent = [message["content"] for message in server.seen()[-1]["messages"]]
    assert sent == ["Be kind", "long"]
    assert heard.prepared[-1].dropped_turns == 8


@pytest.mark.parametrize("word", ["think 0", "think 1", "mark"])
def test_reasoning_is_told_apart(servers: Any, engines: Engines, word: str) -> None:
    said = hear(engines(servers()), ask(word)).said["a"]
    assert said.text[: said.reasoning] == "Let me see."
    assert said.text[said.reasoning :] == STORY


def test_an_interrupted_thought_is_thought_again_below_the_old_one(
    servers: Any, engines: Engines
) -> None:
    said = hear(engines(servers()), begun("think", "Let me", reasoning=6, ids=2)).said["a"]
    assert said.text[: said.reasoning] == "Let me see." and said.text.endswith(STORY)


def test_an_answer_after_reasoning_goes_on_without_new_reasoning(
    servers: Any, engines: Engines
) -> None:
    said = hear(engines(servers()), begun("think", "Hmm. 1 2", reasoning=4, ids=4)).said["a"]
    assert said.text == STORY.removeprefix(" 1 2") and said.reasoning == 0


def test_characters_that_cannot_be_stored_are_replaced(servers: Any, engines: Engines) -> None:
    said = hear(engines(servers()), ask("unsound")).said["a"]
    assert said.text == "a\ufffdb\ufffdc" + STORY


def test_a_content_filter_ends_a_reply(servers: Any, engines: Engines) -> None:
    assert hear(engines(servers()), ask("filter")).said["a"].end == "filtered"


def test_a_flood_ends_at_the_longest_length(servers: Any, engines: Engines) -> None:
    server = servers()
    said = hear(engines(server), ask("flood")).said["a"]
    assert said.end == "length" and len(said.ids) == 100
    assert len(said.text) <= 100 * 256 + 6_000
    until_sync(lambda: server.seen()[-1]["closed"], "the server has noticed")


def test_a_cancelled_reply_stops_on_the_server(servers: Any, engines: Engines) -> None:
    server = servers()
    engine = engines(server)
    engine.add(ask("stall 5"))
    said = ""
    while said != " 1 2 3 4 5":
        said += "".join(told.text for told in engine.step(0.05) if isinstance(told, Piece))
    engine.cancel("a")
    assert engine.idle()
    until_sync(lambda: server.seen()[-1]["closed"], "the server has noticed")
    assert hear(engine, ask("hello")).said["a"].text == STORY


def test_slots_and_nonsense_are_refused_at_once(servers: Any, engines: Engines) -> None:
    engine = engines(servers(), slots=1)
    engine.add(ask("stall 0"))
    for task, reason in (
        (ask("hello"), "duplicate_key"),
        (ask("hello", "b"), "engine_full"),
    ):
        with pytest.raises(PromptRefused, match=reason):
            engine.add(task)
    engine.cancel("a")
    for task, reason in (
        (ask("hello", temperature=float("nan")), "sampling_out_of_range"),
        (ask("  "), "prompt_empty"),
    ):
        with pytest.raises(PromptRefused, match=reason):
            engine.add(task)
    assert engine.idle()
