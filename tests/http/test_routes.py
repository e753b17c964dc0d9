"""handlers/base.py and routes.py: the rules for every path, checked for each entry of the route table."""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any

import pytest

from handlers.base import ApiHandler
from handlers.routes import ROUTES
from handlers.web_ui.handler import WebUiHandler
from tests.support.http_client import HttpClient, HttpResponse
from tests.support.sites import running_site
from tests.support.users import ADDRESS, PASSWORD, sign_up
from videoflix.services import Services
from videoflix.settings import Settings

ORIGIN = "http://127.0.0.1:5500"
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


def example(pattern: str) -> str:
    """Return a path that matches a pattern of the route table, without the trailing slash."""
    path = re.sub(r"\(\?P<path>.*?\)\)?\(\?P<slash>/\?\)", "480p/index.m3u8", pattern)
    path = re.sub(r"\(\?P<(\w+_id|\w+)>(?:[^()]|\([^()]*\))*\)", lambda m: "1" if m[1].endswith("_id") else "abc", path)
    path = re.sub(r"\(\?:.*?\)\?|\\", "", path).removesuffix("/?")
    assert re.fullmatch(pattern, path), (pattern, path)
    return path


EXAMPLES = [(example(pattern), pattern, handler) for pattern, handler in ROUTES]


def is_json(answer: HttpResponse) -> bool:
    return isinstance(answer.json, dict | list) and answer.headers["Content-Type"].startswith("application/json")


def is_page(answer: HttpResponse, handler: type) -> bool:
    """Return whether this is a file of the web UI, the one endpoint that does not respond with JSON."""
    return handler is WebUiHandler and answer.status == 200


async def test_every_path_responds_with_json_and_cors_headers_in_both_spellings(client: HttpClient) -> None:
    for path, pattern, handler in EXAMPLES:
        for spelling in (path, f"{path}/") if path.startswith("/api/") else (path,):
            assert re.fullmatch(pattern, spelling), spelling
            for method in METHODS:
                answer = await client.fetch(method, spelling, b"" if method != "GET" else None, Origin=ORIGIN)
                assert answer.headers["Access-Control-Allow-Origin"] == ORIGIN, (method, spelling)
                assert answer.headers["Access-Control-Allow-Credentials"] == "true"
                assert "Origin" in answer.headers["Vary"]
                assert is_page(answer, handler) or is_json(answer), (method, spelling)
                if method not in handler.allowed_methods():
                    assert answer.status == 405, (method, spelling)
                    assert answer.json == {"detail": f'Method "{method}" not allowed.'}
                    assert answer.headers["Allow"] == ", ".join(handler.allowed_methods())
                elif not handler.is_public:
                    assert answer.status == 401, (method, spelling)
                    assert answer.json == {"detail": "Authentication credentials were not provided."}
                    assert answer.headers["WWW-Authenticate"] == 'Bearer realm="api"'
                else:
                    assert answer.status in (200, 400, 404), (method, spelling, answer.body)


async def test_a_method_that_tornado_does_not_know_is_405_too(client: HttpClient) -> None:
    for method in ("PROPFIND", "TRACE"):
        answer = await client.fetch(method, "/api/login/", Origin=ORIGIN)
        assert (answer.status, answer.json) == (405, {"detail": f'Method "{method}" not allowed.'})
        assert answer.headers["Allow"] == "POST, OPTIONS"
        assert answer.headers["Access-Control-Allow-Origin"] == ORIGIN


async def test_shared_caches_do_not_store_responses(client: HttpClient, services: Services) -> None:
    await sign_up(client, services)
    for path in ("/api/me/", "/api/me/sessions/", "/api/video/", "/api/categories/", "/api/nothing/"):
        assert (await client.get(path)).headers["Cache-Control"] == "private, no-cache", path


async def test_every_preflight_is_answered_without_authentication(client: HttpClient) -> None:
    for path in [*(path for path, _, _ in EXAMPLES), "/api/unknown/", "/"]:
        answer = await client.fetch(
            "OPTIONS", path, Origin=ORIGIN, Access_Control_Request_Method="GET", Cookie="access_token=stale"
        )
        assert answer.status == 200, path
        assert answer.headers["Access-Control-Allow-Origin"] == ORIGIN
        assert answer.headers["Access-Control-Max-Age"] == "86400"
        allowed = answer.headers["Access-Control-Allow-Headers"]
        assert {"content-type", "authorization", "x-csrftoken", "user-agent", "range"} <= set(allowed.split(", "))
        assert set(METHODS) <= set(answer.headers["Access-Control-Allow-Methods"].split(", "))


