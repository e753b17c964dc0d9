"""How many viewers one web process serves: ratios to nginx and to a Django view, all of one run.

    python -m benchmarks.serve [segments] [playlists] [slow] [encoding]      (default: all)

Needs nginx-light and wrk from Debian; `playlists` needs the extra `bench` (Django, Django REST framework, gunicorn).
All traffic is on loopback. Both sides of a comparison run in turns, and the median round counts, so that other load on
the machine affects both sides alike. Neither side writes an access log.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from motor.motor_asyncio import AsyncIOMotorClient

from benchmarks.load import measure_interleaved, measure_latency, requests_per_second, summarize
from videoflix.bootstrap.services import open_services
from videoflix.embedded import binaries, processes, servers
from videoflix.embedded.servers import ServerSpec, find_free_port
from videoflix.models import Video, VideoStatus
from videoflix.settings import Settings, load_settings
from videoflix.stores.videos import VideoStore

ROUNDS = int(os.environ.get("ROUNDS", "5"))
ROUND_DURATION_S = 2.0
CONNECTIONS = 32
VIDEO_COUNT = 50
SLOW_READERS, SLOW_READER_BYTES_PER_S = 1000, 64 * 1024
MIB = 2**20
SEGMENT_BYTES = {"480p": MIB, "720p": 4 * MIB}
SEGMENT_COUNT = 8
PLAYLIST = "#EXTM3U\n#EXT-X-VERSION:6\n#EXT-X-TARGETDURATION:4\n#EXT-X-PLAYLIST-TYPE:VOD\n" + "".join(
    f"#EXTINF:4.000000,\n{number:04d}.ts\n" for number in range(40)
)  # about 1 KB


@dataclass(frozen=True, slots=True)
class Site:
    """A running web process, nginx serving the same files, and the headers of a client that is signed in."""

    url: str
    nginx_url: str
    headers: Mapping[str, str]
    process: psutil.Process


def main() -> None:
    """Run the benchmarks named on the command line."""
    chosen = sys.argv[1:] or list(_MEASUREMENTS)
    with tempfile.TemporaryDirectory() as folder, run_site(Path(folder)) as running:
        for part in chosen:
            _MEASUREMENTS[part](running, Path(folder))


def measure_segments(site: Site, folder: Path) -> None:
    """Compare a segment, authorized by cookie, with nginx, which authorizes nobody."""
    for (name, size), target in zip(SEGMENT_BYTES.items(), (0.65, 0.95), strict=True):
        path = f"/media/hls/1/{name}/0000.ts"
        ratio, ours, theirs = compare_rounds(
            lambda path=path: requests_per_second(site.url + path, site.headers, ROUND_DURATION_S, CONNECTIONS),
            lambda path=path: requests_per_second(site.nginx_url + path, {}, ROUND_DURATION_S, CONNECTIONS),
        )
        print_result(
            f"segments of {size // MIB} MB, of nginx", ratio, f"at least {target}", f"{ours:.0f}/s and {theirs:.0f}/s"
        )


def measure_playlists(site: Site, folder: Path) -> None:
    """Compare a playlist and the catalogue with Django."""
    with run_django(folder) as base:
        for what, ours, theirs, target in (
            ("playlists", "/media/hls/1/480p/index.m3u8", "/index.m3u8", 2.5),
            (f"a catalogue of {VIDEO_COUNT} videos", "/api/video/", "/videos/", 5),
        ):
            ratio, a, b = compare_rounds(
                lambda path=ours: requests_per_second(site.url + path, site.headers, ROUND_DURATION_S, CONNECTIONS),
                lambda path=theirs: requests_per_second(base + path, {}, ROUND_DURATION_S, CONNECTIONS),
            )
            print_result(f"{what}, of Django", ratio, f"at least {target}", f"{a:.0f}/s and {b:.0f}/s")


def measure_slow_viewers(site: Site, folder: Path) -> None:
    """Measure the memory that many slow viewers take, and the latency of other requests meanwhile."""
    idle = asyncio.run(measure_latency(f"{site.url}/api/video/", site.headers, 400, 0.005))
    before = site.process.memory_info().rss
    with subprocess.Popen(
        [
            sys.executable,
            "-m",
            "benchmarks.slow_viewers",
            f"{site.url}/media/hls/1/720p/",
            str(SLOW_READERS),
            str(SLOW_READER_BYTES_PER_S),
        ],
        env={**os.environ, "COOKIE": site.headers["Cookie"]},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as viewers:
        assert viewers.stdout is not None
        assert viewers.stdin is not None
        assert viewers.stdout.readline().strip() == "watching"
        loaded = asyncio.run(measure_latency(f"{site.url}/api/video/", site.headers, 1000, 0.01))
        grown = site.process.memory_info().rss - before
        viewers.stdin.close()
        came = int(viewers.stdout.readline())
    print_result(
        f"{SLOW_READERS} slow viewers, memory in MB", grown / MIB, "under 100", f"{came / MIB:.0f} MB reached them"
    )
    print_result(
        "p99 of the catalogue meanwhile, of idle", loaded.p99 / idle.p99, "at most 5", _format_ms(idle.p99, loaded.p99)
    )


def measure_while_encoding(site: Site, folder: Path) -> None:
    """Measure a finished segment while every core is encoding."""
    path = f"/media/hls/1/480p/{1:04d}.ts"
    both = ((site.url + path, site.headers), (site.nginx_url + path, {}))

    async def p95s() -> tuple[float, float]:
        """Return the 95th percentiles over all rounds: single rounds differ in how many requests other load delays."""
        rounds = [await measure_interleaved(both, 200, 0.01) for _ in range(ROUNDS)]
        ours, theirs = (summarize([each for part in parts for each in part]) for parts in zip(*rounds, strict=True))
        return ours.p95, theirs.p95

    idle, _ = asyncio.run(p95s())
    with run_encoders():
        ours, theirs = asyncio.run(p95s())
    print_result("p95 of 1 MB while encoding, of idle", ours / idle, "at most 5", _format_ms(idle, ours))
    print_result("p95 of 1 MB while encoding, of nginx", ours / theirs, "at most 2", _format_ms(theirs, ours))


def compare_rounds(ours: Callable[[], float], theirs: Callable[[], float]) -> tuple[float, float, float]:
    """Run both sides in turns. Return the median ratio and the medians of both sides."""
    rounds = [(ours(), theirs()) for _ in range(ROUNDS + 1)][1:]  # the first round is a warm-up
    ratio = statistics.median(a / b for a, b in rounds)
    return ratio, statistics.median(a for a, _ in rounds), statistics.median(b for _, b in rounds)


def print_result(label: str, value: float, target: str, detail: str) -> None:
    """Print a result."""
    print(f"{label:45} {value:8.2f}   {target:15} ({detail})", flush=True)


def _format_ms(*seconds: float) -> str:
    return " and ".join(f"{each * 1000:.1f} ms" for each in seconds)


# Servers under test ---------------------------------------------------------------------------------------------------


@contextmanager
def run_site(folder: Path) -> Iterator[Site]:
    """Run both servers over the same videos for the length of the block."""
    with ExitStack() as stack:
        database = stack.enter_context(processes.run_server(servers.make_database_server(folder)))
        redis = stack.enter_context(processes.run_server(servers.make_redis_server(folder)))
        settings = load_settings(
            secret_key="for measurements only, and long enough for it",
            mongodb_uri=database.url,
            redis_url=redis.url,
            data_dir=folder / "var",
            media_root=folder / "media",
            mail_dir=folder / "mail",
            port=find_free_port(),
            log_level="WARNING",
        )
        cookie = asyncio.run(_prepare(settings))
        web = stack.enter_context(_run_child(_web_server(settings, folder), _environment(settings)))
        nginx = stack.enter_context(_run_child(_nginx_server(settings, folder), {}))
        yield Site(settings.local_url, nginx.url, {"Cookie": f"access_token={cookie}"}, psutil.Process(web.pid))


@dataclass(frozen=True, slots=True)
class _RunningServer:
    url: str
    pid: int


@contextmanager
def _run_child(server: ServerSpec, env: Mapping[str, str]) -> Iterator[_RunningServer]:
    child = processes.spawn(server.argv, server.log_path, env)
    try:
        _wait_for(server, child)
        yield _RunningServer(server.url, child.pid)
    finally:
        processes.stop(child)


def _wait_for(server: ServerSpec, child: subprocess.Popen[bytes]) -> None:
    for _ in range(400):
        if server.is_listening():
            return
        if child.poll() is not None:
            break
        time.sleep(0.05)
    raise RuntimeError(f"{server.name} did not start: {processes.read_last_line(server.log_path)}")


def _web_server(settings: Settings, folder: Path) -> ServerSpec:
    argv = (sys.executable, "-m", "videoflix", "web")
    return ServerSpec("web", argv, settings.local_url, settings.port, folder / "web.log")


def _environment(settings: Settings) -> dict[str, str]:
    return {**settings.as_environment(), "MEDIA_ROOT": str(settings.media_root), "LOG_LEVEL": settings.log_level}


def _nginx_server(settings: Settings, folder: Path) -> ServerSpec:
    """Run nginx with one worker and sendfile, without authorization."""
    port, config = find_free_port(), folder / "nginx.conf"
    user = "user root root; " if os.geteuid() == 0 else ""  # only this user can read the folder
    config.write_text(
        f"{user}daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/nginx.log;\n"
        "events { worker_connections 4096; }\n"
        "http { access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000;\n"
        "types { video/mp2t ts; application/vnd.apple.mpegurl m3u8; }\n"
        f"server {{ listen 127.0.0.1:{port}; location /media/ {{ alias {settings.media_root.resolve()}/; }} }} }}\n"
    )
    argv = ("nginx", "-c", str(config), "-p", str(folder))
    return ServerSpec("nginx", argv, f"http://127.0.0.1:{port}", port, folder / "nginx.log")


@contextmanager
def run_django(folder: Path) -> Iterator[str]:
    """Run the baseline in one gunicorn worker."""
    home = folder / "django"
    home.mkdir()
    (home / "index.m3u8").write_text(PLAYLIST)
    port = find_free_port()
    bind = f"127.0.0.1:{port}"
    argv = (sys.executable, "-m", "gunicorn", "--workers", "1", "--bind", bind, "benchmarks.baseline:application")
    server = ServerSpec("gunicorn", argv, f"http://{bind}", port, home / "log")
    with _run_child(server, {"FOLDER": str(home), "VIDEO_COUNT": str(VIDEO_COUNT)}) as running:
        yield running.url


@contextmanager
def run_encoders() -> Iterator[None]:
    """Run one ffmpeg for each core, at the priority that the worker uses."""
    ffmpeg, _ = binaries.find_ffmpeg_binaries()
    source = ("-f", "lavfi", "-i", "testsrc2=size=1280x720:rate=25", "-c:v", "libx264", "-threads", "1")
    argv = ("nice", "-n", "10", ffmpeg, "-nostdin", "-v", "error", *source, "-f", "null", "-")
    children = [processes.spawn(argv, None) for _ in range(os.cpu_count() or 1)]
    try:
        yield
    finally:
        for child in children:
            processes.stop(child)


async def _prepare(settings: Settings) -> str:
    """Create the videos and an admin. Return the admin's access token."""
    for video_id in range(1, VIDEO_COUNT + 1):
        await asyncio.to_thread(
            _publish, settings.media_root / "hls" / str(video_id), SEGMENT_BYTES if video_id == 1 else {}
        )
    client: AsyncIOMotorClient[dict[str, Any]] = AsyncIOMotorClient(
        settings.mongodb_uri.get_secret_value(), tz_aware=True
    )
    store = VideoStore(client[settings.mongodb_db])
    for video_id in range(1, VIDEO_COUNT + 1):
        await store.add(_make_video(video_id))
    client.close()
    async with open_services(settings) as services:
        await services.accounts.make_admin("admin@videoflix.example", "correct horse battery")
        signed_in = await services.accounts.log_in("admin@videoflix.example", "correct horse battery")
        return signed_in.tokens.access_token


def _make_video(video_id: int) -> Video:
    return Video(
        id=video_id,
        title=f"Video {video_id}",
        description="d" * 200,
        category="Drama",
        source=f"videos/{video_id}.mp4",
        status=VideoStatus.READY,
        presentation={"version": 1},
        renditions=tuple(SEGMENT_BYTES),
        segments=SEGMENT_COUNT,
        duration=4.0 * SEGMENT_COUNT,
    )


def _publish(folder: Path, sizes: Mapping[str, int]) -> None:
    for name, size in sizes.items():
        (folder / name).mkdir(parents=True)
        (folder / name / "index.m3u8").write_text(PLAYLIST)
        for number in range(SEGMENT_COUNT):
            (folder / name / f"{number:04d}.ts").write_bytes(os.urandom(size))


_MEASUREMENTS: Mapping[str, Callable[[Site, Path], None]] = {
    "segments": measure_segments,
    "playlists": measure_playlists,
    "slow": measure_slow_viewers,
    "encoding": measure_while_encoding,
}

if __name__ == "__main__":
    main()
