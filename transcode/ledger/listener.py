"""A subscription to Redis channels that detects dead connections and reconnects."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import structlog
from redis.asyncio import Redis
from redis.asyncio.client import PubSub
from redis.exceptions import RedisError

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class ListenerTiming:
    """How a listener detects a dead connection and how it reconnects. All times are in seconds."""

    ping_interval_s: float  # a ping is sent after this long without a message or an answer
    max_unanswered_pings: int  # then the connection is given up: counted, because this process may have been paused
    min_reconnect_delay_s: float
    max_reconnect_delay_s: float  # the delay doubles with every failure


class RedisListener:
    """Passes messages of some channels to `on_message(channel, data)`.

    Redis keeps no messages for a subscriber that is not connected. So `on_subscribed` is called after every
    connection, and must find out what was missed. The client should not reconnect by itself, because that would hide
    a gap. If a callback raises, the error is logged and the listener reconnects.
    """

    def __init__(
        self,
        client: Redis,
        channels: tuple[str, ...],
        on_message: Callable[[str, str], Awaitable[None]],
        on_subscribed: Callable[[], Awaitable[None]],
        timing: ListenerTiming,
    ) -> None:
        self._client = client
        self._channels = channels
        self._on_message = on_message
        self._on_subscribed = on_subscribed
        self._timing = timing
        self.connected = asyncio.Event()
        self.last_alive_at = float("-inf")  # when Redis last answered, by time.monotonic(); -inf while disconnected

    async def run(self) -> None:
        """Listen until cancelled."""
        delay_s = self._timing.min_reconnect_delay_s
        while True:
            try:
                async with self._client.pubsub() as pubsub:
                    await pubsub.subscribe(*self._channels)
                    delay_s = self._timing.min_reconnect_delay_s
                    await self._listen(pubsub)
            except (RedisError, OSError) as error:
                _log.warning("subscription_lost", channels=self._channels, error=str(error))
            except Exception:  # without this, the process would never receive a message again
                _log.exception("subscription_failed", channels=self._channels)
            self.connected.clear()
            self.last_alive_at = float("-inf")
            await asyncio.sleep(delay_s)
            delay_s = min(delay_s * 2, self._timing.max_reconnect_delay_s)

    async def _listen(self, pubsub: PubSub) -> None:
        """Raises TimeoutError if the connection is dead, as after a power cut of the server."""
        unanswered_pings = 0
        while True:
            message = await pubsub.get_message(timeout=self._timing.ping_interval_s)
            if message is None:
                if unanswered_pings == self._timing.max_unanswered_pings:
                    raise TimeoutError("Redis does not answer")
                unanswered_pings += 1
                async with asyncio.timeout(self._timing.ping_interval_s):
                    await pubsub.ping()
                continue
            unanswered_pings = 0
            received_at = time.monotonic()
            if message["type"] == "message":
                await self._on_message(_decode(message["channel"]), _decode(message["data"]))
            elif message["type"] == "subscribe" and message["data"] == len(self._channels):
                await self._on_subscribed()
                self.connected.set()
            self.last_alive_at = received_at  # only now, when everything that was sent before has been processed


def _decode(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value