async def test_endpoints_for_admins_refuse_other_users(client: HttpClient, services: Services) -> None:
    await sign_up(client, services)
    checked = 0
    for path, _, handler in EXAMPLES:
        assert handler.is_admin_only == path.startswith(("/api/admin/", "/metrics")), path
        for method in handler.allowed_methods() if handler.is_admin_only else ():
            if method not in ("OPTIONS", "HEAD"):
                answer = await client.fetch(method, path, b"" if method != "GET" else None)
                assert answer.status == 403, (method, path)
                assert answer.json == {"detail": "You do not have permission to perform this action."}
                checked += 1
    assert checked >= 10


def test_exactly_these_handlers_are_public() -> None:
    """A new handler must not become public by mistake."""
    public = {path for path, _, handler in EXAMPLES if handler.is_public}
    assert public == {
        "/",
        "/page/abc",
        "/healthz",
        "/readyz",
        "/api/register",
        "/api/activate/abc",
        "/api/activate/abc/abc",
        "/api/resend_activation",
        "/api/login",
        "/api/logout",
        "/api/token/refresh",
        "/api/password_reset",
        "/api/password_confirm/abc",
        "/api/password_confirm/abc/abc",
        "/api/csrf",
    } | {path for path in public if path.startswith("/metrics")}
    assert ApiHandler.is_public is False


def test_only_the_login_opens_a_session() -> None:
    """A new endpoint that logs its client in must declare it, or login CSRF is possible there."""
    assert {path for path, _, handler in EXAMPLES if handler.opens_session} == {"/api/login"}
    assert ApiHandler.opens_session is False


async def test_an_unknown_path_is_404_as_json(client: HttpClient) -> None:
    for path in ("/page", "/page/handler.py", "/api/", "/api/unknown", "/api/video/x/", "/media/", "/api/%ff/%00"):
        answer = await client.get(path, Origin=ORIGIN)
        assert (answer.status, answer.json) == (404, {"detail": "Not found."}), path
        assert answer.headers["Access-Control-Allow-Origin"] == ORIGIN


async def test_other_origins_can_neither_read_responses_nor_use_cookies(client: HttpClient, services: Services) -> None:
    await sign_up(client, services)
    host = client.url.removeprefix("http://")
    for origin in (
        "http://evil.example",
        "null",
        "http://127.0.0.1:5500.evil.example",
        "HTTP://127.0.0.1:5500",
        "http://127.0.0.1:5500/",
        "http://127.0.0.1",
        "ftp://127.0.0.1:5500",
        "http://127.0.0.1:5500, http://evil.example",
        "http://evil.example http://127.0.0.1:5500",
        f"http://{host}@evil.example",
        f"http://evil.example@{host}",
        f"http://{host}.evil.example",
        f"http://{host}/",
        f"file://{host}",
        f"//{host}",
        host,
        "http://[",
        "http://[::1",
        "http://",
    ):
        answer = await client.get("/api/me/", Origin=origin)
        assert "Access-Control-Allow-Origin" not in answer.headers
        forged = await client.fetch("DELETE", "/api/me/", {"password": PASSWORD}, Origin=origin)
        assert (forged.status, forged.json) == (403, {"detail": "Cross-site request refused."})
    assert (await client.post("/api/logout/", Sec_Fetch_Site="cross-site")).status == 403
    assert (await client.post("/api/token/refresh/", Host="[::1]:8000", Origin="http://[::1]:8000")).status == 200
    assert (await client.get("/api/me/")).status == 200
    assert (await client.post("/api/logout/", Origin=client.url)).status == 200  # a page of this host


