"""Small things that many tests use."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from http.cookies import SimpleCookie
from typing import Any

import psutil
import pytest
from tornado.httpclient import AsyncHTTPClient
from tornado.httputil import HTTPHeaders

from videoflix.embedded.servers import Server


@dataclass(frozen=True, slots=True)
class FfmpegTools:
    """Paths of the two programs."""

    ffmpeg: str
    ffprobe: str


def living(processes: Iterable[psutil.Process], seconds: float = 20) -> list[psutil.Process]:
    """Those that still live when the time is over; at once none, when none does.

    Zombies do not live. An orphan's new parent collects it in its own time, which psutil.wait_procs would wait for.
    """
    deadline = time.monotonic() + seconds
    while (found := [process for process in processes if _lives(process)]) and time.monotonic() < deadline:
        time.sleep(0.01)
    return found


def _lives(process: psutil.Process) -> bool:
    with suppress(psutil.NoSuchProcess):
        return process.is_running() and bool(process.status() != psutil.STATUS_ZOMBIE)
    return False


def required(program: str) -> str:
    """Path of a program that a laptop may lack and CI may not."""
    if found := shutil.which(program):
        return found
    if os.environ.get("CI"):
        pytest.fail(f"{program} is not installed")
    pytest.skip(f"{program} is not installed")


def process_of(server: Server) -> psutil.Process:
    """The child of this process that is this server, to be killed or suspended."""
    return next(child for child in psutil.Process().children() if str(server.port) in " ".join(child.cmdline()))


@dataclass(slots=True)
class Answer:
    """A response: its status, headers and body."""

    status: int
    headers: HTTPHeaders
    body: bytes

    @property
    def json(self) -> Any:
        """The body, which must be JSON."""
        return json.loads(self.body)


class Browser:
    """A client with a cookie jar, over real sockets; an error status is an answer like any other."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.cookies: dict[str, str] = {}
        self._client = AsyncHTTPClient(force_instance=True)

    async def fetch(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        """`body`: bytes as they are, anything else as JSON; header names with _ for -."""
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
        return Answer(response.code, response.headers, response.body)

    async def get(self, path: str, **headers: str) -> Answer:
        """GET."""
        return await self.fetch("GET", path, **headers)

    async def post(self, path: str, body: Any = None, **headers: str) -> Answer:
        """POST; JSON unless the body is bytes."""
        return await self.fetch("POST", path, body, **headers)

    async def log_in(self, email: str = "admin@videoflix.example", password: str = "correct horse battery") -> Answer:
        """Sign in and keep the cookies."""
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
