"""How much slower requests are with 10,000 videos in the catalogue than with 50: ratios of one run, over sockets.

    python benchmarks/catalogue.py [--videos 10000] [--rounds 300]

Both catalogues are in one embedded database, and each has one web process. Requests alternate between them, one at a
time, so that other load on the machine slows both. The complete list cannot be as fast, since it is larger: what counts
there is how long it delays other requests.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import random
import statistics
import sys
import tempfile
import threading
import time
import urllib.parse
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psutil
import pymongo
import redis

from videoflix.embedded import processes, servers
from videoflix.models import Video, VideoStatus

EMAIL, PASSWORD = "admin@videoflix.example", "correct horse battery"
SMALL_VIDEO_COUNT = 50
MAX_RATIO = 3.0
RANDOM = random.Random(1)


@dataclass(frozen=True, slots=True)
class Site:
    """A catalogue, its web process, and a connection to it that is signed in."""

    video_count: int
    port: int
    process: psutil.Process
    token: str

    def connect(self) -> http.client.HTTPConnection:
        """Return a new connection."""
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)

    def get(self, connection: http.client.HTTPConnection, path: str, **headers: str) -> tuple[float, bytes, str]:
        """Send a GET request. Return its duration in seconds, the body and the ETag."""
        begun = time.perf_counter()
        connection.request("GET", path, headers={"Authorization": f"Bearer {self.token}", **headers})
        answer = connection.getresponse()
        body = answer.read()
        taken = time.perf_counter() - begun
        assert answer.status in (200, 304), (path, answer.status, body)
        return taken, body, answer.headers.get("ETag", "")


def make_vocabulary() -> list[str]:
    """Return pronounceable words without meaning."""
    syllables = [a + b for a in "bdfgklmnprstvz" for b in "aeiou"]
    return list(dict.fromkeys("".join(RANDOM.choices(syllables, k=RANDOM.randint(2, 4))) for _ in range(8000)))


WORDS = make_vocabulary()
WORD_WEIGHTS = [1 / (rank + 10) for rank in range(len(WORDS))]  # as in any language, a few words make up most of a text
CATEGORIES = ("Action", "Comedy", "Documentary", "Drama", "Family", "Horror", "Romance", "Science fiction")


def video_documents(count: int) -> Iterator[dict[str, Any]]:
    """Return documents of ready videos as the database stores them. Descriptions have 40 words."""
    for number in range(1, count + 1):
        video = Video(
            id=number,
            title=" ".join(RANDOM.choices(WORDS, WORD_WEIGHTS, k=3)).title(),
            description=" ".join(RANDOM.choices(WORDS, WORD_WEIGHTS, k=40)),
            category=RANDOM.choice(CATEGORIES),
            created_at=datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=number),
            source=f"videos/{number}.mp4",
            status=VideoStatus.READY,
            presentation={"version": 1, "renditions": [{"name": "480p", "width": 854, "height": 480}] * 3},
            duration=float(RANDOM.randint(60, 9000)),
        )
        fields = asdict(video) | {"_id": number, "status": "ready", "chunks_done": [], "kinds_done": []}
        fields |= {"timeline": fields.pop("presentation"), "facts": fields.pop("task_results"), "renditions": ["480p"]}
        del fields["id"], fields["tasks_done"]
        yield fields


@contextmanager
def run_site(video_count: int, folder: Path, mongodb_uri: str, redis_url: str) -> Iterator[Site]:
    """Fill a catalogue and run its web process for the length of the block."""
    port, name = servers.find_free_port(), f"videos_{video_count}"
    environment = {
        "SECRET_KEY": "for benchmarks only, and long enough",
        "MONGODB_URI": mongodb_uri,
        "MONGODB_DB": name,
        "REDIS_URL": redis_url,
        "DATA_DIR": str(folder / "var"),
        "MEDIA_ROOT": str(folder / "media"),
        "PORT": str(port),
        "LOG_LEVEL": "WARNING",
    }
    videoflix = (sys.executable, "-m", "videoflix")
    log = folder / f"{name}.log"
    made = processes.spawn((*videoflix, "createsuperuser", "--email", EMAIL, "--password", PASSWORD), log, environment)
    assert made.wait(60) == 0
    with pymongo.MongoClient(mongodb_uri) as client:
        client[name]["videos"].insert_many(video_documents(video_count))
    web = processes.spawn((*videoflix, "web"), log, environment)
    try:
        begun = time.monotonic()
        wait_for_server(port)
        print(f"{video_count:6d} videos: the web process answers after {time.monotonic() - begun:.1f} s")
        yield Site(video_count, port, psutil.Process(web.pid), log_in(port))
    finally:
        processes.stop(web)


def wait_for_server(port: int) -> None:
    """Wait until the web process responds."""
    for _ in range(600):
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            connection.request("GET", "/healthz")
            connection.getresponse().read()
        except OSError:
            time.sleep(0.1)
        else:
            return
        finally:
            connection.close()
    raise AssertionError("the web process does not answer")


def log_in(port: int) -> str:
    """Return an access token."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    body = json.dumps({"email": EMAIL, "password": PASSWORD})
    connection.request("POST", "/api/login/", body, {"Content-Type": "application/json"})
    cookies = connection.getresponse().headers.get_all("Set-Cookie") or []
    connection.close()
    return next(c for c in cookies if c.startswith("access_token=")).partition("=")[2].partition(";")[0]


