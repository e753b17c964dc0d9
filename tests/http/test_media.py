"""Published files over real sockets, by the fast path and by the handler."""

from __future__ import annotations

import asyncio
import gzip
import os
from pathlib import Path

import pytest

from handlers.media import handler
from tests.support.http_client import HttpClient
from tests.support.videos import MASTER, PLAYLIST, SEGMENT_BYTES, VideoLibrary

PREFIXES = ("/media/hls", "/api/video")
FOREVER = "private, max-age=31536000, immutable"


async def add_cached_video(library: VideoLibrary, viewer: HttpClient, **fields: object) -> Path:
    """Add a video and have this process cache it, so that the fast path serves it. Return its folder."""
    folder = await library.add(**fields)  # type: ignore[arg-type]
    assert (await viewer.get("/media/hls/1/master.m3u8")).status == 200
    return folder


async def test_every_published_name_is_answered_with_its_type(
    serving_path: str, admin: HttpClient, library: VideoLibrary
) -> None:
    folder = await add_cached_video(library, admin)
    types = {
        "master.m3u8": "application/vnd.apple.mpegurl",
        "480p/index.m3u8": "application/vnd.apple.mpegurl",
        "720p/iframes.m3u8": "application/vnd.apple.mpegurl",
        "480p/0002.ts": "video/mp2t",
        "audio1/index.m3u8": "application/vnd.apple.mpegurl",
        "audio1/0001.ts": "video/mp2t",
        "subs1/0000.vtt": "text/vtt; charset=utf-8",
        "storyboard/index.vtt": "text/vtt; charset=utf-8",
        "storyboard/0000.jpg": "image/jpeg",
    }
    for path, content_type in types.items():
        for prefix in (*PREFIXES, *PREFIXES):  # a playlist is cached by the first request
            answer = await admin.get(f"{prefix}/1/{path}")
            assert (answer.status, answer.headers["Content-Type"]) == (200, content_type), path
            assert answer.body == (folder / path).read_bytes(), path
            assert answer.headers["Content-Length"] == str(len(answer.body))
            assert answer.headers["Accept-Ranges"] == "bytes"
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            assert len(answer.headers["X-Request-Id"]) == 16
            assert "Last-Modified" in answer.headers
            assert "Date" in answer.headers


async def test_the_fast_path_needs_no_handler(
    admin: HttpClient, library: VideoLibrary, monkeypatch: pytest.MonkeyPatch
) -> None:
    await add_cached_video(library, admin)
    monkeypatch.delattr(handler.MediaHandler, "get")
    assert (await admin.get("/media/hls/1/480p/0001.ts")).status == 200
    assert (await admin.get("/media/hls/1/master.m3u8")).status == 200


async def test_a_missing_resolution_is_served_by_the_largest_below_it(
    serving_path: str, admin: HttpClient, library: VideoLibrary
) -> None:
    folder = await add_cached_video(library, admin, renditions=("480p",))
    for resolution in ("480p", "720p", "1080p"):
        assert (await admin.get(f"/media/hls/1/{resolution}/index.m3u8")).body == PLAYLIST.encode()
        answer = await admin.get(f"/api/video/1/{resolution}/0001.ts")
        assert answer.body == (folder / "480p" / "0001.ts").read_bytes()
    assert (await admin.get("/media/hls/1/240p/index.m3u8")).status == 404


NOT_PUBLISHED = [
    "1/480p/0003.ts",  # after the last one
    "1/480p/1.ts",
    "1/480p/00000.ts",
    "1/480p/0000.ts%0a",
    "1/480p/index.m3u",
    "1/480p/index.m3u8/x",
    "1/360p/0000.ts",
    "1/1440p/0000.ts",
    "1/audio2/index.m3u8",
    "1/audio0/index.m3u8",
    "1/subs1/0001.vtt",
    "1/storyboard/0001.jpg",
    "2/master.m3u8",
    "01x/master.m3u8",
    "99999999999999999999/master.m3u8",
    "1/master.m3u8.tmp",
    "1/",
    "1",
    "",
]


