"""Collects the static files under hashed names, and only when one of them has changed."""

from __future__ import annotations

import hashlib

from django.conf import settings
from django.contrib.staticfiles.finders import get_finders
from django.core.management import call_command
from filelock import FileLock


def collect() -> None:
    """Bring STATIC_ROOT up to date; seconds the first time, milliseconds afterwards.

    Nothing is removed: other processes still give out the files of the version before.
    """
    with FileLock(settings.CHATSITE_VAR / "static.lock"):
        stamp = settings.STATIC_ROOT / ".stamp"
        state = _state()
        if stamp.exists() and stamp.read_text() == state:
            return
        call_command("collectstatic", verbosity=0, interactive=False)
        stamp.write_text(state)


def _state() -> str:
    """A hash over names, sizes and times of all static files of the site and its packages."""
    digest = hashlib.sha256()
    for finder in get_finders():
        for name, storage in finder.list([]):
            changed = storage.get_modified_time(name).timestamp()
            digest.update(f"{storage.location}/{name} {storage.size(name)} {changed}\n".encode())
    return digest.hexdigest()