def make_searches(count: int) -> list[str]:
    """Return different queries: one or two words or prefixes, common and rare."""
    found: dict[str, None] = {}
    while len(found) < count:
        words = RANDOM.choices(WORDS, WORD_WEIGHTS, k=RANDOM.choice((1, 1, 2)))
        found[" ".join(word[: RANDOM.choice((3, 4, 20))] for word in words)] = None
    return list(found)


def compare(name: str, small: Site, large: Site, paths: Callable[[Site], Sequence[str]]) -> float:
    """Send requests to both in turn. Print and return the ratio of the medians."""
    taken: dict[int, list[float]] = {small.video_count: [], large.video_count: []}
    connections = {one.video_count: one.connect() for one in (small, large)}
    for pair in zip(paths(small), paths(large), strict=True):
        for one, path in zip((small, large), pair, strict=True):
            taken[one.video_count].append(one.get(connections[one.video_count], path)[0])
    few, many = (statistics.median(taken[one.video_count]) * 1000 for one in (small, large))
    slow = [statistics.quantiles(taken[one.video_count], n=20)[-1] * 1000 for one in (small, large)]
    ratio = many / few
    print(
        f"{name:28s} {few:7.2f} ms {many:7.2f} ms   ratio {ratio:5.2f}   "
        f"(p95 {slow[0]:.2f} and {slow[1]:.2f} ms)   {'ok' if ratio <= MAX_RATIO else 'TOO SLOW'}"
    )
    return ratio


def page_paths(target: Site, rounds: int, query: str = "") -> list[str]:
    """Return paths of pages from all parts of the list."""
    last = max(1, target.video_count - 20)
    return [f"/api/video/?limit=20&offset={index * last // rounds}{query}" for index in range(rounds)]


def measure_waits(target: Site, operation: Callable[[], None]) -> tuple[float, float, int]:
    """Return median and maximum latency of a small request, in ms, during an activity, and the number of requests."""
    taken: list[float] = []
    over = threading.Event()

    def ask() -> None:
        connection = target.connect()
        while not over.is_set():
            taken.append(target.get(connection, "/healthz")[0] * 1000)
            time.sleep(0.002)

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        operation()
    finally:
        over.set()
        asking.join()
    return statistics.median(taken), max(taken), len(taken)


