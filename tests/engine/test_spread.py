"""One model over several devices. The CPU under two names stands for two devices: what is
translated between them is tried, what two GPUs do with it is not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from chat.engine import transformers_engine
from chat.engine.base import EngineDead
from chat.engine.loading import load
from chat.engine.spec import EngineSpec
from chat.engine.spread import homes_of

from .running import GREEDY, SAMPLED, Said, ask, engine_for, run

TEXTS = ("one", "two says more than the first", "three " * 20)
DEVICES = (torch.device("cpu"), torch.device("cpu", 0))


def replies(folder: Path) -> tuple[dict[str, Said], str]:
    engine, model = engine_for(folder)
    tasks = [ask(f"{n}", text, SAMPLED if n else GREEDY) for n, text in enumerate(TEXTS)]
    said = run(engine, *tasks)
    engine.close()
    return said, model.device


@pytest.mark.parametrize("cut", [1, None])
def test_a_spread_model_says_what_it_says_on_one_device(
    llama_folder: Path, monkeypatch: pytest.MonkeyPatch, cut: int | None
) -> None:
    whole, _ = replies(llama_folder)

    def loaded_in_two(*arguments: Any) -> Any:
        loaded = load(*arguments)
        layers = sorted(homes_of(loaded.model))
        assert len(layers) > 1
        # The first `cut` layers and the rest; or one layer here, one there.
        homes = {n: DEVICES[n % 2 if cut is None else n >= cut] for n in layers}
        return replace(loaded, homes=homes)

    monkeypatch.setattr(transformers_engine, "load", loaded_in_two)
    spread, devices = replies(llama_folder)
    assert devices == "cpu + cpu:0"
    assert {key: one.ids for key, one in spread.items()} == {k: one.ids for k, one in whole.items()}


@pytest.mark.skipif(torch.cuda.is_available(), reason="there are GPUs here")
def test_all_gpus_together_need_a_gpu(llama_folder: Path) -> None:
    spec = EngineSpec(model=str(llama_folder), device="balanced")
    with pytest.raises(EngineDead, match="device_missing"):
        load(spec, lambda fraction, what: None)
