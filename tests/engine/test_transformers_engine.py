"""The real engine on small random models, float32, so that equal means equal."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from msgspec.structs import replace

from chat.engine.base import EngineDead, PromptRefused, Sampling, Task, Turn
from chat.engine.transformers_engine import TransformersEngine

from .models import byte_level_tokenizer, save_model, sentencepiece_like_tokenizer
from .running import GREEDY, SAMPLED, ask, engine_for, resumed, run

PENALIZED = replace(SAMPLED, repetition_penalty=1.3)
WAYS = {
    "greedy": GREEDY,
    "seeded": SAMPLED,
    "penalized": PENALIZED,
    "greedy, penalized": replace(GREEDY, repetition_penalty=1.3),
    "nucleus": replace(SAMPLED, top_k=0, top_p=0.7),
    "everything": replace(SAMPLED, top_k=0, top_p=1.0),
}


@pytest.fixture(scope="module")
def family(family_folder: Path) -> Iterator[TransformersEngine]:
    engine, _ = engine_for(family_folder)
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def engine(llama_folder: Path) -> Iterator[TransformersEngine]:
    engine, _ = engine_for(llama_folder)
    yield engine
    engine.close()


@pytest.mark.parametrize("way", sorted(WAYS))
def test_a_resumed_reply_equals_the_uninterrupted_one(family: TransformersEngine, way: str) -> None:
    task = ask("a", "Tell me about paths and tasks", WAYS[way])
    prepared = family.add(task)
    family.cancel("a")
    whole = run(family, task)["a"]
    assert len(whole.ids) == 24 and whole.end == "length"
    for stored in (1, 9, 23):
        known = sum(len(piece.text) for piece in whole.pieces[:stored])
        again = resumed(task, prepared, whole, stored, known)
        rest = run(family, again, ask("other", "Somebody else", PENALIZED))["a"]
        assert whole.ids[:stored] + rest.ids == whole.ids
        assert whole.text[:known] + rest.text == whole.text
        assert rest.end == "length"


@pytest.mark.parametrize("way", sorted(WAYS))
def test_a_reply_is_the_same_alone_and_in_a_batch(family: TransformersEngine, way: str) -> None:
    tasks = [ask(str(n), f"Question {n} " * (n + 1), WAYS[way]) for n in range(6)]
    alone = {task.key: run(family, task)[task.key].text for task in tasks}
    together = run(family, *tasks)
    assert {key: said.text for key, said in together.items()} == alone
    assert len(set(alone.values())) == 6


def test_seeds_and_only_seeds_make_replies_differ(engine: TransformersEngine) -> None:
    def say(seed: int) -> str:
        return run(engine, ask("a", "Hello", replace(SAMPLED, seed=seed)))["a"].text

    assert say(3) == say(3)
    assert len({say(seed) for seed in (0, 1, 2, -1, 2**62)}) == 5


def test_two_running_replies_grow_in_turn_one_token_per_step(engine: TransformersEngine) -> None:
    engine.add(ask("a", "First"))
    engine.add(ask("b", "Second"))
    order: list[str] = []
    while not engine.idle():
        step = engine.step(1.0)
        assert all(len(piece.token_ids) == 1 for piece in step)
        order += [piece.key for piece in step]
    assert sorted(order[:2]) == ["a", "b"]
    assert len(order) == 48
    assert all(first != second for first, second in pairwise(order))


def test_a_long_prompt_does_not_stop_the_others(llama_folder: Path) -> None:
    engine, _ = engine_for(llama_folder, max_batch_tokens=16)
    engine.add(ask("a", "Hi", replace(GREEDY, max_new_tokens=40)))
    while not engine.step(1.0):
        pass
    engine.add(ask("long", "word " * 60))
    seen: list[float] = []
    while [piece.key for piece in engine.step(1.0)] == ["a"]:
        seen.append(engine.prefill()["long"])
    assert len(seen) > 3 and seen == sorted(seen)
    engine.close()


def test_a_repetition_penalty_is_felt(engine: TransformersEngine) -> None:
    def variety(penalty: float) -> int:
        sampling = replace(GREEDY, repetition_penalty=penalty, max_new_tokens=60)
        return len(set(run(engine, ask("a", "again and again", sampling))["a"].ids))

    assert variety(50.0) == 60 > variety(1.0)


def test_stop_strings_end_a_reply_and_never_flash(engine: TransformersEngine) -> None:
    whole = run(engine, ask("a", "Stop somewhere", SAMPLED))["a"].text
    for at in range(0, len(whole) - 4, 3):
        stop = whole[at : at + 4]
        said = run(engine, ask("a", "Stop somewhere", replace(SAMPLED, stop=("\x01", stop))))["a"]
        assert said.text == whole[: whole.index(stop)]
        assert said.end == "stop"


def test_a_stop_string_that_was_half_met_is_met_after_a_resumption(
    engine: TransformersEngine,
) -> None:
    whole = run(engine, ask("a", "Stop somewhere", SAMPLED))["a"]
    stop = whole.pieces[5].text + whole.pieces[6].text + whole.pieces[7].text[:1]
    task = ask("a", "Stop somewhere", replace(SAMPLED, stop=(stop,)))
    prepared = engine.add(task)
    engine.cancel("a")
    cut = run(engine, task)["a"]
    stored = len(whole.text[: whole.text.index(stop)])
    again = resumed(task, prepared, whole, 7, stored)
    rest = run(engine, again)["a"]
    assert cut.end == rest.end == "stop"
    assert whole.text[:stored] + rest.text == cut.text


def test_a_cancelled_reply_frees_its_slot_and_its_key(engine: TransformersEngine) -> None:
    alone = run(engine, ask("a", "Once more"))["a"].text
    engine.add(ask("a", "Something else"))
    engine.step(1.0)
    engine.cancel("a")
    engine.cancel("a")
    engine.cancel("never there")
    assert engine.idle()
    assert run(engine, ask("a", "Once more"))["a"].text == alone


REFUSALS = {
    "prompt_empty": ask("a", "  \n "),
    "prompt_too_long": ask("a", "word " * 400),
    "token_out_of_range": replace(ask("a", "x"), prompt_ids=(1, 99999), fingerprint="same"),
    "token_out_of_range (reply)": replace(
        ask("a", "x"), prompt_ids=(1,), reply_ids=(-1,), fingerprint="same"
    ),
    "prompt_empty (stored)": replace(ask("a", "x"), prompt_ids=(), fingerprint="same"),
    "sampling_out_of_range": ask("a", "x", replace(GREEDY, temperature=-1.0)),
    "sampling_out_of_range (nan)": ask("a", "x", replace(GREEDY, temperature=float("nan"))),
    "sampling_out_of_range (k)": ask("a", "x", replace(GREEDY, top_k=-1)),
    "sampling_out_of_range (p)": ask("a", "x", replace(GREEDY, top_p=float("nan"))),
    "sampling_out_of_range (none)": ask("a", "x", replace(GREEDY, max_new_tokens=0)),
    "sampling_out_of_range (penalty)": ask("a", "x", replace(GREEDY, repetition_penalty=0.0)),
    "duplicate_key": ask("there", "x"),
}


@pytest.mark.parametrize("name", sorted(REFUSALS))
def test_poison_is_refused_and_the_others_go_on(engine: TransformersEngine, name: str) -> None:
    engine.add(ask("there", "Somebody"))
    engine.step(1.0)
    task = REFUSALS[name]
    if task.fingerprint:
        task = replace(task, fingerprint=engine._maker.fingerprint)
    with pytest.raises(PromptRefused) as caught:
        engine.add(task)
    assert caught.value.reason == name.split(" ")[0]
    ends = []
    while not engine.idle():
        ends += [piece.end for piece in engine.step(1.0)]
    assert ends[-1] == "length"


@pytest.mark.parametrize(
    "sampling",
    [
        replace(SAMPLED, top_k=10**9),
        replace(SAMPLED, temperature=1e-30),
        replace(SAMPLED, temperature=1e30),
        replace(SAMPLED, top_p=1e-12),
        replace(SAMPLED, top_k=0, top_p=1e-12),
        replace(SAMPLED, top_k=1000),
        replace(SAMPLED, top_k=1),
    ],
)
def test_odd_but_sound_parameters_run(engine: TransformersEngine, sampling: Sampling) -> None:
    assert len(run(engine, ask("a", "Hello", sampling))["a"].ids) == 24


def test_more_tasks_than_slots_are_refused(engine: TransformersEngine) -> None:
    for number in range(8):
        engine.add(ask(str(number), "Hello"))
    with pytest.raises(PromptRefused, match="engine_full"):
        engine.add(ask("9", "Hello"))
    for number in range(8):
        engine.cancel(str(number))


def test_a_reply_ends_at_the_window(engine: TransformersEngine) -> None:
    said = run(engine, ask("a", "word " * 70, replace(GREEDY, max_new_tokens=9999)))["a"]
    prepared = engine.add(ask("a", "word " * 70, replace(GREEDY, max_new_tokens=9999)))
    engine.cancel("a")
    assert said.end == "length"
    assert len(said.ids) + len(prepared.prompt_ids) == 256


def test_a_reply_that_was_complete_when_it_was_stored_ends_at_once(
    engine: TransformersEngine,
) -> None:
    task = ask("a", "Hello")
    prepared = engine.add(task)
    engine.cancel("a")
    whole = run(engine, task)["a"]
    assert run(engine, resumed(task, prepared, whole, 24, 5))["a"].text == whole.text[5:]
    (piece,) = run(engine, resumed(task, prepared, whole, 24, len(whole.text)))["a"].pieces
    assert (piece.token_ids, piece.text, piece.end) == ((), "", "length")


def test_a_full_cache_still_serves_everybody(llama_folder: Path) -> None:
    roomy, _ = engine_for(llama_folder)
    tight, model = engine_for(llama_folder, num_blocks=6)
    assert model.context_length == 160
    tasks = [ask(str(n), f"Tell me {n}", replace(SAMPLED, max_new_tokens=60)) for n in range(6)]
    assert {k: said.ids for k, said in run(tight, *tasks).items()} == {
        k: said.ids for k, said in run(roomy, *tasks).items()
    }
    tight.close()
    roomy.close()


def test_an_error_inside_the_model_is_the_engines_death(llama_folder: Path) -> None:
    engine, _ = engine_for(llama_folder)
    engine.add(ask("a", "Hello"))
    engine.step(1.0)

    def broken(*args: object, **kwargs: object) -> None:
        raise RuntimeError("secret prompt")

    engine._model.forward = broken
    with pytest.raises(EngineDead) as caught:
        engine.step(1.0)
    assert caught.value.reason == "engine_failed"
    assert caught.value.detail == {"cause": "RuntimeError"}
    engine.close()


@pytest.mark.parametrize("kind", [byte_level_tokenizer, sentencepiece_like_tokenizer])
def test_another_model_goes_on_from_the_stored_text(tmp_path: Path, kind: object) -> None:
    engine, model = engine_for(save_model(tmp_path, tokenizer=kind()))  # type: ignore[operator]
    task = Task(
        "a",
        (Turn("user", "Hello"),),
        GREEDY,
        prompt_ids=(5, 6, 7),
        reply_ids=(99999, 3),
        reply_text="The answer is 42 東京",
        fingerprint="another model",
    )
    prepared = engine.add(task)
    assert prepared.fingerprint == model.fingerprint
    assert 0 < len(prepared.reply_ids) < 24
    engine.cancel("a")
    said = run(engine, task)["a"]
    assert len(said.ids) == 24 - len(prepared.reply_ids)
    stored = replace(
        task,
        prompt_ids=prepared.prompt_ids,
        reply_ids=prepared.reply_ids + tuple(said.ids[:4]),
        reply_text=task.reply_text + "".join(piece.text for piece in said.pieces[:4]),
        fingerprint=prepared.fingerprint,
    )
    rest = run(engine, stored)["a"]
    assert rest.ids == said.ids[4:]
    assert stored.reply_text + rest.text == task.reply_text + said.text
    engine.close()
