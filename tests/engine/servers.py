"""Servers with OpenAI's interface, started by tests on free ports as processes of their own."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from tests.served import ROOT, free_port
from tests.waiting import until_sync

START_SECONDS = 90.0
LLAMA_PYTHON = os.environ.get("LLAMA_PYTHON", sys.executable)
"""The interpreter that has llama-cpp-python[server] and gguf."""
LLAMA_SERVER = os.environ.get("LLAMA_SERVER", "") or shutil.which("llama-server") or ""
"""llama.cpp's own server."""


class Server:
    """One server; `url` is what an engine is told. It can be killed and started again."""

    def __init__(self, command: list[str], folder: Path, model: str = "") -> None:
        self.port = free_port()
        self.model = model
        self.url = f"http://127.0.0.1:{self.port}/v1"
        self._command = [part.replace("PORT", str(self.port)) for part in command]
        self._path = folder / f"server-{self.port}.log"
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> str:
        return self._path.read_text(errors="replace")

    def start(self) -> Server:
        with self._path.open("ab") as log:
            self.process = subprocess.Popen(
                self._command,
                cwd=ROOT,
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                env={**os.environ, "HF_HUB_OFFLINE": "1", "PYTHONWARNINGS": "default"},
            )
        until_sync(self._ready, "the server answers", START_SECONDS, step=0.05)
        assert self.process.poll() is None, self.log[-3_000:]
        return self

    def _ready(self) -> bool:
        if self.process is None or self.process.poll() is not None:
            return True
        try:
            self.get("/v1/models")
        except urllib.error.HTTPError as error:
            return error.code not in (502, 503)  # it may want a key, or have no list
        except OSError:
            return False
        return True

    def get(self, path: str) -> Any:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5) as answer:
            return json.load(answer)

    def seen(self) -> list[dict[str, Any]]:
        """What a bad server was asked."""
        return list(self.get("/seen")["seen"])

    def kill(self, number: int = signal.SIGKILL) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(number)
            self.process.wait(20)


def bad_server(folder: Path, **options: Any) -> Server:
    """The one that misbehaves on purpose."""
    command = [sys.executable, "-m", "tests.engine.bad_server", "PORT", json.dumps(options)]
    return Server(command, folder, "bad").start()


def transformers_serve(folder: Path, model: Path, *more: str) -> Server:
    """transformers' own server, with a folder's model."""
    command = [sys.executable, "-c", "from transformers.cli.transformers import main; main()"]
    command += ["serve", str(model), "--device", "cpu", "--dtype", "float32"]
    return Server([*command, "--port", "PORT", *more], folder, str(model)).start()


def write_gguf(model: Path, folder: Path) -> Path:
    """A random model in llama.cpp's format, with the tokenizer of `model`."""
    file = folder / "random.gguf"
    program = str(Path(__file__).with_name("gguf_model.py"))
    subprocess.run([LLAMA_PYTHON, program, str(model), str(file)], check=True, timeout=60)
    return file


def llama_cpp_python(folder: Path, file: Path) -> Server:
    """llama-cpp-python's server. By default each request interrupts the one before."""
    command = [LLAMA_PYTHON, "-m", "llama_cpp.server", "--model", str(file), "--port", "PORT"]
    command += ["--n_ctx", "512", "--interrupt_requests", "False"]
    return Server(command, folder).start()


def llama_server(folder: Path, file: Path) -> Server:
    """llama.cpp's own server."""
    command = [LLAMA_SERVER, "--model", str(file), "--port", "PORT", "--host", "127.0.0.1"]
    command += ["--ctx-size", "2048", "--parallel", "4", "--threads", "2"]
    return Server(command, folder).start()


def why_not_llama_python() -> str:
    """Why llama-cpp-python's server cannot be tested here; "" if it can."""
    check = [LLAMA_PYTHON, "-c", "import llama_cpp.server.app, gguf"]
    missing = subprocess.run(check, capture_output=True, timeout=60).returncode
    return "LLAMA_PYTHON names no interpreter with llama-cpp-python[server]" if missing else ""


def why_not_llama_server() -> str:
    """Why llama.cpp's own server cannot be tested here; "" if it can."""
    if not LLAMA_SERVER:
        return "no llama-server on the PATH or in LLAMA_SERVER"
    return why_not_llama_python()  # it writes the model
