"""The fast lane: GET and HEAD of a published file that is at hand, for a client that is known.

Players fetch little else, all day long, so these requests do not pass through a Tornado application: the work of one
is a few look-ups in memory and a call of sendfile. The lane answers nothing but 200, 206 and 304. Whatever is out of
the ordinary - no token or a bad one, a cookie that wants renewing, a film that is not known yet, a segment that has to
be waited for or read from a disk, a range beyond the end - it leaves to `MediaHandler`, which answers everything, these requests included.
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

from handlers.http.access_log import write_line
from handlers.http.common import common_headers, new_request_id
from handlers.http.connections import abandon
from handlers.media.answer import Reply, answer, body_of, http_date
from handlers.media.transfer import Transfers, can_carry, is_in_memory
from handlers.http.origin import client_address
from videoflix.errors import PreconditionFailed, RangeNotSatisfiable, TokenNotValid
from videoflix.media.files import OpenFile
from videoflix.media.service import Asset, Request
from videoflix.services import Services

_PATH = re.compile(
    r"/(?:(?:media/hls|api/video)/([0-9]{1,15})/([a-z0-9]+(?:/[a-z0-9]+)?\.[a-z0-9]+)(/?)|media/thumbnails/([0-9]{1,15})\.jpg)"
)

_LONGEST = 3072  # characters of cookies that are remembered; ours have some 700
_MAX_COOKIE_CACHE_BYTES = 4 * 1024**2  # of memory for all of them

_STATUS = {status: f"HTTP/1.1 {status} {responses[status]}\r\n".encode() for status in (200, 206, 304)}


class MediaLane:
    """One per web process."""

    def __init__(self, services: Services) -> None:
        self._media = services.media
        self._admission = services.admission
        self._trusted_proxies = services.settings.trusted_proxies
        self._proxy = services.settings.accel_redirect
        self._renew_within = services.settings.access_token_minutes * 60 / 2
        self._common = _Common(services.settings.cors_origins)
        self.tally = services.metrics.lane
        self.transfers = Transfers(self.tally)

    def take(
        self, connection: HTTP1Connection, start_line: RequestStartLine, headers: HTTPHeaders
    ) -> HTTPMessageDelegate | None:
        """Who answers this request; None when the lane does not."""
        path, _, query = start_line.path.partition("?")
        place = _PATH.fullmatch(path)
        if place is None or not _is_plain(start_line, headers):
            return None
        if not self._admission.is_current or not can_carry(connection.stream):
            return None
        video_id = int(place[1] or place[4])
        token = query[6:] if query.startswith("token=") and "Authorization" not in headers else ""
        if (query and not token) or not self._admits(headers, token, video_id):
            return None
        if place[4]:
            asset = self._media.thumbnail_at_hand(video_id)
        else:
            asset = self._media.at_hand(Request(video_id, place[2], token, bool(place[3])))
        if asset is None:
            return None
        with ExitStack() as held:
            held.callback(asset.close)
            try:
                reply = answer(start_line.method, headers, asset, self._proxy)
            except (PreconditionFailed, RangeNotSatisfiable):
                return None
            if not _can_be_sent_now(asset, reply):
                return None
            errand = _Errand(self, connection, start_line.method, path, headers, asset, reply)
            held.pop_all()
            return errand

    def head(self, reply: Reply, origin: str, request_id: str, is_last: bool) -> bytes:
        """Status line and headers, as they are sent; `is_last` of its connection."""
        lines = [f"X-Request-Id: {request_id}", f"Date: {http_date(int(time.time()))}"]
        lines += [f"{name}: {value}" for name, value in reply.headers]
        if is_last:
            lines.append("Connection: close")
        return b"%b%b%b\r\n\r\n" % (
            _STATUS[reply.status],
            self._common[origin],
            "\r\n".join(lines).encode("latin1"),
        )

    def client(self, connection: HTTP1Connection, headers: HTTPHeaders) -> str:
        """Address of who asks: behind a proxy, each request of a connection has its own."""
        peer = str(getattr(connection.context, "remote_ip", ""))
        return client_address(peer, headers, self._trusted_proxies) if self._trusted_proxies else peer

    def _admits(self, headers: HTTPHeaders, token: str, video_id: int) -> bool:
        """Bearer token, playback token or cookie; the first one that there is decides."""
        authorization, cookie = headers.get("Authorization"), headers.get("Cookie")
        try:
            if authorization is not None:
                scheme, _, bearer = authorization.partition(" ")
                return scheme.lower() == "bearer" and bool(self._admission.by_access_token(bearer.strip()))
            if token:
                return bool(self._admission.by_playback_token(token, video_id))
            if not cookie or len(cookie) >= _LONGEST:
                return False
            said = _tokens(cookie)
            if said.access is None:
                return False
            identity = self._admission.by_access_token(said.access)
            return not said.can_renew or identity.expires - time.time() > self._renew_within
        except TokenNotValid:
            return False


class _Tokens(NamedTuple):
    """The access token, whether another one can be had, and how many bytes of memory this and its key take, about."""

    access: str | None
    can_renew: bool
    memory: int


class _Common(dict[str, bytes]):
    """The headers that every answer has, by the page's origin."""

    def __init__(self, allowed: Collection[str]) -> None:
        lines = {origin: common_headers(origin, allowed) for origin in ("", *allowed)}
        super().__init__({origin: _encoded(headers) for origin, headers in lines.items()})

    def __missing__(self, origin: str) -> bytes:
        return self[""]


