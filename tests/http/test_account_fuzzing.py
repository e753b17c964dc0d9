"""Generated bodies and tokens: every response follows the API's contract and none is a 500."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine
from typing import Any
from urllib.parse import quote

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.event_loop import RunAsync
from tests.support.http_client import HttpClient, HttpResponse
from tests.support.users import ADDRESS, sign_up
from videoflix.services import Services

SETTINGS = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], database=None
)
PATHS = ("login", "register", "resend_activation", "password_reset", "password_confirm/MQ/x", "logout", "token/refresh")
FIELDS = ("email", "password", "confirmed_password", "new_password", "confirm_password", "extra")

texts = st.one_of(
    st.text(max_size=30),
    st.just(ADDRESS),
    st.sampled_from(["", " ", "\0", "a@b", "\ud800", "x" * 5000, "a@b.c\r\nBcc: d@e.f", "\u212aelvin@example.org"]),
)
leaves = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), texts)
values = st.recursive(leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3))
bodies = st.one_of(
    st.dictionaries(st.sampled_from(FIELDS), values).map(lambda body: json.dumps(body).encode()),
    values.map(lambda body: json.dumps(body).encode()),
    st.binary(max_size=200),
)
content_types = st.sampled_from(
    ["application/json", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""]
)


def send_bounded(run_async: RunAsync, send: Callable[[], Coroutine[Any, Any, HttpResponse]]) -> HttpResponse:
    """Send a request on the event loop; return its response. Raises TimeoutError after 20 s."""

    async def with_timeout() -> HttpResponse:
        async with asyncio.timeout(20):
            return await send()

    answer: HttpResponse = run_async(with_timeout)
    return answer


def test_any_body_gets_a_documented_response(run_async: RunAsync, client: HttpClient, services: Services) -> None:
    services.rate_limiter._factor = 0

    @SETTINGS
    @given(path=st.sampled_from(PATHS), body=bodies, content_type=content_types)
    def any_body(path: str, body: bytes, content_type: str) -> None:
        answer = send_bounded(run_async, lambda: client.post(f"/api/{path}/", body, Content_Type=content_type))
        assert answer.status in (200, 201, 400), answer.body
        assert isinstance(answer.json, dict)
        if answer.status == 400:
            assert all(isinstance(message, str | list) for message in answer.json.values())

    any_body()


def test_an_invalid_token_gives_no_access_and_no_error(
    run_async: RunAsync, client: HttpClient, services: Services
) -> None:
    services.rate_limiter._factor = 0
    run_async(lambda: sign_up(client, services))
    valid_cookies = dict(client.cookies)
    cookie_octets = st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters='",;\\')

    @st.composite
    def mangled(draw: st.DrawFn, token: str) -> str:
        """Replace one character of a valid token."""
        position = draw(st.integers(0, len(token) - 2))  # the last one has unused bits
        other = draw(st.sampled_from("Aa0_-.").filter(lambda c: c != token[position]))
        return token[:position] + other + token[position + 1 :]

    tokens = st.one_of(
        st.text(cookie_octets, min_size=1, max_size=200),
        mangled(valid_cookies["access_token"]),
        mangled(valid_cookies["refresh_token"]),
    )

    @SETTINGS
    @given(token=tokens)
    def any_token(token: str) -> None:
        client.cookies = {"access_token": token}
        denied = send_bounded(run_async, lambda: client.get("/api/me/"))
        assert (denied.status, denied.json["code"]) == (401, "token_not_valid")
        client.cookies = {"refresh_token": token}
        assert send_bounded(run_async, lambda: client.post("/api/token/refresh/")).status == 401
        client.cookies = {}
        assert send_bounded(run_async, lambda: client.get(f"/api/activate/{quote(token, safe='')}/")).status in (
            400,
            404,
        )

    any_token()
    client.cookies = valid_cookies
    assert run_async(lambda: client.post("/api/token/refresh/")).status == 200
