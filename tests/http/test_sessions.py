"""Sessions over real sockets: refresh tokens that rotate, thieves, tabs, renewal on the way, and forged tokens."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from datetime import timedelta
from typing import Any

import jwt
import pymongo
import pymongo.errors
import pytest

from tests.http.people import ADDRESS, PASSWORD, join, site
from tests.tools import Answer, Browser
from videoflix.accounts import sessions
from videoflix.models import now
from videoflix.services import Services
from videoflix.settings import Settings
from videoflix.stores.sessions import SessionStore

OTHER = "other@example.org"
TOKENS = ("access_token", "refresh_token")


def change_session(settings: Settings, **fields: object) -> None:
    """What time would do."""
    with pymongo.MongoClient[dict[str, Any]](settings.mongodb_uri.get_secret_value()) as client:
        client[settings.mongodb_db]["sessions"].update_many({}, {"$set": fields})


def with_refresh(browser: Browser, token: str) -> None:
    browser.cookies = {"refresh_token": token}


async def refresh(browser: Browser) -> Answer:
    return await browser.fetch("POST", "/api/token/refresh/", b"", Content_Type="application/json")


def aged(browser: Browser, settings: Settings, left: float) -> str:
    """The same access token, with `left` seconds to live."""
    secret = settings.secret_key.get_secret_value()
    claims = jwt.decode(browser.cookies["access_token"], secret, ["HS256"])
    return jwt.encode({**claims, "exp": int(time.time() + left)}, secret, "HS256")


async def test_a_refresh_gives_new_cookies_and_no_token_away(browser: Browser, services: Services) -> None:
    await join(browser, services)
    before = dict(browser.cookies)
    answer = await refresh(browser)
    assert (answer.status, answer.json) == (200, {"detail": "Token refreshed", "access": "new_access_token"})
    assert browser.cookies["refresh_token"] != before["refresh_token"]
    assert len(answer.headers.get_list("Set-Cookie")) == 3
    assert (await browser.get("/api/me/")).status == 200


async def test_two_tabs_that_refresh_at_the_same_moment_both_stay_signed_in(
    browser: Browser, services: Services
) -> None:
    await join(browser, services)
    token = browser.cookies["refresh_token"]
    tabs = [Browser(int(browser.url.rpartition(":")[2])) for _ in range(4)]
    for tab in tabs:
        with_refresh(tab, token)
    answers = await asyncio.gather(*(refresh(tab) for tab in tabs))
    assert [answer.status for answer in answers] == [200] * 4
    assert len({tab.cookies["refresh_token"] for tab in tabs}) == 1
    for tab in tabs:
        assert (await tab.get("/api/me/")).status == 200
    assert (await refresh(tabs[0])).status == 200
    assert (await tabs[1].get("/api/me/")).status == 200
    for tab in tabs:
        tab.close()


def replaced_earlier(settings: Settings, seconds: float, at: int) -> None:
    """The token that was replaced as the `at`-th one was so that long ago."""
    with pymongo.MongoClient[dict[str, Any]](settings.mongodb_uri.get_secret_value()) as client:
        found = client[settings.mongodb_db]["sessions"].find_one({"ended_at": None})
        assert found is not None
        predecessors = found["predecessors"]
        predecessors[at][1] -= timedelta(seconds=seconds)
        last = predecessors[-1][1]
    change_session(settings, predecessors=predecessors, rotated_at=last)


async def test_every_replaced_token_has_its_grace_however_often_another_tab_refreshes(
    browser: Browser, services: Services, settings: Settings
) -> None:
    await join(browser, services)
    chain = [browser.cookies["refresh_token"]]
    for _ in range(5):
        assert (await refresh(browser)).status == 200
        chain.append(browser.cookies["refresh_token"])
    assert len(set(chain)) == 6
    for old in chain[:5]:
        with_refresh(browser, old)
        assert (await refresh(browser)).status == 200
        assert browser.cookies["refresh_token"] == chain[-1]  # the newest, in whichever tab
    replaced_earlier(settings, 29, at=1)
    with_refresh(browser, chain[1])
    assert (await browser.get("/api/me/")).status == 200  # renewed on the way
    assert (await refresh(browser)).status == 200
    replaced_earlier(settings, 2, at=1)
    with_refresh(browser, chain[1])
    assert (await refresh(browser)).status == 401
    with_refresh(browser, chain[-1])
    assert (await refresh(browser)).status == 401  # the family has ended


async def test_tabs_that_refresh_at_random_all_stay_signed_in(browser: Browser, services: Services) -> None:
    await join(browser, services)
    tabs = [Browser(int(browser.url.rpartition(":")[2])) for _ in range(4)]
    for tab in tabs:
        with_refresh(tab, browser.cookies["refresh_token"])

    async def use(tab: Browser, pause: float) -> list[int]:
        statuses = []
        for _ in range(4):
            await asyncio.sleep(pause)
            statuses.append((await refresh(tab)).status)
        return statuses

    results = await asyncio.gather(*(use(tab, 0.01 * number) for number, tab in enumerate(tabs)))
    assert results == [[200] * 4] * 4
    for tab in tabs:
        tab.close()


async def test_an_older_token_ends_the_whole_family(
    browser: Browser, services: Services, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    await join(browser, services)
    stolen = browser.cookies["refresh_token"]
    await refresh(browser)
    await refresh(browser)
    replaced_earlier(settings, 31, at=0)
    owner = dict(browser.cookies)
    with_refresh(browser, stolen)
    answer = await refresh(browser)
    assert (answer.status, answer.json["code"]) == (401, "token_not_valid")
    assert [r.message for r in caplog.records if r.message.startswith("authn_token_reuse user=1 ")] != []
    browser.cookies = owner
    assert (await browser.get("/api/me/")).status == 401
    assert (await refresh(browser)).status == 401


async def test_the_predecessor_ends_the_family_when_its_grace_is_over(
    browser: Browser, services: Services, settings: Settings
) -> None:
    await join(browser, services)
    token = browser.cookies["refresh_token"]
    await refresh(browser)
    owner = dict(browser.cookies)
    replaced_earlier(settings, 31, at=0)
    with_refresh(browser, token)
    assert (await refresh(browser)).status == 401
    browser.cookies = owner
    assert (await refresh(browser)).status == 401


async def test_a_session_that_an_older_version_has_rotated_keeps_its_grace(
    browser: Browser, services: Services, settings: Settings
) -> None:
    await join(browser, services)
    token = browser.cookies["refresh_token"]
    await refresh(browser)
    newest = browser.cookies["refresh_token"]
    with pymongo.MongoClient[dict[str, Any]](settings.mongodb_uri.get_secret_value()) as client:
        client[settings.mongodb_db]["sessions"].update_many({}, {"$unset": {"predecessors": ""}})
    with_refresh(browser, token)
    assert ((await refresh(browser)).status, browser.cookies["refresh_token"]) == (200, newest)
    assert (await refresh(browser)).status == 200


async def test_a_user_has_a_bounded_number_of_sessions_and_the_one_seen_longest_ago_makes_room(
    browser: Browser, services: Services, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions, "_MOST", 3)
    monkeypatch.setattr(sessions, "_LOOK", 1)
    kept: list[dict[str, str]] = []
    for address in (OTHER, ADDRESS):
        await services.accounts.make_admin(address, PASSWORD)
        await browser.log_in(address, PASSWORD)
        other, kept = kept, [dict(browser.cookies)]
    for _ in range(3):
        await browser.log_in(ADDRESS, PASSWORD)
        kept.append(dict(browser.cookies))
        with_refresh(browser, kept[0]["refresh_token"])
        assert (await refresh(browser)).status == 200  # seen again
        kept[0] = dict(browser.cookies)
    statuses = []
    for browser.cookies in (*kept, *other):
        statuses.append((await browser.get("/api/me/")).status)
    assert statuses == [200, 401, 200, 200, 200]
    browser.cookies = kept[0]
    assert len((await browser.get("/api/me/sessions/")).json["sessions"]) == 3


async def test_an_expired_session_is_over(browser: Browser, services: Services, settings: Settings) -> None:
    await join(browser, services)
    change_session(settings, expires_at=now() - timedelta(seconds=1))
    assert (await refresh(browser)).status == 401


async def test_a_get_with_an_old_access_cookie_is_served_and_gets_a_fresh_one(
    browser: Browser, services: Services, settings: Settings
) -> None:
    await join(browser, services)
    token = browser.cookies["refresh_token"]
    for left in (None, -5, 800):
        if left is None:
            del browser.cookies["access_token"]
        else:
            browser.cookies["access_token"] = aged(browser, settings, left)
        answer = await browser.get("/api/me/")
        assert (answer.status, browser.cookies["refresh_token"]) == (200, token)
        assert [line.split("=")[0] for line in answer.headers.get_list("Set-Cookie")] == ["access_token"]
        again = await browser.get("/api/me/")
        assert (again.status, again.headers.get_list("Set-Cookie")) == (200, [])


async def test_a_player_that_stores_no_cookie_costs_the_database_one_question(
    browser: Browser, services: Services, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    await join(browser, services)
    questions = 0
    ask = SessionStore.touch

    async def counted(*given: Any) -> None:
        nonlocal questions
        questions += 1
        await ask(*given)

    monkeypatch.setattr(SessionStore, "touch", counted)
    old = {"access_token": aged(browser, settings, 60), "refresh_token": browser.cookies["refresh_token"]}
    for _ in range(5):
        browser.cookies = dict(old)
        assert (await browser.get("/api/me/")).status == 200
        assert browser.cookies["access_token"] != old["access_token"]
    assert questions == 1
    await services.accounts.end_sessions(1)
    browser.cookies = old
    assert (await browser.get("/api/me/")).status == 401


async def test_nothing_else_is_renewed(browser: Browser, services: Services, settings: Settings) -> None:
    await join(browser, services)
    expired = aged(browser, settings, -5)
    del browser.cookies["access_token"]
    assert (await browser.post("/api/me/")).status == 405
    assert (await browser.fetch("DELETE", "/api/me/", {"password": PASSWORD})).status == 401
    assert (await browser.get("/api/me/", Authorization=f"Bearer {expired}")).status == 401
    with_refresh(browser, browser.cookies["refresh_token"][:-2])
    missing = await browser.get("/api/me/")
    assert (missing.status, "code" in missing.json) == (401, False)


async def test_a_bearer_token_opens_what_the_cookie_opens(browser: Browser, services: Services) -> None:
    await join(browser, services)
    token, browser.cookies = browser.cookies["access_token"], {}
    assert (await browser.get("/api/me/", Authorization=f"bearer {token}")).status == 200
    assert (await browser.get("/api/me/", Authorization="Bearer")).status == 401
    assert (await browser.get("/api/me/", Authorization="Basic dXNlcjpwYXNz")).status == 401


def forgeries(access: str, refresh_token: str, secret: str) -> dict[str, str]:
    """What a client might send in the place of its access token."""
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


async def test_forged_tokens_open_nothing(browser: Browser, services: Services, settings: Settings) -> None:
    await join(browser, services)
    secret = settings.secret_key.get_secret_value()
    access, genuine = (browser.cookies[name] for name in TOKENS)
    for what, token in forgeries(access, genuine, secret).items():
        browser.cookies = {"access_token": token}
        denied = await browser.get("/api/me/")
        assert (denied.status, denied.json.get("code")) == (401, "token_not_valid"), what
        with_refresh(browser, token if what != "another purpose" else access)
        assert (await refresh(browser)).status == 401, what
    with_refresh(browser, genuine)
    assert (await refresh(browser)).status == 200  # none of it ended the session


async def test_whose_account_is_gone_or_disabled_is_signed_out(browser: Browser, services: Services) -> None:
    await join(browser, services)
    await services.people.change(0, 1, is_disabled=True)
    assert (await browser.get("/api/me/")).status == 401
    assert (await refresh(browser)).status == 401
    await services.people.change(0, 1, is_disabled=False)
    assert (await refresh(browser)).status == 401
    await browser.log_in(ADDRESS, PASSWORD)
    await services.people.delete(0, 1)
    assert (await browser.get("/api/me/")).status == 401
    assert (await browser.post("/api/token/refresh/")).status == 401


@pytest.mark.parametrize(
    ("given", "attributes"),
    [
        ({"public_url": "https://films.example"}, {"Secure", "SameSite=Lax"}),
        ({"cookie_samesite": "None"}, {"Secure", "SameSite=None"}),
        ({"cookie_partitioned": True}, {"Secure", "SameSite=Lax", "Partitioned"}),
        ({"cookie_samesite": "Strict", "cookie_domain": "films.example"}, {"SameSite=Strict", "Domain=films.example"}),
    ],
)
async def test_cookies_have_the_attributes_that_are_set_also_when_they_go(
    settings: Settings, given: dict[str, Any], attributes: set[str]
) -> None:
    async with site(settings, **given) as (browser, services):
        await join(browser, services)
        for answer, seconds in (
            (await refresh(browser), ("1800", "604800")),
            (await browser.post("/api/logout/"), "00"),
        ):
            lines = {line.partition("=")[0]: line for line in answer.headers.get_list("Set-Cookie")}
            for name, life in zip(TOKENS, seconds, strict=True):
                found = {part.strip() for part in lines[name].split(";")[1:]}
                assert found == attributes | {"HttpOnly", "Path=/", f"Max-Age={life}"}
            if "csrftoken" in lines:  # for scripts of pages below the same domain
                assert ("Domain=films.example" in lines["csrftoken"]) == ("Domain=films.example" in attributes)
