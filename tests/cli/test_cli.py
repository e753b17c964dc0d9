"""The command line: output, exit status and error sentences of each command, run as a process."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pymongo
import pytest
from pydantic import SecretStr
from typer.testing import CliRunner

from tests.support.commands import error_message
from transcode.ffmpeg.binaries import FfmpegBinaries
from videoflix import __version__
from videoflix.bootstrap.clients import open_clients
from videoflix.bootstrap.services import open_services
from videoflix.cli import app, copy_database
from videoflix.cli.context import load_command_settings
from videoflix.cli.up import _Launcher as start_up
from videoflix.cli.videos import import_video
from videoflix.embedded import processes, servers
from videoflix.embedded.data_dir import DataDir, RunningInstance
from videoflix.errors import CommandError, Conflict
from videoflix.settings import Settings
from videoflix.stores import copy


def start(settings: Settings, *arguments: str, **env: str) -> subprocess.Popen[str]:
    """`videoflix ARGUMENTS` with the servers of these settings."""
    given = {**settings.as_environment(), "MONGODB_DB": settings.mongodb_db, "MEDIA_ROOT": str(settings.media_root)}
    return subprocess.Popen(
        [sys.executable, "-m", "videoflix", *arguments],
        env={**os.environ, **given, "MIN_FREE_GIB": "0", **env},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # What a shell runs in the background ignores Ctrl-C, and so do its children.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def run(settings: Settings, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    """The same, to its end."""
    with start(settings, *arguments, **env) as process:
        out, errors = process.communicate(timeout=60)
    return subprocess.CompletedProcess(process.args, process.returncode, out, errors)


def test_a_superuser_is_made_from_options_or_the_environment(settings: Settings) -> None:
    first = run(settings, "createsuperuser", "--email", "One@Example.org", "--password", "correct horse battery")
    assert (first.returncode, first.stdout.strip()) == (0, "one@example.org is now an admin (id 1).")
    second = run(settings, "createsuperuser", ADMIN_EMAIL="two@example.org", ADMIN_PASSWORD="correct horse battery")
    assert (second.returncode, second.stdout.strip()) == (0, "two@example.org is now an admin (id 2).")
    with pymongo.MongoClient(settings.mongodb_uri.get_secret_value()) as client:
        users = list(client[settings.mongodb_db]["users"].find())
    assert [(user["email"], user["is_admin"], user["is_active"]) for user in users] == [
        ("one@example.org", True, True),
        ("two@example.org", True, True),
    ]
    assert all(user["password_hash"].startswith("$argon2id$") for user in users)


def test_a_superuser_with_a_bad_address_or_password_is_refused(settings: Settings) -> None:
    assert error_message(run(settings, "createsuperuser", "--email", "x", "--password", "long enough, surely")) == (
        "This is not a valid email address."
    )
    assert "too short" in error_message(
        run(settings, "createsuperuser", "--email", "a@example.org", "--password", "short")
    )


def test_commands_use_the_servers_and_folders_of_a_running_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = DataDir(tmp_path / "var")
    home.create()
    with home.hold_lock():
        home.save_running(RunningInstance("mongodb://there", "redis://there", str(tmp_path / "films")))
        found = load_command_settings(home.path)
        assert (found.mongodb_uri.get_secret_value(), found.media_root) == ("mongodb://there", tmp_path / "films")
        monkeypatch.setenv("MEDIA_ROOT", "elsewhere")
        assert load_command_settings(home.path).media_root == Path("elsewhere")
    monkeypatch.delenv("MEDIA_ROOT")
    assert load_command_settings(home.path, needs_servers=False).media_root == Path("media")


def test_without_room_for_the_demo_video_the_site_starts_anyway(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    start_up(settings.model_copy(update={"min_free_gib": 1_000_000}), DataDir(settings.data_dir))._make_demo_video()
    assert "demo_video_skipped error=There is not enough disk space" in caplog.text


def test_the_address_for_other_devices_is_told_where_they_can_use_it(settings: Settings) -> None:
    def told(**given: object) -> list[str]:
        return list(start_up(settings.model_copy(update=given), DataDir(settings.data_dir))._network_lines())

    assert told(host="127.0.0.1") == told(host="0.0.0.0", public_url="https://videoflix.example") == []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            pytest.skip("this machine has no network")
        own = probe.getsockname()[0]
    assert told(host="0.0.0.0", port=8123) == [f"Elsewhere  http://{own}:8123/"]


def test_the_version_is_told() -> None:
    assert CliRunner().invoke(app, ["--version"]).stdout == f"videoflix {__version__}\n"


def test_a_folder_is_not_told_to_be_absent(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="is not a file but a folder"):
        import_video(tmp_path, data_dir=tmp_path / "var")


async def jobs(settings: Settings) -> int:
    async with open_services(settings) as services:
        return len(await services.engine.jobs())


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("absent.mp4", None, "absent.mp4 does not exist"),
        ("empty.mp4", b"", "is empty"),
        ("text.mp4", b"This is a letter to my aunt and no film. " * 50, "not a video"),
    ],
)
def test_what_is_no_video_is_refused_with_one_sentence_and_nothing_stays(
    settings: Settings, tmp_path: Path, name: str, content: bytes | None, sentence: str
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    assert sentence in error_message(run(settings, "import", str(tmp_path / name)))
    assert [path for path in settings.media_root.rglob("*") if path.is_file()] == []
    assert asyncio.run(jobs(settings)) == 0


@pytest.fixture
def film(tmp_path: Path, tools: FfmpegBinaries) -> Path:
    """One second of a test picture."""
    made = tmp_path / "A_walk.mp4"
    source = ["-f", "lavfi", "-i", "testsrc2=size=64x36:rate=25:duration=1"]
    subprocess.run([tools.ffmpeg, "-loglevel", "error", *source, str(made)], check=True)
    return made


def test_a_video_is_taken_in_and_its_job_is_listed(settings: Settings, film: Path) -> None:
    assert run(settings, "jobs").stdout.strip() == "There are no jobs."
    film = film.rename(film.with_name("A_walk_[red].mp4"))  # brackets mean nothing
    done = run(settings, "import", film.name)  # a path as people type it
    assert done.returncode == 0, done.stderr
    assert "“A walk [red]” is video 1." in done.stdout
    assert (settings.media_root / "videos" / "1.mp4").read_bytes() == film.read_bytes()
    assert "queued" in run(settings, "jobs").stdout


def test_ctrl_c_ends_an_import_at_once_and_nothing_stays(settings: Settings, film: Path) -> None:
    os.truncate(film, 2 * 1024**3)  # nothing but zeros after the film, which take no room
    uploads = settings.media_root / "scratch" / "uploads"
    for _ in range(10):  # on a busy machine all may be copied before the keys are pressed
        with start(settings, "import", str(film)) as importing:
            while importing.poll() is None and not (uploads.is_dir() and list(uploads.iterdir())):
                time.sleep(0.01)
            importing.send_signal(signal.SIGINT)
            importing.communicate(timeout=60)
        if importing.returncode != 0:
            break
    assert importing.returncode == 130
    assert list(uploads.iterdir()) == []


def test_a_database_that_goes_away_meanwhile_is_one_sentence(settings: Settings, tmp_path: Path, film: Path) -> None:
    (tmp_path / "own").mkdir()
    with processes.run_server(servers.make_database_server(tmp_path / "own")) as server:
        uri = f"{server.url}&serverSelectionTimeoutMS=500"
        importing = start(settings, "import", str(film), "--wait", MONGODB_URI=uri)
        while "is video 1" not in (line := importing.stdout.readline() if importing.stdout else ""):
            assert line, "it ended too soon"
    _, said = importing.communicate(timeout=60)
    assert (importing.returncode, said) == (
        1, "videoflix: The database or Redis stopped responding. Completed steps are kept.\n"
    )  # fmt: skip


def test_an_unreachable_database_is_one_sentence_that_names_the_variable(settings: Settings) -> None:
    done = run(settings, "jobs", MONGODB_URI="mongodb://127.0.0.1:9/?serverSelectionTimeoutMS=300")
    assert error_message(done) == "The database does not answer: is it running, and is MONGODB_URI right?"


def test_an_unreachable_redis_is_one_sentence_that_names_the_variable(settings: Settings) -> None:
    done = run(settings, "jobs", REDIS_URL="redis://127.0.0.1:9/0")
    assert error_message(done) == "Redis does not answer: is it running, and is REDIS_URL right?"


async def test_a_refused_password_is_not_reported_as_an_unreachable_server(settings: Settings) -> None:
    url = re.sub(":[^:@/]+@", ":wrong@", settings.redis_url.get_secret_value())
    with pytest.raises(CommandError, match="Redis refuses: are user and password of REDIS_URL right"):
        async with open_clients(settings.model_copy(update={"redis_url": SecretStr(url)})):
            pass


def test_a_database_is_copied_into_an_empty_one(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    target = settings.model_copy(update={"mongodb_db": f"{settings.mongodb_db}_copy"})
    monkeypatch.setattr(copy, "_BATCH_SIZE", 2)
    films = [{"_id": number, "title": "Größe"} for number in range(5)]
    with pymongo.MongoClient(settings.mongodb_uri.get_secret_value()) as client:
        client[settings.mongodb_db]["videos"].insert_many(films)
        client[settings.mongodb_db]["counters"].insert_one({"_id": "videos", "value": 5})
        assert asyncio.run(copy_database._copy(settings, target)) == 6
        assert list(client[target.mongodb_db]["videos"].find().sort("_id")) == films
        with pytest.raises(Conflict, match="is not empty"):
            asyncio.run(copy_database._copy(settings, target))
        client.drop_database(target.mongodb_db)
    with pytest.raises(CommandError, match="MONGODB_URI is not set"):
        copy_database.copy_database(settings.data_dir)
    monkeypatch.setenv("MONGODB_URI", "mongodb://127.0.0.1")
    with pytest.raises(CommandError, match="does not contain a database of `videoflix up`"):
        copy_database.copy_database(settings.data_dir)


def test_malformed_urls_are_one_sentence_that_names_the_variable(settings: Settings) -> None:
    for variable, value in (
        ("MONGODB_URI", "mongodb://user:hidden@word@host"),
        ("REDIS_URL", "redis://:hidden/word@host:1"),
    ):
        sentence = error_message(run(settings, "jobs", **{variable: value}))
        assert sentence.startswith(f"{variable} is not valid: it should look like ")
        assert "hidden" not in sentence


def test_without_servers_the_error_says_what_to_do_and_writes_nothing(settings: Settings, tmp_path: Path) -> None:
    for variable, given in (("MONGODB_URI", {"MONGODB_URI": "", "REDIS_URL": ""}), ("REDIS_URL", {"REDIS_URL": ""})):
        elsewhere = tmp_path / "elsewhere"
        sentence = error_message(run(settings, "jobs", DATA_DIR=str(elsewhere), SECRET_KEY="", **given))
        assert sentence.startswith(
            f"{variable} is not set, and no `videoflix up` is running with the data folder {elsewhere}"
        )
        assert not elsewhere.exists()


def test_a_wrong_setting_is_one_sentence(settings: Settings) -> None:
    assert error_message(run(settings, "web", PORT="eighty")) == "PORT is not valid: it should be a valid integer."


def test_a_port_in_use_is_one_sentence(settings: Settings, http_port: int) -> None:
    assert error_message(run(settings, "web", "--port", str(http_port))).startswith(
        f"Port {http_port} of 127.0.0.1 cannot"
    )
