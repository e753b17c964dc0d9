"""A ledger on a real Redis, a catalogue on SQLite that several processes share, and workers as processes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from redis.asyncio import Redis

from transcode.ledger import Ledger
from transcode.times import Times

QUICK = Times(
    lease=2.0, heartbeat=0.2, reap=0.3, poll=1.0, reconcile=0.5, backoff=0.05, backoff_max=0.2, stall=3.0,
    room=0.2, away_first=0.05, away_most=0.3, wait_segment=5.0, interest=3.0, look=0.3, dead_segment=1.0,
)  # fmt: skip


@asynccontextmanager
async def open_ledger(url: str, times: Times = QUICK) -> AsyncIterator[Ledger]:
    async with Redis.from_url(url) as client:
        yield Ledger(client, times=times)
