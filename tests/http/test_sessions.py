"""Sessions over real sockets: rotation, reuse and expiry of refresh tokens, renewal of access tokens, forged tokens."""

from __future__ import annotations

import asyncio
import base64
import json
from datetime import timedelta
from typing import Any

import jwt
import pymongo
import pymongo.errors
import pytest

from tests.support.http_client import HttpClient, HttpResponse
from tests.support.log_events import find_events
from tests.support.sites import running_site
from tests.support.tokens import token_expiring_in
from tests.support.users import ADDRESS, PASSWORD, sign_up
from videoflix.auth import sessions
from videoflix.models import now
from videoflix.services import Services
from videoflix.settings import Settings
from videoflix.stores.sessions import SessionStore

OTHER = "other@example.org"
TOKENS = ("access_token", "refresh_token")


def change_session(settings: Settings, **fields: object) -> None:
    """Set fields of all sessions, as time would change them."""
    with pymongo.MongoClient[dict[str, Any]](settings.mongodb_uri.get_secret_value()) as client:
        client[settings.mongodb_db]["sessions"].update_many({}, {"$set": fields})


def use_refresh_token(client: HttpClient, token: str) -> None:
    client.cookies = {"refresh_token": token}


async def refresh(client: HttpClient) -> HttpResponse:
    return await client.fetch("POST", "/api/token/refresh/", b"", Content_Type="application/json")


async def test_a_refresh_sets_new_cookies_and_reveals_no_token(client: HttpClient, services: Services) -> None:
    await sign_up(client, services)
    before = dict(client.cookies)
    answer = await refresh(client)
    assert (answer.status, answer.json) == (200, {"detail": "Token refreshed", "access": "new_access_token"})
    assert client.cookies["refresh_token"] != before["refresh_token"]
    assert len(answer.headers.get_list("Set-Cookie")) == 3
    assert (await client.get("/api/me/")).status == 200


async def test_tabs_that_refresh_concurrently_all_stay_logged_in(client: HttpClient, services: Services) -> None:
    await sign_up(client, services)
    token = client.cookies["refresh_token"]
    tabs = [HttpClient(int(client.url.rpartition(":")[2])) for _ in range(4)]
    for tab in tabs:
        use_refresh_token(tab, token)
    answers = await asyncio.gather(*(refresh(tab) for tab in tabs))
    assert [answer.status for answer in answers] == [200] * 4
    assert len({tab.cookies["refresh_token"] for tab in tabs}) == 1
    for tab in tabs:
        assert (await tab.get("/api/me/")).status == 200
    assert (await refresh(tabs[0])).status == 200
    assert (await tabs[1].get("/api/me/")).status == 200
    for tab in tabs:
        tab.close()


def age_replacement(settings: Settings, seconds: float, at: int) -> None:
    """Date the `at`-th replacement of a refresh token back by some seconds."""
    with pymongo.MongoClient[dict[str, Any]](settings.mongodb_uri.get_secret_value()) as client:
        session = client[settings.mongodb_db]["sessions"].find_one({"ended_at": None})
        assert session is not None
        predecessors = session["predecessors"]
        predecessors[at][1] -= timedelta(seconds=seconds)
        last = predecessors[-1][1]
    change_session(settings, predecessors=predecessors, rotated_at=last)


async def test_every_replaced_token_has_its_own_grace_period(
    client: HttpClient, services: Services, settings: Settings
) -> None:
    await sign_up(client, services)
    chain = [client.cookies["refresh_token"]]
    for _ in range(5):
        assert (await refresh(client)).status == 200
        chain.append(client.cookies["refresh_token"])
    assert len(set(chain)) == 6
    for old in chain[:5]:
        use_refresh_token(client, old)
        assert (await refresh(client)).status == 200
        assert client.cookies["refresh_token"] == chain[-1]  # the current one, in every tab
    age_replacement(settings, 29, at=1)
    use_refresh_token(client, chain[1])
    assert (await client.get("/api/me/")).status == 200  # with a renewed access token
    assert (await refresh(client)).status == 200
    age_replacement(settings, 2, at=1)
    use_refresh_token(client, chain[1])
    assert (await refresh(client)).status == 401
    use_refresh_token(client, chain[-1])
    assert (await refresh(client)).status == 401  # the session has ended


async def test_tabs_that_refresh_at_random_all_stay_logged_in(client: HttpClient, services: Services) -> None:
    await sign_up(client, services)
    tabs = [HttpClient(int(client.url.rpartition(":")[2])) for _ in range(4)]
    for tab in tabs:
        use_refresh_token(tab, client.cookies["refresh_token"])

    async def use(tab: HttpClient, pause: float) -> list[int]:
        statuses = []
        for _ in range(4):
            await asyncio.sleep(pause)
            statuses.append((await refresh(tab)).status)
        return statuses

    results = await asyncio.gather(*(use(tab, 0.01 * number) for number, tab in enumerate(tabs)))
    assert results == [[200] * 4] * 4
    for tab in tabs:
        tab.close()


