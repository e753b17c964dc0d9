"""Messages between processes: one subscription with callbacks. Nothing depends on a message being delivered.

Redis keeps no messages for a subscriber that is not connected, so after every (re)connection the callbacks of
`on_connect` are called: messages may have been missed.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass

from redis.asyncio import Redis

from transcode.ledger.listener import ListenerTiming, RedisListener
from transcode.timing import Timing

CHANNELS = ("wake", "segment", "film")
_MAX_UNANSWERED_PINGS = 2


@dataclass(frozen=True, slots=True)
class SegmentNotification:
    """An on-demand segment is published, or cannot be made."""

    video_id: int
    rendition: str
    number: int
    ok: bool
    error: str


class LedgerSubscription:
    """Callbacks for messages of the ledger. They run on the event loop and must be quick."""

    def __init__(self, client: Redis, prefix: str, timing: Timing) -> None:
        self._prefix = prefix
        self._listener = RedisListener(
            client,
            tuple(prefix + name for name in CHANNELS),
            self._on_message,
            self._on_subscribed,
            ListenerTiming(
                ping_interval_s=timing.poll_interval_s,
                max_unanswered_pings=_MAX_UNANSWERED_PINGS,
                min_reconnect_delay_s=timing.min_reconnect_delay_s,
                max_reconnect_delay_s=timing.max_reconnect_delay_s,
            ),
        )
        self.on_wake: list[Callable[[str], None]] = []
        self.on_segment: list[Callable[[SegmentNotification], None]] = []
        self.on_video: list[Callable[[int], None]] = []
        self.on_connect: list[Callable[[], None]] = []

    @property
    def connected(self) -> asyncio.Event:
        """Set while messages are received."""
        return self._listener.connected

    async def run(self) -> None:
        """Listen until cancelled."""
        await self._listener.run()

    async def _on_subscribed(self) -> None:
        for callback in self.on_connect:
            callback()

    async def _on_message(self, channel: str, data: str) -> None:
        name = channel.removeprefix(self._prefix)
        if name == "wake":
            for on_wake in self.on_wake:
                on_wake(data)
        elif name == "film":
            for on_video in self.on_video:
                on_video(int(data))
        else:
            fields = json.loads(data)
            notification = SegmentNotification(fields.pop("film"), **fields)
            for on_segment in self.on_segment:
                on_segment(notification)
