"""What a film costs by its length: python -m benchmarks.lengths [--hours 2 5 12] [--sound]

A running Videoflix takes in films of one tiny picture a second, one after the other: nearly all of the time is what
the engine spends on each chunk, whatever is in it. Printed for each: seconds and seconds per hour of film (the same for
all, if nothing grows faster than the film), the time of a chunk near the beginning and near the end (the same too), the
peak memory of the worker with its children and of the web process, and what admins and players load: size and time.
With `--sound` two sound tracks are encoded besides, at some fifty to a hundred times real time.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from benchmarks.transcode import FFMPEG, encode_with_videoflix
from tests.support.videoflix_process import VideoflixProcess, running_videoflix
from transcode.ffmpeg.process import ENVIRONMENT

_SAMPLED_CHUNKS = 40  # at either end of a film
_FIRST_USUAL_CHUNK = 8  # earlier ones are shorter
_CUES_PER_HOUR = 1200


@dataclass
class PeakMemory:
    """The largest resident memory seen, in MiB: of the web process, and of the worker with its children."""

    web: float = 0.0
    worker: float = 0.0
    _ended: threading.Event = field(default_factory=threading.Event)

    def watch(self, site: VideoflixProcess) -> None:
        """Look ten times a second until it is ended."""
        web, worker = site.child("web"), site.child("worker")
        while not self._ended.wait(0.1):
            self.web = max(self.web, _mebibytes(web))
            family = [worker, *worker.children(recursive=True)]
            self.worker = max(self.worker, sum(map(_mebibytes, family)))

    @contextmanager
    def watching(self, site: VideoflixProcess) -> Iterator[None]:
        """Watch for as long as the block lasts."""
        thread = threading.Thread(target=self.watch, args=[site], daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._ended.set()
            thread.join()


def _mebibytes(process: psutil.Process) -> float:
    try:
        return float(process.memory_info().rss) / 2**20
    except psutil.NoSuchProcess:
        return 0.0


def make(folder: Path, hours: float, sound: bool) -> Path:
    """Make a film of one small picture a second, with subtitles, and with two tracks of silence if wanted."""
    seconds = int(hours * 3600)
    words, film = folder / "words.srt", folder / f"{hours:g}h.mkv"
    stamps = [_stamp(number * 3600 / _CUES_PER_HOUR) for number in range(int(hours * _CUES_PER_HOUR) + 1)]
    cues = (f"{n}\n{a} --> {b}\nword {n}\n" for n, (a, b) in enumerate(itertools.pairwise(stamps), 1))
    words.write_text("\n".join(cues))
    silence = ["-f", "lavfi", "-i", f"anullsrc=r=8000:cl=mono:d={seconds}"]
    maps = ["-map", "0", "-map", "1", *(["-map", "2", "-map", "2", "-c:a", "flac"] if sound else [])]
    argv = [
        FFMPEG, "-nostdin", "-y", "-v", "error", "-f", "lavfi", "-i", f"color=gray:s=64x36:r=1:d={seconds}",
        "-i", str(words), *(silence if sound else []), *maps, "-c:v", "libx264", "-preset", "ultrafast", "-g", "50",
        "-pix_fmt", "yuv420p", str(film),
    ]  # fmt: skip
    subprocess.run(argv, check=True, env=ENVIRONMENT)
    return film


def _stamp(seconds: float) -> str:
    whole, thousandths = divmod(round(seconds * 1000), 1000)
    return f"{whole // 3600:02d}:{whole // 60 % 60:02d}:{whole % 60:02d},{thousandths:03d}"


def chunk_times(job: dict[str, Any]) -> tuple[float, float]:
    """Return the median seconds of a chunk near the beginning and of one near the end."""
    chunks = sorted((task for task in job["tasks"] if task["kind"] == "chunk"), key=lambda task: int(task["index"]))
    took = [task["ended_at"] - task["claimed_at"] for task in chunks[_FIRST_USUAL_CHUNK:-1]]
    return statistics.median(took[:_SAMPLED_CHUNKS]), statistics.median(took[-_SAMPLED_CHUNKS:])


def load(site: VideoflixProcess, path: str, cookie: str) -> str:
    """Return the size and the time of one answer, in words."""
    begin = time.monotonic()
    status, _, body = site.request(path, cookie=cookie)
    assert status == 200, (path, status)
    return f"{path} {len(body) / 1024:.0f} KiB in {1000 * (time.monotonic() - begin):.0f} ms"


def measure(site: VideoflixProcess, film: Path, hours: float) -> float:
    """Take in one film and print what it cost; return the seconds per hour of film."""
    peak = PeakMemory()
    with peak.watching(site):
        took = encode_with_videoflix(site, film).duration_s
    cookie = site.log_in()
    job = site.get("/api/admin/jobs/", cookie)["jobs"][0]
    early, late = chunk_times(job)
    video = site.get(f"/api/admin/videos/{job['film']}/", cookie)
    assert video["warning"] is None, video
    print(
        f"{hours:g} h: {took:.1f} s, {took / hours:.1f} s per hour; a chunk {1000 * early:.0f} ms at the beginning, "
        f"{1000 * late:.0f} ms at the end ({late / early:.2f}); "
        f"peak {peak.worker:.0f} MiB worker, {peak.web:.0f} MiB web"
    )
    hls = f"/media/hls/{job['film']}"
    for path in ("/api/admin/jobs/", f"{hls}/480p/index.m3u8", f"{hls}/master.m3u8", f"{hls}/storyboard/index.vtt"):
        print(f"    {load(site, path, cookie)}")
    return took / hours


def compare(lengths: list[float], sound: bool) -> None:
    """Measure films of all lengths on one site, and print how the cost per hour grows."""
    with tempfile.TemporaryDirectory() as name, running_videoflix(Path(name), "--no-demo") as site:
        site.banner()
        rates = [measure(site, make(Path(name), hours, sound), hours) for hours in lengths]
        print(f"per hour, the longest against the shortest: {rates[-1] / rates[0]:.2f} (1 when nothing grows)")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hours", type=float, nargs="+", default=[2, 5, 12])
    parser.add_argument("--sound", action="store_true")
    given = parser.parse_args()
    compare(sorted(given.hours), given.sound)
