"""Conditional and range requests (RFC 9110, sections 13 and 14) for files and playlists. Pure functions."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC
from email.utils import formatdate, parsedate_to_datetime
from functools import lru_cache

from videoflix.errors import PreconditionFailed, RangeNotSatisfiable
from videoflix.media.playlist_cache import CachedPlaylist
from videoflix.media.published_names import FileKind
from videoflix.media.safe_open import OpenFile
from videoflix.media.service import CachePolicy, MediaFile

_CONTENT_TYPES = {
    FileKind.PLAYLIST: "application/vnd.apple.mpegurl",
    FileKind.SEGMENT: "video/mp2t",
    FileKind.WEBVTT: "text/vtt; charset=utf-8",
    FileKind.IMAGE: "image/jpeg",
}
_CACHE_CONTROL = {
    CachePolicy.IMMUTABLE: "private, max-age=31536000, immutable",
    CachePolicy.SHORT_LIVED: "private, max-age=300",
    CachePolicy.REVALIDATE: "private, no-cache",
}
_MAX_DATE_CHARACTERS = 64  # the longest form that was ever allowed has 33
_BYTE_RANGE = re.compile(r"bytes\s*=\s*(?:([0-9]{1,18})-([0-9]{1,18})?|-([0-9]{1,18}))\s*", re.IGNORECASE)
_ENTITY_TAG = re.compile(r'(?:W/)?"[^"]*"')
_GZIP_CODING = re.compile(r"(?:^|,)\s*(?:gzip|\*)\s*(?:;\s*q\s*=\s*([0-9.]+)\s*)?(?=,|$)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class MediaResponse:
    """Status and headers of a response, and which bytes of the content are its body."""

    status: int
    headers: tuple[tuple[str, str], ...]
    start: int
    length: int  # of the body
    is_compressed: bool = False


def evaluate(method: str, headers: Mapping[str, str], media_file: MediaFile, accel_redirect: str = "") -> MediaResponse:
    """Return the response to a GET or HEAD request with these headers.

    `accel_redirect` is the internal location of the media folder if nginx sends the files; nginx evaluates conditions
    and ranges then. Raises PreconditionFailed and RangeNotSatisfiable.
    """
    content = media_file.content
    if accel_redirect and media_file.location:
        return MediaResponse(200, _accel_headers(media_file, accel_redirect), 0, 0)
    is_compressed = not isinstance(content, OpenFile) and content.compressed is not None and _accepts_gzip(headers)
    size = content.size if isinstance(content, OpenFile) else len(encoded_body(content, is_compressed))
    etag = f'"{content.version}-gz"' if is_compressed else f'"{content.version}"'
    common = _common_headers(media_file, etag)
    if _is_precondition_failed(headers, etag, content.modified_at):
        raise PreconditionFailed
    if _is_not_modified(headers, etag, content.modified_at):
        return MediaResponse(304, common, 0, 0, is_compressed)
    if is_compressed:
        common = (*common, ("Content-Encoding", "gzip"))
    common = (*common, ("Content-Type", _CONTENT_TYPES[media_file.kind]))
    byte_range = None
    range_header = headers.get("Range") if method == "GET" else None
    if range_header and _is_range_applicable(headers, etag, content.modified_at):
        byte_range = _parse_range(range_header, size)
    if byte_range is None:
        return MediaResponse(200, (*common, ("Content-Length", str(size))), 0, size, is_compressed)
    start, end = byte_range
    part = (("Content-Range", f"bytes {start}-{end - 1}/{size}"), ("Content-Length", str(end - start)))
    return MediaResponse(206, (*common, *part), start, end - start, is_compressed)


def encoded_body(playlist: CachedPlaylist, is_compressed: bool) -> bytes:
    """Return the whole playlist, compressed or not."""
    return playlist.compressed if is_compressed and playlist.compressed is not None else playlist.body


def _accel_headers(media_file: MediaFile, accel_redirect: str) -> tuple[tuple[str, str], ...]:
    return (
        ("Content-Type", _CONTENT_TYPES[media_file.kind]),
        ("Cache-Control", _CACHE_CONTROL[media_file.cache_policy]),
        ("X-Accel-Redirect", accel_redirect + media_file.location),
        ("Content-Length", "0"),
    )


def _common_headers(media_file: MediaFile, etag: str) -> tuple[tuple[str, str], ...]:
    headers = (
        ("ETag", etag),
        ("Last-Modified", format_http_date(media_file.content.modified_at)),
        ("Cache-Control", _CACHE_CONTROL[media_file.cache_policy]),
        ("Accept-Ranges", "bytes"),
    )
    return headers if isinstance(media_file.content, OpenFile) else (*headers, ("Vary", "Accept-Encoding"))


def _is_precondition_failed(headers: Mapping[str, str], etag: str, modified: int) -> bool:
    """Evaluate If-Match, by strong comparison, or else If-Unmodified-Since (RFC 9110, section 13.2.2)."""
    condition = headers.get("If-Match")
    if condition is not None:
        return condition.strip() != "*" and etag not in _ENTITY_TAG.findall(condition)
    since = headers.get("If-Unmodified-Since")
    moment = _parse_http_date(since) if since else None
    return moment is not None and modified > moment


def _is_not_modified(headers: Mapping[str, str], etag: str, modified: int) -> bool:
    """Evaluate If-None-Match, by weak comparison, or else If-Modified-Since (RFC 9110, section 13.2.2)."""
    condition = headers.get("If-None-Match")
    if condition is not None:
        return condition.strip() == "*" or etag in (tag.removeprefix("W/") for tag in _ENTITY_TAG.findall(condition))
    since = headers.get("If-Modified-Since")
    moment = _parse_http_date(since) if since else None
    return moment is not None and modified <= moment


def _is_range_applicable(headers: Mapping[str, str], etag: str, modified: int) -> bool:
    """Evaluate If-Range, by strong comparison: a range must be of the version that the client has a part of."""
    condition = headers.get("If-Range")
    if condition is None:
        return True
    condition = condition.strip()
    return condition == etag if condition.endswith('"') else _parse_http_date(condition) == modified


def _parse_range(range_header: str, size: int) -> tuple[int, int] | None:
    """Return the first byte of a range and the one after its last, or None to send the whole content.

    None is returned for several ranges and for anything that is not a byte range: a server may ignore the former and
    must ignore the latter (RFC 9110, section 14.2). Raises RangeNotSatisfiable.
    """
    match = _BYTE_RANGE.fullmatch(range_header.strip())
    if match is None:
        return None
    first, last, suffix = match.groups()
    if suffix is not None:
        start, end = max(0, size - int(suffix)), size
    else:
        start, end = int(first), min(size, int(last) + 1) if last else size
        if last and int(last) < start:
            return None
    if start >= end:
        raise RangeNotSatisfiable(size)
    return start, end


def _accepts_gzip(headers: Mapping[str, str]) -> bool:
    """Return whether to send gzip. Not for a range, which counts the bytes of the stored content."""
    accepted = headers.get("Accept-Encoding")
    if not accepted or "Range" in headers:
        return False
    match = _GZIP_CODING.search(accepted)
    return match is not None and (match[1] is None or match[1].strip("0.") != "")


@lru_cache(maxsize=4096)
def format_http_date(timestamp: int) -> str:
    """Return a Unix time as an HTTP date (RFC 9110, section 5.6.7)."""
    return formatdate(timestamp, usegmt=True)


def _parse_http_date(date: str) -> int | None:
    """Return the Unix time of an HTTP date, or None for anything else, which is ignored (RFC 9110, 13.1.3)."""
    if len(date) > _MAX_DATE_CHARACTERS:
        return None
    try:
        moment = parsedate_to_datetime(date)
        return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
