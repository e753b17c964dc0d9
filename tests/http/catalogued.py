"""Films in the database without the work that makes them: what lists, search and viewing are tested with."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from typing import Any

from videoflix.models import ListedVideo, Video, VideoStatus

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)


def film(number: int, title: str = "", **given: Any) -> Video:
    """A playable film of 100 s; the higher its number the newer it is."""
    usual = {
        "title": title or f"Film {number}",
        "created_at": EPOCH + timedelta(hours=number),
        "source": f"videos/{number}.mp4",
        "status": VideoStatus.READY,
        "timeline": {"version": 1},
        "renditions": ("480p",),
        "segments": 25,
        "duration": 100.0,
    }
    return Video(id=number, **{**usual, **given})


def listed(number: int, title: str) -> ListedVideo:
    """The same, as lists know it."""
    video = film(number, title)
    return ListedVideo(**{field.name: getattr(video, field.name) for field in fields(ListedVideo)})


async def until(holds: Callable[[], Awaitable[bool]], seconds: float = 10) -> float:
    """Wait, looking often; the seconds that it took."""
    begun = time.monotonic()
    while not await holds():
        assert time.monotonic() < begun + seconds, "it never came true"
        await asyncio.sleep(0.01)
    return time.monotonic() - begun
