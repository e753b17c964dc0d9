"""Messages between processes: one subscription, callbacks, and no message that anyone depends on.

Redis keeps no message for who is not listening, so after every (re)connection the callbacks of
`on_gap` are told that something may have been missed.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable
from dataclasses import dataclass

from redis.asyncio import Redis
from redis.asyncio.client import PubSub
from redis.exceptions import RedisError

from transcode.timing import Timing

log = logging.getLogger(__name__)

CHANNELS = ("wake", "segment", "film")
_MAX_SILENT_POLLS = 3  # times that nothing came, no answer either: then the connection leads nowhere


@dataclass(frozen=True, slots=True)
class SegmentNotification:
    """An interactive segment is there, or cannot be made."""

    video_id: int
    rendition: str
    number: int
    ok: bool
    error: str


class LedgerSubscription:
    """Callbacks run on the event loop and must be quick. `run()` ends only by being cancelled."""

    def __init__(self, client: Redis, prefix: str, timing: Timing) -> None:
        self._client = client
        self._prefix = prefix
        self._timing = timing
        self.connected = asyncio.Event()
        self.on_wake: list[Callable[[str], None]] = []
        self.on_segment: list[Callable[[SegmentNotification], None]] = []
        self.on_video: list[Callable[[int], None]] = []
        self.on_connect: list[Callable[[], None]] = []

    async def run(self) -> None:
        """Listen for ever; reconnects with growing pauses."""
        pause = self._timing.min_reconnect_delay_s
        while True:
            try:
                async with self._client.pubsub() as subscription:
                    await subscription.subscribe(*(self._prefix + name for name in CHANNELS))
                    pause = self._timing.min_reconnect_delay_s
                    await self._listen(subscription)
            except (RedisError, OSError) as error:
                log.warning("notices_away: %s", error)
            except Exception:  # without it nobody would hear anything for the rest of this process's life
                log.exception("notices_stumble")
            self.connected.clear()
            await asyncio.sleep(pause)
            pause = min(pause * 2, self._timing.max_reconnect_delay_s)

    async def _listen(self, pubsub: PubSub) -> None:
        """Raises TimeoutError when the other side is gone without a word, as after a power cut."""
        silent = 0
        while silent < _MAX_SILENT_POLLS:
            message = await pubsub.get_message(timeout=self._timing.poll_interval_s)
            if message is None:
                silent += 1
                await pubsub.ping()
                continue
            silent = 0
            if message["type"] == "message":
                self._dispatch(_decode(message["channel"]).removeprefix(self._prefix), _decode(message["data"]))
            elif message["type"] == "subscribe" and message["data"] == len(CHANNELS):
                self._on_subscribed()
        raise TimeoutError("no answer")

    def _on_subscribed(self) -> None:
        self.connected.set()
        for missed in self.on_connect:
            missed()

    def _dispatch(self, channel: str, data: str) -> None:
        if channel == "wake":
            for wake in self.on_wake:
                wake(data)
        elif channel == "film":
            for changed in self.on_video:
                changed(int(data))
        else:
            fields = json.loads(data)
            notice = SegmentNotification(fields.pop("film"), **fields)
            for ready in self.on_segment:
                ready(notice)


def _decode(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value
