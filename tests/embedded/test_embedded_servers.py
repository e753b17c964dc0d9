"""videoflix.embedded: servers start, respond, keep their data, and leave no process behind."""

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
from transcode.ffmpeg.binaries import FfmpegBinaries
from videoflix.bootstrap.clients import DURABLE_WRITE_CONCERN, open_clients
from videoflix.embedded import binaries, demo, processes, servers
from videoflix.embedded.supervisor import Supervisor
from videoflix.errors import CommandError
from videoflix.settings import Settings
from videoflix.stores.errors import is_outage


def test_nobody_who_wants_to_stop_waits_for_the_demo_video(tmp_path: Path, tools: FfmpegBinaries) -> None:
    with pytest.raises(CommandError, match="could not be created"):  # at this rate it would take minutes
        demo.make_demo_video(tools.ffmpeg, tmp_path / "film.mp4", frame_rate=1000, is_stopping=lambda: True)
    assert list(tmp_path.iterdir()) == []


def test_redis_finds_its_data_again(tmp_path: Path) -> None:
    for expected in (None, b"kept"):
        with (
            processes.run_server(servers.make_redis_server(tmp_path)) as server,
            closing(redis.Redis.from_url(server.url)) as client,
        ):
            assert client.get("key") == expected
            client.set("key", "kept")


def test_redis_refuses_clients_without_its_password(tmp_path: Path) -> None:
    with (
        processes.run_server(servers.make_redis_server(tmp_path)) as server,
        closing(redis.Redis(port=server.port, retry=None)) as client,
        pytest.raises(redis.AuthenticationError),
    ):
        client.ping()
    assert_private(tmp_path / "redis", tmp_path / "redis.log")


def test_embedded_servers_listen_on_loopback_alone(tmp_path: Path) -> None:
    with (
        processes.run_server(servers.make_redis_server(tmp_path)) as one,
        processes.run_server(servers.make_database_server(tmp_path)) as other,
    ):
        for server in (one, other):
            found = {item.laddr.ip for item in server_process(server).net_connections() if item.status == "LISTEN"}
            assert found == {"127.0.0.1"}, server.name


def test_the_database_refuses_clients_without_its_password(tmp_path: Path) -> None:
    with (
        processes.run_server(servers.make_database_server(tmp_path)) as server,
        pymongo.MongoClient[dict[str, Any]](port=server.port, directConnection=True) as stranger,
    ):
        for refused in (
            lambda: stranger["videoflix"]["users"].find_one(),
            lambda: stranger["videoflix"]["users"].insert_one({"_id": 1}),
            lambda: stranger.admin.command("createUser", "stranger", pwd="x", roles=["root"]),
            lambda: stranger.list_database_names(),
        ):
            with pytest.raises(pymongo.errors.OperationFailure) as error:
                refused()
            assert error.value.code == 13  # Unauthorized
    assert_private(tmp_path / "database", tmp_path / "database.log")


def assert_private(*roots: Path) -> None:
    """Nobody but the owner may read or enter any of it."""
    for root in roots:
        for path in (root, *root.rglob("*")):
            assert path.stat().st_mode & 0o077 == 0, path


def test_data_from_before_there_was_a_password_is_kept(tmp_path: Path) -> None:
    folder = tmp_path / "database"
    folder.mkdir(0o755)
    port = servers.find_free_port()
    listening = ("--host", "127.0.0.1", "--port", str(port), "--storage-path", str(folder))
    argv = (binaries.find_database_server(), *listening, "--sync-on-commit", "--standalone", "--cache-size", "256M")
    old = servers.ServerSpec("database", argv, f"mongodb://127.0.0.1:{port}/", port, tmp_path / "database.log")
    with processes.run_server(old), pymongo.MongoClient[dict[str, Any]](old.url) as client:
        client["videoflix"]["users"].insert_one({"_id": 1, "email": "viewer@example.org"})
        client["videoflix"]["users"].create_index("email", unique=True)
    for _ in range(2):
        with (
            processes.run_server(servers.make_database_server(tmp_path)) as server,
            pymongo.MongoClient[dict[str, Any]](server.url) as client,
        ):
            users = client["videoflix"]["users"]
            assert users.find_one() == {"_id": 1, "email": "viewer@example.org"}
            with pytest.raises(pymongo.errors.DuplicateKeyError):
                users.insert_one({"email": "viewer@example.org"})
    assert folder.stat().st_mode & 0o077 == 0


