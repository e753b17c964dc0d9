"""Send a running Videoflix what no client sends: python -m benchmarks.fuzz [--seconds 300] [--corpus FOLDER] [--seed N]

Requests with real values (cookies, tokens, ranges, forms) are mutated: bytes, lines, lengths, runs of one character,
pieces of other requests, broken off anywhere. A request whose answer looks like none before joins the corpus, so that
later ones go further; with --corpus the next run begins with it. Reported, with the request kept in the corpus folder:

* an answer of 500 or above (503 is allowed: the site says that it is busy);
* a request that gets neither an answer nor an end;
* the event loop held for more than a second: another client waits that long, while the web process computes;
* descriptors or memory that the web process has kept when everybody has gone.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import random
import re
import socket
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from tests.support.videoflix_process import VideoflixProcess, running_videoflix

_ANSWER_S = 20.0  # for an answer, or the end of the connection; lingering takes 5 and a body that hardly comes longer
_QUICK_S, _MOMENT_S = 0.6, 0.1  # for the beginning of an ordinary answer, and between two pieces of one
_MAX_ANSWER_BYTES = 300_000
_HELD_S = 1.0
_MAX_REQUEST_BYTES = 200_000
_DESCRIPTORS = 20  # more than at the beginning: connections to servers, thread pools
_MEMORY_BYTES = 100 * 1024**2
_SHOWN = 20  # faults that are printed; all of them are kept
_CLIENTS = 12
_SETTLE_S = 8.0

_RUNS = b' \t,;"\\=</\0\xff1a:&%+-.@[{(*#?_\r\n'
_WORDS = (
    b"\r\n", b"\r\n\r\n", b"\n", b": ", b"0", b"-1", b"99999999999999999999", b"1e400", b"chunked", b"gzip", b"*",
    b"bytes=0-", b"bytes=-1", b"Mon, 01 Jan 99999999999 00:00:00 GMT", b"\xcc\x81", b"\xed\xa0\x80", b"%00", b"%ff",
    b"../", b"null", b"{", b"[" * 500, b'"\\ud800"', b"NaN", b"true", b"HTTP/1.0", b"HTTP/1.1", b"http://x/",
    b"X: y\r\n",
    b"Transfer-Encoding: chunked\r\n", b"Content-Length: 5\r\n", b"Content-Length: 0, 0\r\n", b"Connection: close\r\n",
    b"Expect: 100-continue\r\n", b"Range: bytes=1-0\r\n", b"Upgrade: websocket\r\n", b"X-Forwarded-For: 1.2.3.4\r\n",
    b"Host: y\r\n", b"Origin: null\r\n", b"Content-Encoding: gzip\r\n", b"Cookie: access_token==\r\n",
)  # fmt: skip
_VERBS = (b"GET", b"HEAD", b"POST", b"PUT", b"PATCH", b"DELETE", b"OPTIONS", b"PROPFIND", b"TRACE", b"FOO")
_PATHS = (
    "/", "/page/player.js", "/healthz", "/readyz", "/metrics", "/api/login/", "/api/register/", "/api/token/refresh/",
    "/api/password_reset/", "/api/resend_activation/", "/api/activate/MQ/x-y/", "/api/password_confirm/MQ/x-y/",
    "/api/csrf/", "/api/me/", "/api/me/sessions/", "/api/me/sessions/x", "/api/me/continue/?limit=5", "/api/me/list/",
    "/api/me/list/1/", "/api/video/?search=a&category=b&ordering=-title&limit=3&offset=1", "/api/video/1/",
    "/api/video/1/similar/", "/api/video/1/progress/", "/api/video/1/rating/", "/api/video/1/playback/",
    "/api/video/1/480p/index.m3u8", "/media/hls/1/master.m3u8", "/media/hls/1/480p/0000.ts", "/media/thumbnails/1.jpg",
    "/api/categories/", "/api/popular/", "/api/admin/videos/", "/api/admin/videos/1/", "/api/admin/videos/1/retry/",
    "/api/admin/jobs/", "/api/admin/users/?search=a&limit=2", "/api/admin/users/9/", "/api/admin/mails/",
    "/api/admin/mails/ab/", "/api/admin/mails/ab/retry/",
)  # fmt: skip
_BODIES = (
    b'{"email":"a@videoflix.example","password":"correct horse"}',
    b'{"email":"b@videoflix.example","password":"correct horse battery","confirmed_password":"correct horse battery"}',
    b'{"position":1.5,"duration":90,"finished":false}', b'{"rating":"up"}', b'{"title":"t","category":"c"}',
    b'{"is_disabled":true,"is_admin":false}', b"", b"[]", b'{"new_password":"x","confirm_password":"x"}',
)  # fmt: skip
_FORM = (
    b'--x\r\nContent-Disposition: form-data; name="title"\r\n\r\nt\r\n'
    b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.mp4"\r\n\r\nfilm\r\n--x--\r\n'
)


@dataclass
class Findings:
    """What was found, with the requests, and how many answers there were by status."""

    folder: Path
    statuses: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)

    def report(self, kind: str, request: bytes = b"") -> None:
        """Keep a fault, and its request."""
        place = ""
        if request:
            file = self.folder / f"fault-{hashlib.sha256(request).hexdigest()[:12]}"
            file.write_bytes(request)
            place = f" {file}: {request[:120]!r}"
        self.faults.append(f"{kind}{place}")
        if len(self.faults) <= _SHOWN:
            print(self.faults[-1], flush=True)


class Corpus:
    """Requests that were answered in different ways; in a folder, one file for each."""

    def __init__(self, folder: Path, begin: list[bytes]) -> None:
        self._folder = folder
        self._seen: set[str] = set()
        self.requests = begin + [file.read_bytes() for file in sorted(folder.glob("case-*"))]

    def learn(self, request: bytes, answer: bytes) -> None:
        """Keep the request when its answer looks like none before."""
        shape = _shape(answer)
        if shape not in self._seen:
            self._seen.add(shape)
            self.requests.append(request)
            (self._folder / f"case-{hashlib.sha256(request).hexdigest()[:12]}").write_bytes(request)


def _shape(answer: bytes) -> str:
    """Status, names of headers and the words of the beginning, without what differs each time."""
    head, _, body = answer.partition(b"\r\n\r\n")
    names = [line.partition(b":")[0] for line in head.split(b"\r\n")[1:]]
    words = re.sub(rb"[0-9a-f]{6,}|\d+", b"#", body[:150])
    return repr((head[:12], names, words))


def seeds(site: VideoflixProcess, cookie: str) -> list[bytes]:
    """Ordinary requests: every path, with and without a sign-in, and the bodies that are sent to them."""
    host = site.url.partition("://")[2]
    common = f"Host: {host}\r\nUser-Agent: Mozilla/5.0\r\nAccept-Encoding: gzip, br\r\n"
    plain = [f"GET {path} HTTP/1.1\r\n{common}\r\n".encode() for path in _PATHS]
    known = [f"GET {path} HTTP/1.1\r\n{common}Cookie: {cookie}\r\n\r\n".encode() for path in _PATHS]
    token = re.search("access_token=([^;]+)", cookie)
    assert token
    sent = [
        f"POST {path} HTTP/1.1\r\n{common}Authorization: Bearer {token[1]}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n".encode()
        + body
        for path in _PATHS
        for body in _BODIES
    ]
    form = (
        f"POST /api/admin/videos/ HTTP/1.1\r\n{common}Authorization: Bearer {token[1]}\r\n"
        f"Content-Type: multipart/form-data; boundary=x\r\nContent-Length: {len(_FORM)}\r\n\r\n".encode()
        + _FORM
    )
    ranged = (
        f"GET /media/thumbnails/1.jpg HTTP/1.1\r\n{common}Cookie: {cookie}\r\nRange: bytes=0-9\r\n"
        'If-None-Match: "a", W/"b"\r\nIf-Modified-Since: Mon, 01 Jan 2024 00:00:00 GMT\r\n'
        'If-Range: "a"\r\nIf-Unmodified-Since: Mon, 01 Jan 2024 00:00:00 GMT\r\n\r\n'
    ).encode()
    return [*plain, *known, *sent, form, ranged]


class Mutator:
    """Makes one request of another; the same ones for the same seed."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)  # repeatable, and nothing secret
        self._ways: tuple[Callable[[bytes, list[bytes]], bytes], ...] = (
            self._verb, self._flip, self._insert, self._insert, self._run, self._cut, self._line, self._splice,
            self._drop,
        )  # fmt: skip

    def mutate(self, requests: list[bytes]) -> bytes:
        """Return a request of the corpus with one to four mutations, half of the time with a correct length."""
        choose = self._random
        request = choose.choice(requests)
        for _ in range(choose.randint(1, 4)):
            request = choose.choice(self._ways)(request, requests)
        return (_with_length(request) if choose.random() < 0.5 else request)[:_MAX_REQUEST_BYTES]

    def _place(self, request: bytes) -> int:
        return self._random.randint(0, len(request))

    def _verb(self, request: bytes, _: list[bytes]) -> bytes:
        return self._random.choice(_VERBS) + b" " + request.partition(b" ")[2]

    def _flip(self, request: bytes, _: list[bytes]) -> bytes:
        at = self._place(request)
        return request[:at] + bytes([self._random.randrange(256)]) + request[at + 1 :]

    def _insert(self, request: bytes, _: list[bytes]) -> bytes:
        at = self._place(request)
        return request[:at] + self._random.choice(_WORDS) + request[at:]

    def _run(self, request: bytes, _: list[bytes]) -> bytes:
        at, size = self._place(request), self._random.choice((30, 300, 3000, 30_000, 60_000))
        return request[:at] + bytes([self._random.choice(_RUNS)]) * size + request[at:]

    def _cut(self, request: bytes, _: list[bytes]) -> bytes:
        return request[: self._place(request)]

    def _line(self, request: bytes, _: list[bytes]) -> bytes:
        """Take out, repeat or move a line."""
        lines = request.split(b"\r\n")
        line = lines.pop(self._random.randrange(len(lines)))
        for _ in range(self._random.choice((0, 1, 2, 120))):
            lines.insert(self._random.randint(0, len(lines)), line)
        return b"\r\n".join(lines)

    def _splice(self, request: bytes, requests: list[bytes]) -> bytes:
        other = self._random.choice(requests)
        return request[: self._place(request)] + other[self._place(other) :]

    def _drop(self, request: bytes, _: list[bytes]) -> bytes:
        at = self._place(request)
        return request[:at] + request[at + self._random.randint(1, 30) :]


