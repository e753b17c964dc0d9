"""`videoflix up`: what a newcomer sees who types `make run`."""

from __future__ import annotations

import signal
import socket
from pathlib import Path

import pytest

from tests.acceptance.support import Up, gone, until, up
from tests.test_cli import refused
from tests.tools import living


def test_the_first_start_makes_an_admin_and_a_film_and_the_second_finds_them(tmp_path: Path) -> None:
    with up(tmp_path) as first:
        banner = first.banner()
        cookie = first.log_in()
        assert first.get("/readyz") == {"status": "ok", "database": "ok", "redis": "ok"}
        until(lambda: first.get("/api/video/", cookie), 60)
        (video,) = first.get("/api/video/", cookie)
        assert video["title"] == "Welcome to Videoflix"
        assert first.stop(signal.SIGINT) < 10
        assert first.process.returncode == 0
    with up(tmp_path) as second:
        assert second.banner()["Password"] == banner["Password"]
        assert second.get("/api/video/", second.log_in())[0]["created_at"] == video["created_at"]


def test_sigterm_stops_every_process(tmp_path: Path) -> None:
    with up(tmp_path, "--no-demo") as running:
        running.banner()
        family = running.processes()
        assert len(family) >= 5  # itself, database, Redis, web, worker
        assert running.stop() < 10
        assert gone(family)
        assert "Traceback" not in running.text


def test_a_kill_of_the_parent_leaves_no_process(tmp_path: Path) -> None:
    with up(tmp_path, "--no-demo") as running:
        running.banner()
        family = running.processes()
        running.process.kill()
        running.process.wait()
        assert living(family, 12) == []


def test_a_web_process_that_is_killed_is_started_again(tmp_path: Path) -> None:
    with up(tmp_path, "--no-demo") as running:
        running.banner()
        running.child("web").kill()
        until(lambda: "child ended" in running.text, 10)

        def answers() -> bool:
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", running.port)) == 0

        until(answers, 20)


def test_two_copies_run_side_by_side_and_not_in_one_folder(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    with up(tmp_path, "--no-demo") as one, up(tmp_path / "other", "--no-demo") as other:
        one.banner()
        other.banner()
        assert "already running with the data folder" in refused(one.command("up", "--port", "0"))
        another = one.command("up", "--port", "0", "--data-dir", str(tmp_path / "third"))
        assert "already running with the media folder" in refused(another)
        assert (tmp_path / "var").stat().st_mode & 0o077 == 0
        assert one.banner()["Password"] != other.banner()["Password"]


def test_a_port_in_use_is_told_before_anything_is_started(tmp_path: Path, http_port: int) -> None:
    copy = Up(tmp_path, "--port", str(http_port))
    copy.process.wait(20)
    copy.stop()
    assert copy.text == (
        f"videoflix: Port {http_port} of 127.0.0.1 cannot be used (Address already in use): "
        "choose another one with --port or PORT.\n"
    )
    assert not (tmp_path / "var" / "database").exists()


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "var").write_text("a file where the folder should be")
    copy = Up(tmp_path)
    copy.process.wait(20)
    copy.stop()
    assert copy.text.startswith("videoflix: The folder var cannot be written (")
    assert copy.text.count("\n") == 1


def test_the_admin_of_the_environment_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ADMIN_EMAIL", "Me@Example.org")
    monkeypatch.setenv("ADMIN_PASSWORD", "a password of my own")
    with up(tmp_path, "--no-demo") as running:
        assert running.banner()["Sign in"] == "me@example.org"
        status, _, _ = running.request("/api/login/", {"email": "me@example.org", "password": "a password of my own"})
        assert status == 200
