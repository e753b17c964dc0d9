"""Real servers for every test: the ones of MONGODB_URI and REDIS_URL, else embedded ones on free ports."""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from inspect import iscoroutinefunction
from pathlib import Path
from typing import Any

import hypothesis
import pymongo
import pytest
import redis
from pymongo.database import Database
from tornado.ioloop import IOLoop
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling

from tests.support.event_loop import RunAsync
from transcode.ffmpeg.binaries import FfmpegBinaries
from videoflix import logs
from videoflix.embedded import binaries, processes, servers
from videoflix.settings import Settings, load_settings

logs.configure_structlog()

# How long an example takes says nothing on a machine that is busy with other tests.
hypothesis.settings.register_profile("videoflix", deadline=None)
hypothesis.settings.load_profile("videoflix")


class _OneSiteForTheBrowser(LoadFileScheduling):
    """Every file to one process; the files of tests/browser to the same one, which has the browser and its site."""

    def _split_scope(self, nodeid: str) -> str:
        return "tests/browser" if nodeid.startswith("tests/browser/") else super()._split_scope(nodeid)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadFileScheduling | None:
    return _OneSiteForTheBrowser(config, log) if config.getoption("dist") == "loadfile" else None


@pytest.fixture(autouse=True)
def _own_event_loop(request: pytest.FixtureRequest) -> None:
    """Every asynchronous test runs in a loop that is closed after it, also one that does not ask for `io_loop`."""
    asyncio.set_event_loop(None)  # else asyncio makes one unasked, which nobody closes
    if iscoroutinefunction(getattr(request, "function", None)):
        request.getfixturevalue("io_loop")


@pytest.fixture
def run_async(io_loop: IOLoop) -> RunAsync:
    """Return a function that runs a coroutine function on the event loop of the test."""
    return io_loop.run_sync


@pytest.fixture(scope="session")
def tools() -> FfmpegBinaries:
    """Return the ffmpeg and ffprobe that a worker would use."""
    return FfmpegBinaries(*binaries.find_ffmpeg_binaries())


@pytest.fixture(scope="session")
def redis_server_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    if given := os.environ.get("REDIS_URL"):
        yield given
        return
    with processes.run_server(servers.make_redis_server(tmp_path_factory.mktemp("redis"))) as server:
        yield server.url


@pytest.fixture
def redis_url(redis_server_url: str) -> str:
    """An empty database of a real Redis."""
    with closing(redis.Redis.from_url(redis_server_url)) as client:
        client.flushdb()
    return redis_server_url


@pytest.fixture(scope="session")
def mongodb_uri(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real database server."""
    if given := os.environ.get("MONGODB_URI"):
        yield given
        return
    server = servers.make_database_server(tmp_path_factory.mktemp("database"))
    # Nobody pulls the plug on this one; waiting for the disk at every write would take half of most tests' time.
    argv = tuple(option for option in server.argv if option != "--sync-on-commit")
    with processes.run_server(replace(server, argv=argv)):
        yield server.url


@pytest.fixture(scope="session")
def database(mongodb_uri: str) -> Iterator[Database[dict[str, Any]]]:
    """One for all tests: making its indexes anew for each would take longer than most of them."""
    with pymongo.MongoClient[dict[str, Any]](mongodb_uri) as client:
        name = f"test_{secrets.token_hex(6)}"
        yield client[name]
        client.drop_database(name)


@pytest.fixture
def settings(
    tmp_path: Path,
    mongodb_uri: str,
    redis_url: str,
    database: Database[dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Settings]:
    """Settings of a site of its own: an empty database, an empty Redis, empty folders, no file `.env`."""
    monkeypatch.chdir(tmp_path)
    yield load_settings(
        secret_key="for tests only, and long enough for it",
        mongodb_uri=mongodb_uri,
        mongodb_db=database.name,
        redis_url=redis_url,
        data_dir=tmp_path / "var",
        media_root=tmp_path / "media",
        mail_dir=tmp_path / "mail",
        min_free_gib=0,
        # What makes a hash safe would take a third of most tests' time.
        password_memory_mib=8,
        password_iterations=1,
    )
    for collection in database.list_collection_names():
        database[collection].delete_many({})


@pytest.fixture
def http_port() -> Iterator[int]:
    """A port that somebody else listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]
