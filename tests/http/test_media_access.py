"""Who gets a film: by cookie, by Bearer token, by playback token - and who does not, on both ways."""

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
NOT_GIVEN = {"detail": "Authentication credentials were not provided."}
NOT_VALID = {"detail": "Given token not valid for any token type", "code": "token_not_valid"}


@pytest.fixture
def stranger(admin: HttpClient) -> Iterator[HttpClient]:
    """A client without cookies, on the same server."""
    with closing(HttpClient(urlsplit(admin.url).port or 0)) as client:
        yield client


def refused(answer: HttpResponse, body: object) -> None:
    assert (answer.status, answer.json) == (401, body)
    assert answer.headers["WWW-Authenticate"] == 'Bearer realm="api"'


def forged(settings: Settings, **claims: object) -> str:
    """A rightly signed token that says something else."""
    given = {"typ": "playback", "sub": "1", "sid": "s", "vid": 1, "exp": int(time.time()) + 60, **claims}
    return jwt.encode(given, settings.secret_key.get_secret_value(), "HS256")


async def test_cookie_and_bearer_open_a_video_and_nothing_else_does(
    serving_path: str, admin: HttpClient, stranger: HttpClient, library: VideoLibrary, settings: Settings
) -> None:
    await library.add()
    token = admin.cookies["access_token"]
    for _ in range(2):
        assert (await admin.get(SEGMENT)).status == 200
        assert (await stranger.get(SEGMENT, Authorization=f"bearer {token}")).status == 200
        refused(await stranger.get(SEGMENT), NOT_GIVEN)
        refused(await stranger.get("/media/thumbnails/1.jpg"), NOT_GIVEN)
        refused(await stranger.get(SEGMENT, Authorization="Bearer x.y.z"), NOT_VALID)
        refused(await stranger.get(SEGMENT, Cookie="access_token=x.y.z"), NOT_VALID)
        refused(await stranger.get(SEGMENT, Cookie=f"access_token={token[:-6]}AAAAAA"), NOT_VALID)
        refused(await stranger.get(SEGMENT, Cookie=f"refresh_token={token}"), NOT_GIVEN)
        refused(await stranger.get(SEGMENT, Authorization=f"Bearer {forged(settings)}"), NOT_VALID)
    expired = forged(settings, typ="access", adm=False, iat=0, exp=int(time.time()) - 1)
    refused(await stranger.get(SEGMENT, Cookie=f"access_token={expired}"), NOT_VALID)


