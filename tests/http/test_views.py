"""handlers/views.py: every endpoint responds with exactly the keys and types that its shape declares."""

from __future__ import annotations

import re
import types
from collections.abc import Iterator
from enum import Enum
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints, is_typeddict

import pytest

from handlers import views
from handlers.routes import ROUTES
from tests.http.test_admin_videos import BOUNDARY, form
from tests.support.http_client import HttpClient
from tests.support.users import ADDRESS, PASSWORD, deliver_mails, link_parameters, registration_body
from tests.support.videos import make_video
from videoflix.models import Rating
from videoflix.services import Services
from videoflix.stores.videos import VideoStore

ACCOUNT_LABELS = {"accounts", "accounts_me", "accounts_admin"}
VIDEO_LABELS = {"admin", "health", "playback", "videos", "viewing"}
OTHER_LABELS = {"media", "metrics", "page"}  # files, and Prometheus' text format

Endpoint = tuple[str, str]  # name of the handler, method


def mismatches(value: Any, shape: Any, path: str = "$") -> Iterator[str]:
    """Yield the path of each part of a JSON value that its shape does not allow."""
    origin, arguments = get_origin(shape), get_args(shape)
    if is_typeddict(shape):
        hints = get_type_hints(shape)
        if not isinstance(value, dict) or set(value) != set(hints):
            yield f"{path}: {value}"
            return
        for key, hint in hints.items():
            yield from mismatches(value[key], hint, f"{path}.{key}")
    elif origin is list:
        is_unproven = value == [] and is_typeddict(arguments[0])  # no item, no proof of its shape
        if not isinstance(value, list) or is_unproven:
            yield f"{path}: {value}"
            return
        for number, item in enumerate(value):
            yield from mismatches(item, arguments[0], f"{path}[{number}]")
    elif not is_plain(value, shape):
        alternatives = arguments if origin in (Union, types.UnionType) else ()
        if not any(not list(mismatches(value, alternative, path)) for alternative in alternatives):
            yield f"{path}: {value}"


def is_plain(value: Any, shape: Any) -> bool:
    """Return whether a value without a TypedDict or a list in it has the type."""
    if get_origin(shape) is dict:
        return isinstance(value, dict) and all(is_plain(item, get_args(shape)[1]) for item in value.values())
    if get_origin(shape) is Literal:
        return value in get_args(shape)
    if isinstance(shape, type) and issubclass(shape, Enum):
        return value in list(shape)
    return type(value) in ((int, float) if shape is float else (shape,))


@pytest.mark.parametrize(
    ("value", "shape"),
    [
        ({"detail": "x", "more": 1}, views.Detail),
        ({}, views.Detail),
        ({"detail": None}, views.Detail),
        ([], list[views.Detail]),
        ({}, list[int]),
        ([1, "2"], list[int]),
        (True, int),
        ("sideways", Rating | None),
        ({"480p": 1}, dict[str, str]),
        ({"progress": {"position": 1}}, views.ProgressResult),
        ("lost", Literal["owed", "given_up"]),
    ],
)
def test_a_value_of_another_shape_is_noticed(value: Any, shape: Any) -> None:
    assert list(mismatches(value, shape))


class ShapeChecker:
    """Sends requests, checks the shapes of the responses, and records which endpoints were called."""

    def __init__(self, client: HttpClient) -> None:
        self.client = client
        self.called: set[Endpoint] = set()

    async def check(self, method: str, path: str, shape: Any, body: Any = None, **headers: str) -> Any:
        """Return the body of a successful response."""
        response = await self.client.fetch(method, path, body, **headers)
        assert response.status in (200, 201), (method, path, response.body)
        assert list(mismatches(response.json, shape)) == [], (method, path)
        handler = next(handler for pattern, handler in ROUTES if re.fullmatch(pattern, path.partition("?")[0]))
        self.called.add((handler.__name__, method))
        return response.json


def endpoints(labels: set[str]) -> set[Endpoint]:
    """Return every endpoint whose handler has one of these metrics labels."""
    return {
        (handler.__name__, method)
        for _, handler in ROUTES
        for method in handler.allowed_methods()
        if handler.metrics_label in labels and method not in ("HEAD", "OPTIONS")
    }


def test_every_metrics_label_is_covered_here() -> None:
    assert {handler.metrics_label for _, handler in ROUTES} == ACCOUNT_LABELS | VIDEO_LABELS | OTHER_LABELS


