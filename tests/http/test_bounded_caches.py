"""Caches that unauthenticated clients can fill are bounded by the memory that they really take."""

from __future__ import annotations

import itertools
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest
from tornado.httputil import HTTPInputError, _normalize_header

from handlers.http import header_parser
from handlers.http.header_parser import CachingHeaderParser, HeadTooLarge
from handlers.media import fast_path
from tests.http.test_malformed_requests import raw_connection
from tests.support.http_client import HttpClient
from videoflix.auth import verifier
from videoflix.auth.verifier import RenewedTokenCache, VerifiedTokenCache
from videoflix.media import playlist_cache
from videoflix.media.playlist_cache import CachedPlaylist, PlaylistCache, PlaylistKey
from videoflix.models import Identity

MIB = 1024**2


def growth(fill: Callable[[], object]) -> int:
    """Return how many bytes of memory the result of `fill` takes."""
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        cache = fill()
        after, _ = tracemalloc.get_traced_memory()
        assert cache is not None
        return after - before
    finally:
        tracemalloc.stop()


def fields(number: int, count: int, size: int) -> str:
    """Return `count` fields of `size` characters, different ones for each number."""
    return "".join(f"{index:x}h{number:x}: {'v' * size}\r\n" for index in range(count))


def heads() -> Iterator[str]:
    for number in itertools.count():
        yield fields(number, 90, 1)
        yield fields(number, 10, 250)
        yield fields(number, 1, 2000)
        yield fields(number, 0, 0) + f"X: {number}\r\n"


def test_cached_heads_stay_within_their_memory_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(header_parser, "_MAX_CACHE_BYTES", MIB)

    def fill() -> CachingHeaderParser:
        parser = CachingHeaderParser()
        for head in itertools.islice(heads(), 2000):
            _, headers = parser.parse(f"GET / HTTP/1.1\r\n{head}\r\n".encode())
            for name in ("Host", "Range", "Cookie", "If-None-Match", "Origin", "Authorization"):
                headers.get(name)
        return parser

    assert growth(fill) < 2 * MIB  # with the field names that Tornado caches


def test_cached_cookies_stay_within_their_memory_limit() -> None:
    fast_path._parse_token_cookies.cache_clear()

    def fill() -> object:
        for number in range(5_000):
            fast_path._parse_token_cookies(f"access_token={number}{'x' * (number % 2900)}")
        return fast_path._parse_token_cookies

    assert growth(fill) < fast_path._MAX_COOKIE_CACHE_BYTES + MIB
    fast_path._parse_token_cookies.cache_clear()


def test_playlists_with_tokens_stay_within_their_memory_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(playlist_cache, "_MAX_CACHE_BYTES", 4 * MIB)

    def fill() -> PlaylistCache:
        cache = PlaylistCache("/nowhere")
        for number in range(6_000):
            body = f"#EXTM3U {number}".encode()
            cache.put(
                PlaylistKey(("1", "480p", "index.m3u8"), f"{number}" * 40),
                CachedPlaylist(f"{number}", number, body, None),
            )
        return cache

    assert growth(fill) < 4 * MIB + MIB


def test_the_number_of_cached_tokens_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verifier, "_MAX_CACHED_TOKENS", 100)
    monkeypatch.setattr(verifier, "_MAX_RENEWED_TOKENS", 100)
    verified = VerifiedTokenCache(lambda token: Identity(1, "s", False, 2.0**40))
    renewed = RenewedTokenCache()
    for number in range(1000):
        verified(str(number))
        verified("x" * 2000 + str(number))
        renewed[str(number)] = "token"
    assert len(verified._cached) == len(renewed) == 100
    assert renewed.get("999") == "token"
    assert renewed.get("1") is None


@pytest.mark.parametrize("count", [100, 101, 700])
async def test_a_head_may_have_a_hundred_fields(client: HttpClient, count: int) -> None:
    fields_ = "".join(f"X{number}: y\r\n" for number in range(count - 1))
    async with raw_connection(client) as (reader, writer):
        writer.write(f"GET /healthz HTTP/1.1\r\nHost: x\r\n{fields_}\r\n".encode())
        assert (b" 200 " if count == 100 else b" 431 ") in await reader.readline()


def test_a_long_field_name_is_refused_before_tornado_caches_it() -> None:
    before = _normalize_header.cache_info().currsize
    for number in range(100):
        with pytest.raises(HeadTooLarge):
            CachingHeaderParser().parse(f"GET / HTTP/1.1\r\n{'x' * 300}{number}: y\r\n\r\n".encode())
    assert _normalize_header.cache_info().currsize == before


@pytest.mark.parametrize(
    "request_", ["GET / HTTP/1.1\r\nHost: {}\r\n\r\n", "GET http://{}/ HTTP/1.1\r\nHost: x\r\n\r\n"]
)
def test_a_host_that_is_too_long_is_refused(request_: str) -> None:
    CachingHeaderParser().parse(request_.format("a" * 253 + ":8000").encode())
    with pytest.raises(HTTPInputError):
        CachingHeaderParser().parse(request_.format("a" * 301).encode())


def test_a_refused_head_is_not_cached() -> None:
    parser = CachingHeaderParser()
    for block in ("Content-Length: x", "Transfer-Encoding: gzip", "Content-Length: 1", "a b: c", "X: \x01"):
        with suppress(HTTPInputError):
            parser.parse(f"GET / HTTP/1.1\r\n{block}\r\n\r\n".encode())
    assert not parser._cache
