"""Conditional and range requests (RFC 9110, sections 13 and 14) as a pure function."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from handlers.media.conditional import MediaResponse, evaluate
from videoflix.errors import PreconditionFailed, RangeNotSatisfiable
from videoflix.media.playlist_cache import CachedPlaylist
from videoflix.media.published_names import FileKind
from videoflix.media.safe_open import OpenFile
from videoflix.media.service import CachePolicy, MediaFile

NOON = 1_767_268_800  # Unix time of 2026-01-01 12:00:00 UTC
NOON_DATE, EARLIER, LATER = (f"Thu, 01 Jan 2026 {time} GMT" for time in ("12:00:00", "11:59:59", "12:00:01"))
PLAYLIST = MediaFile(
    FileKind.PLAYLIST, CachePolicy.SHORT_LIVED, CachedPlaylist("v", NOON, b"#EXTM3U\n" * 10, b"compressed")
)


@pytest.fixture
def segment(tmp_path: Path) -> MediaFile:
    """Return a segment of 1,000 bytes, whose descriptor is closed: only its size and version are used."""
    path = tmp_path / "0000.ts"
    path.write_bytes(bytes(1000))
    os.utime(path, (NOON, NOON))
    return MediaFile(FileKind.SEGMENT, CachePolicy.IMMUTABLE, OpenFile(-1, path.stat()), "hls/1/480p/0000.ts")


def etag_of(media_file: MediaFile) -> str:
    return f'"{media_file.content.version}"'


def header(response: MediaResponse, name: str) -> str | None:
    return dict(response.headers).get(name)


@pytest.mark.parametrize(
    ("value", "start", "length"),
    [
        ("bytes=0-99", 0, 100), ("bytes=900-", 900, 100), ("bytes=-100", 900, 100), ("bytes=0-5000", 0, 1000),
        ("bytes=-5000", 0, 1000), ("bytes=999-999", 999, 1), (" Bytes = 0-0 ", 0, 1),
    ],
)  # fmt: skip
def test_a_range_gets_its_bytes(segment: MediaFile, value: str, start: int, length: int) -> None:
    response = evaluate("GET", {"Range": value}, segment)
    assert (response.status, response.start, response.length) == (206, start, length)
    assert header(response, "Content-Range") == f"bytes {start}-{start + length - 1}/1000"
    assert header(response, "Content-Length") == str(length)


@pytest.mark.parametrize("value", ["bytes=0-1,5-6", "bytes=5-4", "bytes=-", "bytes=a-b", "lines=0-9", "bytes=0", ""])
def test_an_invalid_or_multiple_range_gets_the_whole(segment: MediaFile, value: str) -> None:
    response = evaluate("GET", {"Range": value}, segment)
    assert (response.status, response.start, response.length) == (200, 0, 1000)


@pytest.mark.parametrize("value", ["bytes=1000-", "bytes=2000-3000", "bytes=-0"])
def test_a_range_beyond_the_end_is_refused_with_the_size(segment: MediaFile, value: str) -> None:
    with pytest.raises(RangeNotSatisfiable) as refused:
        evaluate("GET", {"Range": value}, segment)
    assert refused.value.headers == {"Content-Range": "bytes */1000"}
    assert evaluate("HEAD", {"Range": value}, segment).status == 200  # ranges are for GET alone


@pytest.mark.parametrize(("condition", "status"), [(NOON_DATE, 206), (EARLIER, 200), (LATER, 200), ("nonsense", 200)])
def test_if_range_with_a_date_wants_exactly_that_version(segment: MediaFile, condition: str, status: int) -> None:
    assert evaluate("GET", {"Range": "bytes=0-9", "If-Range": condition}, segment).status == status


def test_if_range_compares_tags_strongly(segment: MediaFile) -> None:
    etag = etag_of(segment)
    for condition, status in ((etag, 206), (f"W/{etag}", 200), ('"other"', 200)):
        assert evaluate("GET", {"Range": "bytes=0-9", "If-Range": condition}, segment).status == status


def test_if_none_match_compares_weakly_and_beats_the_date(segment: MediaFile) -> None:
    etag = etag_of(segment)
    for known in (etag, f"W/{etag}", f'"a", {etag}', "*"):
        response = evaluate("GET", {"If-None-Match": known, "If-Modified-Since": EARLIER}, segment)
        assert (response.status, response.length, header(response, "ETag")) == (304, 0, etag)
        assert header(response, "Content-Length") is None
    assert evaluate("GET", {"If-None-Match": '"other"', "If-Modified-Since": NOON_DATE}, segment).status == 200


@pytest.mark.parametrize(("since", "status"), [(NOON_DATE, 304), (LATER, 304), (EARLIER, 200), ("nonsense", 200)])
def test_if_modified_since_counts_without_a_tag(segment: MediaFile, since: str, status: int) -> None:
    assert evaluate("GET", {"If-Modified-Since": since}, segment).status == status


def test_if_match_compares_strongly_and_beats_the_date(segment: MediaFile) -> None:
    etag = etag_of(segment)
    for wanted in (etag, "*", f'"a", {etag}'):
        assert evaluate("GET", {"If-Match": wanted, "If-Unmodified-Since": EARLIER}, segment).status == 200
    with pytest.raises(PreconditionFailed):
        evaluate("GET", {"If-Match": '"other"'}, segment)
    with pytest.raises(PreconditionFailed):
        evaluate("GET", {"If-Unmodified-Since": EARLIER}, segment)
    assert evaluate("GET", {"If-Unmodified-Since": NOON_DATE}, segment).status == 200


@pytest.mark.parametrize(
    ("accepted", "is_compressed"),
    [
        ("gzip", True), ("deflate, gzip;q=0.5", True), ("*", True), ("GZIP", True), ("gzip;q=0", False),
        ("gzip; q=0.000", False), ("br", False), ("xgzip", False), ("", False),
    ],
)  # fmt: skip
def test_a_playlist_is_compressed_for_clients_that_accept_it(accepted: str, is_compressed: bool) -> None:
    response = evaluate("GET", {"Accept-Encoding": accepted}, PLAYLIST)
    assert response.is_compressed is is_compressed
    assert response.length == (10 if is_compressed else 80)
    assert header(response, "ETag") == ('"v-gz"' if is_compressed else '"v"')
    assert header(response, "Content-Encoding") == ("gzip" if is_compressed else None)
    assert header(response, "Vary") == "Accept-Encoding"


def test_a_part_of_a_playlist_is_never_compressed() -> None:
    response = evaluate("GET", {"Accept-Encoding": "gzip", "Range": "bytes=0-6"}, PLAYLIST)
    assert (response.status, response.length, response.is_compressed) == (206, 7, False)


@pytest.mark.parametrize(
    ("cache_policy", "cache_control"),
    [
        (CachePolicy.IMMUTABLE, "private, max-age=31536000, immutable"),
        (CachePolicy.SHORT_LIVED, "private, max-age=300"),
        (CachePolicy.REVALIDATE, "private, no-cache"),
    ],
)  # fmt: skip
def test_cache_control_follows_the_cache_policy(cache_policy: CachePolicy, cache_control: str) -> None:
    assert (
        header(evaluate("GET", {}, MediaFile(FileKind.PLAYLIST, cache_policy, PLAYLIST.content)), "Cache-Control")
        == cache_control
    )


def test_behind_nginx_the_response_names_the_file_without_a_body(segment: MediaFile) -> None:
    response = evaluate("GET", {"Range": "bytes=0-9"}, segment, accel_redirect="/internal/")
    assert (response.status, response.length, header(response, "Content-Length")) == (200, 0, "0")
    assert header(response, "X-Accel-Redirect") == "/internal/hls/1/480p/0000.ts"
