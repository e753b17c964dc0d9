"""The fast lane: GET and HEAD of a published file that is at hand, for a client that is known.

Players fetch little else, all day long, so these requests do not pass through a Tornado application: the work of one
is a few look-ups in memory and a call of sendfile. The lane answers nothing but 200, 206 and 304. Whatever is out of
the ordinary - no token or a bad one, a cookie that wants renewing, a film that is not known yet, a segment that has to
be waited for or read from a disk, a range beyond the end - it leaves to `MediaHandler`, which answers everything,
these requests included.
"""

from __future__ import annotations

import re
import time
from asyncio import Future
from collections.abc import Callable, Collection, Sequence
from contextlib import ExitStack
from http.client import responses
from typing import NamedTuple

from cachetools import LRUCache, cached
from tornado.http1connection import HTTP1Connection
from tornado.httputil import HTTPHeaders, HTTPMessageDelegate, RequestStartLine, parse_cookie
from tornado.iostream import IOStream

from handlers.http.access_log import write_access_line
from handlers.http.client_address import client_address
from handlers.http.response_headers import common_headers, new_request_id
from handlers.media.conditional import MediaResponse, encoded_body, evaluate, format_http_date
from handlers.media.sendfile import SendfileTransfers, can_sendfile, is_in_page_cache
from handlers.tornado_internals.connections import abandon
from videoflix.errors import PreconditionFailed, RangeNotSatisfiable, TokenNotValid
from videoflix.media.safe_open import OpenFile
from videoflix.media.service import MediaFile, MediaRequest
from videoflix.services import Services

_MEDIA_PATH = re.compile(
    r"/(?:(?:media/hls|api/video)/([0-9]{1,15})/([a-z0-9]+(?:/[a-z0-9]+)?\.[a-z0-9]+)(/?)|media/thumbnails/([0-9]{1,15})\.jpg)"
)

_MAX_COOKIE_CHARACTERS = 3072  # characters of cookies that are remembered; ours have some 700
_MAX_COOKIE_CACHE_BYTES = 4 * 1024**2  # of memory for all of them

_STATUS_LINES = {status: f"HTTP/1.1 {status} {responses[status]}\r\n".encode() for status in (200, 206, 304)}


class FastPath:
    """One per web process."""

    def __init__(self, services: Services) -> None:
        self._media = services.media
        self._admission = services.token_verifier
        self._trusted_proxies = services.settings.trusted_proxies
        self._accel_redirect = services.settings.accel_redirect
        self._renewal_threshold_s = services.settings.access_token_minutes * 60 / 2
        self._common_headers = _CommonHeaders(services.settings.cors_origins)
        self.counters = services.metrics.fast_path
        self.transfers = SendfileTransfers(self.counters)

    def try_handle(
        self, connection: HTTP1Connection, start_line: RequestStartLine, headers: HTTPHeaders
    ) -> HTTPMessageDelegate | None:
        """Who answers this request; None when the lane does not."""
        path, _, query = start_line.path.partition("?")
        place = _MEDIA_PATH.fullmatch(path)
        if place is None or not _is_eligible(start_line, headers):
            return None
        if not self._admission.is_in_sync or not can_sendfile(connection.stream):
            return None
        video_id = int(place[1] or place[4])
        token = query[6:] if query.startswith("token=") and "Authorization" not in headers else ""
        if (query and not token) or not self._is_authorized(headers, token, video_id):
            return None
        if place[4]:
            asset = self._media.get_cached_thumbnail(video_id)
        else:
            asset = self._media.get_cached(MediaRequest(video_id, place[2], token, bool(place[3])))
        if asset is None:
            return None
        with ExitStack() as held:
            held.callback(asset.close)
            try:
                reply = evaluate(start_line.method, headers, asset, self._accel_redirect)
            except (PreconditionFailed, RangeNotSatisfiable):
                return None
            if not _can_send_without_blocking(asset, reply):
                return None
            errand = _FastResponse(self, connection, start_line.method, path, headers, asset, reply)
            held.pop_all()
            return errand

    def response_head(self, response: MediaResponse, origin: str, request_id: str, is_closing: bool) -> bytes:
        """Status line and headers, as they are sent; `is_last` of its connection."""
        lines = [f"X-Request-Id: {request_id}", f"Date: {format_http_date(int(time.time()))}"]
        lines += [f"{name}: {value}" for name, value in response.headers]
        if is_closing:
            lines.append("Connection: close")
        return b"%b%b%b\r\n\r\n" % (
            _STATUS_LINES[response.status],
            self._common_headers[origin],
            "\r\n".join(lines).encode("latin1"),
        )

    def remote_address(self, connection: HTTP1Connection, headers: HTTPHeaders) -> str:
        """Address of who asks: behind a proxy, each request of a connection has its own."""
        peer = str(getattr(connection.context, "remote_ip", ""))
        return client_address(peer, headers, self._trusted_proxies) if self._trusted_proxies else peer

    def _is_authorized(self, headers: HTTPHeaders, token: str, video_id: int) -> bool:
        """Bearer token, playback token or cookie; the first one that there is decides."""
        authorization, cookie = headers.get("Authorization"), headers.get("Cookie")
        try:
            if authorization is not None:
                scheme, _, bearer = authorization.partition(" ")
                return scheme.lower() == "bearer" and bool(self._admission.verify_access_token(bearer.strip()))
            if token:
                return bool(self._admission.verify_playback_token(token, video_id))
            if not cookie or len(cookie) >= _MAX_COOKIE_CHARACTERS:
                return False
            said = _parse_token_cookies(cookie)
            if said.access is None:
                return False
            identity = self._admission.verify_access_token(said.access)
            return not said.can_renew or identity.expires - time.time() > self._renewal_threshold_s
        except TokenNotValid:
            return False


