"""Which model it is, and why it cannot be loaded."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from chat.engine.base import EngineDead
from chat.engine.loading import load
from chat.engine.model_files import fingerprint
from chat.engine.spec import EngineSpec


def copied(folder: Path, target: Path) -> Path:
    return Path(shutil.copytree(folder, target))


def loading(model: object, **settings: object) -> EngineDead:
    with pytest.raises(EngineDead) as caught:
        load(EngineSpec(model=str(model), **settings), lambda fraction, what: None)  # type: ignore[arg-type]
    return caught.value


def test_equal_files_have_equal_fingerprints(llama_folder: Path, tmp_path: Path) -> None:
    other = copied(llama_folder, tmp_path / "another name")
    (other / "README.md").write_text("not part of the model")
    assert fingerprint(llama_folder, "t") == fingerprint(other, "t")


@pytest.mark.parametrize("change", ["weights", "config", "tokenizer", "template"])
def test_another_model_has_another_fingerprint(
    llama_folder: Path, tmp_path: Path, change: str
) -> None:
    other = copied(llama_folder, tmp_path / "copy")
    if change == "weights":
        weights = load_file(other / "model.safetensors")
        weights["model.embed_tokens.weight"][3, 3] += 1
        save_file(weights, other / "model.safetensors", {"format": "pt"})
    elif change != "template":
        path = other / f"{change}.json"
        path.write_text(path.read_text() + " ")
    template = "other" if change == "template" else "t"
    assert fingerprint(llama_folder, "t") != fingerprint(other, template)


@pytest.mark.parametrize("name", ["/no/such/folder", "./none", "", "a/b/c"])
def test_a_missing_folder_is_named(name: str) -> None:
    error = loading(name)
    assert (error.reason, error.detail) == ("model_missing", {"model": name, "why": "folder"})


def test_a_folder_without_a_model_is_named(tmp_path: Path) -> None:
    assert loading(tmp_path).detail["why"] == "files"


def test_a_model_that_is_not_there_offline_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    error = loading("nobody/no-such-model")
    assert error.detail == {"model": "nobody/no-such-model", "why": "offline"}


def test_only_safetensors_are_loaded(llama_folder: Path, tmp_path: Path) -> None:
    other = copied(llama_folder, tmp_path / "copy")
    (other / "model.safetensors").rename(other / "pytorch_model.bin")
    assert loading(other).reason == "model_unsupported"


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "tokenizer.json"])
def test_a_broken_file_is_said_to_be_broken(llama_folder: Path, tmp_path: Path, name: str) -> None:
    other = copied(llama_folder, tmp_path / "copy")
    (other / name).write_bytes((other / name).read_bytes()[:500])
    error = loading(other)
    assert error.reason in ("model_broken", "model_unsupported")
    assert error.detail["cause"]


def test_an_unknown_architecture_is_unsupported(llama_folder: Path, tmp_path: Path) -> None:
    other = copied(llama_folder, tmp_path / "copy")
    config = other / "config.json"
    config.write_text(config.read_text().replace('"llama"', '"lama"'))
    assert loading(other).reason == "model_unsupported"


def test_a_missing_device_and_an_unknown_format_are_named(llama_folder: Path) -> None:
    assert loading(llama_folder, device="cuda:7").reason == "device_missing"
    assert loading(llama_folder, dtype="int3").reason == "dtype_unknown"
