"""handlers/admin/videos.py and jobs.py: upload, change, delete, retry and cancel videos."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
from pathlib import Path
from typing import Any

import pymongo
import pytest
from redis.asyncio import Redis

from tests.support.http_client import HttpClient, HttpResponse
from tests.support.sites import running_site
from transcode.ledger import Ledger
from videoflix.services import Services
from videoflix.settings import Settings
from videoflix.stores.videos import VideoStore
from videoflix.upload_storage import UploadStorage

BOUNDARY = "----film"


def form(file: bytes | None, name: str = "My_film.mp4", **fields: str) -> bytes:
    """Return a multipart form as browsers send it."""
    parts = [
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{key}"\r\n\r\n{value}\r\n'.encode()
        for key, value in fields.items()
    ]
    if file is not None:
        head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n'
        parts.append(head.encode() + b"Content-Type: video/mp4\r\n\r\n" + file + b"\r\n")
    return b"".join(parts) + f"--{BOUNDARY}--\r\n".encode()


async def upload(client: HttpClient, body: bytes) -> HttpResponse:
    return await client.post("/api/admin/videos/", body, Content_Type=f"multipart/form-data; boundary={BOUNDARY}")


async def send(client: HttpClient, body: bytes, chunked: bool) -> bytes:
    """Upload a body like clients that do not read the response before everything is sent; return it."""
    if chunked:
        pieces = [body[at : at + 99_999] for at in range(0, len(body), 99_999)]
        body = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in [*pieces, b""])
    length = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {len(body)}"
    token = client.cookies.get("access_token", "none")
    head = (
        f"POST /api/admin/videos/ HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n{length}\r\n"
        f"Content-Type: multipart/form-data; boundary={BOUNDARY}\r\n\r\n"
    )
    reader, writer = await asyncio.open_connection("127.0.0.1", int(client.url.rpartition(":")[2]))
    writer.write(head.encode() + body)
    await writer.drain()
    answer = await reader.readuntil(b"}")
    writer.close()
    await writer.wait_closed()
    return answer


def leftovers(settings: Settings) -> list[Path]:
    return [path for path in (settings.media_root / "scratch" / "uploads").rglob("*") if path.is_file()]


async def test_an_upload_becomes_a_video_in_work(admin: HttpClient, settings: Settings) -> None:
    content = os.urandom(700_000)
    answer = await upload(admin, form(content, title=" Of mice ", description="and men", category="Drama"))
    assert answer.status == 201
    video = answer.json
    assert video["created_at"].endswith("Z")
    del video["created_at"]
    assert video == {
        "id": 1,
        "title": "Of mice",
        "description": "and men",
        "category": "Drama",
        "status": "processing",
        "playable": False,
        "progress": 0,
        "seconds_left": None,
        "waits_for": None,
        "error": None,
        "warning": None,
        "may_be_retried": False,
    }
    assert (settings.media_root / "videos" / "1.mp4").read_bytes() == content
    assert leftovers(settings) == []
    assert (await admin.get("/api/admin/videos/1/")).json["title"] == "Of mice"
    assert [video["id"] for video in (await admin.get("/api/admin/videos")).json] == [1]


async def test_a_playable_video_has_a_warning_about_its_damaged_upload(admin: HttpClient, videos: VideoStore) -> None:
    await upload(admin, form(b"film", title="t"))
    await videos.set_presentation(1, {"version": 1}, ["480p"], 3, 12.0, "About 40 % of the file cannot be read.")
    video = (await admin.get("/api/admin/videos/1/")).json
    assert (video["playable"], video["error"]) == (True, None)
    assert video["warning"] == "About 40 % of the file cannot be read."


async def test_the_default_title_is_the_name_of_the_file(admin: HttpClient) -> None:
    answer = await upload(admin, form(b"film", name="C:\\films\\My_<b>film.MP4"))
    assert (answer.status, answer.json["title"]) == (201, "My b>film")


async def test_the_job_of_an_upload_is_listed(admin: HttpClient) -> None:
    await upload(admin, form(b"film", title="t"))
    jobs = (await admin.get("/api/admin/jobs/")).json["jobs"]
    assert [job["film"] for job in jobs] == [1]


async def test_a_video_that_is_not_playable_is_not_in_the_catalogue(admin: HttpClient) -> None:
    await upload(admin, form(b"film", title="t"))
    assert (await admin.get("/api/video/")).json == []


@pytest.mark.parametrize(
    ("body", "errors"),
    [
        (form(None, title="t"), {"file": ["No file was submitted."]}),
        (form(b"", title="t"), {"file": ["The submitted file is empty."]}),
        (form(b"x", title="  "), {"title": ["This field may not be blank."]}),
        (
            form(b"x", title="<script>", category="c" * 101),
            {
                "title": ["Markup is not allowed: leave out the < before a letter, /, ! or ?."],
                "category": ["Ensure this field has no more than 100 characters."],
            },
        ),
        (
            form(b"x", title="t").replace(b'name="file"', b'name="video"'),
            {"file": ["Send the video in this field, and no other file."]},
        ),
        (form(b"x", title="a\nb"), {"title": ["Control characters are not allowed."]}),
        (form(b"x", title="x" * 70_000), {"detail": "The text fields of the form are too long."}),
        (
            form(b"x", **{"x" * 3_000 + str(n): "" for n in range(30)}),
            {"detail": "The text fields of the form are too long."},
        ),
        (form(b"x", title="t")[:-20], {"detail": "The form is incomplete: its last boundary is missing."}),
        (b"no form at all", {"detail": "The form could not be read: it is not valid multipart/form-data."}),
    ],
)
async def test_a_bad_form_is_refused_and_leaves_no_files(
    admin: HttpClient, settings: Settings, body: bytes, errors: dict[str, object]
) -> None:
    answer = await upload(admin, body)
    assert (answer.status, answer.json) == (400, errors)
    assert leftovers(settings) == []
    assert (await admin.get("/api/admin/videos/")).json == []


@pytest.mark.parametrize(
    "kind", ["application/json", "multipart/form-data", f"multipart/form-data; boundary={'x' * 300}", "a;b;;="]
)
async def test_a_body_that_is_no_form_is_refused(admin: HttpClient, kind: str) -> None:
    answer = await admin.post("/api/admin/videos/", {"title": "t"}, Content_Type=kind)
    assert (answer.status, answer.json) == (400, {"detail": "Send the video as multipart/form-data."})


async def test_the_last_title_counts_and_an_empty_file_field_is_ignored(
    admin: HttpClient,
) -> None:
    left_empty = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="picture"; filename=""\r\n\r\n\r\n'.encode()
    twice = form(b"film", title="one")[: -len(f"--{BOUNDARY}--\r\n")] + left_empty + form(None, title="two")
    answer = await upload(admin, twice)
    assert (answer.status, answer.json.get("title")) == (201, "two")


async def test_files_of_videos_without_a_record_are_not_overwritten(admin: HttpClient, settings: Settings) -> None:
    for path in ("videos/1.mp4", "hls/2/480p/0000.ts", "thumbnails/12.jpg", "videos/notes.txt"):
        (settings.media_root / path).parent.mkdir(parents=True, exist_ok=True)
        (settings.media_root / path).write_text("of an older catalogue")
    answers = [await upload(admin, form(b"film", title="t")) for _ in range(2)]
    assert [answer.json["id"] for answer in answers] == [13, 14]
    assert (settings.media_root / "videos/1.mp4").read_text() == "of an older catalogue"


async def test_less_than_sign_without_markup_is_plain_text(admin: HttpClient) -> None:
    answer = await upload(admin, form(b"x", title="1 < 2 & a <3"))
    assert (answer.status, answer.json["title"]) == (201, "1 < 2 & a <3")


async def test_only_admins_upload_videos(client: HttpClient, services: Services, settings: Settings) -> None:
    answer = await upload(client, form(b"x", title="t"))
    assert (answer.status, answer.json["detail"]) == (401, "Authentication credentials were not provided.")
    assert leftovers(settings) == []


async def test_an_aborted_upload_leaves_no_files(
    admin: HttpClient, settings: Settings, http_server_port: tuple[object, int]
) -> None:
    token = admin.cookies["access_token"]
    head = (
        f"POST /api/admin/videos/ HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nContent-Length: 900000\r\n"
        f"Content-Type: multipart/form-data; boundary={BOUNDARY}\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", http_server_port[1])) as client:
        client.sendall(head.encode() + form(b"x" * 300_000)[:200_000])
        while not leftovers(settings):
            await asyncio.sleep(0.01)
    for _ in range(500):
        if not leftovers(settings):
            break
        await asyncio.sleep(0.01)
    assert leftovers(settings) == []


@pytest.mark.parametrize(
    ("change", "status"), [({"is_disabled": True}, 401), ({"is_admin": False}, 401), (None, 401), ("demoted", 403)]
)
async def test_an_upload_is_refused_if_the_admin_lost_the_right_meanwhile(
    admin: HttpClient, settings: Settings, services: Services, change: object, status: int
) -> None:
    """`change` None: deleted; "demoted": in the database only, as if the message about it was still on its way."""
    await services.accounts.make_admin("other@example.org", "correct horse battery")
    body = form(b"x" * 300_000, title="t")
    reader, writer = await asyncio.open_connection("127.0.0.1", int(admin.url.rpartition(":")[2]))
    head = (
        f"POST /api/admin/videos/ HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {admin.cookies['access_token']}\r\n"
        f"Content-Length: {len(body)}\r\nContent-Type: multipart/form-data; boundary={BOUNDARY}\r\n\r\n"
    )
    writer.write(head.encode() + body[:200_000])
    while not leftovers(settings):
        await asyncio.sleep(0.01)
    if change == "demoted":
        with pymongo.MongoClient[dict[str, Any]](settings.mongodb_uri.get_secret_value()) as client:
            client[settings.mongodb_db]["users"].update_one({"_id": 1}, {"$set": {"is_admin": False}})
    elif isinstance(change, dict):
        await services.user_admin.update(2, 1, **change)
    else:
        await services.user_admin.delete(2, 1)
    writer.write(body[200_000:])
    assert f"HTTP/1.1 {status} ".encode() in await reader.readuntil(b"}")
    writer.close()
    await writer.wait_closed()
    assert leftovers(settings) == []
    assert await services.catalogue.list_all() == []
    assert list((settings.media_root / "videos").glob("*")) == []


async def test_a_bad_title_is_reported_before_the_file_is_sent(
    admin: HttpClient, settings: Settings, http_server_port: tuple[object, int]
) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", http_server_port[1])
    head = (
        f"POST /api/admin/videos/ HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {admin.cookies['access_token']}\r\n"
        f"Content-Length: 900000\r\nContent-Type: multipart/form-data; boundary={BOUNDARY}\r\n\r\n"
    )
    writer.write(head.encode() + form(b"x" * 1000, title="<b>")[:1000])
    assert b" 400 " in await reader.readline()
    assert b'{"title":["Markup is not allowed' in await reader.readuntil(b"}")
    assert leftovers(settings) == []
    writer.close()
    await writer.wait_closed()


@pytest.mark.parametrize("chunked", [True, False])
@pytest.mark.parametrize("sign_in", [True, False])
async def test_a_refused_client_that_keeps_sending_gets_its_response(
    admin: HttpClient, settings: Settings, sign_in: bool, chunked: bool
) -> None:
    if not sign_in:
        admin.cookies.clear()
    answer = await send(admin, b"no form at all" * 700_000, chunked)
    assert answer.startswith(b"HTTP/1.1 400 " if sign_in else b"HTTP/1.1 401 ")
    assert answer.endswith(b"}")
    assert leftovers(settings) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk takes root")
async def test_a_full_disk_is_reported_and_leaves_no_files(
    admin: HttpClient, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = settings.media_root / "scratch" / "uploads"
    folder.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)], check=True)
    try:
        answer = await upload(admin, form(b"x" * 3_000_000, title="t"))
        assert (answer.status, answer.json) == (507, {"detail": "There is not enough disk space for this file."})
        response = await send(admin, form(b"x" * 3_000_000), chunked=True)
        assert response.startswith(b"HTTP/1.1 507 ")
        assert response.endswith(b'{"detail":"There is not enough disk space for this file."}')
        monkeypatch.setattr(UploadStorage, "require_space", lambda *_: None)  # a quota is not visible in statvfs
        response = await send(admin, form(b"x" * 3_000_000), chunked=True)
        assert response.startswith(b"HTTP/1.1 507 ")
        assert response.endswith(b'{"detail":"The disk is full."}')
        assert leftovers(settings) == []
    finally:
        subprocess.run(["umount", str(folder)], check=True)


async def test_deleting_removes_every_file(admin: HttpClient, settings: Settings) -> None:
    await upload(admin, form(b"film", title="t"))
    for folder in ("hls/1/480p", "scratch/1/audio", "thumbnails"):
        (settings.media_root / folder).mkdir(parents=True)
    for file in ("hls/1/480p/0000.ts", "scratch/1/audio/0.ts", "thumbnails/1.jpg"):
        (settings.media_root / file).touch()
    answer = await admin.fetch("DELETE", "/api/admin/videos/1/")
    assert (answer.status, answer.json) == (200, {"detail": "Video deleted."})
    assert [path for path in settings.media_root.rglob("*") if path.is_file()] == []
    assert (await admin.get("/api/admin/videos/1/")).status == 404
    assert (await admin.fetch("DELETE", "/api/admin/videos/1/")).status == 404


async def test_a_file_beyond_the_limit_is_refused_before_it_is_read(
    admin: HttpClient, settings: Settings, http_server_port: tuple[object, int]
) -> None:
    token, size = admin.cookies["access_token"], int(settings.max_upload_gib * 1024**3) + 1
    head = (
        f"POST /api/admin/videos/ HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nContent-Length: {size}\r\n"
        f"Content-Type: multipart/form-data; boundary={BOUNDARY}\r\n\r\n"
    )
    reader, writer = await asyncio.open_connection("127.0.0.1", http_server_port[1])
    writer.write(head.encode())
    assert b" 413 " in await reader.readline()
    writer.close()
    await writer.wait_closed()


async def test_a_file_that_grows_beyond_the_limit_is_refused(settings: Settings) -> None:
    async with running_site(settings, max_upload_gib=1 / 1024) as (client, services):
        await services.accounts.make_admin("admin@videoflix.example", "correct horse battery")
        await client.log_in()
        response = await send(client, form(b"x" * 3_000_000), chunked=True)
    assert response.startswith(b"HTTP/1.1 413 ")
    assert b'{"detail":"The file is too large: the limit is 0.000976562 GiB."}' in response
    assert leftovers(settings) == []


async def test_an_upload_to_a_wrong_path_gets_its_error(
    client: HttpClient, http_server_port: tuple[object, int]
) -> None:
    for path, status in (("/api/video/", b" 405 "), ("/api/films/", b" 404 ")):
        reader, writer = await asyncio.open_connection("127.0.0.1", http_server_port[1])
        writer.write(f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 110000000\r\n\r\n".encode())
        for _ in range(110):
            writer.write(b"x" * 1_000_000)
            await writer.drain()
        assert status in await reader.readline()
        writer.close()
        await writer.wait_closed()


async def test_only_a_cancelled_or_failed_video_can_be_retried(admin: HttpClient, videos: VideoStore) -> None:
    await upload(admin, form(b"film", title="t"))
    answer = await admin.post("/api/admin/videos/1/cancel/")
    assert (answer.status, answer.json["status"], answer.json["error"]) == (200, "failed", "The work was cancelled.")
    assert [job["state"] for job in (await admin.get("/api/admin/jobs/")).json["jobs"]] == ["cancelled"]
    assert (await admin.post("/api/admin/videos/1/cancel/")).status == 409
    answer = await admin.post("/api/admin/videos/1/retry")
    assert (answer.status, answer.json["status"], answer.json["error"]) == (200, "processing", None)
    assert [job["state"] for job in (await admin.get("/api/admin/jobs/")).json["jobs"]] == ["queued"]
    answer = await admin.post("/api/admin/videos/1/retry/")
    assert (answer.status, answer.json) == (409, {"detail": "Only a video that failed can be tried again."})
    for call in ("cancel", "retry"):
        assert (await admin.post(f"/api/admin/videos/2/{call}/")).status == 404
    await videos.set_ready(1, {})
    for call in ("cancel", "retry"):
        assert (await admin.post(f"/api/admin/videos/1/{call}/")).status == 409
    assert (await admin.get("/api/admin/videos/1/")).json["progress"] == 100


async def test_a_video_that_waits_for_disk_space_says_so(admin: HttpClient, settings: Settings) -> None:
    await upload(admin, form(b"film", title="t"))
    async with Redis.from_url(settings.redis_url.get_secret_value()) as redis:
        await Ledger(redis).set_pause_reason("free disk space")
        video = (await admin.get("/api/admin/videos/1/")).json
        assert (video["status"], video["waits_for"]) == ("processing", "free disk space")


@pytest.mark.parametrize("call", ["cancel", "retry"])
async def test_only_admins_cancel_and_retry(client: HttpClient, call: str) -> None:
    assert (await client.post(f"/api/admin/videos/1/{call}/")).status == 401
