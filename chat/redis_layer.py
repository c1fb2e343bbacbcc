"""The channel layer over Redis, made to outlive it: channels-redis' own, with a connection of ours.

Channels' own holds one lock while it waits for Redis, so one subscription that hangs stops every
event, and a socket cannot even close while Redis is away. Here joining a group only says what is
wanted; one task keeps Redis told of it, over as many connections as that takes. What is published
in between is lost, as any event may be: the healing rules of docs/protocol.md find it. Knows
nothing of what the events mean.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections.abc import Iterable
from typing import Any

from channels_redis.pubsub import RedisPubSubChannelLayer, RedisPubSubLoopLayer
from channels_redis.utils import create_pool, decode_hosts
from redis.asyncio import Redis
from redis.asyncio.client import PubSub
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

log = logging.getLogger(__name__)

CAPACITY = 1_000
"""Events that wait for one socket; what comes beyond is dropped. A reader so far behind is shown
the whole again anyway, and a handler that hangs must not fill the memory."""

ANSWER_SECONDS = 3.0
"""Redis is away if it does not take a command within this."""

QUIET_SECONDS = 5.0
"""After this much silence Redis is asked for a sign of life; after as much again it is away."""

AGAIN_SECONDS = (0.1, 2.0)
"""The first and the longest pause before Redis is called again."""

AWAY = (RedisError, OSError, TimeoutError)


class RedisLayer(RedisPubSubChannelLayer):
    """One for each process; each of its event loops has connections of its own."""

    @property
    def returns(self) -> int:
        """How often Redis came back to this process; what was told meanwhile is lost."""
        return sum(line.returns for line in self._lines)

    @property
    def away(self) -> bool:
        """Whether this process listens, and Redis is away."""
        return any(line.away for line in self._lines)

    @property
    def _lines(self) -> list[_Line]:
        return [line for layer in list(self._layers.values()) for line in layer._shards]

    def _get_layer(self) -> _LoopLayer:
        loop = asyncio.get_running_loop()
        if loop not in self._layers:
            super()._get_layer()  # has the loop close our connections when it closes
            self._layers[loop] = _LoopLayer(*self._args, **self._kwargs, channel_layer=self)
        layer: _LoopLayer = self._layers[loop]
        return layer

    async def group_send_all(self, messages: Iterable[tuple[str, dict[str, Any]]]) -> None:
        """Send each message to its group, in this order and in one exchange."""
        await self._get_layer().group_send_all(messages)


class _LoopLayer(RedisPubSubLoopLayer):
    """The layer of one event loop."""

    def __init__(self, **kwargs: Any) -> None:
        hosts = kwargs.pop("hosts")
        super().__init__(hosts=[], **kwargs)
        self._shards: list[_Line] = [_Line(host, self) for host in decode_hosts(hosts)]

    async def _subscribe_to_channel(self, channel: str) -> None:
        self.channels[channel] = asyncio.Queue(CAPACITY)
        await self._get_shard(channel).subscribe(channel)

    async def group_send(self, group: str, message: dict[str, Any]) -> None:
        await self.group_send_all([(group, message)])

    async def group_send_all(self, messages: Iterable[tuple[str, dict[str, Any]]]) -> None:
        packed: dict[_Line, list[tuple[str, bytes]]] = {}
        for group, message in messages:
            name = self._get_group_channel_name(group)
            serialized = self.channel_layer.serialize(message)
            packed.setdefault(self._get_shard(name), []).append((name, serialized))
        for line, pairs in packed.items():
            await line.publish_all(pairs)

    def take(self, name: str, data: bytes) -> None:
        """Redis published something: put it before whoever waits for it."""
        for channel in (name,) if name in self.channels else self.groups.get(name, ()):
            queue = self.channels.get(channel)
            if queue is not None and not queue.full():
                queue.put_nowait(data)


class _Line:
    """The connections to one Redis: one that listens, and a pool that publishes."""

    def __init__(self, host: dict[str, Any], layer: _LoopLayer) -> None:
        self._host = {"socket_connect_timeout": ANSWER_SECONDS, **host}
        self._layer = layer
        self._wanted: set[str] = set()
        self._publisher: Redis | None = None
        self._pubsub: PubSub | None = None
        """Where subscriptions go; None while Redis does not listen to us."""
        self._unheard = False
        """A subscription did not get through: all of them are said again."""
        self.away = False
        self.returns = 0
        self._confirmed: set[str] = set()
        self._unconfirmed: dict[str, asyncio.Event] = {}
        """Subscriptions that somebody waits for; set when Redis confirms them or is away."""
        self._writing = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None

    def _client(self, retries: int) -> Redis:
        pool = create_pool({"retry": Retry(NoBackoff(), retries), **self._host})
        return Redis(connection_pool=pool)

    # -- what the layer asks for -----------------------------------------------------------------

    async def publish(self, channel: str, message: bytes) -> None:
        await self.publish_all([(channel, message)])

    async def publish_all(self, messages: Iterable[tuple[str, bytes]]) -> None:
        """Raises what Redis raises; how long that may take is the caller's to say."""
        if self._publisher is None:
            self._publisher = self._client(retries=1)  # a connection gone stale is made anew
        async with self._publisher.pipeline(transaction=False) as pipeline:
            for channel, message in messages:
                pipeline.publish(channel, message)
            await pipeline.execute()

    async def subscribe(self, channel: str) -> None:
        """Hear of this channel: from when this returns, or while Redis is away from its return.

        Waiting matters: whoever looks at the rows next must not miss what is told after that.
        """
        if channel not in self._wanted:
            self._wanted.add(channel)
            if self._task is None or self._task.done():
                self._task = asyncio.create_task(self._keep_listening(), name="redis listener")
            await self._tell("subscribe", channel)
        if channel not in self._confirmed and not self.away:
            confirmed = self._unconfirmed.setdefault(channel, asyncio.Event())
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(ANSWER_SECONDS):
                    await confirmed.wait()

    async def unsubscribe(self, channel: str) -> None:
        if channel in self._wanted:
            self._wanted.discard(channel)
            self._confirmed.discard(channel)
            await self._tell("unsubscribe", channel)

    async def flush(self) -> None:
        """Forget everything and close all connections."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])
        client, self._publisher = self._publisher, None
        if client is not None:
            await client.aclose(close_connection_pool=True)
        self._wanted.clear()

    async def _tell(self, command: str, channel: str) -> None:
        """Say what is wanted. While nobody listens there is nobody to tell."""
        if self._pubsub is None:
            return
        try:
            async with asyncio.timeout(ANSWER_SECONDS), self._writing:
                if self._pubsub is not None:
                    await getattr(self._pubsub, command)(channel)
        except AWAY:
            self._unheard = True

    # -- the task that listens -------------------------------------------------------------------

    async def _keep_listening(self) -> None:
        client = self._client(retries=0)  # a connection that broke must begin here, not by itself
        try:
            await self._listen_again_and_again(client)
        finally:
            await client.aclose(close_connection_pool=True)

    async def _listen_again_and_again(self, client: Redis) -> None:
        shortest, longest = AGAIN_SECONDS
        pause = shortest
        while True:
            pubsub = client.pubsub()
            try:
                await self._begin(pubsub)
                pause = shortest
                await self._listen(pubsub)
            except AWAY as error:
                if not self.away:
                    log.warning("Redis is away, events are lost until it is back: %s", error)
                self.away = True
            except Exception:
                log.exception("the Redis listener failed; it begins again")
            finally:
                self._pubsub = None
                self._confirmed.clear()
                for waited in self._unconfirmed.values():
                    waited.set()
                self._unconfirmed.clear()
                with contextlib.suppress(Exception):  # whatever is wrong with the old one
                    async with asyncio.timeout(ANSWER_SECONDS):
                        await pubsub.aclose()  # type: ignore[no-untyped-call]
            await asyncio.sleep(pause * (0.5 + random.random()))  # not all processes at once
            pause = min(2 * pause, longest)

    async def _begin(self, pubsub: PubSub) -> None:
        """Subscribe to all that is wanted, also to what comes to be wanted meanwhile."""
        self._unheard = False
        # A name that nobody publishes to, so that there is always something to listen to.
        told, fresh = set[str](), {f"{self._layer.prefix}__listening__", *self._wanted}
        while fresh:
            async with asyncio.timeout(ANSWER_SECONDS):
                await pubsub.subscribe(*fresh)
            told |= fresh
            fresh = self._wanted - told
        self._pubsub = pubsub
        if self.away:
            log.warning("Redis is back")
            self.returns += 1
        self.away = False

    async def _listen(self, pubsub: PubSub) -> None:
        asked = False
        while not self._unheard:
            async with asyncio.timeout(QUIET_SECONDS + ANSWER_SECONDS):
                message = await pubsub.get_message(timeout=QUIET_SECONDS)
            if message is not None:
                asked = False
                self._take(message)
            elif asked:
                raise TimeoutError(f"no sign of life for {2 * QUIET_SECONDS:.0f} s")
            else:
                asked = True
                async with asyncio.timeout(ANSWER_SECONDS), self._writing:
                    await pubsub.ping()

    def _take(self, message: dict[str, Any]) -> None:
        if message["type"] == "message":
            self._layer.take(message["channel"].decode(), message["data"])
        elif message["type"] == "subscribe":
            name = message["channel"].decode()
            if name in self._wanted:
                self._confirmed.add(name)
            if (waited := self._unconfirmed.pop(name, None)) is not None:
                waited.set()
