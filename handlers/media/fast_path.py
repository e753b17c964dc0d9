"""The fast path: GET and HEAD of a cached published file, by a client whose token is known.

Players request little else, so these requests bypass Tornado's application: one takes a few look-ups in memory and a
call of sendfile. The fast path answers with 200, 206 and 304 only. Everything else it leaves to `MediaHandler`, which
can answer every request: a missing or invalid token, a cookie that is due for renewal, a video that is not cached, a
segment that must be waited for or read from a disk, a range beyond the end.
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

from handlers.credentials import CredentialKind, authorize_media, find_credential
from handlers.http.abandon import abandon
from handlers.http.access_log import write_access_line
from handlers.http.client_address import client_address
from handlers.http.response_headers import common_headers, new_request_id
from handlers.media.conditional import MediaResponse, encoded_body, evaluate, format_http_date
from handlers.media.sendfile import SendfileTransfers, can_sendfile, is_in_page_cache
from handlers.tornado_internals.connections import will_disconnect
from videoflix.errors import NotAuthenticated, PreconditionFailed, RangeNotSatisfiable, TokenNotValid
from videoflix.media.safe_open import OpenFile
from videoflix.media.service import MediaFile, MediaRequest
from videoflix.services import Services

_MEDIA_PATH = re.compile(
    r"/(?:(?:media/hls|api/video)/([0-9]{1,15})/([a-z0-9]+(?:/[a-z0-9]+)?\.[a-z0-9]+)(/?)|media/thumbnails/([0-9]{1,15})\.jpg)"
)

_MAX_COOKIE_CHARACTERS = 3072  # of a Cookie header that is cached; ours have some 700
_MAX_COOKIE_CACHE_BYTES = 4 * 1024**2  # of memory for all cached Cookie headers
_COOKIE_OVERHEAD_BYTES = 500  # of memory for a cached Cookie header, in addition to its text

_STATUS_LINES = {status: f"HTTP/1.1 {status} {responses[status]}\r\n".encode() for status in (200, 206, 304)}


class FastPath:
    """Decides which requests take the fast path. One per web process."""

    def __init__(self, services: Services) -> None:
        self._media = services.media
        self._token_verifier = services.token_verifier
        self._trusted_proxies = services.settings.trusted_proxies
        self._accel_redirect = services.settings.accel_redirect
        self._common_headers = _CommonHeaders(services.settings.cors_origins)
        self.counters = services.metrics.fast_path
        self.transfers = SendfileTransfers(self.counters)

    def try_handle(
        self, connection: HTTP1Connection, start_line: RequestStartLine, headers: HTTPHeaders
    ) -> HTTPMessageDelegate | None:
        """Return a delegate that answers this request, or None if the fast path does not."""
        path, _, query = start_line.path.partition("?")
        match = _MEDIA_PATH.fullmatch(path)
        if match is None or not _is_eligible(start_line, headers):
            return None
        if not self._token_verifier.is_in_sync or not can_sendfile(connection.stream):
            return None
        video_id = int(match[1] or match[4])
        token = query[6:] if query.startswith("token=") and "Authorization" not in headers else ""
        if (query and not token) or not self._is_authorized(headers, token, video_id):
            return None
        if match[4]:
            media_file = self._media.get_cached_thumbnail(video_id)
        else:
            media_file = self._media.get_cached(MediaRequest(video_id, match[2], token, bool(match[3])))
        if media_file is None:
            return None
        return self._respond(connection, start_line.method, path, headers, media_file)

    def _respond(
        self, connection: HTTP1Connection, method: str, path: str, headers: HTTPHeaders, media_file: MediaFile
    ) -> HTTPMessageDelegate | None:
        with ExitStack() as stack:
            stack.callback(media_file.close)
            try:
                response = evaluate(method, headers, media_file, self._accel_redirect)
            except (PreconditionFailed, RangeNotSatisfiable):
                return None
            if not _can_send_without_blocking(media_file, response):
                return None
            delegate = _FastResponse(self, connection, method, path, headers, media_file, response)
            stack.pop_all()
            return delegate

    def response_head(self, response: MediaResponse, origin: str, request_id: str, is_closing: bool) -> bytes:
        """Return status line and headers as bytes. `is_closing`: the connection is closed after this response."""
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
        """Return the client's address. Behind a proxy, each request of a connection has its own."""
        peer = str(getattr(connection.context, "remote_ip", ""))
        return client_address(peer, headers, self._trusted_proxies) if self._trusted_proxies else peer

    def _is_authorized(self, headers: HTTPHeaders, playback_token: str, video_id: int) -> bool:
        """Return whether the client may have the file, with a token that is not due for renewal."""
        cookies = _read_token_cookies(headers.get("Cookie"))
        credential = find_credential(headers.get("Authorization"), playback_token, cookies.access)
        try:
            identity = authorize_media(credential, self._token_verifier, video_id)
        except (NotAuthenticated, TokenNotValid):
            return False
        is_renewable = cookies.is_renewable and credential is not None and credential.kind is CredentialKind.COOKIE
        return not is_renewable or not self._token_verifier.is_renewal_due(identity)