async def test_a_file_that_is_not_published_is_404(serving_path: str, admin: HttpClient, library: VideoLibrary) -> None:
    await add_cached_video(library, admin)
    for path in NOT_PUBLISHED:
        answer = await admin.get(f"/media/hls/{path}")
        assert (answer.status, answer.json) == (404, {"detail": "Not found."}), path


TRAVERSALS = [
    "1/480p/../../2/480p/0000.ts",
    "1/../2/master.m3u8",
    "1/480p/../../../videos/1.mp4",
    "1/480p/..%2f..%2f..%2fvideos%2f1.mp4",
    "1/%2e%2e/2/master.m3u8",
    "1/480p%2f..%2f..%2f2%2fmaster.m3u8",
    "1/480p/%252e%252e%252f0000.ts",
    "1/480p/..%5c..%5c..%5cvideos%5c1.mp4",
    "1/480p/\\..\\0000.ts",
    "1/480p/0000.ts%00.m3u8",
    "1/480p/%c0%ae%c0%ae%c0%af0000.ts",
    "1//480p/0000.ts",
    "1/480p//0000.ts",
    "1/./480p/0000.ts",
    "1/480p/....//0000.ts",
    "../videos/1.mp4",
    "..%2fvideos%2f1.mp4",
    "1/../../scratch/1/source.mkv",
    "1/scratch/0000.ts",
    "//etc/passwd",
    "1/\uff0e\uff0e/master.m3u8",
]


async def test_no_spelling_of_a_path_leaves_the_published_files(
    admin: HttpClient, library: VideoLibrary, http_server_port: tuple[object, int]
) -> None:
    """Sent over a raw connection: HTTP clients normalize such paths."""
    await add_cached_video(library, admin)
    await library.add(2)
    for secret in ("videos/1.mp4", "scratch/1/source.mkv"):
        (library.root / secret).parent.mkdir(parents=True, exist_ok=True)
        (library.root / secret).write_bytes(b"secret")
    for prefix in (*PREFIXES, "/media/thumbnails"):
        for path in TRAVERSALS:
            status, body = await fetch_raw(http_server_port[1], f"{prefix}/{path}", admin.cookies["access_token"])
            assert status in (400, 404), (prefix, path)
            assert b"secret" not in body


async def test_originals_and_temporary_files_have_no_url(admin: HttpClient, library: VideoLibrary) -> None:
    await add_cached_video(library, admin)
    (library.root / "videos").mkdir()
    (library.root / "videos" / "1.mp4").write_bytes(b"secret")
    for path in ("/media/videos/1.mp4", "/media/scratch/1/source.mkv", "/media/", "/media/hls/"):
        assert (await admin.get(path)).status == 404, path


@pytest.mark.parametrize("linked", ["480p/0001.ts", "480p", "", "480p/index.m3u8", "master.m3u8"])
async def test_symbolic_links_are_not_followed(
    linked: str, serving_path: str, admin: HttpClient, library: VideoLibrary, tmp_path: Path
) -> None:
    folder = await add_cached_video(library, admin)
    for path in ("480p/0001.ts", "480p/index.m3u8", "master.m3u8"):
        assert (await admin.get(f"/media/hls/1/{path}")).status == 200
    outside = tmp_path / "outside"
    (folder / linked).rename(outside)
    (folder / linked).symlink_to(outside)
    paths = [path for path in ("480p/0001.ts", "480p/index.m3u8", "master.m3u8") if path.startswith(linked)]
    for path in paths:
        assert (await admin.get(f"/media/hls/1/{path}")).status == 404, path


async def test_a_thumbnail_that_is_a_symbolic_link_is_not_sent(
    serving_path: str, admin: HttpClient, library: VideoLibrary, tmp_path: Path
) -> None:
    await add_cached_video(library, admin)
    placeholder = (await admin.get("/media/thumbnails/1.jpg")).body
    (library.root / "thumbnails").mkdir()
    (tmp_path / "secret").write_text("secret")
    (library.root / "thumbnails" / "1.jpg").symlink_to(tmp_path / "secret")
    assert (await admin.get("/media/thumbnails/1.jpg")).body == placeholder


