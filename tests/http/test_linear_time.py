"""Parsing untrusted text takes time in proportion to its length, whatever the text."""

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

from handlers import schemas
from handlers.http import request_stream
from handlers.http.access_log import redact_path
from handlers.http.client_address import client_address
from handlers.http.header_parser import CachingHeaderParser
from handlers.media import conditional, fast_path
from handlers.parsing import validate
from handlers.uploads.multipart import MultipartForm
from transcode import timestamps
from transcode.errors import MediaError
from transcode.hls import playlists, webvtt
from transcode.probe import ffprobe, source, tracks
from transcode.tasks import audio, thumbnail
from videoflix.accounts.passwords import find_password_problems
from videoflix.accounts.rate_limits import client_network
from videoflix.auth.playback_tokens import PlaybackTokens
from videoflix.auth.tokens import Tokens
from videoflix.catalogue import validation as video_texts
from videoflix.catalogue.search import extract_words
from videoflix.catalogue.validation import default_title
from videoflix.email_address import normalize_address
from videoflix.errors import BadRequest, FieldErrors, TokenNotValid
from videoflix.mail import transport
from videoflix.media import published_names
from videoflix.media.playlist_cache import PlaylistKey, _rewrite_uris
from videoflix.upload_storage import safe_suffix

HALF, WHOLE = 32 * 1024, 64 * 1024
SHORT_S = 0.1  # too short for anything quadratic with 64 KB
RATIO = 3.2  # of the times for WHOLE and HALF: 2 if linear, 4 if quadratic

PATTERNS = (
    " ", "\t", ",", ";", '"', "\\", "=", "<", "/", "\0", "\xff", "\u0301", "1", "a", ":", "&", "%", "+", "-", ".", "@",
    "[", "{", "(", "\n", "\r\n", "\r", "*", "#", "?", "_",
    "\u0301\u0323", "\u0f73", "e\u0301", ' "', '";', "; ", ", ", "= ", "a=", "a;", "a,", "a:b\n", "a: b\r\n", "<a",
    "1.", "1 ", '\\"', "W/", '""', "gzip,", "gzip ", "gzip;q=", "bytes=", "http://", "a.", "a@", "::", "1:", "%2", "[[",
    '{"a":', "[1,", "Decoder (", 'URI="', "I: 1", "m 1 1 ", "YAVG=1", "00:", " --> ", "\n\n", "--x", "\r\n--x", "/a",
    "..", "0\r\n",
)  # fmt: skip

TOKENS, PLAYBACK = Tokens("x" * 40, 60.0), PlaybackTokens("x" * 40, 60.0)
Parser = Callable[[str], object]


def latin1(text: str) -> bytes:
    return text.encode("latin1", "replace")


def make_request(host: str, path: str) -> HTTPServerRequest:
    context = SimpleNamespace(remote_ip="192.0.2.1", protocol="http")
    connection = SimpleNamespace(context=context)
    return HTTPServerRequest(
        headers=HTTPHeaders({"Host": latin1(host).decode("latin1")}),
        start_line=RequestStartLine("GET", path, "HTTP/1.1"),
        connection=connection,
    )


def form_feed(text: str) -> None:
    form = MultipartForm("multipart/form-data; boundary=x", "file", Path("/nowhere/at/all"), lambda _: None)
    form.feed(b'--x\r\nContent-Disposition: form-data; name="t"\r\n\r\n' + latin1(text) + b"\r\n--x--\r\n")


def form_header(text: str) -> None:
    form = MultipartForm("multipart/form-data; boundary=x", "file", Path("/nowhere/at/all"), lambda _: None)
    form.feed(b"--x\r\nContent-Disposition: form-data; name=" + latin1(text) + b"\r\n\r\n")


def headers(name: str, text: str) -> dict[str, str]:
    return {name: text}