async def test_a_player_without_cookies_follows_the_url_to_the_segments(
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


async def test_a_list_for_one_token_is_not_given_to_another(
    serving_path: str, admin: HttpClient, library: VideoLibrary
) -> None:
    await library.add()
    one = (await admin.get("/api/video/1/playback/")).json["token"]
    for _ in range(2):
        assert one.encode() in (await admin.get(f"/media/hls/1/master.m3u8?token={one}")).body
        assert b"token" not in (await admin.get("/media/hls/1/master.m3u8")).body


async def test_a_playback_token_opens_one_video_and_no_other_door(
    serving_path: str, admin: HttpClient, stranger: HttpClient, library: VideoLibrary, settings: Settings
) -> None:
    await library.add()
    await library.add(2)
    token = (await admin.get("/api/video/1/playback/")).json["token"]
    for _ in range(2):
        assert (await stranger.get(f"{SEGMENT}?token={token}")).status == 200
        refused(await stranger.get(f"/media/hls/2/480p/0000.ts?token={token}"), NOT_VALID)
    refused(await stranger.get(f"/api/video/?token={token}"), NOT_GIVEN)
    refused(await stranger.get("/api/video/", Authorization=f"Bearer {token}"), NOT_VALID)
    refused(await stranger.get("/api/video/", Cookie=f"access_token={token}"), NOT_VALID)
    for wrong in (
        token[:-6] + "AAAAAA",
        "x",
        f"{token}'",
        f'{token}"',
        admin.cookies["access_token"],
        forged(settings, exp=int(time.time()) - 1),
        forged(settings, typ="access"),
        forged(settings, vid=2),
        forged(settings, vid=None),
        jwt.encode({"typ": "playback", "sub": "1", "sid": "s", "vid": 1, "exp": 9e9}, "", "none"),
    ):
        refused(await stranger.get(f"{SEGMENT}?token={wrong}"), NOT_VALID)


async def test_an_address_is_given_for_what_can_be_played_to_who_is_signed_in(
    admin: HttpClient, stranger: HttpClient, library: VideoLibrary
) -> None:
    await library.add()
    await library.add_record(2, presentation=None)
    assert (await admin.get("/api/video/2/playback/")).status == 404
    assert (await admin.get("/api/video/3/playback/")).status == 404
    refused(await stranger.get("/api/video/1/playback/"), NOT_GIVEN)
    assert (await admin.get("/api/video/1/playback/")).headers["Cache-Control"] == "no-store"


async def test_a_video_that_cannot_be_played_is_404(
    serving_path: str, admin: HttpClient, library: VideoLibrary
) -> None:
    await library.add(1, presentation=None)
    assert (await admin.get("/media/hls/1/master.m3u8")).status == 404
    assert (await admin.get("/media/thumbnails/1.jpg")).status == 200  # admins see it in their list


async def test_tokens_of_every_kind_die_with_their_session(
    serving_path: str, admin: HttpClient, stranger: HttpClient, library: VideoLibrary, services: Services
) -> None:
    await library.add()
    token = (await admin.get("/api/video/1/playback/")).json["token"]
    for _ in range(2):
        assert (await admin.get(SEGMENT)).status == 200
        assert (await stranger.get(f"{SEGMENT}?token={token}")).status == 200
    await services.accounts.end_sessions(1)
    refused(await admin.get(SEGMENT), NOT_VALID)
    refused(await stranger.get(f"{SEGMENT}?token={token}"), NOT_VALID)


async def test_a_session_stays_revoked_for_as_long_as_its_longest_token_lives(services: Services) -> None:
    revocations = services.token_verifier._revocations
    assert revocations.lifetime_s >= services.settings.playback_token_hours * 3600
    assert revocations.lifetime_s >= services.settings.access_token_minutes * 60


async def test_while_revocations_may_be_missed_the_database_is_asked(
    admin: HttpClient, library: VideoLibrary, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process ended the session, and Redis did not tell."""
    await library.add()
    assert (await admin.get(SEGMENT)).status == 200
    assert (await admin.get(SEGMENT)).status == 200
    revocations = services.token_verifier._revocations
    monkeypatch.setattr(type(revocations), "is_in_sync", False)

    async def ended(_: datetime) -> list[Tombstone]:
        session = jwt.decode(admin.cookies["access_token"], options={"verify_signature": False})["sid"]
        return [Tombstone(session, now(), time.time() + 60)]

    monkeypatch.setattr(revocations, "_list_ended", ended)
    refused(await admin.get(SEGMENT), NOT_VALID)


async def test_who_cannot_renew_a_token_is_served_fast_until_it_ends(
    admin: HttpClient, library: VideoLibrary, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    await library.add()
    old = jwt.decode(admin.cookies["access_token"], options={"verify_signature": False})
    admin.cookies = {"access_token": forged(settings, **{**old, "exp": int(time.time()) + 60})}
    assert (await admin.get(SEGMENT)).status == 200
    monkeypatch.delattr(handler.MediaHandler, "get")
    assert (await admin.get(SEGMENT)).status == 200


async def test_a_player_keeps_its_page_signed_in(
    serving_path: str, admin: HttpClient, library: VideoLibrary, settings: Settings
) -> None:
    """A film is longer than an access token lives, and players never react to a 401."""
    await library.add()
    assert "Set-Cookie" not in (await admin.get(SEGMENT)).headers
    old = jwt.decode(admin.cookies["access_token"], options={"verify_signature": False})
    for expires in (60, -1):  # past half of its life; over
        admin.cookies["access_token"] = forged(settings, **{**old, "exp": int(time.time()) + expires})
        answer = await admin.get(SEGMENT)
        assert answer.status == 200
        renewed = jwt.decode(admin.cookies["access_token"], options={"verify_signature": False})
        assert renewed["exp"] > time.time() + settings.access_token_minutes * 60 - 30