async def test_a_thumbnail_is_a_placeholder_until_there_is_one(
    serving_path: str, admin: HttpClient, library: VideoLibrary
) -> None:
    await add_cached_video(library, admin)
    answer = await admin.get("/media/thumbnails/1.jpg")
    assert (answer.status, answer.headers["Content-Type"]) == (200, "image/jpeg")
    assert answer.body.startswith(b"\xff\xd8\xff")
    assert answer.headers["Cache-Control"] == "private, no-cache"
    (library.root / "thumbnails").mkdir()
    (library.root / "thumbnails" / "1.jpg").write_bytes(b"picture")
    answer = await admin.get("/media/thumbnails/1.jpg", If_None_Match=answer.headers["ETag"])
    assert (answer.status, answer.body) == (200, b"picture")
    assert (await admin.get("/media/thumbnails/2.jpg")).status == 404


async def test_a_named_pipe_does_not_block_the_process(
    serving_path: str, admin: HttpClient, library: VideoLibrary
) -> None:
    folder = await add_cached_video(library, admin)
    (folder / "audio1" / "0001.ts").unlink()
    os.mkfifo(folder / "audio1" / "0001.ts")
    assert (await admin.get("/media/hls/1/audio1/0001.ts")).status == 404


async def test_only_immutable_files_are_cached_forever(
    serving_path: str, admin: HttpClient, library: VideoLibrary
) -> None:
    await add_cached_video(library, admin)
    for path in ("480p/0000.ts", "audio1/0000.ts", "subs1/0000.vtt", "storyboard/0000.jpg"):
        assert (await admin.get(f"/media/hls/1/{path}")).headers["Cache-Control"] == FOREVER, path
    for path in ("master.m3u8", "480p/index.m3u8", "storyboard/index.vtt"):
        assert (await admin.get(f"/media/hls/1/{path}")).headers["Cache-Control"] == "private, no-cache", path


async def test_every_file_of_a_video_in_progress_is_revalidated(
    serving_path: str, admin: HttpClient, library: VideoLibrary
) -> None:
    await add_cached_video(library, admin, is_done=False)
    for path in ("480p/0000.ts", "master.m3u8", "480p/index.m3u8"):
        assert (await admin.get(f"/media/hls/1/{path}")).headers["Cache-Control"] == "private, no-cache", path


# Conditional requests and ranges ----------------------------------------------------------------------------------


async def list_versions(admin: HttpClient, library: VideoLibrary) -> list[tuple[str, str, str]]:
    """Return URL, ETag and Last-Modified of a segment and of a playlist."""
    await add_cached_video(library, admin)
    urls = [f"/media/hls/1/{path}" for path in ("480p/0000.ts", "480p/index.m3u8")]
    answers = [(url, (await admin.get(url)).headers) for url in urls]
    return [(url, headers["ETag"], headers["Last-Modified"]) for url, headers in answers]


async def test_a_version_that_the_client_has_is_304(
    serving_path: str, admin: HttpClient, library: VideoLibrary
) -> None:
    for url, etag, modified in await list_versions(admin, library):
        for condition in (
            {"If_None_Match": etag},
            {"If_None_Match": f'"other", W/{etag}'},
            {"If_None_Match": "*"},
            {"If_Modified_Since": modified},
        ):
            answer = await admin.get(url, **condition)
            assert (answer.status, answer.body) == (304, b""), condition
            assert answer.headers["ETag"] == etag
            assert "Content-Type" not in answer.headers
        for condition in (
            {"If_None_Match": '"other"'},
            {"If_None_Match": '"other"', "If_Modified_Since": modified},
            {"If_Modified_Since": "Mon, 01 Jan 2001 00:00:00 GMT"},
            {"If_Modified_Since": "yesterday"},
        ):
            assert (await admin.get(url, **condition)).status == 200, condition