def _with_length(request: bytes) -> bytes:
    head, separator, body = request.partition(b"\r\n\r\n")
    return re.sub(rb"Content-Length: \d+", b"Content-Length: %d" % len(body), head, count=1) + separator + body


def exchange(port: int, request: bytes) -> bytes | None:
    """Return the response; None if none comes and the server keeps the connection open after the client has ended."""
    with socket.create_connection(("127.0.0.1", port), timeout=_ANSWER_S) as connection:
        with suppress(OSError):
            connection.sendall(request)
        said, is_over = _heard(connection, _QUICK_S)
        if said or is_over:
            return said
        with suppress(OSError):  # perhaps the server waits for the rest of it
            connection.shutdown(socket.SHUT_WR)
        said, is_over = _heard(connection, _ANSWER_S)
        return said if said or is_over else None


def _heard(connection: socket.socket, seconds: float) -> tuple[bytes, bool]:
    """Read until nothing more arrives for a moment. Return the bytes, and whether the connection ended."""
    said, deadline = b"", time.monotonic() + seconds
    while len(said) < _MAX_ANSWER_BYTES:
        connection.settimeout(_MOMENT_S if said else max(0.01, deadline - time.monotonic()))
        try:
            piece = connection.recv(65536)
        except TimeoutError:
            return said, False
        except OSError:
            return said, True
        if not piece:
            return said, True
        said += piece
    return said, False


