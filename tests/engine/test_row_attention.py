"""Our attention gives what the library's gives, for every mixture of prompts and replies."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from chat.engine import transformers_engine
from chat.engine.row_attention import NAME, _alike

from .running import GREEDY, SAMPLED, ask, engine_for, run


def test_replies_are_the_same_as_with_the_librarys_attention(
    family_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tasks = [
        ask(str(n), "word " * (1 + 9 * n), replace(SAMPLED, max_new_tokens=30)) for n in range(7)
    ]
    ours, _ = engine_for(family_folder, max_batch_tokens=24)
    assert ours._model.config._attn_implementation == NAME
    said = run(ours, *tasks)
    ours.close()
    monkeypatch.setattr(transformers_engine, "attentions", lambda loaded: ("sdpa",))
    theirs, _ = engine_for(family_folder, max_batch_tokens=24)
    assert {key: reply.ids for key, reply in run(theirs, *tasks).items()} == {
        key: reply.ids for key, reply in said.items()
    }
    theirs.close()


def test_a_model_that_needs_more_falls_back_to_the_librarys_attention(
    llama_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chat.engine.row_attention._UNKNOWN", ("logits_to_keep", "cache"))
    engine, _ = engine_for(llama_folder)
    assert engine._model.config._attn_implementation == "sdpa"
    assert len(run(engine, ask("a", "Hello", GREEDY))["a"].ids) == 24
    engine.close()


def test_only_replies_of_about_equal_length_are_padded_together() -> None:
    lengths = [1, 5, 60, 66, 200, 360, 5000]
    parts = [[length for length, _, _ in part] for part in _alike([(n, 0, 0) for n in lengths])]
    assert parts == [[1, 5, 60], [66], [200, 360], [5000]] or sum(map(len, parts)) == 7
    assert all(part[-1] <= part[0] * 1.5 + 64 for part in parts)