def measure_whole_list(target: Site) -> None:
    """Measure the complete list, which existing frontends request without parameters."""
    connection = target.connect()
    first, body, etag = target.get(connection, "/api/video/")
    ready = [target.get(connection, "/api/video/")[0] for _ in range(20)]
    known = [target.get(connection, "/api/video/", **{"If-None-Match": etag})[0] for _ in range(20)]
    print(
        f"{target.video_count:6d} videos: whole list of {len(body) / 1e6:.2f} MB: first {first * 1000:.1f} ms, "
        f"then {statistics.median(ready) * 1000:.1f} ms, unchanged (304) {statistics.median(known) * 1000:.2f} ms; "
        f"web process {target.process.memory_info().rss / 1e6:.0f} MB"
    )


def edit_video(target: Site, number: int) -> None:
    """Measure an edit, after which the next request rebuilds the list."""
    connection = target.connect()
    headers = {"Authorization": f"Bearer {target.token}", "Content-Type": "application/json"}
    connection.request("PATCH", "/api/admin/videos/1/", json.dumps({"title": f"Changed {number}"}), headers)
    answer = connection.getresponse()
    answer.read()
    assert answer.status == 200
    assert f"Changed {number}".encode() in target.get(connection, "/api/video/")[1]
    connection.close()


def measure_blocking(target: Site, redis_url: str) -> None:
    """Measure how long the event loop is blocked, by the latency of a trivial request."""

    def report(name: str, during: Callable[[], None]) -> None:
        usual, longest, count = measure_waits(target, during)
        print(
            f"{target.video_count:6d} videos: {name}: "
            f"/healthz {usual:.2f} ms (median), {longest:.1f} ms (maximum of {count})"
        )

    def edits() -> None:
        for number in range(20):
            edit_video(target, number)

    report("nothing goes on", lambda: time.sleep(2))
    report("20 edits, each with the whole list after it", edits)
    report("everything is read again", lambda: force_index_reload(target, redis_url))


def force_index_reload(target: Site, redis_url: str) -> None:
    """Measure a lost connection to Redis, after which the catalogue is read again."""
    with closing(redis.Redis.from_url(redis_url)) as client:
        client.client_kill_filter(_type="pubsub")
    before = target.process.cpu_times()
    time.sleep(4)
    after = target.process.cpu_times()
    print(
        f"{target.video_count:6d} videos: "
        f"CPU for reading everything again: {after.user - before.user:.2f} s (with /healthz)"
    )


def main() -> None:
    """Run the benchmark. Return 1 as exit status if a ratio is too large."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--videos", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=300)
    options = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        os.chdir(folder)  # so that no .env file applies
        database = stack.enter_context(processes.run_server(servers.make_database_server(folder)))
        redis_url = stack.enter_context(processes.run_server(servers.make_redis_server(folder))).url
        small, large = (
            stack.enter_context(run_site(count, folder, database.url, redis_url))
            for count in (SMALL_VIDEO_COUNT, options.videos)
        )
        rounds = options.rounds
        found = [f"/api/video/?limit=20&search={urllib.parse.quote(words)}" for words in make_searches(rounds)]
        common = [f"/api/video/?limit=20&search={a}{b}" for a in "bdfgklmnprstvz" for b in "aeiou"]
        print(f"{'':28s} {small.video_count:7d} videos {large.video_count:4d} videos")
        compare("a first page", small, large, lambda _: ["/api/video/?limit=20"] * rounds)
        ratios = [
            compare("pages from everywhere", small, large, lambda one: page_paths(one, rounds)),
            compare("pages of a category", small, large, lambda one: page_paths(one, rounds, "&category=drama")),
            compare("pages by title", small, large, lambda one: page_paths(one, rounds, "&ordering=title")),
            compare("different searches", small, large, lambda _: found),
            compare("two letters, most of it", small, large, lambda _: common),
        ]
        for one in (small, large):
            measure_whole_list(one)
        measure_blocking(large, redis_url)
    print(f"the worst ratio is {max(ratios):.2f}; at most {MAX_RATIO:.0f} is wanted")
    sys.exit(max(ratios) > MAX_RATIO)


if __name__ == "__main__":
    main()