def test_a_password_that_was_not_written_to_the_end_is_made_anew(tmp_path: Path) -> None:
    first = servers.make_database_server(tmp_path)
    (tmp_path / "database" / "password").unlink()  # as after a crash between both steps
    second = servers.make_database_server(tmp_path)
    assert first.url.partition("@")[0] != second.url.partition("@")[0]
    with processes.run_server(second), pymongo.MongoClient[dict[str, Any]](second.url) as client:
        assert client["videoflix"]["users"].count_documents({}) == 0


def test_a_configuration_in_the_working_directory_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "secantusd.toml").write_text("[server]\nno_such_option = true\n")
    monkeypatch.chdir(tmp_path)
    with processes.run_server(servers.make_database_server(tmp_path)):
        pass


def test_the_database_finds_again_what_it_acknowledged_before_a_kill(tmp_path: Path) -> None:
    acknowledged = 0
    with (
        processes.run_server(servers.make_database_server(tmp_path)) as server,
        pymongo.MongoClient(server.url) as client,
    ):
        things = client.get_database("test", write_concern=DURABLE_WRITE_CONCERN)["things"]
        things.insert_one({"_id": 0})
        threading.Timer(0.3, server_process(server).kill).start()
        with suppress(pymongo.errors.ConnectionFailure):
            while things.insert_one({"_id": acknowledged + 1}).acknowledged:
                acknowledged += 1
    with (
        processes.run_server(servers.make_database_server(tmp_path)) as server,
        pymongo.MongoClient(server.url) as client,
    ):
        assert client["test"]["things"].count_documents({}) >= acknowledged + 1 > 1


def test_a_database_stopped_by_a_full_disk_restarts_with_its_data(tmp_path: Path) -> None:
    """Its storage gives up, and it answers errors for ever."""
    with ExitStack() as stack:
        try:
            disk = stack.enter_context(small_disk(tmp_path / "disk", 32))
        except OSError as error:
            pytest.skip(f"no volume can be mounted here: {error}")
        server, supervisor = servers.make_database_server(disk), Supervisor()
        stack.callback(supervisor.stop)
        supervisor.start(server.name, server.argv, {}, server.log_path, panic_marker=server.panic_marker)
        supervisor.wait_for(server.is_listening, 30)
        client = stack.enter_context(pymongo.MongoClient(server.url, serverSelectionTimeoutMS=20_000))
        things = client.get_database("test", write_concern=DURABLE_WRITE_CONCERN)["things"]
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
    for wished, expected in (
        ("", DURABLE_WRITE_CONCERN.document),
        ("&w=1", {"w": 1}),
        ("&journal=false", {"j": False}),
    ):
        wanted = settings.model_copy(update={"mongodb_uri": SecretStr(uri + wished)})
        async with open_clients(wanted) as clients:
            assert clients.database["things"].write_concern.document == expected


def test_a_stopped_server_is_gone(tmp_path: Path) -> None:
    with processes.run_server(servers.make_redis_server(tmp_path)):
        before = {child.pid for child in psutil.Process().children(recursive=True)}
    after = {child.pid for child in psutil.Process().children(recursive=True)}
    assert len(before - after) == 1


def test_a_server_that_does_not_start_says_why(tmp_path: Path) -> None:
    server = servers.make_redis_server(tmp_path)
    (tmp_path / "redis" / "redis.conf").write_text("no-such-option yes\n")
    with pytest.raises(CommandError, match="The embedded redis did not start"), processes.run_server(server):
        pass


def test_a_missing_program_is_one_sentence_that_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(binaries, "_package_folder", lambda *_: [])
    monkeypatch.setattr("sys.prefix", str(tmp_path))
    for find, word in (
        (binaries.find_ffmpeg_binaries, "apt install ffmpeg"),
        (binaries.find_redis_server, "REDIS_URL"),
        (binaries.find_database_server, "MONGODB_URI"),
    ):
        with pytest.raises(CommandError, match=word):
            find()


def test_a_wrapper_in_the_environment_is_not_taken_for_ffmpeg(tools: FfmpegBinaries) -> None:
    assert Path(tools.ffmpeg).read_bytes()[:4] == b"\x7fELF"