class _Tokens(NamedTuple):
    """The access token, whether another one can be had, and how many bytes of memory this and its key take, about."""

    access: str | None
    can_renew: bool
    memory: int


class _CommonHeaders(dict[str, bytes]):
    """The headers that every answer has, by the page's origin."""

    def __init__(self, allowed_origins: Collection[str]) -> None:
        lines = {origin: common_headers(origin, allowed_origins) for origin in ("", *allowed_origins)}
        super().__init__({origin: _encode_headers(headers) for origin, headers in lines.items()})

    def __missing__(self, origin: str) -> bytes:
        return self[""]


class _FastResponse(HTTPMessageDelegate):
    """One request of the lane."""

    def __init__(
        self,
        fast_path: FastPath,
        connection: HTTP1Connection,
        method: str,
        path: str,
        headers: HTTPHeaders,
        media_file: MediaFile,
        response: MediaResponse,
    ) -> None:
        self._fast_path = fast_path
        self._connection = connection
        self._request_line = (method, path)
        self._origin = headers.get("Origin", "")
        self._media_file = media_file
        self._response = response
        self._remote_address = fast_path.remote_address(connection, headers)
        self._started_at = time.perf_counter()
        self._request_id = new_request_id()
        self._cancel_transfer: Callable[[], None] | None = None

    def finish(self) -> None:
        """The request was read: answer it. What goes wrong here ends the connection, and never keeps the file open."""
        with ExitStack() as held:
            held.callback(self._fail)
            self._answer()
            held.pop_all()

    def _answer(self) -> None:
        is_last = self._connection._disconnect_on_finish  # as the client wishes, or because the process stops
        head = self._fast_path.response_head(self._response, self._origin, self._request_id, is_last)
        content, stream = self._media_file.content, self._connection.stream
        start, end = self._response.start, self._response.start + self._response.length
        if stream.closed():
            self._finalize()
        elif self._request_line[0] == "HEAD" or start == end:
            self._write(stream, head)
        elif isinstance(content, OpenFile):
            self._connection.set_close_callback(self.on_connection_close)
            self._cancel_transfer = self._fast_path.transfers.start(
                stream, head, content.descriptor, start, end, self._on_sent
            )
        else:
            self._fast_path.counters.sent_bytes += end - start
            self._write(stream, head + encoded_body(content, self._response.is_compressed)[start:end])

    def _fail(self) -> None:
        self._media_file.close()
        if self._cancel_transfer is not None:
            self._cancel_transfer()
        abandon(self._connection, "an error in the fast lane", self._request_id)

    def on_connection_close(self) -> None:
        """The client hung up, which is no error."""
        if self._cancel_transfer is not None:
            self._cancel_transfer()
        self._finalize()

    def _write(self, stream: IOStream, data: bytes) -> None:
        """At once where the socket takes it, which it does unless the client is far behind."""
        try:
            sent = stream.socket.send(data)
        except BlockingIOError:
            sent = 0
        except OSError:
            self._on_sent(False)
            return
        if sent == len(data):
            self._on_sent(True)
        else:
            stream.write(data[sent:]).add_done_callback(self._on_written)

    def _on_written(self, future: Future[None]) -> None:
        self._on_sent(future.exception() is None)

    def _on_sent(self, is_complete: bool) -> None:
        with ExitStack() as held:
            held.callback(self._connection.close)
            self._finalize()
            if is_complete:
                held.pop_all()
                self._connection.finish()

    def _finalize(self) -> None:
        self._media_file.close()
        self._fast_path.counters.requests[self._response.status] += 1
        method, path = self._request_line
        seconds = time.perf_counter() - self._started_at
        write_access_line(method, path, self._response.status, seconds, self._remote_address, self._request_id)


def _can_send_without_blocking(media_file: MediaFile, response: MediaResponse) -> bool:
    content, end = media_file.content, response.start + response.length
    return (
        not isinstance(content, OpenFile)
        or not response.length
        or is_in_page_cache(content.descriptor, response.start, end)
    )


def _is_eligible(start_line: RequestStartLine, headers: HTTPHeaders) -> bool:
    """A GET or HEAD of HTTP/1.1 without a body."""
    return (
        start_line.method in ("GET", "HEAD")
        and start_line.version == "HTTP/1.1"
        and headers.get("Host") is not None
        and headers.get("Content-Length") is None
        and headers.get("Transfer-Encoding") is None
    )


@cached(LRUCache(_MAX_COOKIE_CACHE_BYTES, getsizeof=lambda said: said.memory), key=str)
def _parse_token_cookies(cookies: str) -> _Tokens:
    """What a Cookie header says; kept for a while, of what strangers send as well."""
    found = parse_cookie(cookies)
    access_token = found.get("access_token") or None  # an empty one is none: the handler says so too
    return _Tokens(access_token, bool(found.get("refresh_token")), len(cookies) + len(access_token or "") + 500)


def _encode_headers(headers: Sequence[tuple[str, str]]) -> bytes:
    return "".join(f"{name}: {value}\r\n" for name, value in headers).encode("latin1")