async def test_a_request_for_another_version_is_412(
    serving_path: str, admin: HttpClient, library: VideoLibrary
) -> None:
    for url, etag, modified in await list_versions(admin, library):
        for condition in (
            {"If_Match": '"other"'},
            {"If_Match": f"W/{etag}"},
            {"If_Match": '"other"', "If_Unmodified_Since": modified},
            {"If_Match": '"other"', "If_None_Match": etag, "Range": "bytes=0-1"},
            {"If_Unmodified_Since": "Mon, 01 Jan 2001 00:00:00 GMT"},
        ):
            answer = await admin.get(url, Origin="http://localhost:5500", **condition)
            assert answer.status == 412, condition
            assert answer.json == {"detail": "The file is not the version that was asked for."}
            assert answer.headers["Access-Control-Allow-Origin"] == "http://localhost:5500"
        for condition in (
            {"If_Match": f'"other", {etag}'},
            {"If_Match": "*"},
            {"If_Match": etag, "If_Unmodified_Since": "Mon, 01 Jan 2001 00:00:00 GMT"},
            {"If_Unmodified_Since": modified},
            {"If_Unmodified_Since": "yesterday"},
        ):
            assert (await admin.get(url, **condition)).status == 200, condition


async def test_a_file_that_was_replaced_has_another_etag(
    serving_path: str, admin: HttpClient, library: VideoLibrary
) -> None:
    """Even with the same size and time, because it is another file."""
    folder = await add_cached_video(library, admin, is_done=False)
    for path in ("480p/0000.ts", "480p/index.m3u8"):
        first = await admin.get(f"/media/hls/1/{path}")
        file, new = folder / path, folder / "new"
        new.write_bytes(file.read_bytes()[::-1])
        os.utime(new, ns=(file.stat().st_atime_ns, file.stat().st_mtime_ns))
        new.rename(file)
        answer = await admin.get(f"/media/hls/1/{path}", If_None_Match=first.headers["ETag"])
        assert (answer.status, answer.body) == (200, first.body[::-1])


RANGES = [
    ("bytes=0-99", 0, 100),
    ("bytes=100-", 100, SEGMENT_BYTES),
    ("bytes=-100", SEGMENT_BYTES - 100, SEGMENT_BYTES),
    (f"bytes=0-{SEGMENT_BYTES * 2}", 0, SEGMENT_BYTES),
    (f"bytes={SEGMENT_BYTES - 1}-", SEGMENT_BYTES - 1, SEGMENT_BYTES),
    (f"bytes=-{SEGMENT_BYTES * 2}", 0, SEGMENT_BYTES),
    ("Bytes = 5-5", 5, 6),
]


async def test_a_range_is_206(serving_path: str, admin: HttpClient, library: VideoLibrary) -> None:
    folder = await add_cached_video(library, admin)
    content = (folder / "480p" / "0000.ts").read_bytes()
    for wanted, start, end in RANGES:
        answer = await admin.get("/media/hls/1/480p/0000.ts", Range=wanted)
        assert (answer.status, answer.headers["Content-Range"]) == (206, f"bytes {start}-{end - 1}/{SEGMENT_BYTES}")
        assert answer.body == content[start:end]
        assert answer.headers["Content-Length"] == str(end - start)
        assert answer.headers["Cache-Control"] == FOREVER


async def test_several_or_invalid_ranges_get_the_whole_file(
    serving_path: str, admin: HttpClient, library: VideoLibrary
) -> None:
    """A server may ignore Range, and must ignore what it does not understand (RFC 9110, section 14.2)."""
    await add_cached_video(library, admin)
    for wanted in ("bytes=0-1,5-6", "bytes=9-5", "items=0-1", "bytes=a-b", "bytes=-", "bytes=", "0-1"):
        answer = await admin.get("/media/hls/1/480p/0000.ts", Range=wanted)
        assert (answer.status, len(answer.body)) == (200, SEGMENT_BYTES), wanted


async def test_a_range_beyond_the_end_is_416(serving_path: str, admin: HttpClient, library: VideoLibrary) -> None:
    await add_cached_video(library, admin)
    for wanted in (f"bytes={SEGMENT_BYTES}-", "bytes=-0", f"bytes={10**15}-"):
        answer = await admin.get("/media/hls/1/480p/0000.ts", Range=wanted)
        assert (answer.status, answer.headers["Content-Range"]) == (416, f"bytes */{SEGMENT_BYTES}")
        assert answer.json == {"detail": "The requested range is beyond the end of the file."}


