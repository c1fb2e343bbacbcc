"""What the settings make by themselves."""

from __future__ import annotations

import stat
from pathlib import Path

from chatsite.settings import _secret_key


def test_the_secret_key_is_made_once_for_its_owner_only(tmp_path: Path) -> None:
    key = _secret_key(tmp_path)
    assert len(key) > 50 and _secret_key(tmp_path) == key
    (file,) = tmp_path.iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
