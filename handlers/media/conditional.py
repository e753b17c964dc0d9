"""Conditional and range requests (RFC 9110, sections 13 and 14) over anything that has a size and a version; pure."""

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
_LONGEST_DATE = 64  # characters; the longest form that was ever allowed has 33
_BYTE_RANGE = re.compile(r"bytes\s*=\s*(?:([0-9]{1,18})-([0-9]{1,18})?|-([0-9]{1,18}))\s*", re.IGNORECASE)
_ENTITY_TAG = re.compile(r'(?:W/)?"[^"]*"')
_GZIP_CODING = re.compile(r"(?:^|,)\s*(?:gzip|\*)\s*(?:;\s*q\s*=\s*([0-9.]+)\s*)?(?=,|$)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class MediaResponse:
    """Status and headers, and which bytes of the content make the body."""

    status: int
    headers: tuple[tuple[str, str], ...]
    start: int
    length: int  # of the body
    is_compressed: bool = False


def evaluate(method: str, headers: Mapping[str, str], media_file: MediaFile, accel_redirect: str = "") -> MediaResponse:
    """What a GET or HEAD with these headers gets. Raises PreconditionFailed and RangeNotSatisfiable.

    `proxy`: where nginx keeps the media folder internally, when it is the one to send files; conditions and ranges are
    then its business too.
    """
    content = media_file.content
    if accel_redirect and media_file.location:
        about = (
            ("Content-Type", _CONTENT_TYPES[media_file.kind]),
            ("Cache-Control", _CACHE_CONTROL[media_file.cache_policy]),
        )
        return MediaResponse(
            200, (*about, ("X-Accel-Redirect", accel_redirect + media_file.location), ("Content-Length", "0")), 0, 0
        )
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
    described = (*common, ("Content-Type", _CONTENT_TYPES[media_file.kind]))
    wanted = headers.get("Range") if method == "GET" else None
    part = _parse_range(wanted, size) if wanted and _is_range_applicable(headers, etag, content.modified_at) else None
    if part is None:
        return MediaResponse(200, (*described, ("Content-Length", str(size))), 0, size, is_compressed)
    start, end = part
    place = (("Content-Range", f"bytes {start}-{end - 1}/{size}"), ("Content-Length", str(end - start)))
    return MediaResponse(206, (*described, *place), start, end - start, is_compressed)


def encoded_body(text: CachedPlaylist, is_compressed: bool) -> bytes:
    """The whole list, as the client takes it."""
    return text.compressed if is_compressed and text.compressed is not None else text.body


def _common_headers(media_file: MediaFile, etag: str) -> tuple[tuple[str, str], ...]:
    headers = (
        ("ETag", etag),
        ("Last-Modified", format_http_date(media_file.content.modified_at)),
        ("Cache-Control", _CACHE_CONTROL[media_file.cache_policy]),
        ("Accept-Ranges", "bytes"),
    )
    return headers if isinstance(media_file.content, OpenFile) else (*headers, ("Vary", "Accept-Encoding"))


def _is_precondition_failed(headers: Mapping[str, str], etag: str, modified: int) -> bool:
    """If-Match, compared strongly; If-Unmodified-Since only without it."""
    wanted = headers.get("If-Match")
    if wanted is not None:
        return wanted.strip() != "*" and etag not in _ENTITY_TAG.findall(wanted)
    since = headers.get("If-Unmodified-Since")
    moment = _parse_http_date(since) if since else None
    return moment is not None and modified > moment


def _is_not_modified(headers: Mapping[str, str], etag: str, modified: int) -> bool:
    """If-None-Match, compared weakly; If-Modified-Since only without it."""
    known = headers.get("If-None-Match")
    if known is not None:
        return known.strip() == "*" or etag in (tag.removeprefix("W/") for tag in _ENTITY_TAG.findall(known))
    since = headers.get("If-Modified-Since")
    moment = _parse_http_date(since) if since else None
    return moment is not None and modified <= moment


def _is_range_applicable(headers: Mapping[str, str], etag: str, modified: int) -> bool:
    """If-Range: the part is wanted only of the version that the client has a part of; compared strongly."""
    condition = headers.get("If-Range")
    if condition is None:
        return True
    condition = condition.strip()
    return condition == etag if condition.endswith('"') else _parse_http_date(condition) == modified


def _parse_range(range_header: str, size: int) -> tuple[int, int] | None:
    """First byte, and the one after the last. None for the whole: several ranges, and what is no range of bytes.

    Raises RangeNotSatisfiable.
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
    """Not for a range, which counts the bytes of what is stored."""
    accepted = headers.get("Accept-Encoding")
    if not accepted or "Range" in headers:
        return False
    match = _GZIP_CODING.search(accepted)
    return match is not None and (match[1] is None or match[1].strip("0.") != "")


@lru_cache(maxsize=4096)
def format_http_date(timestamp: int) -> str:
    """As RFC 9110, 5.6.7 writes it."""
    return formatdate(timestamp, usegmt=True)


def _parse_http_date(date: str) -> int | None:
    """Of a date as RFC 9110, 5.6.7 writes it; None for everything else, which is ignored then (13.1.3)."""
    if len(date) > _LONGEST_DATE:
        return None
    try:
        moment = parsedate_to_datetime(date)
        return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