class _Errand(HTTPMessageDelegate):
    """One request of the lane."""

    def __init__(
        self,
        lane: MediaLane,
        connection: HTTP1Connection,
        method: str,
        path: str,
        headers: HTTPHeaders,
        asset: Asset,
        reply: Reply,
    ) -> None:
        self._lane = lane
        self._connection = connection
        self._line = (method, path)
        self._origin = headers.get("Origin", "")
        self._asset = asset
        self._reply = reply
        self._client = lane.client(connection, headers)
        self._started = time.perf_counter()
        self._request_id = new_request_id()
        self._stop: Callable[[], None] | None = None

    def finish(self) -> None:
        """The request was read: answer it. What goes wrong here ends the connection, and never keeps the file open."""
        with ExitStack() as held:
            held.callback(self._fail)
            self._answer()
            held.pop_all()

    def _answer(self) -> None:
        is_last = self._connection._disconnect_on_finish  # as the client wishes, or because the process stops
        head = self._lane.head(self._reply, self._origin, self._request_id, is_last)
        content, stream = self._asset.content, self._connection.stream
        start, end = self._reply.start, self._reply.start + self._reply.length
        if stream.closed():
            self._over()
        elif self._line[0] == "HEAD" or start == end:
            self._write(stream, head)
        elif isinstance(content, OpenFile):
            self._connection.set_close_callback(self.on_connection_close)
            self._stop = self._lane.transfers.start(stream, head, content.descriptor, start, end, self._sent)
        else:
            self._lane.tally.sent += end - start
            self._write(stream, head + body_of(content, self._reply.is_compressed)[start:end])

    def _fail(self) -> None:
        self._asset.close()
        if self._stop is not None:
            self._stop()
        abandon(self._connection, "an error in the fast lane", self._request_id)

    def on_connection_close(self) -> None:
        """The client hung up, which is no error."""
        if self._stop is not None:
            self._stop()
        self._over()

    def _write(self, stream: IOStream, data: bytes) -> None:
        """At once where the socket takes it, which it does unless the client is far behind."""
        try:
            sent = stream.socket.send(data)
        except BlockingIOError:
            sent = 0
        except OSError:
            self._sent(False)
            return
        if sent == len(data):
            self._sent(True)
        else:
            stream.write(data[sent:]).add_done_callback(self._written)

    def _written(self, written: Future[None]) -> None:
        self._sent(written.exception() is None)

    def _sent(self, is_complete: bool) -> None:
        with ExitStack() as held:
            held.callback(self._connection.close)
            self._over()
            if is_complete:
                held.pop_all()
                self._connection.finish()

    def _over(self) -> None:
        self._asset.close()
        self._lane.tally.requests[self._reply.status] += 1
        method, path = self._line
        seconds = time.perf_counter() - self._started
        write_line(method, path, self._reply.status, seconds, self._client, self._request_id)


def _can_be_sent_now(asset: Asset, reply: Reply) -> bool:
    content, end = asset.content, reply.start + reply.length
    return not isinstance(content, OpenFile) or not reply.length or is_in_memory(content.descriptor, reply.start, end)


def _is_plain(start_line: RequestStartLine, headers: HTTPHeaders) -> bool:
    """A GET or HEAD of HTTP/1.1 without a body."""
    return (
        start_line.method in ("GET", "HEAD")
        and start_line.version == "HTTP/1.1"
        and headers.get("Host") is not None
        and headers.get("Content-Length") is None
        and headers.get("Transfer-Encoding") is None
    )


@cached(LRUCache(_MAX_COOKIE_CACHE_BYTES, getsizeof=lambda said: said.memory), key=str)
def _tokens(cookies: str) -> _Tokens:
    """What a Cookie header says; kept for a while, of what strangers send as well."""
    found = parse_cookie(cookies)
    access_token = found.get("access_token") or None  # an empty one is none: the handler says so too
    return _Tokens(access_token, bool(found.get("refresh_token")), len(cookies) + len(access_token or "") + 500)


def _encoded(headers: Sequence[tuple[str, str]]) -> bytes:
    return "".join(f"{name}: {value}\r\n" for name, value in headers).encode("latin1")