async def test_endpoints_for_accounts_respond_in_their_shapes(client: HttpClient, services: Services) -> None:
    checker = ShapeChecker(client)
    check = checker.check
    await check("GET", "/api/csrf/", views.Detail)
    await check("POST", "/api/register/", views.RegistrationResult, registration_body())
    await check("POST", "/api/resend_activation/", views.Detail, {"email": ADDRESS})
    uid, token = link_parameters((await deliver_mails(services))[0])
    await check("GET", f"/api/activate/{uid}/{token}/", views.Message)
    await check("POST", "/api/password_reset/", views.Detail, {"email": ADDRESS})
    uid, token = link_parameters((await deliver_mails(services))[0])
    passwords = {"new_password": PASSWORD, "confirm_password": PASSWORD}
    await check("POST", f"/api/password_confirm/{uid}/{token}/", views.Detail, passwords)
    await check("POST", "/api/login/", views.LoginResult, {"email": ADDRESS, "password": PASSWORD})
    await check("POST", "/api/token/refresh/", views.RefreshResult)
    await check("GET", "/api/me/", views.UserItem)
    sessions = (await check("GET", "/api/me/sessions/", views.SessionList))["sessions"]
    await check("DELETE", f"/api/me/sessions/{sessions[0]['id']}/", views.Detail)
    await services.accounts.make_admin("admin@videoflix.example", PASSWORD)
    await client.log_in()
    await check("GET", "/api/admin/users/", views.UserPage)
    await check("GET", "/api/admin/users/1/", views.AdminUser)
    await check("PATCH", "/api/admin/users/1/", views.AdminUser, {"is_disabled": True})
    await check("DELETE", "/api/admin/users/1/", views.Detail)
    await check("POST", "/api/register/", views.RegistrationResult, registration_body("other@example.org"))
    mails = (await check("GET", "/api/admin/mails/", views.MailList))["mails"]
    await check("POST", f"/api/admin/mails/{mails[0]['id']}/retry/", views.Detail)
    await check("DELETE", f"/api/admin/mails/{mails[0]['id']}/", views.Detail)
    await check("POST", "/api/logout/", views.Detail)
    await services.accounts.make_admin("second@videoflix.example", PASSWORD)
    await client.log_in("second@videoflix.example")
    await check("DELETE", "/api/me/", views.Detail, {"password": PASSWORD})
    assert checker.called == endpoints(ACCOUNT_LABELS)


async def test_endpoints_for_videos_respond_in_their_shapes(admin: HttpClient, videos: VideoStore) -> None:
    checker = ShapeChecker(admin)
    check = checker.check
    await check("GET", "/healthz", dict[str, str])
    await check("GET", "/readyz", dict[str, str])
    content_type = f"multipart/form-data; boundary={BOUNDARY}"
    await check("POST", "/api/admin/videos/", views.AdminVideo, form(b"video", title="t"), Content_Type=content_type)
    results = {"audio": {"loudness": -23.5}, "storyboard": {"pictures": 25}}
    for video_id in (2, 3):
        await videos.add(make_video(video_id, "Same words", category="Drama", task_results=results))

    await check("GET", "/api/admin/videos/", list[views.AdminVideo])
    await check("GET", "/api/admin/videos/1/", views.AdminVideo)
    await check("PATCH", "/api/admin/videos/1/", views.AdminVideo, {"title": "Another"})
    await check("GET", "/api/admin/jobs/", views.JobList)
    await check("GET", "/api/video/1/", views.VideoDetails)  # in work
    await check("POST", "/api/admin/videos/1/cancel/", views.AdminVideo)
    await check("POST", "/api/admin/videos/1/retry/", views.AdminVideo)
    await check("DELETE", "/api/admin/videos/1/", views.Detail)

    await check("GET", "/api/video/2/progress/", views.ProgressResult)
    for method in ("PUT", "POST"):
        await check(method, "/api/video/2/progress/", views.ProgressResult, {"position": 5})
    await check("GET", "/api/me/continue/", list[views.ContinueWatchingItem])
    await check("PUT", "/api/video/2/rating/", views.RatingResult, {"rating": "up"})
    await check("GET", "/api/popular/", list[views.VideoItem])
    await check("PUT", "/api/me/list/2/", views.MyListEntry)
    await check("GET", "/api/me/list/2/", views.MyListEntry)
    await check("GET", "/api/me/list/", list[views.VideoItem])
    await check("GET", "/api/video/2/", views.VideoDetails)
    await check("GET", "/api/video/2/similar/", list[views.VideoItem])
    await check("GET", "/api/video/?ordering=title", list[views.VideoItem])
    await check("GET", "/api/video/", list[views.VideoItem])
    await check("GET", "/api/categories/", views.CategoryList)
    await check("GET", "/api/video/2/playback/", views.PlaybackAddress)
    for path, shape in (
        ("video/2/progress", views.ProgressResult),
        ("video/2/rating", views.RatingResult),
        ("me/list/2", views.MyListEntry),
    ):
        await check("DELETE", f"/api/{path}/", shape)
    assert checker.called == endpoints(VIDEO_LABELS)