@contextmanager
def heartbeat(site: VideoflixProcess, web: psutil.Process, findings: Findings, latest: list[bytes]) -> Iterator[None]:
    """Ask for a trifle all the time; a second without an answer, in which the process computes, is a fault."""
    stop = threading.Event()

    def beat() -> None:
        port = int(site.url.rpartition(":")[2])
        while not stop.wait(0.05):
            begun, worked = time.monotonic(), _computed(web)
            with suppress(OSError):
                exchange(port, b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            held = _computed(web) - worked
            if time.monotonic() - begun > _HELD_S and held > _HELD_S:
                findings.report(f"the loop was held for {held:.1f} s, perhaps by", latest[-1] if latest else b"")

    thread = threading.Thread(target=beat)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _computed(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system


def fuzz(site: VideoflixProcess, seconds: float, folder: Path, seed: int) -> Findings:
    """Send requests for so long; then look what is left."""
    findings, latest, sent = Findings(folder), [b""], Counter[str]()
    port, web = int(site.url.rpartition(":")[2]), site.child("web")
    corpus = Corpus(folder, seeds(site, site.log_in()))
    for request in corpus.requests[:400]:  # warm: what every process keeps for good is there after that
        exchange(port, request)
    before = web.num_fds(), web.memory_info().rss
    deadline = time.monotonic() + seconds

    def client(number: int) -> None:
        mutator = Mutator(seed * 1000 + number)
        while time.monotonic() < deadline:
            request = mutator.mutate(corpus.requests)
            latest[0] = request
            try:
                answer = exchange(port, request)
            except OSError as error:
                findings.report(f"no connection: {error}", request)
                continue
            sent["requests"] += 1
            if answer is None:
                findings.report("neither answered nor ended", request)
                continue
            statuses = re.findall(rb"HTTP/1\.1 (\d\d\d) ", answer)
            findings.statuses.update(status.decode() for status in statuses)
            if any(status >= b"500" and status != b"503" for status in statuses):
                findings.report("server error", request)
            corpus.learn(request, answer)

    with heartbeat(site, web, findings, latest):
        clients = [threading.Thread(target=client, args=(number,)) for number in range(_CLIENTS)]
        for thread in clients:
            thread.start()
        for thread in clients:
            thread.join()
    time.sleep(_SETTLE_S)
    look_at_the_rest(web, before, findings)
    print(f"{sent['requests']} requests, {len(corpus.requests)} in the corpus, {dict(findings.statuses)}")
    return findings


def look_at_the_rest(web: psutil.Process, before: tuple[int, int], findings: Findings) -> None:
    """Descriptors and memory that are still taken."""
    descriptors, memory = web.num_fds() - before[0], web.memory_info().rss - before[1]
    print(f"descriptors {descriptors:+d}, memory {memory / 1024**2:+.1f} MiB")
    if descriptors > _DESCRIPTORS:
        findings.report(f"{descriptors} descriptors more than at the beginning")
    if memory > _MEMORY_BYTES:
        findings.report(f"{memory / 1024**2:.0f} MiB more than at the beginning")


def main() -> None:
    """Fuzz a site of its own; the exit code is 1 when something was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--corpus", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    os.environ["RATE_LIMIT_FACTOR"] = "0"
    with tempfile.TemporaryDirectory() as home:
        folder = given.corpus or Path(home) / "corpus"
        folder.mkdir(parents=True, exist_ok=True)
        place = Path(home) / "site"
        place.mkdir()
        with running_videoflix(place, "--no-demo") as site:
            site.banner()
            findings = fuzz(site, given.seconds, folder, given.seed)
            if findings.faults:
                print(site.text[-4000:])
    raise SystemExit(bool(findings.faults))


if __name__ == "__main__":
    main()
