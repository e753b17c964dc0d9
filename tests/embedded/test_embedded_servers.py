"""The embedded servers start, answer, keep their data and leave nothing behind."""

from __future__ import annotations

import shutil
import threading
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from typing import Any

import psutil
import pymongo
import pytest
import redis
from pydantic import SecretStr

from tests.support.disks import small_disk
from tests.support.processes import server_process
from tests.support.waiting import block_until
from transcode.tools import Tools
from videoflix.composition.clients import DURABLE, open_clients
from videoflix.embedded import binaries, demo, processes, servers
from videoflix.embedded.supervisor import Supervisor
from videoflix.errors import CommandError
from videoflix.settings import Settings
from videoflix.stores.outages import is_outage


def test_nobody_who_wants_to_stop_waits_for_the_demo_video(tmp_path: Path, tools: Tools) -> None:
    with pytest.raises(CommandError, match="could not be made"):  # at this rate it would take minutes
        demo.make(tools.ffmpeg, tmp_path / "film.mp4", rate=1000, is_stopping=lambda: True)
    assert list(tmp_path.iterdir()) == []


def test_redis_finds_its_data_again(tmp_path: Path) -> None:
    for expected in (None, b"kept"):
        with processes.running(servers.redis(tmp_path)) as server, closing(redis.Redis.from_url(server.url)) as client:
            assert client.get("key") == expected
            client.set("key", "kept")


def test_redis_refuses_clients_without_its_password(tmp_path: Path) -> None:
    with (
        processes.running(servers.redis(tmp_path)) as server,
        closing(redis.Redis(port=server.port, retry=None)) as client,
        pytest.raises(redis.AuthenticationError),
    ):
        client.ping()
    for private in (tmp_path / "redis", tmp_path / "redis" / "redis.conf"):
        assert private.stat().st_mode & 0o077 == 0


def test_the_database_finds_again_what_it_acknowledged_before_a_kill(tmp_path: Path) -> None:
    acknowledged = 0
    with processes.running(servers.database(tmp_path)) as server, pymongo.MongoClient(server.url) as client:
        things = client.get_database("test", write_concern=DURABLE)["things"]
        things.insert_one({"_id": 0})
        threading.Timer(0.3, server_process(server).kill).start()
        with suppress(pymongo.errors.ConnectionFailure):
            while things.insert_one({"_id": acknowledged + 1}).acknowledged:
                acknowledged += 1
    with processes.running(servers.database(tmp_path)) as server, pymongo.MongoClient(server.url) as client:
        assert client["test"]["things"].count_documents({}) >= acknowledged + 1 > 1


def test_a_database_stopped_by_a_full_disk_restarts_with_its_data(tmp_path: Path) -> None:
    """Its storage gives up, and it answers errors for ever."""
    with ExitStack() as stack:
        try:
            disk = stack.enter_context(small_disk(tmp_path / "disk", 32))
        except OSError as error:
            pytest.skip(f"no volume can be mounted here: {error}")
        server, supervisor = servers.database(disk), Supervisor()
        stack.callback(supervisor.stop)
        supervisor.start(server.name, server.argv, {}, server.log, last_words=server.last_words)
        supervisor.wait_for(server.answers, 30)
        client = stack.enter_context(pymongo.MongoClient(server.url, serverSelectionTimeoutMS=20_000))
        things = client.get_database("test", write_concern=DURABLE)["things"]
        (disk / "ballast").write_bytes(bytes(shutil.disk_usage(disk).free - 4096))
        kept = 0
        with suppress(pymongo.errors.OperationFailure):
            while things.insert_one({"_id": kept, "text": "x" * 100_000}).acknowledged:
                kept += 1
        (disk / "ballast").unlink()
        with pytest.raises(pymongo.errors.OperationFailure) as broken:  # there is room again, and yet
            things.count_documents({})
        assert is_outage(broken.value)
        watching = threading.Thread(target=supervisor.watch)
        watching.start()
        stack.callback(watching.join)
        stack.callback(supervisor.request_stop)
        block_until(lambda: counted(things) >= kept > 0, 30)


def counted(things: Any) -> int:
    with suppress(pymongo.errors.PyMongoError):
        return int(things.count_documents({}))
    return -1


async def test_writes_are_acknowledged_from_the_journal_unless_the_uri_says_not(settings: Settings) -> None:
    uri = settings.mongodb_uri.get_secret_value()
    for wished, expected in (("", DURABLE.document), ("&w=1", {"w": 1}), ("&journal=false", {"j": False})):
        wanted = settings.model_copy(update={"mongodb_uri": SecretStr(uri + wished)})
        async with open_clients(wanted) as clients:
            assert clients.database["things"].write_concern.document == expected


def test_a_stopped_server_is_gone(tmp_path: Path) -> None:
    with processes.running(servers.redis(tmp_path)):
        before = {child.pid for child in psutil.Process().children(recursive=True)}
    after = {child.pid for child in psutil.Process().children(recursive=True)}
    assert len(before - after) == 1


def test_a_server_that_does_not_start_says_why(tmp_path: Path) -> None:
    server = servers.redis(tmp_path)
    (tmp_path / "redis" / "redis.conf").write_text("no-such-option yes\n")
    with pytest.raises(CommandError, match="The embedded redis did not start"), processes.running(server):
        pass


def test_a_missing_program_is_one_sentence_that_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(binaries, "_package_folder", lambda *_: [])
    monkeypatch.setattr("sys.prefix", str(tmp_path))
    for find, word in (
        (binaries.ffmpeg_tools, "apt install ffmpeg"),
        (binaries.redis_server, "REDIS_URL"),
        (binaries.database_server, "MONGODB_URI"),
    ):
        with pytest.raises(CommandError, match=word):
            find()


def test_a_wrapper_in_the_environment_is_not_taken_for_ffmpeg(tools: Tools) -> None:
    assert Path(tools.ffmpeg).read_bytes()[:4] == b"\x7fELF"
