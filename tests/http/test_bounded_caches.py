"""What strangers can have a web process remember is bounded by the memory that it really takes."""

from __future__ import annotations

import itertools
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest
from tornado.httputil import HTTPInputError, _normalize_header

from handlers.http import seen_headers
from handlers.http.seen_headers import HeaderParser, HeadTooLarge
from handlers.media import lane
from tests.http.test_malformed_requests import line
from tests.support.http_client import HttpClient
from videoflix.accounts import admission, renewals
from videoflix.accounts.admission import Verified
from videoflix.accounts.renewals import Renewals
from videoflix.media import texts
from videoflix.media.texts import Text, Texts, Wanted
from videoflix.models import Identity

MIB = 1024**2


def growth(fill: Callable[[], object]) -> int:
    """Bytes of memory that are still taken when it has been done."""
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        kept = fill()
        after, _ = tracemalloc.get_traced_memory()
        assert kept is not None
        return after - before
    finally:
        tracemalloc.stop()


def fields(number: int, count: int, size: int) -> str:
    """`count` fields of `size` characters, other ones for each number."""
    return "".join(f"{index:x}h{number:x}: {'v' * size}\r\n" for index in range(count))


def heads() -> Iterator[str]:
    for number in itertools.count():
        yield fields(number, 90, 1)
        yield fields(number, 10, 250)
        yield fields(number, 1, 2000)
        yield fields(number, 0, 0) + f"X: {number}\r\n"


def test_heads_take_no_more_memory_than_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seen_headers, "_MAX_CACHE_BYTES", MIB)

    def fill() -> HeaderParser:
        parser = HeaderParser()
        for head in itertools.islice(heads(), 2000):
            _, headers = parser.parse(f"GET / HTTP/1.1\r\n{head}\r\n".encode())
            for name in ("Host", "Range", "Cookie", "If-None-Match", "Origin", "Authorization"):
                headers.get(name)
        return parser

    assert growth(fill) < 2 * MIB  # and what Tornado keeps of names


def test_cookies_take_no_more_memory_than_is_said() -> None:
    lane._tokens.cache_clear()

    def fill() -> object:
        for number in range(5_000):
            lane._tokens(f"access_token={number}{'x' * (number % 2900)}")
        return lane._tokens

    assert growth(fill) < lane._MAX_COOKIE_CACHE_BYTES + MIB
    lane._tokens.cache_clear()


def test_lists_with_a_token_each_take_no_more_memory_than_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(texts, "_MOST", 4 * MIB)

    def fill() -> Texts:
        kept = Texts("/nowhere")
        for number in range(6_000):
            body = f"#EXTM3U {number}".encode()
            kept.keep(Wanted(("1", "480p", "index.m3u8"), f"{number}" * 40), Text(f"{number}", number, body, None))
        return kept

    assert growth(fill) < 4 * MIB + MIB


def test_tokens_are_remembered_up_to_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admission, "_MOST", 100)
    monkeypatch.setattr(renewals, "_MOST", 100)
    verified = Verified(lambda token: Identity(1, "s", False, 2.0**40))
    renewed = Renewals()
    for number in range(1000):
        verified(str(number))
        verified("x" * 2000 + str(number))
        renewed.keep(str(number), "token")
    assert len(verified._known) == len(renewed._known) == 100
    assert renewed.get("999") == "token"
    assert renewed.get("1") is None


@pytest.mark.parametrize("count", [100, 101, 700])
async def test_a_head_has_at_most_a_hundred_fields(client: HttpClient, count: int) -> None:
    fields_ = "".join(f"X{number}: y\r\n" for number in range(count - 1))
    async with line(client) as (reader, writer):
        writer.write(f"GET /healthz HTTP/1.1\r\nHost: x\r\n{fields_}\r\n".encode())
        assert (b" 200 " if count == 100 else b" 431 ") in await reader.readline()


def test_a_long_name_is_refused_before_tornado_keeps_it() -> None:
    before = _normalize_header.cache_info().currsize
    for number in range(100):
        with pytest.raises(HeadTooLarge):
            HeaderParser().parse(f"GET / HTTP/1.1\r\n{'x' * 300}{number}: y\r\n\r\n".encode())
    assert _normalize_header.cache_info().currsize == before


@pytest.mark.parametrize(
    "request_", ["GET / HTTP/1.1\r\nHost: {}\r\n\r\n", "GET http://{}/ HTTP/1.1\r\nHost: x\r\n\r\n"]
)
def test_a_host_that_is_no_name_is_refused(request_: str) -> None:
    HeaderParser().parse(request_.format("a" * 253 + ":8000").encode())
    with pytest.raises(HTTPInputError):
        HeaderParser().parse(request_.format("a" * 301).encode())


def test_what_is_refused_is_not_kept() -> None:
    parser = HeaderParser()
    for block in ("Content-Length: x", "Transfer-Encoding: gzip", "Content-Length: 1", "a b: c", "X: \x01"):
        with suppress(HTTPInputError):
            parser.parse(f"GET / HTTP/1.1\r\n{block}\r\n\r\n".encode())
    assert not parser._seen
