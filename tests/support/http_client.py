"""An HTTP client with cookies, over real sockets."""

from __future__ import annotations

import json
from dataclasses import dataclass
from http.cookies import SimpleCookie
from typing import Any

from tornado.httpclient import AsyncHTTPClient
from tornado.httputil import HTTPHeaders


@dataclass(slots=True)
class HttpResponse:
    """Status, headers and body of a response."""

    status: int
    headers: HTTPHeaders
    body: bytes

    @property
    def json(self) -> Any:
        """Return the body decoded from JSON."""
        return json.loads(self.body)


class HttpClient:
    """An HTTP client with a cookie jar. An error status is a response, not an exception."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.cookies: dict[str, str] = {}
        self._client = AsyncHTTPClient(force_instance=True)

    async def fetch(self, method: str, path: str, body: Any = None, **headers: str) -> HttpResponse:
        """Send one request.

        `body`: bytes are sent as they are, anything else as JSON. `headers`: names with _ instead of -.
        """
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if self.cookies:
            sent.setdefault("Cookie", "; ".join(f"{name}={value}" for name, value in self.cookies.items()))
        if body is not None and not isinstance(body, bytes):
            sent.setdefault("Content-Type", "application/json")
            body = json.dumps(body).encode()
        response = await self._client.fetch(
            f"{self.url}{path}",
            method=method,
            body=body,
            headers=sent,
            raise_error=False,
            follow_redirects=False,
            allow_nonstandard_methods=True,
            decompress_response=False,
            request_timeout=60,
        )
        if response.code == 599:
            raise response.rethrow() or AssertionError("no answer")
        self._keep(response.headers)
        return HttpResponse(response.code, response.headers, response.body)

    async def get(self, path: str, **headers: str) -> HttpResponse:
        """Send a GET request."""
        return await self.fetch("GET", path, **headers)

    async def post(self, path: str, body: Any = None, **headers: str) -> HttpResponse:
        """Send a POST request, as JSON unless the body is bytes."""
        return await self.fetch("POST", path, body, **headers)

    async def log_in(
        self, email: str = "admin@videoflix.example", password: str = "correct horse battery"
    ) -> HttpResponse:
        """Log in and keep the cookies."""
        answer = await self.post("/api/login/", {"email": email, "password": password})
        assert answer.status == 200, answer.body
        return answer

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _keep(self, headers: HTTPHeaders) -> None:
        for line in headers.get_list("Set-Cookie"):
            for name, morsel in SimpleCookie(line).items():
                if morsel.value and morsel["max-age"] != "0":
                    self.cookies[name] = morsel.value
                else:
                    self.cookies.pop(name, None)
