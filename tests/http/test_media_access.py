"""Access to published files by cookie, Bearer token and playback token, on both serving paths."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime
from urllib.parse import urlsplit

import jwt
import pytest

from handlers.media import handler
from tests.support.http_client import HttpClient, HttpResponse
from tests.support.videos import VideoLibrary
from videoflix.models import Tombstone, now
from videoflix.services import Services
from videoflix.settings import Settings

SEGMENT = "/media/hls/1/480p/0000.ts"
NO_CREDENTIALS = {"detail": "Authentication credentials were not provided."}
INVALID_TOKEN = {"detail": "Given token not valid for any token type", "code": "token_not_valid"}


@pytest.fixture
def stranger(admin: HttpClient) -> Iterator[HttpClient]:
    """Return a client without cookies on the same server."""
    with closing(HttpClient(urlsplit(admin.url).port or 0)) as client:
        yield client


def assert_401(answer: HttpResponse, body: object) -> None:
    assert (answer.status, answer.json) == (401, body)
    assert answer.headers["WWW-Authenticate"] == 'Bearer realm="api"'


def signed_token(settings: Settings, **claims: object) -> str:
    """Return a token with a valid signature and these claims."""
    given = {"typ": "playback", "sub": "1", "sid": "s", "vid": 1, "exp": int(time.time()) + 60, **claims}
    return jwt.encode(given, settings.secret_key.get_secret_value(), "HS256")


async def test_an_access_token_as_cookie_or_bearer_is_required(
    serving_path: str, admin: HttpClient, stranger: HttpClient, library: VideoLibrary, settings: Settings
) -> None:
    await library.add()
    token = admin.cookies["access_token"]
    for _ in range(2):
        assert (await admin.get(SEGMENT)).status == 200
        assert (await stranger.get(SEGMENT, Authorization=f"bearer {token}")).status == 200
        assert_401(await stranger.get(SEGMENT), NO_CREDENTIALS)
        assert_401(await stranger.get("/media/thumbnails/1.jpg"), NO_CREDENTIALS)
        assert_401(await stranger.get(SEGMENT, Authorization="Bearer x.y.z"), INVALID_TOKEN)
        assert_401(await stranger.get(SEGMENT, Cookie="access_token=x.y.z"), INVALID_TOKEN)
        assert_401(await stranger.get(SEGMENT, Cookie=f"access_token={token[:-6]}AAAAAA"), INVALID_TOKEN)
        assert_401(await stranger.get(SEGMENT, Cookie=f"refresh_token={token}"), NO_CREDENTIALS)
        assert_401(await stranger.get(SEGMENT, Authorization=f"Bearer {signed_token(settings)}"), INVALID_TOKEN)
    expired = signed_token(settings, typ="access", adm=False, iat=0, exp=int(time.time()) - 1)
    assert_401(await stranger.get(SEGMENT, Cookie=f"access_token={expired}"), INVALID_TOKEN)


async def test_a_playback_token_leads_from_the_playlist_to_the_segments(
    serving_path: str, admin: HttpClient, stranger: HttpClient, library: VideoLibrary
) -> None:
    folder = await library.add()
    given = (await admin.get("/api/video/1/playback")).json
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", given["expires_at"])
    assert given["master_url"] == f"{admin.url}/media/hls/1/master.m3u8?token={given['token']}"
    for _ in range(2):
        master = await stranger.get(given["master_url"].removeprefix(stranger.url))
        assert master.status == 200
        inner = re.findall(r'^[^#\s].*|(?<=URI=")[^"]+', master.body.decode(), re.MULTILINE)
        assert [uri.partition("?")[0] for uri in inner] == [
            "audio1/index.m3u8",
            "480p/index.m3u8",
            "720p/index.m3u8",
            "480p/iframes.m3u8",
        ]
        playlist = await stranger.get(f"/media/hls/1/{inner[1]}")
        segments = [line for line in playlist.body.decode().splitlines() if not line.startswith("#")]
        assert len(segments) == 3
        answer = await stranger.get(f"/media/hls/1/480p/{segments[2]}")
        assert answer.body == (folder / "480p" / "0002.ts").read_bytes()
        storyboard = await stranger.get(f"/media/hls/1/storyboard/index.vtt?token={given['token']}")
        assert f"\n0000.jpg?token={given['token']}#xywh=160,0,160,90\n" in storyboard.body.decode()
        assert (await stranger.get(f"/media/thumbnails/1.jpg?token={given['token']}")).status == 200


async def test_a_playlist_with_a_token_is_sent_for_that_token_only(
    serving_path: str, admin: HttpClient, library: VideoLibrary
) -> None:
    await library.add()
    one = (await admin.get("/api/video/1/playback/")).json["token"]
    for _ in range(2):
        assert one.encode() in (await admin.get(f"/media/hls/1/master.m3u8?token={one}")).body
        assert b"token" not in (await admin.get("/media/hls/1/master.m3u8")).body


async def test_a_playback_token_is_valid_for_one_video_only(
    serving_path: str, admin: HttpClient, stranger: HttpClient, library: VideoLibrary, settings: Settings
) -> None:
    await library.add()
    await library.add(2)
    token = (await admin.get("/api/video/1/playback/")).json["token"]
    for _ in range(2):
        assert (await stranger.get(f"{SEGMENT}?token={token}")).status == 200
        assert_401(await stranger.get(f"/media/hls/2/480p/0000.ts?token={token}"), INVALID_TOKEN)
    assert_401(await stranger.get(f"/api/video/?token={token}"), NO_CREDENTIALS)
    assert_401(await stranger.get("/api/video/", Authorization=f"Bearer {token}"), INVALID_TOKEN)
    assert_401(await stranger.get("/api/video/", Cookie=f"access_token={token}"), INVALID_TOKEN)
    for wrong in (
        token[:-6] + "AAAAAA",
        "x",
        f"{token}'",
        f'{token}"',
        admin.cookies["access_token"],
        signed_token(settings, exp=int(time.time()) - 1),
        signed_token(settings, typ="access"),
        signed_token(settings, vid=2),
        signed_token(settings, vid=None),
        jwt.encode({"typ": "playback", "sub": "1", "sid": "s", "vid": 1, "exp": 9e9}, "", "none"),
    ):
        assert_401(await stranger.get(f"{SEGMENT}?token={wrong}"), INVALID_TOKEN)


async def test_a_playback_url_needs_a_user_and_a_playable_video(
    admin: HttpClient, stranger: HttpClient, library: VideoLibrary
) -> None:
    await library.add()
    await library.add_record(2, presentation=None)
    assert (await admin.get("/api/video/2/playback/")).status == 404
    assert (await admin.get("/api/video/3/playback/")).status == 404
    assert_401(await stranger.get("/api/video/1/playback/"), NO_CREDENTIALS)
    assert (await admin.get("/api/video/1/playback/")).headers["Cache-Control"] == "no-store"


async def test_a_video_that_is_not_playable_is_404(serving_path: str, admin: HttpClient, library: VideoLibrary) -> None:
    await library.add(1, presentation=None)
    assert (await admin.get("/media/hls/1/master.m3u8")).status == 404
    assert (await admin.get("/media/thumbnails/1.jpg")).status == 200  # shown in the list for admins


async def test_tokens_of_every_kind_end_with_their_session(
    serving_path: str, admin: HttpClient, stranger: HttpClient, library: VideoLibrary, services: Services
) -> None:
    await library.add()
    token = (await admin.get("/api/video/1/playback/")).json["token"]
    for _ in range(2):
        assert (await admin.get(SEGMENT)).status == 200
        assert (await stranger.get(f"{SEGMENT}?token={token}")).status == 200
    await services.accounts.end_sessions(1)
    assert_401(await admin.get(SEGMENT), INVALID_TOKEN)
    assert_401(await stranger.get(f"{SEGMENT}?token={token}"), INVALID_TOKEN)


async def test_a_session_stays_revoked_for_as_long_as_its_longest_token_lives(services: Services) -> None:
    revocations = services.token_verifier._revocations
    assert revocations.lifetime_s >= services.settings.playback_token_hours * 3600
    assert revocations.lifetime_s >= services.settings.access_token_minutes * 60


async def test_the_database_is_asked_while_revocations_may_be_missed(
    admin: HttpClient, library: VideoLibrary, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process ended the session, and Redis did not deliver the message."""
    await library.add()
    assert (await admin.get(SEGMENT)).status == 200
    assert (await admin.get(SEGMENT)).status == 200
    revocations = services.token_verifier._revocations
    monkeypatch.setattr(type(revocations), "is_in_sync", False)

    async def ended(_: datetime) -> list[Tombstone]:
        session = jwt.decode(admin.cookies["access_token"], options={"verify_signature": False})["sid"]
        return [Tombstone(session, now(), time.time() + 60)]

    monkeypatch.setattr(revocations, "_list_ended", ended)
    assert_401(await admin.get(SEGMENT), INVALID_TOKEN)


