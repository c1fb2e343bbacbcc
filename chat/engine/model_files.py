"""Finds a model's files, by folder or Hugging Face name, and says which model they are."""

from __future__ import annotations

import hashlib
import os
import struct
from pathlib import Path

from .base import EngineDead, Progress

_SAMPLES = 16  # places looked at in each file of weights
_SAMPLE = 65536  # bytes looked at in each place
_WANTED = ["*.safetensors", "*.json", "*.jinja", "*.txt", "*.model"]
_UNWANTED = ["*/*", "consolidated*"]  # other formats of the same weights
_TOKENIZER = ("tokenizer", "vocab", "merges", "special_tokens", "added_tokens", "chat_template")


def find_model(name: str, progress: Progress) -> Path:
    """The folder with a model's files; downloads them when they are not in the cache.

    Raises EngineDead("model_missing") with `model` and `why`: "folder" (no such folder), "files"
    (a folder without a model), "offline" (not in the cache and no network), "gated", "unknown".
    """
    folder = Path(name).expanduser()
    if why := missing_folder(name):
        raise EngineDead("model_missing", model=name, why=why)
    if folder.is_dir():
        _require_weights(folder, name)
        return folder
    progress(0.0, "download")
    found = _download(name)
    _require_weights(found, name)
    return found


def missing_folder(name: str) -> str | None:
    """Why a name that can only be a folder's has no model: "folder", "files"; else None."""
    folder = Path(name).expanduser()
    if name and folder.is_dir():
        return None if (folder / "config.json").is_file() else "files"
    named = name and not folder.is_absolute() and not name.startswith((".", "~"))
    return None if named and name.count("/") < 2 else "folder"


def _download(name: str) -> Path:
    from huggingface_hub import errors, snapshot_download

    try:
        return Path(snapshot_download(name, allow_patterns=_WANTED, ignore_patterns=_UNWANTED))
    except errors.GatedRepoError:
        why = "gated"
    except (errors.RepositoryNotFoundError, errors.HFValidationError):
        why = "unknown"
    except (errors.LocalEntryNotFoundError, errors.OfflineModeIsEnabled, OSError):
        why = "offline"
    raise EngineDead("model_missing", model=name, why=why)


def _require_weights(folder: Path, name: str) -> None:
    if not (folder / "config.json").is_file():
        raise EngineDead("model_missing", model=name, why="files")
    if not any(folder.glob("*.safetensors")):
        raise EngineDead("model_unsupported", model=name, cause="no safetensors")


def fingerprint(folder: Path, template: str) -> str:
    """Which weights, tokenizer and template these are; equal for equal files on any machine.

    Weights are read by size, header and samples (a millisecond per file), all else as a whole.
    """
    digest = hashlib.blake2b(template.encode(), digest_size=16)
    for path in sorted(folder.iterdir(), key=lambda path: path.name):
        weights = path.suffix == ".safetensors"
        if not weights and path.name != "config.json" and not path.name.startswith(_TOKENIZER):
            continue
        if path.is_file():
            digest.update(f"\0{path.name}\0{path.stat().st_size}\0".encode())
            _sample(path, digest) if weights else digest.update(path.read_bytes())
    return digest.hexdigest()


def _sample(path: Path, digest: hashlib.blake2b) -> None:
    size = path.stat().st_size
    with path.open("rb") as file:
        (header,) = struct.unpack("<Q", file.read(8).ljust(8, b"\0"))
        digest.update(file.read(min(header, size)))
        first = file.tell()
        for part in range(_SAMPLES):
            file.seek(first + max(0, size - first - _SAMPLE) * part // (_SAMPLES - 1), os.SEEK_SET)
            digest.update(file.read(_SAMPLE))
