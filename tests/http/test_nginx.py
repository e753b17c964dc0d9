"""deploy/nginx.conf in a real nginx in front of the service: Videoflix authorizes, nginx sends the files."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from handlers.server import Server
from tests.support.http_client import HttpClient
from tests.support.processes import require_program
from tests.support.videos import SEGMENT_BYTES, VideoLibrary
from videoflix.embedded import processes
from videoflix.embedded.servers import ServerSpec, find_free_port
from videoflix.settings import Settings

SAMPLE = Path(__file__).parents[2] / "deploy" / "nginx.conf"
URL = "/media/hls/1/480p/0000.ts"


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"accel_redirect": "/_files/"})


@pytest.fixture
def front(settings: Settings, http_server: Server, http_server_port: tuple[object, int]) -> Iterator[HttpClient]:
    """Run nginx and return a client of it."""
    program, port, home = require_program("nginx"), find_free_port(), settings.data_dir.parent / "nginx"
    home.mkdir()
    text = SAMPLE.read_text()
    for sample, value in (
        ("listen 80;", f"listen 127.0.0.1:{port};"),
        ("127.0.0.1:8000", f"127.0.0.1:{http_server_port[1]}"),
        ("/srv/videoflix/media/", f"{settings.media_root.resolve()}/"),
        ("/var/log/nginx/videoflix.log", f"{home}/access.log"),
    ):
        assert sample in text
        text = text.replace(sample, value)
    (home / "videoflix.conf").write_text(text)
    user = "user root root; " if os.geteuid() == 0 else ""  # the test's folder is private
    (home / "main.conf").write_text(
        f"{user}daemon off; pid {home}/pid; error_log {home}/error.log; events {{ }}\n"
        f"http {{ client_body_temp_path {home}/body; proxy_temp_path {home}/proxy; fastcgi_temp_path {home}/f;\n"
        f"uwsgi_temp_path {home}/u; scgi_temp_path {home}/s; include {home}/videoflix.conf; }}\n"
    )
    argv = (program, "-c", str(home / "main.conf"), "-p", str(home), "-e", f"{home}/error.log")
    with (
        processes.run_server(ServerSpec("nginx", argv, "", port, home / "error.log")),
        closing(HttpClient(port)) as client,
    ):
        yield client


@pytest.fixture
def viewer(front: HttpClient, admin: HttpClient) -> HttpClient:
    """Return the client of nginx, signed in."""
    front.cookies = dict(admin.cookies)
    return front


async def test_nginx_sends_files_that_videoflix_authorizes(
    serving_path: str, admin: HttpClient, viewer: HttpClient, library: VideoLibrary, settings: Settings
) -> None:
    folder = await library.add()
    content = (folder / "480p" / "0000.ts").read_bytes()
    page = {"Origin": "http://localhost:5500"}
    for _ in range(2):
        straight = await admin.get(URL)
        assert (straight.status, straight.body) == (200, b"")
        assert straight.headers["X-Accel-Redirect"] == "/_files/hls/1/480p/0000.ts"
        answer = await viewer.get(URL, **page)
        assert (answer.status, answer.body) == (200, content)
        assert answer.headers["Content-Type"] == "video/mp2t"
        assert answer.headers["Cache-Control"] == "private, max-age=31536000, immutable"
        assert answer.headers["Access-Control-Allow-Origin"] == page["Origin"]
        assert answer.headers["Access-Control-Allow-Credentials"] == "true"
        assert answer.headers.get_list("Vary") == ["Origin"]
        assert len(answer.headers["X-Request-Id"]) == 16
        assert "X-Accel-Redirect" not in answer.headers
    part = await viewer.get(URL, Range="bytes=-10", If_Range=answer.headers["ETag"])
    assert (part.status, part.body) == (206, content[-10:])
    assert (await viewer.get(URL, Range=f"bytes={SEGMENT_BYTES}-", **page)).status == 416
    again = await viewer.get(URL, If_None_Match=answer.headers["ETag"], **page)
    assert (again.status, again.headers["Access-Control-Allow-Origin"]) == (304, page["Origin"])
    head = await viewer.fetch("HEAD", URL)
    assert (head.status, head.headers["Content-Length"]) == (200, str(SEGMENT_BYTES))
    token = (await viewer.get("/api/video/1/playback/")).json["token"]
    viewer.cookies.clear()
    assert (await viewer.get(f"{URL}?token={token}")).body == content
    assert token not in (settings.data_dir.parent / "nginx" / "access.log").read_text()


async def test_playlists_thumbnails_and_errors_pass_through_nginx(viewer: HttpClient, library: VideoLibrary) -> None:
    folder = await library.add()
    for _ in range(2):
        assert (await viewer.get("/media/hls/1/master.m3u8")).body == (folder / "master.m3u8").read_bytes()
        assert (await viewer.get("/media/thumbnails/1.jpg")).body.startswith(b"\xff\xd8\xff")
    (library.root / "thumbnails").mkdir()
    (library.root / "thumbnails" / "1.jpg").write_bytes(b"picture")
    assert (await viewer.get("/media/thumbnails/1.jpg")).body == b"picture"
    assert (await viewer.get("/media/hls/1/480p/0009.ts")).json == {"detail": "Not found."}
    viewer.cookies.clear()
    answer = await viewer.get(URL)
    assert (answer.status, answer.json) == (401, {"detail": "Authentication credentials were not provided."})


async def test_internal_locations_cannot_be_requested(
    viewer: HttpClient, library: VideoLibrary, tmp_path: Path
) -> None:
    folder = await library.add()
    for path in ("/_files/hls/1/480p/0000.ts", "/_files/videos/1.mp4", "/media/../_files/hls/1/480p/0000.ts"):
        assert (await viewer.get(path)).status == 404
    (folder / "480p" / "0001.ts").rename(tmp_path / "outside")
    (folder / "480p" / "0001.ts").symlink_to(tmp_path / "outside")
    assert (await viewer.get("/media/hls/1/480p/0001.ts")).status == 404
