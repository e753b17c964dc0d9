"""Pages of other origins: what a browser demands before it lets them see an answer."""

from __future__ import annotations

import pytest

from tests.support.http_client import HttpClient

PAGE = "http://127.0.0.1:5500"


@pytest.mark.parametrize(
    ("path", "status"), [("/healthz", 200), ("/api/video/", 401), ("/api/nothing/", 404), ("/media/hls/1/x", 401)]
)
async def test_an_allowed_page_sees_every_answer_also_errors(client: HttpClient, path: str, status: int) -> None:
    answer = await client.get(path, Origin=PAGE)
    assert answer.status == status
    assert answer.headers["Access-Control-Allow-Origin"] == PAGE
    assert answer.headers["Access-Control-Allow-Credentials"] == "true"
    assert answer.headers["Vary"] == "Origin"


async def test_another_page_is_not_let_in(client: HttpClient) -> None:
    answer = await client.get("/healthz", Origin="http://evil.example")
    assert "Access-Control-Allow-Origin" not in answer.headers
    assert answer.headers["Vary"] == "Origin"
