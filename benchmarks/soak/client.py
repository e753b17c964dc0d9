"""An HTTP client that checks every response against what clients may rely on, whatever is broken on the server."""

from __future__ import annotations

import json
import time
from typing import Any

from tornado.httpclient import AsyncHTTPClient, HTTPResponse
from tornado.httputil import HTTPHeaders
from tornado.simple_httpclient import HTTPTimeoutError

from benchmarks.soak.record import SoakReport
from tests.support.http_client import HttpResponse

_MAX_SEGMENT_WAIT_S = 25.0  # players wait 20 s, and the machine is busy
_REQUEST_TIMEOUT_S = 60.0  # while all web processes are down, connections wait until they are back
_ALLOWED_SERVER_ERRORS = (503, 507)  # of status 500 and above
_NO_RESPONSE = HttpResponse(0, HTTPHeaders(), b"")


class CheckedClient:
    """Sends requests and reports unexpected responses. Status 0 means no response: a killed process, or a timeout."""

    def __init__(self, url: str, report: SoakReport) -> None:
        self.url = url
        self.report = report
        self._client = AsyncHTTPClient(force_instance=True, max_clients=500)

    async def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        token: str = "",
        cookie: str = "",
        content_type: str = "application/json",
        timeout_s: float = _REQUEST_TIMEOUT_S,
    ) -> HttpResponse:
        """Send a request. `body` is sent as it is if it is bytes, of type `content_type`, and as JSON otherwise."""
        headers = {"Content-Type": content_type, "Cookie": cookie, "Authorization": f"Bearer {token}" if token else ""}
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        begin = time.monotonic()
        try:
            response = await self._client.fetch(
                self.url + path, method=method, body=data, raise_error=False, allow_nonstandard_methods=True,
                headers={name: value for name, value in headers.items() if value}, request_timeout=timeout_s,
                connect_timeout=timeout_s,
            )  # fmt: skip
        except HTTPTimeoutError:
            self.report.require(timeout_s < _REQUEST_TIMEOUT_S, f"{method} {path}: no answer in {timeout_s} s")
            return _NO_RESPONSE
        except Exception:  # of any kind that a broken connection raises
            return _NO_RESPONSE
        self._check_response(method, path, response, time.monotonic() - begin)
        return HttpResponse(response.code, response.headers, response.body)

    def _check_response(self, method: str, path: str, response: HTTPResponse, seconds: float) -> None:
        status, said = response.code, response.body[:300]
        what = f"{method} {path}: {status} {said!r} after {seconds:.1f} s"
        self.report.count(f"answers {status}")
        self.report.require(seconds < _MAX_SEGMENT_WAIT_S or not path.endswith(".ts"), f"slow: {what}")
        self.report.require(status < 500 or status in _ALLOWED_SERVER_ERRORS, what)
        self.report.require(status != 503 or "Retry-After" in response.headers, f"no Retry-After: {what}")
        if status >= 400 or path.startswith("/api/"):
            self.report.require(_is_json(response.body), f"no JSON: {what}")


def _is_json(body: bytes) -> bool:
    try:
        return isinstance(json.loads(body), dict | list)
    except ValueError:
        return False
