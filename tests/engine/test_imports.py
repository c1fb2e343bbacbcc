"""What the web process pays for: the engine's side must stay light and free of the site."""

from __future__ import annotations

import subprocess
import sys

CODE = """
import sys, chat.feed, chat.engine.echo, chat.engine.process, chat.engine.openai_engine
print({"torch", "transformers", "django", "channels"} & set(sys.modules))
"""


def test_engines_without_a_model_of_their_own_import_neither_torch_nor_django() -> None:
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
