"""How many of the project's frames lie between a segment's handler and Redis, when the segment must be encoded."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from redis.asyncio import Redis

from tests.http.test_media_delivery import LATE, add_incomplete_video
from tests.support.call_chain import frames_of_request
from tests.support.http_client import HttpClient
from tests.support.videos import VideoLibrary
from tests.support.waiting import wait_until
from videoflix.services import Services

ENTRY = "handlers/media/handler.py:get"
MAX_FRAMES = 8
MAX_HANDLER_FRAMES = 1


async def request_chain(
    admin: HttpClient, library: VideoLibrary, services: Services, monkeypatch: pytest.MonkeyPatch
) -> Sequence[str]:
    """Return the project's frames when the script is called that requests a missing segment."""
    await add_incomplete_video(library, services)
    assert (await admin.get("/healthz")).status == 200
    earlier_tasks = asyncio.all_tasks()
    chains: list[Sequence[str]] = []
    execute = Redis.execute_command

    def record(self: Redis, *args: Any, **options: Any) -> Any:
        if args[0] == "EVALSHA" and "segment:480p" in str(args):
            chains.append(frames_of_request(asyncio.all_tasks() - earlier_tasks, ENTRY))
        return execute(self, *args, **options)

    with monkeypatch.context() as patch:
        patch.setattr(Redis, "execute_command", record)
        request = asyncio.ensure_future(admin.get(LATE))
        await wait_until(lambda: bool(chains))
        request.cancel()
    assert chains[0][0] == ENTRY
    return chains[0]


async def test_a_handler_adds_one_frame(
    admin: HttpClient, library: VideoLibrary, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    chain = await request_chain(admin, library, services, monkeypatch)
    assert len([frame for frame in chain if frame.startswith("handlers/")]) <= MAX_HANDLER_FRAMES


async def test_few_frames_lie_between_the_handler_and_redis(
    admin: HttpClient, library: VideoLibrary, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    chain = await request_chain(admin, library, services, monkeypatch)
    assert len(chain) <= MAX_FRAMES, chain