async def test_reuse_of_an_older_token_ends_the_session(
    client: HttpClient, services: Services, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    await sign_up(client, services)
    stolen = client.cookies["refresh_token"]
    await refresh(client)
    await refresh(client)
    age_replacement(settings, 31, at=0)
    owner = dict(client.cookies)
    use_refresh_token(client, stolen)
    answer = await refresh(client)
    assert (answer.status, answer.json["code"]) == (401, "token_not_valid")
    assert find_events(caplog.records, "authn_token_reuse", user_id=1) != []
    client.cookies = owner
    assert (await client.get("/api/me/")).status == 401
    assert (await refresh(client)).status == 401


async def test_the_predecessor_ends_the_session_after_its_grace_period(
    client: HttpClient, services: Services, settings: Settings
) -> None:
    await sign_up(client, services)
    token = client.cookies["refresh_token"]
    await refresh(client)
    owner = dict(client.cookies)
    age_replacement(settings, 31, at=0)
    use_refresh_token(client, token)
    assert (await refresh(client)).status == 401
    client.cookies = owner
    assert (await refresh(client)).status == 401


async def test_a_session_rotated_by_an_older_version_keeps_its_grace_period(
    client: HttpClient, services: Services, settings: Settings
) -> None:
    await sign_up(client, services)
    token = client.cookies["refresh_token"]
    await refresh(client)
    newest = client.cookies["refresh_token"]
    with pymongo.MongoClient[dict[str, Any]](settings.mongodb_uri.get_secret_value()) as mongo:
        mongo[settings.mongodb_db]["sessions"].update_many({}, {"$unset": {"predecessors": ""}})
    use_refresh_token(client, token)
    assert ((await refresh(client)).status, client.cookies["refresh_token"]) == (200, newest)
    assert (await refresh(client)).status == 200


async def test_the_session_limit_ends_the_least_recently_used_session(
    client: HttpClient, services: Services, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions, "_MAX_SESSIONS_PER_USER", 3)
    monkeypatch.setattr(sessions, "_LOGINS_PER_LIMIT_CHECK", 1)
    kept: list[dict[str, str]] = []
    for address in (OTHER, ADDRESS):
        await services.accounts.make_admin(address, PASSWORD)
        await client.log_in(address, PASSWORD)
        other, kept = kept, [dict(client.cookies)]
    for _ in range(3):
        await client.log_in(ADDRESS, PASSWORD)
        kept.append(dict(client.cookies))
        use_refresh_token(client, kept[0]["refresh_token"])
        assert (await refresh(client)).status == 200  # used again
        kept[0] = dict(client.cookies)
    statuses = []
    for client.cookies in (*kept, *other):
        statuses.append((await client.get("/api/me/")).status)
    assert statuses == [200, 401, 200, 200, 200]
    client.cookies = kept[0]
    assert len((await client.get("/api/me/sessions/")).json["sessions"]) == 3


async def test_an_expired_session_is_over(client: HttpClient, services: Services, settings: Settings) -> None:
    await sign_up(client, services)
    change_session(settings, expires_at=now() - timedelta(seconds=1))
    assert (await refresh(client)).status == 401


async def test_a_get_with_an_old_access_cookie_gets_a_fresh_one(
    client: HttpClient, services: Services, settings: Settings
) -> None:
    await sign_up(client, services)
    token = client.cookies["refresh_token"]
    for left in (None, -5, 800):
        if left is None:
            del client.cookies["access_token"]
        else:
            client.cookies["access_token"] = token_expiring_in(client, settings, left)
        answer = await client.get("/api/me/")
        assert (answer.status, client.cookies["refresh_token"]) == (200, token)
        assert [line.split("=")[0] for line in answer.headers.get_list("Set-Cookie")] == ["access_token"]
        again = await client.get("/api/me/")
        assert (again.status, again.headers.get_list("Set-Cookie")) == (200, [])


async def test_a_player_that_stores_no_cookies_costs_one_query(
    client: HttpClient, services: Services, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    await sign_up(client, services)
    query_count = 0
    touch = SessionStore.touch

    async def touch_counted(*args: Any) -> None:
        nonlocal query_count
        query_count += 1
        await touch(*args)

    monkeypatch.setattr(SessionStore, "touch", touch_counted)
    old = {"access_token": token_expiring_in(client, settings, 60), "refresh_token": client.cookies["refresh_token"]}
    for _ in range(5):
        client.cookies = dict(old)
        assert (await client.get("/api/me/")).status == 200
        assert client.cookies["access_token"] != old["access_token"]
    assert query_count == 1
    await services.accounts.end_sessions(1)
    client.cookies = old
    assert (await client.get("/api/me/")).status == 401


async def test_only_safe_requests_with_cookies_renew_the_access_token(
    client: HttpClient, services: Services, settings: Settings
) -> None:
    await sign_up(client, services)
    expired = token_expiring_in(client, settings, -5)
    del client.cookies["access_token"]
    assert (await client.post("/api/me/")).status == 405
    assert (await client.fetch("DELETE", "/api/me/", {"password": PASSWORD})).status == 401
    assert (await client.get("/api/me/", Authorization=f"Bearer {expired}")).status == 401
    use_refresh_token(client, client.cookies["refresh_token"][:-2])
    missing = await client.get("/api/me/")
    assert (missing.status, "code" in missing.json) == (401, False)


async def test_a_bearer_token_gives_the_access_of_the_cookie(client: HttpClient, services: Services) -> None:
    await sign_up(client, services)
    token, client.cookies = client.cookies["access_token"], {}
    assert (await client.get("/api/me/", Authorization=f"bearer {token}")).status == 200
    assert (await client.get("/api/me/", Authorization="Bearer")).status == 401
    assert (await client.get("/api/me/", Authorization="Basic dXNlcjpwYXNz")).status == 401


def forge_tokens(access: str, refresh_token: str, secret: str) -> dict[str, str]:
    """Return what an attacker might send instead of an access token, by description."""
    claims = jwt.decode(access, secret, ["HS256"])
    head, body, signature = access.split(".")
    none = base64.urlsafe_b64encode(json.dumps({"alg": "none", "typ": "JWT"}).encode()).decode().rstrip("=")
    admin = base64.urlsafe_b64encode(json.dumps({**claims, "adm": True}).encode()).decode().rstrip("=")
    return {
        "nothing": "x",
        "truncated": access[:-1],
        "expired": jwt.encode({**claims, "exp": 1}, secret, "HS256"),
        "alg none": f"{none}.{body}.",
        "alg none, signed": f"{none}.{body}.{signature}",
        "another body": f"{head}.{admin}.{signature}",
        "another algorithm": jwt.encode(claims, secret * 2, "HS512"),
        "an old secret": jwt.encode(claims, "an older secret that was changed since", "HS256"),
        "another purpose": refresh_token,
        "playback": jwt.encode({**claims, "typ": "playback", "vid": 1}, secret, "HS256"),
        "no expiry": jwt.encode({k: v for k, v in claims.items() if k != "exp"}, secret, "HS256"),
        "no session": jwt.encode({**claims, "sid": None}, secret, "HS256"),
        "a key of the sender's": jwt.encode(
            claims,
            "a key of an attacker, long enough for it",
            "HS256",
            {"kid": "/dev/null", "jku": "http://evil.example"},
        ),
        "more parts": f"{access}.{signature}",
        "a list": jwt.encode({**claims, "sub": [1]}, secret, "HS256"),
        "endless": access + "A" * 5000,
    }


async def test_forged_tokens_give_access_to_nothing(client: HttpClient, services: Services, settings: Settings) -> None:
    await sign_up(client, services)
    secret = settings.secret_key.get_secret_value()
    access, genuine = (client.cookies[name] for name in TOKENS)
    for description, token in forge_tokens(access, genuine, secret).items():
        client.cookies = {"access_token": token}
        denied = await client.get("/api/me/")
        assert (denied.status, denied.json.get("code")) == (401, "token_not_valid"), description
        use_refresh_token(client, token if description != "another purpose" else access)
        assert (await refresh(client)).status == 401, description
    use_refresh_token(client, genuine)
    assert (await refresh(client)).status == 200  # none of it ended the session


async def test_a_user_who_is_deleted_or_disabled_is_logged_out(client: HttpClient, services: Services) -> None:
    await sign_up(client, services)
    await services.user_admin.update(0, 1, is_disabled=True)
    assert (await client.get("/api/me/")).status == 401
    assert (await refresh(client)).status == 401
    await services.user_admin.update(0, 1, is_disabled=False)
    assert (await refresh(client)).status == 401
    await client.log_in(ADDRESS, PASSWORD)
    await services.user_admin.delete(0, 1)
    assert (await client.get("/api/me/")).status == 401
    assert (await client.post("/api/token/refresh/")).status == 401


@pytest.mark.parametrize(
    ("changes", "attributes"),
    [
        ({"public_url": "https://films.example"}, {"Secure", "SameSite=Lax"}),
        ({"cookie_samesite": "None"}, {"Secure", "SameSite=None"}),
        ({"cookie_partitioned": True}, {"Secure", "SameSite=Lax", "Partitioned"}),
        ({"cookie_samesite": "Strict", "cookie_domain": "films.example"}, {"SameSite=Strict", "Domain=films.example"}),
    ],
)
async def test_cookies_have_the_configured_attributes_when_set_and_deleted(
    settings: Settings, changes: dict[str, Any], attributes: set[str]
) -> None:
    async with running_site(settings, **changes) as (client, services):
        await sign_up(client, services)
        for answer, seconds in (
            (await refresh(client), ("1800", "604800")),
            (await client.post("/api/logout/"), "00"),
        ):
            lines = {line.partition("=")[0]: line for line in answer.headers.get_list("Set-Cookie")}
            for name, life in zip(TOKENS, seconds, strict=True):
                parts = {part.strip() for part in lines[name].split(";")[1:]}
                assert parts == attributes | {"HttpOnly", "Path=/", f"Max-Age={life}"}
            if "csrftoken" in lines:  # read by scripts of pages below the same domain
                assert ("Domain=films.example" in lines["csrftoken"]) == ("Domain=films.example" in attributes)
