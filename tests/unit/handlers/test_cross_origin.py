"""handlers/cross_origin.py: which requests come from pages of other sites. Over HTTP: tests/http/test_routes.py."""

from __future__ import annotations

import pytest
from tornado.httputil import HTTPHeaders, HTTPServerRequest, RequestStartLine

from handlers.cross_origin import METHODS, is_cross_site, preflight_headers
from videoflix.settings import Settings

SETTINGS = Settings(public_url="https://videos.example", cors_origins=["http://localhost:5500"])


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, False),  # no browser
        ({"Sec-Fetch-Site": "same-origin"}, False),
        ({"Sec-Fetch-Site": "cross-site"}, True),
        ({"Origin": "http://localhost:5500", "Sec-Fetch-Site": "cross-site"}, False),  # an allowed origin
        ({"Origin": "http://backend:8000"}, False),  # the host of the request
        ({"Origin": "https://backend:8000"}, False),  # a proxy may end TLS
        ({"Origin": "https://videos.example"}, False),  # PUBLIC_URL
        ({"Origin": "http://videos.example"}, True),
        ({"Origin": "http://evil.example"}, True),
        ({"Origin": "http://evil.example", "Sec-Fetch-Site": "same-site"}, True),
        ({"Origin": "ftp://backend:8000"}, True),
        ({"Origin": "http://backend:8000.evil.example"}, True),
        ({"Origin": "null"}, True),
        ({"Origin": ""}, True),
    ],
)
def test_the_origin_decides_and_without_one_fetch_metadata(headers: dict[str, str], expected: bool) -> None:
    start_line = RequestStartLine("POST", "/", "HTTP/1.1")
    request = HTTPServerRequest(start_line=start_line, headers=HTTPHeaders({"Host": "Backend:8000", **headers}))
    assert is_cross_site(request, SETTINGS) is expected


def test_a_preflight_allows_every_method_and_names_those_of_the_endpoint() -> None:
    headers = preflight_headers(["POST", "OPTIONS"])
    assert headers["Access-Control-Allow-Methods"].split(", ") == list(METHODS)
    assert headers["Allow"] == "POST, OPTIONS"
    assert {"tus-resumable", "content-type"} <= set(headers["Access-Control-Allow-Headers"].split(", "))
