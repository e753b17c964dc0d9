"""Whatever looks at text of strangers takes time in proportion to its length, however the text is made."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import pytest
from tornado.httputil import (
    HTTPHeaders,
    HTTPInputError,
    HTTPServerRequest,
    RequestStartLine,
    parse_body_arguments,
    parse_cookie,
    parse_request_start_line,
)

from handlers import bodies, server
from handlers.base import _valid
from handlers.http.access_log import loggable
from handlers.http.multipart import MultipartForm
from handlers.http.origin import client_address
from handlers.http.seen_headers import HeaderParser
from handlers.media import answer, lane
from transcode.errors import MediaError
from transcode.hls import playlists, webvtt
from transcode.source import description, looking, tracks
from transcode.tasks import audio, thumbnail
from videoflix.accounts.addresses import checked_address
from videoflix.accounts.passwords import complaints
from videoflix.accounts.playback import PlaybackTokens
from videoflix.accounts.throttle import network_of
from videoflix.accounts.tokens import Tokens
from videoflix.catalogue import texts as video_texts
from videoflix.catalogue.words import words
from videoflix.errors import BadRequest, FieldErrors, TokenNotValid
from videoflix.mail import transport
from videoflix.media import names
from videoflix.media.texts import Wanted, _rewritten
from videoflix.uploads import suffix_of, title_of

HALF, WHOLE = 32 * 1024, 64 * 1024
SHORT_S = 0.1  # nothing quadratic is done with 64 KB in that
RATIO = 3.2  # of the times for WHOLE and HALF: 2 when it is linear, 4 when it is quadratic

PATTERNS = (
    " ", "\t", ",", ";", '"', "\\", "=", "<", "/", "\0", "\xff", "\u0301", "1", "a", ":", "&", "%", "+", "-", ".", "@",
    "[", "{", "(", "\n", "\r\n", "\r", "*", "#", "?", "_",
    "\u0301\u0323", "\u0f73", "e\u0301", ' "', '";', "; ", ", ", "= ", "a=", "a;", "a,", "a:b\n", "a: b\r\n", "<a",
    "1.", "1 ", '\\"', "W/", '""', "gzip,", "gzip ", "gzip;q=", "bytes=", "http://", "a.", "a@", "::", "1:", "%2", "[[",
    '{"a":', "[1,", "Decoder (", 'URI="', "I: 1", "m 1 1 ", "YAVG=1", "00:", " --> ", "\n\n", "--x", "\r\n--x", "/a",
    "..", "0\r\n",
)  # fmt: skip

TOKENS, PLAYBACK = Tokens("x" * 40, 60.0), PlaybackTokens("x" * 40, 60.0)
Use = Callable[[str], object]


def latin(text: str) -> bytes:
    return text.encode("latin1", "replace")


def asked(host: str, path: str) -> HTTPServerRequest:
    context = SimpleNamespace(remote_ip="192.0.2.1", protocol="http")
    connection = SimpleNamespace(context=context)
    return HTTPServerRequest(
        headers=HTTPHeaders({"Host": latin(host).decode("latin1")}),
        start_line=RequestStartLine("GET", path, "HTTP/1.1"),
        connection=connection,
    )


def form_feed(text: str) -> None:
    form = MultipartForm("multipart/form-data; boundary=x", "file", Path("/nowhere/at/all"), lambda _: None)
    form.feed(b'--x\r\nContent-Disposition: form-data; name="t"\r\n\r\n' + latin(text) + b"\r\n--x--\r\n")


def form_header(text: str) -> None:
    form = MultipartForm("multipart/form-data; boundary=x", "file", Path("/nowhere/at/all"), lambda _: None)
    form.feed(b"--x\r\nContent-Disposition: form-data; name=" + latin(text) + b"\r\n\r\n")


def headers(name: str, text: str) -> dict[str, str]:
    return {name: text}


FUNCTIONS: dict[str, Use] = {
    "fields of a bad head": lambda text: server._fields(latin("G\r\nX: x" + text + "y\r\n\r\n")),
    "end of a head": lambda text: re.search(server._HEAD, latin("GET / HTTP/1.1\r\nX: x" + text)),
    "size of a chunk": lambda text: re.search(server._LINE % (62, 65), latin(text)),
    "value of a header": lambda text: HeaderParser().parse(latin(f"GET / HTTP/1.1\r\nX: x{text}y\r\n\r\n")),
    "name of a header": lambda text: HeaderParser().parse(latin(f"GET / HTTP/1.1\r\n{text}: y\r\n\r\n")),
    "length of a body": lambda text: HeaderParser().parse(latin(f"A / HTTP/1.1\r\nContent-Length: {text}\r\n\r\n")),
    "target that is a URL": lambda text: HeaderParser().parse(latin(f"GET http://{text}\r\nHost: x\r\n\r\n")),
    "start line": lambda text: parse_request_start_line(f"GET /{text} HTTP/1.1"),
    "host": lambda text: asked(text, "/"),
    "query": lambda text: asked("x", "/?" + text),
    "cookies": parse_cookie,
    "cookies of the lane": lane._tokens,
    "path of the lane": lambda text: lane._PATH.fullmatch("/media/hls/1/" + text),
    "range": lambda text: answer._part("bytes=" + text, 100),
    "accepted encodings": lambda text: answer._takes_gzip(headers("Accept-Encoding", "gzip" + text + "x")),
    "accepted weights": lambda text: answer._takes_gzip(headers("Accept-Encoding", "gzip;q=" + text + "x")),
    "If-Match": lambda text: answer._is_another(headers("If-Match", text), '"x"', 1),
    "If-None-Match": lambda text: answer._is_unchanged(headers("If-None-Match", text), '"x"', 1),
    "If-Modified-Since": lambda text: answer._unix_time("Mon, 01 Jan " + text),
    "forwarded for": lambda text: client_address("192.0.2.1", headers("X-Forwarded-For", text), 2),
    "address of a client": network_of,
    "path in the log": lambda text: loggable("/api/activate/" + text),
    "published name": names.parse,
    "JSON": lambda text: json.loads(text),
    "form": lambda text: parse_body_arguments("application/x-www-form-urlencoded", latin(text), {}, {}),
    "kind of a form": lambda text: parse_body_arguments("multipart/form-data; boundary=" + text, b"", {}, {}),
    "multipart form": lambda text: parse_body_arguments(
        "multipart/form-data; boundary=x", latin(text + "--x--"), {}, {}
    ),
    "multipart header": lambda text: parse_body_arguments(
        "multipart/form-data; boundary=x",
        latin(f"--x\r\nContent-Disposition: form-data; name={text}\r\n\r\na\r\n--x--"), {}, {},
    ),
    "streamed form": form_feed,
    "streamed form's header": form_header,
    "credentials": lambda text: _valid(bodies.Credentials, {"email": text, "password": text}),
    "registration": lambda text: _valid(bodies.Registration, {"email": text, "password": text}),
    "search": lambda text: _valid(bodies.ListQuery, {"search": text, "ordering": text, "limit": text}),
    "password": lambda text: list(complaints(text)),
    "mail address": checked_address,
    "access token": TOKENS.identify,
    "playback token": PLAYBACK.check,
    "words": words,
    "title": lambda text: video_texts.checked({"title": text, "description": text, "category": text}),
    "title of a file": title_of,
    "suffix of a file": lambda text: suffix_of("x." + text),
    "playlist": lambda text: _rewritten(text, Wanted(("1", "index.m3u8"), "token")),
    "storyboard": lambda text: _rewritten(text, Wanted(("1", "index.vtt"), "token")),
    "segments of a playlist": lambda text: playlists._PIECE.findall("#EXTINF:" + text),
    "subtitles": webvtt.parse,
    "subtitle": lambda text: webvtt.parse(f"00:01.000 --> 00:02.000\nm{text}x\n"),
    "times of a subtitle": lambda text: webvtt.parse(f"{text}:00:01.000 --> 00:02.000\nx\n"),
    "subtitles that are no UTF-8": lambda text: webvtt.decoded(latin(text)),
    "what ffmpeg says": lambda text: looking._reason(Path("/nowhere"), "Decoder (" + text),
    "loudness": lambda text: audio._INTEGRATED.findall("I: " + text),
    "brightness": lambda text: thumbnail._LUMA.search("YAVG=" + text),
    "rate of a film": lambda text: description._rate("1" + text),
    "length of a film": description._clock,
    "tag of a film": lambda text: tracks.tag({"tags": {"title": text}}, "title"),
    "what a mail server says": lambda text: transport._sentence(OSError(text)),
}  # fmt: skip

REFUSALS = (HTTPInputError, ValueError, BadRequest, FieldErrors, TokenNotValid, MediaError, OSError, RecursionError)


def seconds(use: Use, text: str) -> float:
    begun = time.perf_counter()
    with suppress(*REFUSALS):
        use(text)
    return time.perf_counter() - begun


def repeated(pattern: str, size: int) -> str:
    return (pattern * (size // len(pattern) + 1))[:size]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_twice_as_much_text_takes_twice_as_long(name: str) -> None:
    use = FUNCTIONS[name]
    for pattern in PATTERNS:
        if seconds(use, repeated(pattern, WHOLE)) < SHORT_S:
            continue
        half, whole = (min(seconds(use, repeated(pattern, size)) for _ in range(5)) for size in (HALF, WHOLE))
        assert whole < max(SHORT_S, RATIO * half), f"{name}: {whole:.3f} s for {pattern!r}, {half:.3f} s for half of it"


def test_the_measure_finds_what_is_quadratic() -> None:
    pattern = re.compile(r"^([!-9;-~]+):[ \t]*(.*?)[ \t]*\r?$", re.MULTILINE)

    def use(text: str) -> object:
        return pattern.findall(f"X: x{text}y")

    part, whole = (min(seconds(use, " " * size) for _ in range(3)) for size in (500, 4000))
    assert whole > SHORT_S
    assert whole > 2 * 8 * part