async def test_if_range_sends_a_part_of_the_same_version_only(
    serving_path: str, admin: HttpClient, library: VideoLibrary
) -> None:
    await add_cached_video(library, admin)
    url = "/media/hls/1/480p/0000.ts"
    headers = (await admin.get(url)).headers
    for condition, status in (
        (headers["ETag"], 206),
        (headers["Last-Modified"], 206),
        (f"W/{headers['ETag']}", 200),
        ('"other"', 200),
        ("Mon, 01 Jan 2001 00:00:00 GMT", 200),
        ("nonsense", 200),
    ):
        assert (await admin.get(url, Range="bytes=0-9", If_Range=condition)).status == status, condition


async def test_head_has_the_headers_of_get(serving_path: str, admin: HttpClient, library: VideoLibrary) -> None:
    await add_cached_video(library, admin)
    for path in ("480p/0000.ts", "master.m3u8"):
        get = await admin.get(f"/media/hls/1/{path}")
        head = await admin.fetch("HEAD", f"/media/hls/1/{path}", Range="bytes=0-9")
        assert (head.status, head.body) == (200, b"")
        for name in ("Content-Length", "Content-Type", "ETag", "Last-Modified", "Cache-Control", "Accept-Ranges"):
            assert head.headers[name] == get.headers[name], name


async def test_playlists_are_compressed_for_clients_that_accept_it(
    serving_path: str, admin: HttpClient, library: VideoLibrary
) -> None:
    await add_cached_video(library, admin)
    url = "/media/hls/1/master.m3u8"
    plain = await admin.get(url)
    for accepted in ("gzip", "deflate, gzip;q=0.5", "*", "br, GZIP"):
        answer = await admin.get(url, Accept_Encoding=accepted)
        assert answer.headers["Content-Encoding"] == "gzip", accepted
        assert gzip.decompress(answer.body) == plain.body
        assert answer.headers["ETag"] != plain.headers["ETag"]
        assert "Accept-Encoding" in ", ".join(answer.headers.get_list("Vary"))
        assert "Origin" in ", ".join(answer.headers.get_list("Vary"))
        again = await admin.get(url, Accept_Encoding=accepted, If_None_Match=answer.headers["ETag"])
        assert (again.status, again.body) == (304, b"")
    for accepted in ("gzip;q=0", "gzip; q=0.0", "br", "identity", "x-gzipped"):
        answer = await admin.get(url, Accept_Encoding=accepted)
        assert "Content-Encoding" not in answer.headers, accepted
        assert answer.body == MASTER.encode()
    part = await admin.get(url, Accept_Encoding="gzip", Range="bytes=0-6")
    assert (part.status, part.body) == (206, b"#EXTM3U")
    assert "Content-Encoding" not in (await admin.get("/media/hls/1/480p/0000.ts", Accept_Encoding="gzip")).headers


async def test_uris_fit_a_playlist_requested_with_a_trailing_slash(
    serving_path: str, admin: HttpClient, library: VideoLibrary
) -> None:
    await add_cached_video(library, admin)
    for _ in range(2):
        assert b"\n../0000.ts\n" in (await admin.get("/api/video/1/480p/index.m3u8/")).body
        master = (await admin.get("/api/video/1/master.m3u8/")).body
        assert b"\n../480p/index.m3u8\n" in master
        assert b'URI="../audio1/index.m3u8"' in master
    assert (await admin.get("/api/video/1/480p/0001.ts/")).status == 200


# All responses ---------------------------------------------------------------------------------------------


async def test_pages_of_allowed_origins_can_read_every_response(
    serving_path: str, admin: HttpClient, library: VideoLibrary
) -> None:
    await add_cached_video(library, admin)
    for path in ("480p/0000.ts", "master.m3u8", "480p/0009.ts", "nothing"):
        await assert_readable_by_pages(admin, path)