async def test_a_token_that_cannot_be_renewed_takes_the_fast_path(
    admin: HttpClient, library: VideoLibrary, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    await library.add()
    old = jwt.decode(admin.cookies["access_token"], options={"verify_signature": False})
    admin.cookies = {"access_token": signed_token(settings, **{**old, "exp": int(time.time()) + 60})}
    assert (await admin.get(SEGMENT)).status == 200
    monkeypatch.delattr(handler.MediaHandler, "get")
    assert (await admin.get(SEGMENT)).status == 200


async def test_requests_of_a_player_renew_the_access_token(
    serving_path: str, admin: HttpClient, library: VideoLibrary, settings: Settings
) -> None:
    """A video is longer than the lifetime of an access token, and players do not handle a 401."""
    await library.add()
    assert "Set-Cookie" not in (await admin.get(SEGMENT)).headers
    old = jwt.decode(admin.cookies["access_token"], options={"verify_signature": False})
    for expires in (60, -1):  # past half of its lifetime; expired
        admin.cookies["access_token"] = signed_token(settings, **{**old, "exp": int(time.time()) + expires})
        answer = await admin.get(SEGMENT)
        assert answer.status == 200
        renewed = jwt.decode(admin.cookies["access_token"], options={"verify_signature": False})
        assert renewed["exp"] > time.time() + settings.access_token_minutes * 60 - 30
