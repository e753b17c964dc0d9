"""No value in a body, a query or a path causes a 500 or takes long."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from urllib.parse import quote

import pytest

from tests.support.http_client import HttpClient
from tests.support.sites import running_site
from tests.support.users import PASSWORD
from tests.support.videos import make_video
from videoflix.services import Services
from videoflix.settings import Settings
from videoflix.stores.videos import VideoStore

ODD_TEXTS = {
    "nul": "a\0b",
    "half a surrogate pair": "\ud800",
    "operator": "$where",
    "dots": "a.b..c",
    "pattern": "(a+)+$",
    "nothing but a pattern": "[",
    "traversal": "../../etc/passwd",
    "64 KB": "x" * 65_536,
    "64 KB of accents": "\u0301" * 20_000,
    "64 KB of at signs": "@" * 65_536,
    "right to left": "\u202e\u2066",
    "controls": "".join(map(chr, range(32))),
}
# As JSON: Python has no equivalent of some of them.
ODD_JSON = {
    "null": "null",
    "number": "1",
    "true": "true",
    "NaN": "NaN",
    "infinity": "-Infinity",
    "beyond a float": "1e400",
    "beyond 64 bits": str(2**63),
    "400 digits": "9" * 400,
    "5000 digits": "9" * 5000,
    "operator": '{"$gt": ""}',
    "list": '["a"]',
    "key with nul": '{"a\\u0000": 1}',
    "10,000 deep": "[" * 10_000 + "]" * 10_000,
    **{f"{depth} deep": "[" * depth + "]" * depth for depth in range(850, 1000, 7)},
    **{name: json.dumps(text) for name, text in ODD_TEXTS.items()},
}
BODIES = (
    ("POST", "/api/register/", ("email", "password", "confirmed_password")),
    ("POST", "/api/login/", ("email", "password")),
    ("POST", "/api/resend_activation/", ("email",)),
    ("POST", "/api/password_reset/", ("email",)),
    ("POST", "/api/password_confirm/MQ/token/", ("new_password", "confirm_password")),
    ("DELETE", "/api/me/", ("password",)),
    ("PATCH", "/api/admin/users/1/", ("is_disabled", "is_admin", "is_active")),
    ("PATCH", "/api/admin/videos/1/", ("title", "description", "category")),
    ("PUT", "/api/video/1/progress/", ("position", "duration", "finished")),
    ("PUT", "/api/video/1/rating/", ("rating",)),
)
VALID_VALUES = {
    "email": "viewer@example.org",
    **dict.fromkeys(("password", "confirmed_password", "new_password", "confirm_password"), PASSWORD),
    **dict.fromkeys(("position", "duration"), 1),
}
QUERIES = {
    "/api/admin/users/": ("search", "limit", "offset"),
    "/api/video/": ("search", "category", "ordering", "limit", "offset"),
    "/api/popular/": ("limit",),
}
PATHS = (
    "/api/activate/{}/token/",
    "/api/activate/MQ/{}/",
    "/api/activate/{}/",
    "/api/me/sessions/{}/",
    "/api/admin/mails/{}/",
    "/api/admin/users/{}/",
    "/api/admin/videos/{}/",
    "/api/video/{}/",
    "/api/video/{}/progress/",
    "/api/video/1/{}",
    "/api/video/1/480p/{}",
    "/media/hls/1/{}",
    "/media/thumbnails/{}.jpg",
    "/page/{}",
)
NUMBERS = ("0", "-1", "1e3", "0x10", "\u0661", str(2**31), str(2**53), "9" * 15, str(2**63), "9" * 400)


def as_object(values: Mapping[str, str]) -> bytes:
    """Return a JSON object of values that are JSON already."""
    return b"{" + ", ".join(f'"{name}": {value}' for name, value in values.items()).encode() + b"}"


def bodies(fields: tuple[str, ...]) -> Iterator[tuple[str, bytes]]:
    """Yield bodies with each odd value in each field, and in all fields. The other values are valid."""
    for name, odd in ODD_JSON.items():
        for field in (*fields, None):
            values = {other: json.dumps(VALID_VALUES.get(other, "x")) for other in fields}
            values |= {other: odd for other in fields if field in (other, None)}
            yield f"{name} as {field}", as_object(values)


@pytest.fixture
def unlimited_settings(settings: Settings) -> Settings:
    """Settings without rate limits: thousands of calls come from one address."""
    return settings.model_copy(update={"rate_limit_factor": 0.0})


async def log_in_admin(client: HttpClient, services: Services, videos: VideoStore) -> None:
    await services.accounts.make_admin("admin@videoflix.example", PASSWORD)
    await videos.add(make_video(1))
    await client.log_in()


@pytest.mark.parametrize(("method", "path", "fields"), BODIES, ids=[f"{method} {path}" for method, path, _ in BODIES])
async def test_no_value_in_a_body_causes_a_server_error(
    unlimited_settings: Settings, videos: VideoStore, method: str, path: str, fields: tuple[str, ...]
) -> None:
    async with running_site(unlimited_settings) as (client, services):
        await log_in_admin(client, services, videos)
        failures = []
        for what, body in bodies(fields):
            answer = await client.fetch(method, path, body, Content_Type="application/json")
            is_plain = "detail" in answer.json or answer.status < 400 or set(answer.json) <= set(fields)
            if answer.status >= 500 or not is_plain:
                failures.append((what, answer.status))
        assert failures == []


async def test_no_value_in_a_query_causes_a_server_error(unlimited_settings: Settings, videos: VideoStore) -> None:
    async with running_site(unlimited_settings) as (client, services):
        await log_in_admin(client, services, videos)
        failures = []
        for path, parameters in QUERIES.items():
            for parameter in parameters:
                for text in (*ODD_TEXTS.values(), *NUMBERS):
                    value = quote(text.encode(errors="surrogatepass")[:40_000])[:50_000]
                    answer = await client.get(f"{path}?{parameter}={value}")
                    if answer.status >= 500:
                        failures.append((path, parameter, text[:20], answer.status))
        assert failures == []


async def test_no_value_in_a_path_causes_a_server_error(unlimited_settings: Settings, videos: VideoStore) -> None:
    async with running_site(unlimited_settings) as (client, services):
        await log_in_admin(client, services, videos)
        failures = []
        for path in PATHS:
            for text in (*ODD_TEXTS.values(), *NUMBERS):
                value = quote(text.encode(errors="surrogatepass")[:20_000], safe="")
                for method in ("GET", "DELETE", "PUT"):
                    answer = await client.fetch(method, path.format(value), b"" if method == "PUT" else None)
                    if answer.status >= 500:
                        failures.append((method, path, text[:20], answer.status))
        assert failures == []