async def assert_readable_by_pages(admin: HttpClient, path: str) -> None:
    for conditions in ({}, {"If_None_Match": "*"}, {"Range": "bytes=0-1"}, {"Range": "bytes=99999999-"}):
        answer = await admin.get(f"/media/hls/1/{path}", Origin="http://localhost:5500", **conditions)
        assert answer.headers["Access-Control-Allow-Origin"] == "http://localhost:5500"
        assert answer.headers["Access-Control-Allow-Credentials"] == "true"
        assert "content-range" in answer.headers["Access-Control-Expose-Headers"]
        assert "Origin" in answer.headers["Vary"]
    answer = await admin.get(f"/media/hls/1/{path}", Origin="http://evil.example")
    assert "Access-Control-Allow-Origin" not in answer.headers
    assert "Origin" in answer.headers["Vary"]


async def test_other_methods_are_405_and_preflights_are_answered(
    serving_path: str, admin: HttpClient, client: HttpClient, library: VideoLibrary
) -> None:
    await add_cached_video(library, admin)
    url = "/media/hls/1/480p/0000.ts"
    for verb in ("POST", "PUT", "DELETE", "PATCH"):
        answer = await admin.fetch(verb, url, b"")
        assert (answer.status, answer.json) == (405, {"detail": f'Method "{verb}" not allowed.'})
        assert answer.headers["Allow"] == "GET, HEAD, OPTIONS"
    assert (await admin.fetch("OPTIONS", url, Origin="http://localhost:5500")).status == 200


async def test_every_request_is_logged_and_routine_ones_at_debug_level(
    serving_path: str, admin: HttpClient, library: VideoLibrary, caplog: pytest.LogCaptureFixture
) -> None:
    await add_cached_video(library, admin)
    caplog.set_level("DEBUG", "videoflix.access")
    caplog.clear()
    answer = await admin.get("/media/hls/1/480p/0000.ts")
    token = (await admin.get("/api/video/1/playback/")).json["token"]
    await HttpClient(int(admin.url.rpartition(":")[2])).get(f"/media/hls/1/480p/0000.ts?token={token}")
    await admin.get("/media/hls/1/480p/index.m3u8")
    await admin.get("/media/hls/1/480p/9999.ts")
    await admin.get("/healthz")
    await admin.fetch("PUT", "/api/video/1/progress/", b'{"position": 1}')
    levels = [record.levelname for record in caplog.records if record.name == "videoflix.access"]
    assert levels == ["DEBUG", "INFO", "DEBUG", "INFO", "INFO", "DEBUG", "DEBUG"]
    first, _, last, *_ = [record.getMessage() for record in caplog.records if record.name == "videoflix.access"]
    assert first.startswith("request method=GET path=/media/hls/1/480p/0000.ts status=200 duration_ms=")
    assert first.endswith(f"client=127.0.0.1 request_id={answer.headers['X-Request-Id']}")
    assert "path=/media/hls/1/480p/0000.ts status=200" in last
    assert token not in caplog.text


async def test_a_connection_is_reused_until_the_client_closes_it(
    serving_path: str, admin: HttpClient, library: VideoLibrary, http_server_port: tuple[object, int]
) -> None:
    folder = await add_cached_video(library, admin)
    content = (folder / "480p" / "0000.ts").read_bytes()
    reader, writer = await asyncio.open_connection("127.0.0.1", http_server_port[1])
    token = admin.cookies["access_token"]
    ask = f"GET /media/hls/1/480p/0000.ts HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n"
    writer.write(f"{ask}\r\n{ask}\r\n{ask}Connection: close\r\n\r\n".encode())
    for number in range(3):
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 OK\r\n")
        assert (b"\r\nConnection: close\r\n" in head) == (number == 2)
        assert await reader.readexactly(SEGMENT_BYTES) == content
    assert await reader.read() == b""
    writer.close()


async def fetch_raw(port: int, path: str, access_token: str) -> tuple[int, bytes]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {access_token}\r\nConnection: close\r\n\r\n"
    writer.write(head.encode())
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return int(answer.split(b" ")[1]), answer
