"""Cached headers equal those that Tornado would parse."""

from __future__ import annotations

import pytest
from tornado.http1connection import HTTP1Connection
from tornado.httputil import HTTPHeaders, HTTPInputError

from handlers.http import header_parser
from handlers.http.header_parser import CachedHeaders, CachingHeaderParser

REQUESTS = (
    b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n",
    b"\r\nGET /b HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /c HTTP/1.1\nhost: x\nCOOKIE: a=b\n\n",
    b"GET /d HTTP/1.1\r\nHost: x\r\nVia: one\r\nvia: two\r\nEmpty:\r\n\r\n",
    b"PUT /e HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n",
    b"GET /f HTTP/1.1\r\nHost: x\r\nCookie: " + b"c" * 4000 + b"\r\n\r\n",
    b"GET /g HTTP/1.1\r\nHost: x\r\nUser-Agent: caf\xe9\r\n\r\n",
    b"GET /h HTTP/1.1\r\n\r\n",
)


def parse_with_tornado(data: bytes) -> tuple[str, HTTPHeaders]:
    return HTTP1Connection.__new__(HTTP1Connection)._parse_headers(data)


def test_cached_and_parsed_headers_equal_those_of_tornado() -> None:
    parser = CachingHeaderParser()
    for data in (*REQUESTS, *REQUESTS):
        line, headers = parser.parse(data)
        expected_line, expected = parse_with_tornado(data)
        assert line == expected_line
        assert list(headers.get_all()) == list(expected.get_all()) == list(headers.copy().get_all())
        for name in ("Host", "cookie", "Via", "Empty", "Content-Length", "Missing"):
            assert headers.get(name) == headers.get(name) == headers.copy().get(name) == expected.get(name)
            assert headers.get(name, "nothing") == expected.get(name, "nothing")


def test_the_start_line_is_not_cached() -> None:
    parser = CachingHeaderParser()
    parser.parse(b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n")
    assert parser.parse(b"HEAD /b HTTP/1.1\r\nHost: x\r\n\r\n")[0] == "HEAD /b HTTP/1.1"


def test_a_change_to_a_copy_does_not_affect_the_next_request() -> None:
    parser = CachingHeaderParser()
    _, headers = parser.parse(REQUESTS[0])
    assert isinstance(headers, CachedHeaders)
    headers.copy()["Host"] = "evil"
    assert parser.parse(REQUESTS[0])[1].get("Host") == "x"


@pytest.mark.parametrize(
    ("line", "path", "host"),
    [
        (b"GET http://a.example/b?c=d://e HTTP/1.1", "GET /b?c=d://e HTTP/1.1", "a.example"),
        (b"GET HTTPS://a.example:8000?c HTTP/1.1", "GET /?c HTTP/1.1", "a.example:8000"),
        (b"GET http://a.example HTTP/1.1", "GET / HTTP/1.1", "a.example"),
        (b"GET /b?c=http://d/ HTTP/1.1", "GET /b?c=http://d/ HTTP/1.1", "x"),
        (b"GET ftp://a.example/b HTTP/1.1", "GET ftp://a.example/b HTTP/1.1", "x"),
    ],
)
def test_the_host_of_a_target_in_absolute_form_counts(line: bytes, path: str, host: str) -> None:
    parser = CachingHeaderParser()
    for _ in range(2):
        parsed, headers = parser.parse(line + b"\r\nHost: x\r\n\r\n")
        assert (parsed, headers.get("Host")) == (path, host)
    assert parser.parse(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")[1].get("Host") == "x"
    for hosts in (b"", b"Host: x\r\nHost: y\r\n"):  # still invalid
        parsed, headers = parser.parse(line + b"\r\n" + hosts + b"\r\n")
        assert headers.get("Host") in (None, "x,y")


@pytest.mark.parametrize("block", [b"no colon\r\n\r\n", b"A: b\r\n folded\r\n\r\n", b"A: \x01\r\n\r\n"])
def test_an_invalid_header_is_refused_each_time(block: bytes) -> None:
    parser = CachingHeaderParser()
    for _ in range(2):
        with pytest.raises(HTTPInputError):
            parser.parse(b"GET / HTTP/1.1\r\n" + block)


def test_the_cache_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(header_parser, "_MAX_CACHE_BYTES", 3 * header_parser.memory_of(b"\nX: 0\r\n\r\n"))
    parser = CachingHeaderParser()
    for number in range(10):
        parser.parse(f"GET / HTTP/1.1\r\nX: {number}\r\n\r\n".encode())
    assert len(parser._cache) == 3
