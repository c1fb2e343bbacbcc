"""A server with OpenAI's interface, which runs the model: what it has, knows and refuses.

Knows neither tasks nor replies. Its answers' texts never reach a log.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any, TypeVar, cast
from urllib.parse import urlsplit

os.environ.pop("OPENAI_LOG", None)  # it would make the client log whole prompts

import httpx2
import openai
from openai.types.chat import ChatCompletionChunk, ChatCompletionMessageParam

from .base import EngineDead, Sampling
from .spec import OpenAISpec
from .troubles import Cure, Trouble, trouble_of

OPTIONAL = frozenset({"temperature", "top_p", "top_k", "seed", "stop", "stream_options"})
OPTIONAL |= {"repetition_penalty", "repeat_penalty", "max_tokens", "max_completion_tokens"}
"""Parameters that a request can do without."""
FLAGS = {"continue_final_message": True, "add_generation_prompt": False}
"""How vLLM and SGLang are asked to continue a final assistant message; others just do it."""
_ALIVE_SECONDS = 10.0  # a server that cannot list its models in that time is not there
_SEEDS = 2**31  # what every server can read as a seed
_UNSOUND = re.compile("[\x00\ud800-\udfff]")
_PAUSES = (0.1, 0.5, 2.0)  # seconds between the questions of a trial
_MOST_TRIES = len(OPTIONAL) + 1


T = TypeVar("T")


class Upstream:
    """One server and one model of it. `unknown` are the parameters that it refuses."""

    def __init__(self, spec: OpenAISpec, slots: int) -> None:
        for name in ("openai", "httpx2", "httpcore2"):
            logging.getLogger(name).setLevel(logging.CRITICAL)
        self._spec = spec
        self.place = urlsplit(spec.url).netloc.rpartition("@")[2] or spec.url[:60]
        self.model = ""
        self.window = 0
        self.unknown: frozenset[str] = frozenset()
        self.heard = 0.0  # when anything was last streamed, by the monotonic clock
        self._client = openai.AsyncOpenAI(
            base_url=spec.url,
            api_key=spec.key or "none",
            max_retries=0,
            timeout=httpx2.Timeout(None, connect=spec.connect),
            http_client=openai.DefaultAsyncHttpxClient(
                limits=httpx2.Limits(max_connections=slots + 4, max_keepalive_connections=slots)
            ),
        )

    # -- asking -------------------------------------------------------------------------------

    def parameters(self, sampling: Sampling, tokens: int) -> dict[str, Any]:
        """How a reply of `tokens` tokens is drawn, in the words that this server knows."""
        wanted: dict[str, Any] = {
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "seed": sampling.seed % _SEEDS,
            "max_tokens": tokens,
            "stream_options": {"include_usage": True},
        }
        if sampling.top_k:
            wanted["top_k"] = sampling.top_k
        if sampling.repetition_penalty != 1.0:
            # vLLM's name for it, and llama.cpp's
            wanted["repetition_penalty"] = sampling.repetition_penalty
            wanted["repeat_penalty"] = sampling.repetition_penalty
        if sampling.stop:
            wanted["stop"] = list(sampling.stop)
        return self.without(wanted, self.unknown)

    @staticmethod
    def without(wanted: dict[str, Any], unknown: frozenset[str]) -> dict[str, Any]:
        """The parameters but for those unknown; the length has a second name."""
        left = {name: value for name, value in wanted.items() if name not in unknown}
        renamed = "max_tokens" in wanted and "max_tokens" in unknown
        if renamed and "max_completion_tokens" not in unknown:
            left["max_completion_tokens"] = wanted["max_tokens"]
        return left

    async def stream(
        self, messages: list[dict[str, Any]], parameters: dict[str, Any]
    ) -> AsyncGenerator[ChatCompletionChunk, None]:
        """The chunks of a reply. Raises Trouble; closing it closes the connection."""
        asked = OPTIONAL & parameters.keys()
        seconds = self._spec.first
        chunks: openai.AsyncStream[ChatCompletionChunk] | None = None
        try:
            async with asyncio.timeout(seconds) as patience:
                chunks = await self._open(messages, parameters)
                async for chunk in chunks:
                    self.heard = time.monotonic()
                    patience.reschedule(None)
                    yield chunk
                    if any(said(chunk)):
                        seconds = self._spec.between
                    patience.reschedule(asyncio.get_running_loop().time() + seconds)
        except TimeoutError:
            raise Trouble("upstream_stalled", Cure.LOOK, seconds=seconds) from None
        except (openai.OpenAIError, httpx2.HTTPError, ValueError, TypeError) as error:
            raise trouble_of(error, asked) from None
        finally:
            if chunks is not None:
                await chunks.close()

    async def _open(
        self, messages: list[dict[str, Any]], parameters: dict[str, Any]
    ) -> openai.AsyncStream[ChatCompletionChunk]:
        return await self._client.chat.completions.create(
            model=self.model,
            messages=cast("list[ChatCompletionMessageParam]", messages),
            stream=True,
            extra_body=parameters,
        )

    async def alive(self, stood: float) -> bool:
        """Whether the server is there: it answers a question, or has streamed something to others
        in the last `stood` seconds, in which one stream stood still."""
        if stood and self.heard > time.monotonic() - stood:
            return True
        try:
            async with asyncio.timeout(_ALIVE_SECONDS):
                await self._client.models.list()
        except openai.APIStatusError as error:
            return error.status_code not in (502, 503, 504)
        except (openai.OpenAIError, httpx2.HTTPError, TimeoutError):
            return False
        except (ValueError, TypeError):
            pass  # it said something
        return True

    # -- getting to know it -------------------------------------------------------------------

    async def choose_model(self, wanted: str) -> None:
        """The wanted model, or the only one there is. Raises EngineDead with the cause."""
        listed: dict[str, int] = {}
        try:
            async with asyncio.timeout(max(_ALIVE_SECONDS, self._spec.connect)):
                for model in (await self._client.models.list()).data:
                    window = getattr(model, "max_model_len", None)
                    listed[model.id] = window if isinstance(window, int) else 0
        except openai.APIConnectionError:
            raise EngineDead("upstream_away", server=self.place) from None
        except openai.APIStatusError as error:
            if error.status_code in (401, 403):
                raise EngineDead("upstream_key", server=self.place) from None
            if error.status_code in (502, 503, 504):  # it is still loading, or not there yet
                raise self._dead(trouble_of(error)) from None
        except TimeoutError:
            raise EngineDead("upstream_away", server=self.place) from None
        except (openai.OpenAIError, httpx2.HTTPError, ValueError, TypeError, AttributeError):
            pass  # a server need not list what it has; the trial will tell
        if not wanted and len(listed) != 1:
            raise EngineDead("upstream_unnamed", server=self.place, models=len(listed))
        self.model = wanted or next(iter(listed))
        self.window = listed.get(self.model, 0)

    async def learn(self) -> None:
        """Ask for one token with every parameter, and leave out what it refuses.

        Raises EngineDead if it cannot be asked at all.
        """
        tries = 0
        while True:
            tries += 1
            try:
                return await insist(self.try_out)
            except Trouble as trouble:
                new = trouble.names - self.unknown
                if not new and trouble.detail.get("status") in (400, 422):
                    new = OPTIONAL - {"max_tokens"} - self.unknown  # which one, it does not say
                if not new or tries > _MOST_TRIES:
                    raise self._dead(trouble) from None
                self.unknown |= new

    async def try_out(self) -> None:
        """One token of nothing. Raises Trouble."""
        spec = self._spec
        trial = Sampling(spec.temperature, 40, spec.top_p, 1.01, 1, seed=1, stop=("\n\n\n\n",))
        messages = [{"role": "user", "content": "Hello"}]
        async for _ in self.stream(messages, self.parameters(trial, 1)):
            pass

    async def check(self) -> None:
        """Whether it refuses everybody: then raises EngineDead with the cause."""
        try:
            await self.try_out()
        except Trouble as trouble:
            out = trouble.detail.get("status") in (401, 403, 404, 503)
            if out or not trouble.reached:
                raise self._dead(trouble) from None

    def _dead(self, trouble: Trouble) -> EngineDead:
        status = trouble.detail.get("status", 0)
        if status in (401, 403):
            return EngineDead("upstream_key", server=self.place)
        if status == 404:
            return EngineDead("upstream_no_model", server=self.place, model=self.model)
        if not trouble.reached:
            return EngineDead("upstream_away", server=self.place)
        return EngineDead("upstream_unfit", server=self.place, status=status or trouble.reason)

    async def prompt_length(self, begun: str, extra: dict[str, Any]) -> int:
        """Tokens that the server reads for a chat whose answer has begun; 0 if it does not say.

        Raises Trouble.
        """
        messages = [{"role": "user", "content": "Hello"}]
        messages += [{"role": "assistant", "content": begun}] if begun else []
        length = self.without({"max_tokens": 1}, self.unknown)
        try:
            async with asyncio.timeout(self._spec.first):
                done = await self._client.chat.completions.create(
                    model=self.model,
                    messages=cast("list[ChatCompletionMessageParam]", messages),
                    extra_body=length | extra,
                )
        except TimeoutError:
            raise Trouble("upstream_stalled", Cure.LOOK, seconds=self._spec.first) from None
        except (openai.OpenAIError, httpx2.HTTPError, ValueError, TypeError) as error:
            raise trouble_of(error) from None
        return done.usage.prompt_tokens if done.usage is not None else 0

    async def close(self) -> None:
        """Close all connections."""
        await self._client.close()


async def insist(ask: Callable[[], Awaitable[T]]) -> T:
    """Ask until there is an answer: a stale connection or a busy moment must not decide a trial.

    Raises Trouble, at once if asking again cannot help.
    """
    for pause in _PAUSES:
        try:
            return await ask()
        except Trouble as trouble:
            if trouble.cure not in (Cure.LOOK, Cure.WAIT) or not trouble.reached:
                raise
            await asyncio.sleep(pause)
    return await ask()


def said(chunk: ChatCompletionChunk) -> tuple[str, str]:
    """What a chunk adds to the reasoning, and to the answer."""
    if not chunk.choices:
        return "", ""
    delta = chunk.choices[0].delta
    more = delta.model_extra or {}
    thought = more.get("reasoning_content") or more.get("reasoning") or ""
    answer = delta.content or delta.refusal or ""
    return _sound(thought), _sound(answer)


def _sound(text: object) -> str:
    """Text that can be stored and sent: JSON can carry what neither UTF-8 nor databases can."""
    return _UNSOUND.sub("\N{REPLACEMENT CHARACTER}", text) if isinstance(text, str) else ""
