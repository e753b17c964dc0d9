"""CORS: the headers that let pages of other origins read a response."""

from __future__ import annotations

import pytest

from tests.support.http_client import HttpClient

PAGE = "http://127.0.0.1:5500"


@pytest.mark.parametrize(
    ("path", "status"), [("/healthz", 200), ("/api/video/", 401), ("/api/nothing/", 404), ("/media/hls/1/x", 401)]
)
async def test_a_page_of_an_allowed_origin_can_read_every_response(client: HttpClient, path: str, status: int) -> None:
    answer = await client.get(path, Origin=PAGE)
    assert answer.status == status
    assert answer.headers["Access-Control-Allow-Origin"] == PAGE
    assert answer.headers["Access-Control-Allow-Credentials"] == "true"
    assert answer.headers["Vary"] == "Origin"


async def test_a_page_of_another_origin_gets_no_cors_headers(client: HttpClient) -> None:
    answer = await client.get("/healthz", Origin="http://evil.example")
    assert "Access-Control-Allow-Origin" not in answer.headers
    assert answer.headers["Vary"] == "Origin"