class _TokenCookies(NamedTuple):
    """The access token of a Cookie header, and whether its refresh token can renew that."""

    access: str | None
    is_renewable: bool
    memory: int  # estimated bytes, with the header's text


class _CommonHeaders(dict[str, bytes]):
    """The encoded headers of every response, by the origin of the page; those of "" for all other origins."""

    def __init__(self, allowed_origins: Collection[str]) -> None:
        lines = {origin: common_headers(origin, allowed_origins) for origin in ("", *allowed_origins)}
        super().__init__({origin: _encode_headers(headers) for origin, headers in lines.items()})

    def __missing__(self, origin: str) -> bytes:
        return self[""]


class _FastResponse(HTTPMessageDelegate):
    """A response of the fast path."""

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
        self._method, self._path = method, path
        self._origin = headers.get("Origin", "")
        self._media_file = media_file
        self._response = response
        self._remote_address = fast_path.remote_address(connection, headers)
        self._started_at = time.perf_counter()
        self._request_id = new_request_id()
        self._cancel_transfer: Callable[[], None] | None = None

    def finish(self) -> None:
        """Respond to the request, which has been read. An error closes the file and the connection."""
        with ExitStack() as stack:
            stack.callback(self._fail)
            self._answer()
            stack.pop_all()

    def _answer(self) -> None:
        is_closing = will_disconnect(self._connection)
        head = self._fast_path.response_head(self._response, self._origin, self._request_id, is_closing)
        content, stream = self._media_file.content, self._connection.stream
        start, end = self._response.start, self._response.start + self._response.length
        if stream.closed():
            self._finalize()
        elif self._method == "HEAD" or start == end:
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
        abandon(self._connection, "an error in the fast path", self._request_id)

    def on_connection_close(self) -> None:
        """Called when the client disconnects, which is not an error."""
        if self._cancel_transfer is not None:
            self._cancel_transfer()
        self._finalize()

    def _write(self, stream: IOStream, data: bytes) -> None:
        """Write directly to the socket, which takes it all unless the client is far behind."""
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
        with ExitStack() as stack:
            stack.callback(self._connection.close)
            self._finalize()
            if is_complete:
                stack.pop_all()
                self._connection.finish()

    def _finalize(self) -> None:
        self._media_file.close()
        self._fast_path.counters.requests[self._response.status] += 1
        duration_s = time.perf_counter() - self._started_at
        write_access_line(
            self._method, self._path, self._response.status, duration_s, self._remote_address, self._request_id
        )


def _can_send_without_blocking(media_file: MediaFile, response: MediaResponse) -> bool:
    content, end = media_file.content, response.start + response.length
    return (
        not isinstance(content, OpenFile)
        or not response.length
        or is_in_page_cache(content.descriptor, response.start, end)
    )


def _is_eligible(start_line: RequestStartLine, headers: HTTPHeaders) -> bool:
    """Return whether this is a GET or HEAD of HTTP/1.1 without a body."""
    return (
        start_line.method in ("GET", "HEAD")
        and start_line.version == "HTTP/1.1"
        and headers.get("Host") is not None
        and headers.get("Content-Length") is None
        and headers.get("Transfer-Encoding") is None
    )


_NO_COOKIES = _TokenCookies(None, is_renewable=False, memory=0)


def _read_token_cookies(cookie_header: str | None) -> _TokenCookies:
    """Return the token cookies of a request; none of a header that is too long to be cached."""
    if not cookie_header or len(cookie_header) >= _MAX_COOKIE_CHARACTERS:
        return _NO_COOKIES
    return _parse_token_cookies(cookie_header)


@cached(LRUCache(_MAX_COOKIE_CACHE_BYTES, getsizeof=lambda cookies: cookies.memory), key=str)
def _parse_token_cookies(cookie_header: str) -> _TokenCookies:
    """Parse a Cookie header. Results are cached, those of unauthenticated clients included."""
    cookies = parse_cookie(cookie_header)
    access_token = cookies.get("access_token") or None  # an empty token is none, as in `find_credential`
    memory = len(cookie_header) + len(access_token or "") + _COOKIE_OVERHEAD_BYTES
    return _TokenCookies(access_token, bool(cookies.get("refresh_token")), memory)


def _encode_headers(headers: Sequence[tuple[str, str]]) -> bytes:
    return "".join(f"{name}: {value}\r\n" for name, value in headers).encode("latin1")
