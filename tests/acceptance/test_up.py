"""`videoflix up`: what a newcomer sees who types `make run`."""

from __future__ import annotations

import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.commands import error_message
from tests.support.processes import all_exited, still_running
from tests.support.videoflix_process import VideoflixProcess, running_videoflix
from tests.support.waiting import block_until


@pytest.fixture(scope="module")
def copies(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[VideoflixProcess, VideoflixProcess]]:
    """Two that run, the second one with an admin of the environment, in a folder of the first one's folder."""
    folder = tmp_path_factory.mktemp("one")
    (folder / "other").mkdir()
    with running_videoflix(folder, "--no-demo") as one, pytest.MonkeyPatch.context() as patch:
        patch.setenv("ADMIN_EMAIL", "Me@Example.org")
        patch.setenv("ADMIN_PASSWORD", "a password of my own")
        with running_videoflix(folder / "other", "--no-demo") as other:
            patch.undo()
            yield one, other


def test_the_first_start_makes_admin_and_video_the_second_finds_them(tmp_path: Path) -> None:
    with running_videoflix(tmp_path) as first:
        banner = first.banner()
        cookie = first.log_in()
        assert first.get("/readyz") == {"status": "ok", "database": "ok", "redis": "ok"}
        block_until(lambda: first.get("/api/video/", cookie), 60)
        (video,) = first.get("/api/video/", cookie)
        assert video["title"] == "Welcome to Videoflix"
        ends(first, signal.SIGINT)
    with running_videoflix(tmp_path) as second:
        assert second.banner()["Password"] == banner["Password"]
        assert second.get("/api/video/", second.log_in())[0]["created_at"] == video["created_at"]
        ends(second, signal.SIGTERM)


def ends(running: VideoflixProcess, number: int) -> None:
    """A signal stops every process, in good order."""
    family = running.processes()
    assert len(family) >= 5  # itself, database, Redis, web, worker
    assert running.stop(number) < 10
    assert running.process.returncode == 0
    assert all_exited(family)
    assert "Traceback" not in running.text


def test_a_kill_of_the_parent_leaves_no_process(tmp_path: Path) -> None:
    with running_videoflix(tmp_path, "--no-demo") as running:
        running.banner()
        family = running.processes()
        running.process.kill()
        running.process.wait()
        assert still_running(family) == []


def test_a_web_process_that_is_killed_is_started_again(copies: tuple[VideoflixProcess, VideoflixProcess]) -> None:
    running = copies[0]
    running.banner()
    running.child("web").kill()
    block_until(lambda: "child_ended" in running.text, 10)

    def answers() -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", running.port)) == 0

    block_until(answers, 20)


def test_two_copies_run_side_by_side_and_not_in_one_folder(copies: tuple[VideoflixProcess, VideoflixProcess]) -> None:
    one, other = copies
    one.banner()
    other.banner()
    assert "already running with the data folder" in error_message(one.command("up", "--port", "0"))
    another = one.command("up", "--port", "0", "--data-dir", str(one.folder / "third"))
    assert "already running with the media folder" in error_message(another)
    assert (one.folder / "var").stat().st_mode & 0o077 == 0


def test_the_admin_of_the_environment_is_made(copies: tuple[VideoflixProcess, VideoflixProcess]) -> None:
    one, other = copies
    assert other.banner()["Sign in"] == "me@example.org"
    sign_in = {"email": "me@example.org", "password": "a password of my own"}
    assert other.request("/api/login/", sign_in)[0] == 200
    assert one.banner()["Sign in"] == "admin@videoflix.example"
    assert one.request("/api/login/", sign_in)[0] == 400  # the copies share nobody


def test_a_port_in_use_is_told_before_anything_is_started(tmp_path: Path, http_port: int) -> None:
    copy = VideoflixProcess(tmp_path, "--port", str(http_port))
    copy.process.wait(20)
    copy.stop()
    assert copy.text == (
        f"videoflix: Port {http_port} of 127.0.0.1 cannot be used (Address already in use): "
        "choose another one with --port or PORT.\n"
    )
    assert not (tmp_path / "var" / "database").exists()


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "var").write_text("a file where the folder should be")
    copy = VideoflixProcess(tmp_path)
    copy.process.wait(20)
    copy.stop()
    assert copy.text.startswith("videoflix: The folder var is not writable (")
    assert copy.text.count("\n") == 1
