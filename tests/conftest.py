"""Real servers for every test: the ones of MONGODB_URI and REDIS_URL, else embedded ones on free ports."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing

import pytest
import redis

from tests.tools import FfmpegTools
from videoflix.embedded import binaries, processes, servers


@pytest.fixture(scope="session")
def ffmpeg_tools() -> FfmpegTools:
    """The same ffmpeg and ffprobe that the worker would use."""
    return FfmpegTools(*binaries.ffmpeg_tools())


@pytest.fixture(scope="session")
def redis_server_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    if given := os.environ.get("REDIS_URL"):
        yield given
        return
    with processes.running(servers.redis(tmp_path_factory.mktemp("redis"))) as server:
        yield server.url


@pytest.fixture
def redis_url(redis_server_url: str) -> str:
    """An empty database of a real Redis."""
    with closing(redis.Redis.from_url(redis_server_url)) as client:
        client.flushdb()
    return redis_server_url


@pytest.fixture(scope="session")
def mongodb_uri(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real database server; every test takes a database name of its own."""
    if given := os.environ.get("MONGODB_URI"):
        yield given
        return
    with processes.running(servers.database(tmp_path_factory.mktemp("database"))) as server:
        yield server.url