async def test_a_page_of_another_site_cannot_log_its_visitor_in(client: HttpClient, services: Services) -> None:
    """Otherwise visitors would watch in someone else's account, whose owner could see what they watch."""
    await services.accounts.make_admin(ADDRESS, PASSWORD)
    form = f"email={ADDRESS}&password={PASSWORD}".encode()
    content_type = "application/x-www-form-urlencoded"
    for headers, status in (
        ({"Origin": "http://evil.example", "Sec_Fetch_Site": "cross-site"}, 403),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec_Fetch_Site": "cross-site"}, 403),
        ({"Origin": "http://evil.example", "Sec_Fetch_Site": "same-site"}, 403),
        ({"Origin": "http://localhost:5173", "Sec_Fetch_Site": "same-origin"}, 200),  # through a development server
        ({"Origin": ORIGIN, "Sec_Fetch_Site": "cross-site"}, 200),
    ):
        client.cookies = {}
        answer = await client.post("/api/login/", form, Content_Type=content_type, **headers)
        assert (answer.status, bool(client.cookies)) == (status, status == 200), headers


async def test_the_public_url_is_same_origin_behind_a_proxy(settings: Settings) -> None:
    async with running_site(settings, public_url="https://videos.example") as (client, services):
        await sign_up(client, services)
        assert (await client.post("/api/logout/", Origin="http://videos.example")).status == 403
        assert (await client.post("/api/logout/", Origin="https://videos.example")).status == 200


INVALID_BODIES: list[tuple[bytes, str, int]] = [
    (b"{", "application/json", 400),
    (b"[]", "application/json", 400),
    (b'"text"', "application/json", 400),
    (b"null", "application/json", 400),
    (b"\xff\xfe\x00", "application/json", 400),
    (b"[" * 100_000, "application/json", 400),
    (b'{"email": ' + b"9" * 5000 + b"}", "application/json", 400),
    (b'{"email": NaN, "password": {"a": []}}', "application/json", 400),
    (b'{"email": "\\ud800@example.org", "password": "\\udfff"}', "application/json", 400),
    (b'{"email": "a\\u0000@example.org", "password": "\\u0000"}', "application/json", 400),
    (b'{"email": "a@example.org\\r\\nBcc: b@example.org", "password": "x"}', "application/json", 400),
    (b"email=%ff%00&password=%ff", "application/x-www-form-urlencoded", 400),
    (b"--x\r\nbroken", "multipart/form-data; boundary=x", 400),
    (b"no form", "multipart/form-data", 400),
    (b"\0" * 100, "text/plain", 400),
]


async def test_an_invalid_body_is_400_as_json_and_never_echoed(client: HttpClient) -> None:
    for path in ("/api/login/", "/api/register/", "/api/password_reset/", "/api/password_confirm/a/b/"):
        for body, content_type, status in INVALID_BODIES:
            answer = await client.post(path, body, Content_Type=content_type)
            assert answer.status == status, (path, body[:40], answer.body)
            assert isinstance(answer.json, dict)
            assert b"Bcc" not in answer.body
        malformed = await client.post(path, b'{"a": <script>}', Content_Type="application/json")
        assert malformed.json == {"detail": "JSON parse error - line 1 column 7"}


async def test_a_body_of_ten_megabytes_is_413_as_json(client: HttpClient) -> None:
    body = json.dumps({"email": ADDRESS, "password": "x" * 10 * 2**20}).encode()
    for content_type in ("application/json", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"):
        answer = await client.post("/api/login/", body, Content_Type=content_type)
        assert (answer.status, answer.json) == (413, {"detail": "The body is too large."})
        assert (await client.post("/api/video/", body, Content_Type=content_type)).status == 405
    assert (await client.get("/healthz")).status == 200


async def test_a_large_body_without_a_length_is_413_too(client: HttpClient) -> None:
    port = int(client.url.rpartition(":")[2])
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"POST /api/login/ HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
    for _ in range(40):
        writer.write(b"10000\r\n" + b"x" * 0x10000 + b"\r\n")
    writer.write(b"0\r\n\r\n")
    assert b" 413 " in await asyncio.wait_for(reader.readline(), 20)
    writer.close()
    await writer.wait_closed()


async def test_a_bug_is_500_without_detail(
    client: HttpClient, services: Services, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(*_: Any) -> None:
        raise RuntimeError("an internal detail")

    monkeypatch.setattr(type(services.accounts), "log_in", broken)
    answer = await client.post("/api/login/", {"email": ADDRESS, "password": PASSWORD}, Origin=ORIGIN)
    assert (answer.status, answer.json["detail"]) == (500, "Internal server error.")
    assert answer.headers["Access-Control-Allow-Origin"] == ORIGIN
    assert b"internal detail" not in answer.body
    assert any(answer.json["request_id"] in record.message for record in caplog.records)
