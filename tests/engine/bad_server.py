"""A server with OpenAI's interface that misbehaves on purpose: for tests only, and no model in it.

A process of its own, standard library only: `python -m tests.engine.bad_server PORT OPTIONS`,
OPTIONS being JSON of `Options`. What it does is the last user message's first word; a second word
is a number of tokens (or a status), a third how many times in a row it does so before it behaves.
`GET /seen` tells what it was asked, and which streams their reader has closed.
"""

from __future__ import annotations

import json
import os
import socket
import struct
import sys
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

KNOWN = {"model", "messages", "stream", "max_tokens", "temperature", "top_p", "seed", "stop"}
REASONING = ("reasoning_content", "reasoning")  # older and newer servers' word for it
MARKS = 3  # tokens around a message in its template
LONGEST_CHAT = 3  # messages that its window holds
STORY = "".join(f" {number}" for number in range(1, 41))
"""What it says, a number for each token."""


class _Over(Exception):
    """This stream has ended on our side."""


class Options:
    """`continues`: "flags" (only when asked so), "plain" (always), "" (never)."""

    def __init__(self, continues: str = "", key: str = "", strict: bool = False) -> None:
        self.continues = continues
        self.key = key
        self.strict = strict


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, port: int, options: Options) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.options = options
        self.times: Counter[str] = Counter()
        self.seen: list[dict[str, Any]] = []
        self.lock = threading.Lock()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_GET(self) -> None:
        if self.path == "/seen":
            return self._answer(200, {"seen": self.server.seen})
        if not self._allowed():
            return None
        return self._answer(200, {"object": "list", "data": [{"id": "bad", "object": "model"}]})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.asked: dict[str, Any] = {**body, "closed": False}
        self.server.seen.append(self.asked)
        if not self._allowed():
            return None
        if body["model"] != "bad":
            return self._answer(404, {"error": {"message": "no such model"}})
        flags = {"continue_final_message", "add_generation_prompt"}
        known = KNOWN | (flags if self.server.options.continues == "flags" else set())
        if self.server.options.strict and (more := body.keys() - known):
            return self._answer(422, {"detail": f"Unexpected fields: {sorted(more)}"})
        return self._act(body)

    def _act(self, body: dict[str, Any]) -> None:
        asked = [m["content"] for m in body["messages"] if m["role"] == "user"][-1]
        word, number, most = [*asked.split(), "", ""][:3]
        with self.server.lock:
            self.server.times[asked] += 1
            times = self.server.times[asked]
        if most.isdigit() and times > int(most):
            word = "well"
        at = int(number) if number.isdigit() else 5
        continued = self._continued(body)
        if not body.get("stream"):
            marks = 0 if continued is not None else MARKS
            read = sum(len(m["content"].split()) + MARKS for m in body["messages"]) + marks
            return self._answer(200, self._whole(read))
        if word == "refuse":
            return self._answer(at, {"error": {"message": "refused"}})
        if word == "busy":
            return self._answer(429, {"error": {"message": "slow down"}}, {"Retry-After": "0.2"})
        if word == "long" and len(body["messages"]) > LONGEST_CHAT:
            error = {"message": "maximum context length is 9 tokens", "type": "BadRequest"}
            return self._answer(400, {"error": error})
        return self._stream(word, at, continued or "", body)

    def _stream(self, word: str, at: int, begun: str, body: dict[str, Any]) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        try:
            self._speak(word, at, begun, body)
        except OSError:
            self.asked["closed"] = True
        except _Over:
            pass

    def _speak(self, word: str, at: int, begun: str, body: dict[str, Any]) -> None:
        self._chunk({"role": "assistant"})
        if word == "flood":
            while True:
                self._chunk({"content": "flood " * 1_000})
        if word == "think":
            for thought in ("Let ", "me ", "see."):
                self._chunk({REASONING[at % 2]: thought})
        if word == "unsound":
            self._chunk({"content": "a\x00b\ud800c"})
        if word == "mark":
            for part in ("<thi", "nk>Let me", " see.</th", "ink>"):
                self._chunk({"content": part})
        asked = body["messages"][-1]["content"]
        story = " 1 2 three" if word == "differ" and self.server.times[asked] > 1 else STORY
        left = story[len(begun) :] if story.startswith(begun) else story
        tokens = [f" {token}" for token in left.split(" ")[1:]][: body.get("max_tokens", 40)]
        for index, token in enumerate(tokens):
            if index == at:
                self._misbehave(word)
            self._chunk({"content": token})
        length = len(tokens) < len(left.split())
        reason = "content_filter" if word == "filter" else "length" if length else "stop"
        self._chunk({}, reason)
        self.wfile.write(b"data: [DONE]\n\n")

    def _misbehave(self, word: str) -> None:
        match word:
            case "cut":
                linger = struct.pack("ii", 1, 0)
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                self.connection.close()
                raise _Over
            case "quiet" | "differ":  # the stream ends as if all were well, only without an end
                raise _Over
            case "die":
                os._exit(1)
            case "stall":
                self._wait(60)
            case "slow":
                self._wait(0.05)
            case "garble":
                self.wfile.write(b"data: {nonsense\n\n")
            case "error":
                self.wfile.write(b'data: {"error": {"message": "it broke"}}\n\n')

    def _wait(self, seconds: float) -> None:
        """Wait, but notice when the reader goes."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            self.wfile.write(b": still here\n\n")
            self.wfile.flush()
            time.sleep(0.02)

    def _chunk(self, delta: dict[str, Any], reason: str | None = None) -> None:
        choice = {"index": 0, "delta": delta, "finish_reason": reason}
        chunk = {"id": "1", "object": "chat.completion.chunk", "created": 0, "model": "bad"}
        self.wfile.write(f"data: {json.dumps({**chunk, 'choices': [choice]})}\n\n".encode())
        self.wfile.flush()

    def _continued(self, body: dict[str, Any]) -> str | None:
        """The answer that was begun, if this server goes on with it."""
        last = body["messages"][-1]
        if last["role"] != "assistant":
            return None
        how = self.server.options.continues
        asked = body.get("continue_final_message", False)
        return last["content"] if how == "plain" or (how == "flags" and asked) else None

    def _whole(self, read: int) -> dict[str, Any]:
        message = {"role": "assistant", "content": "a"}
        usage = {"prompt_tokens": read, "completion_tokens": 1, "total_tokens": read + 1}
        choice = {"index": 0, "message": message, "finish_reason": "length"}
        made = {"id": "1", "object": "chat.completion", "created": 0, "model": "bad"}
        return {**made, "choices": [choice], "usage": usage}

    def _allowed(self) -> bool:
        if self.path.startswith("/loading/"):  # as a server whose model is not there yet
            self._answer(503, {"error": {"message": "Loading model"}})
            return False
        key = self.server.options.key
        if key and self.headers.get("Authorization") != f"Bearer {key}":
            self._answer(401, {"error": {"message": "wrong key"}})
            return False
        return True

    def _answer(
        self, status: int, body: dict[str, Any], headers: dict[str, str] | None = None
    ) -> None:
        encoded = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(encoded)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(encoded)


if __name__ == "__main__":
    Server(int(sys.argv[1]), Options(**json.loads(sys.argv[2]))).serve_forever()