FUNCTIONS: dict[str, Parser] = {
    "fields of a bad head": lambda text: request_stream._parse_unique_fields(latin1("G\r\nX: x" + text + "y\r\n\r\n")),
    "end of a head": lambda text: re.search(request_stream._HEAD_PATTERN, latin1("GET / HTTP/1.1\r\nX: x" + text)),
    "size of a chunk": lambda text: re.search(request_stream._CHUNK_SIZE_PATTERN % (62, 65), latin1(text)),
    "value of a header": lambda text: CachingHeaderParser().parse(latin1(f"GET / HTTP/1.1\r\nX: x{text}y\r\n\r\n")),
    "name of a header": lambda text: CachingHeaderParser().parse(latin1(f"GET / HTTP/1.1\r\n{text}: y\r\n\r\n")),
    "length of a body": lambda text:
        CachingHeaderParser().parse(latin1(f"A / HTTP/1.1\r\nContent-Length: {text}\r\n\r\n")),
    "absolute target": lambda text: CachingHeaderParser().parse(latin1(f"GET http://{text}\r\nHost: x\r\n\r\n")),
    "start line": lambda text: parse_request_start_line(f"GET /{text} HTTP/1.1"),
    "host": lambda text: make_request(text, "/"),
    "query": lambda text: make_request("x", "/?" + text),
    "cookies": parse_cookie,
    "cookies of the fast path": fast_path._parse_token_cookies,
    "path of the fast path": lambda text: fast_path._MEDIA_PATH.fullmatch("/media/hls/1/" + text),
    "range": lambda text: conditional._parse_range("bytes=" + text, 100),
    "accepted encodings": lambda text: conditional._accepts_gzip(headers("Accept-Encoding", "gzip" + text + "x")),
    "accepted weights": lambda text: conditional._accepts_gzip(headers("Accept-Encoding", "gzip;q=" + text + "x")),
    "If-Match": lambda text: conditional._is_precondition_failed(headers("If-Match", text), '"x"', 1),
    "If-None-Match": lambda text: conditional._is_not_modified(headers("If-None-Match", text), '"x"', 1),
    "If-Modified-Since": lambda text: conditional._parse_http_date("Mon, 01 Jan " + text),
    "forwarded for": lambda text: client_address("192.0.2.1", headers("X-Forwarded-For", text), 2),
    "address of a client": client_network,
    "path in the log": lambda text: redact_path("/api/activate/" + text),
    "published name": published_names.parse_name,
    "JSON": lambda text: json.loads(text),
    "form": lambda text: parse_body_arguments("application/x-www-form-urlencoded", latin1(text), {}, {}),
    "kind of a form": lambda text: parse_body_arguments("multipart/form-data; boundary=" + text, b"", {}, {}),
    "multipart form": lambda text: parse_body_arguments(
        "multipart/form-data; boundary=x", latin1(text + "--x--"), {}, {}
    ),
    "multipart header": lambda text: parse_body_arguments(
        "multipart/form-data; boundary=x",
        latin1(f"--x\r\nContent-Disposition: form-data; name={text}\r\n\r\na\r\n--x--"), {}, {},
    ),
    "streamed form": form_feed,
    "streamed form's header": form_header,
    "credentials": lambda text: validate(schemas.Credentials, {"email": text, "password": text}),
    "registration": lambda text: validate(schemas.Registration, {"email": text, "password": text}),
    "search": lambda text: validate(schemas.VideoListQuery, {"search": text, "ordering": text, "limit": text}),
    "password": lambda text: list(find_password_problems(text)),
    "mail address": normalize_address,
    "access token": TOKENS.identify,
    "playback token": PLAYBACK.verify,
    "words": extract_words,
    "title": lambda text: video_texts.validate_texts({"title": text, "description": text, "category": text}),
    "title of a file": default_title,
    "suffix of a file": lambda text: safe_suffix("x." + text),
    "playlist": lambda text: _rewrite_uris(text, PlaylistKey(("1", "index.m3u8"), "token")),
    "storyboard": lambda text: _rewrite_uris(text, PlaylistKey(("1", "index.vtt"), "token")),
    "segments of a playlist": lambda text: playlists._SEGMENT_PATTERN.findall("#EXTINF:" + text),
    "subtitles": webvtt.parse,
    "subtitle": lambda text: webvtt.parse(f"00:01.000 --> 00:02.000\nm{text}x\n"),
    "times of a subtitle": lambda text: webvtt.parse(f"{text}:00:01.000 --> 00:02.000\nx\n"),
    "subtitles in another encoding": lambda text: webvtt.decode(latin1(text)),
    "message of ffmpeg": lambda text: ffprobe._rejection_message(Path("/nowhere"), "Decoder (" + text),
    "loudness": lambda text: audio._INTEGRATED_LOUDNESS.findall("I: " + text),
    "brightness": lambda text: thumbnail._LUMA_PATTERN.search("YAVG=" + text),
    "rate of a video": lambda text: source._parse_rate("1" + text),
    "length of a video": timestamps.parse_matroska_duration,
    "tag of a video": lambda text: tracks.read_tag({"tags": {"title": text}}, "title"),
    "message of a mail server": lambda text: transport._describe_error(OSError(text)),
}  # fmt: skip

REFUSALS = (HTTPInputError, ValueError, BadRequest, FieldErrors, TokenNotValid, MediaError, OSError, RecursionError)


def seconds(parse: Parser, text: str) -> float:
    """Return the processor time that parsing takes; other processes do not count."""
    start = time.thread_time()
    with suppress(*REFUSALS):
        parse(text)
    return time.thread_time() - start


def repeated(pattern: str, size: int) -> str:
    return (pattern * (size // len(pattern) + 1))[:size]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_twice_as_much_text_takes_twice_as_long(name: str) -> None:
    parse = FUNCTIONS[name]
    for pattern in PATTERNS:
        if seconds(parse, repeated(pattern, WHOLE)) < SHORT_S:
            continue
        half, whole = (min(seconds(parse, repeated(pattern, size)) for _ in range(5)) for size in (HALF, WHOLE))
        assert whole < max(SHORT_S, RATIO * half), f"{name}: {whole:.3f} s for {pattern!r}, {half:.3f} s for half of it"


def test_the_measurement_detects_a_quadratic_pattern() -> None:
    pattern = re.compile(r"^([!-9;-~]+):[ \t]*(.*?)[ \t]*\r?$", re.MULTILINE)

    def parse(text: str) -> object:
        return pattern.findall(f"X: x{text}y")

    part, whole = (min(seconds(parse, " " * size) for _ in range(3)) for size in (500, 4000))
    assert whole > SHORT_S
    assert whole > 2 * 8 * part
