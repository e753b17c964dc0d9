"""How long viewers wait: python -m benchmarks.first_play FILE [--minutes 1 10 60] [--seeks 20]

FILE is repeated (by copying its streams) to videos of the given minutes. For each of them, on a running Videoflix:

* The time from the last byte of the upload to the last byte of 480p segment 0, beside the bare ffmpeg command for this
  segment (measured before, on the idle machine; median of three). Until the video is playable, the client retries every
  20 ms.
* Random seeks in random renditions while batch tasks run, each beside the bare command for the same segment on the idle
  machine. Only segments that do not exist yet are requested.
* When the reference's first 480p run would have ended (preset medium, CRF 23; measured on the first minute and
  extrapolated). A server that does not encode on demand has its first playable rendition then.
* The processor time spent outside ffmpeg, and the peak memory of the worker and its children. A video of hours takes
  minutes if its picture is tiny: --minutes 180 --to-the-end with one of 64x36.

The seeks are the same in each run. All times are wall-clock times of this machine: compare ratios, not seconds.
"""

from __future__ import annotations

import argparse
import random
import re
import statistics
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path

import psutil

from benchmarks.upload import upload
from tests.support.videoflix_process import VideoflixProcess, running_videoflix
from transcode.ffmpeg.binaries import FfmpegBinaries
from transcode.ffmpeg.process import ENVIRONMENT
from transcode.presentation import Presentation
from transcode.probe.source import build_presentation, describe_source
from transcode.tasks.segment import SEGMENT_FILE, SegmentPlan
from videoflix.embedded.binaries import find_ffmpeg_binaries

BINARIES = FfmpegBinaries(*find_ffmpeg_binaries())
FFMPEG_COMMAND = (BINARIES.ffmpeg, "-nostdin", "-hide_banner", "-v", "error", "-y")
RETRY_INTERVAL_S = 0.02


@dataclass(frozen=True)
class SegmentWait:
    """The wait of a viewer for a segment, and the duration of the bare ffmpeg command for it, in seconds."""

    name: str
    wait_s: float
    bare_ffmpeg_s: float

    @property
    def ratio(self) -> float:
        """The ratio of both: 1 is as fast as ffmpeg alone."""
        return self.wait_s / self.bare_ffmpeg_s


class Viewer:
    """A client that is signed in, with one connection."""

    def __init__(self, site: VideoflixProcess) -> None:
        self.cookie = site.log_in()
        self._port = site.port
        self._connection = HTTPConnection("127.0.0.1", site.port, timeout=60)

    def get(self, path: str) -> tuple[int, bytes]:
        """Send a request. Return status and body."""
        self._connection.request("GET", path, headers={"Cookie": self.cookie})
        answer = self._connection.getresponse()
        return answer.status, answer.read()

    def upload(self, video_path: Path) -> tuple[int, float]:
        """Upload a video. Return its id, and when its last byte was sent (time.monotonic())."""
        return upload(self._port, video_path, self.cookie)

    def wait_for_segment(self, video_id: int, rendition: str, number: int) -> None:
        """Request a segment until it is there, and return it."""
        path = f"/media/hls/{video_id}/{rendition}/{number:04d}.ts"
        while self.get(path)[0] != 200:
            time.sleep(RETRY_INTERVAL_S)


def loop_source(source: Path, minutes: float, folder: Path) -> Path:
    """Repeat a source up to a duration, by copying its streams."""
    place = folder / f"{minutes:g}-minutes.mp4"
    loop = ["-stream_loop", "-1", "-i", str(source), "-t", str(minutes * 60), "-c", "copy"]
    subprocess.run([*FFMPEG_COMMAND, *loop, "-movflags", "+faststart", str(place)], check=True)
    return place


def measure_bare_ffmpeg(
    presentation: Presentation, video_path: Path, rendition: str, number: int, runs: int = 1
) -> float:
    """Return the median duration of the bare ffmpeg command, in seconds."""
    plan = SegmentPlan(presentation, number, rendition, video_path, None)
    taken = []
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(runs):
            begin = time.monotonic()
            subprocess.run(
                [BINARIES.ffmpeg, *plan.argv()], cwd=folder, check=True, env=ENVIRONMENT, stdout=subprocess.DEVNULL
            )
            taken.append(time.monotonic() - begin)
            assert Path(folder, SEGMENT_FILE).stat().st_size
    return statistics.median(taken)


def estimate_reference_480p(video_path: Path, duration_s: float) -> float:
    """Estimate the duration of the reference's first run in seconds, from its speed over the first minute."""
    piece = min(60.0, duration_s)
    begin = time.monotonic()
    subprocess.run(
        [
            *FFMPEG_COMMAND, "-t", str(piece), "-i", str(video_path), "-vf", "scale=-2:480",
            "-c:v", "libx264", "-preset", "medium", "-crf", "23", "-pix_fmt", "yuv420p",
            "-c:a", "aac", "-f", "mpegts", "/dev/null",
        ],
        check=True,
    )  # fmt: skip
    return (time.monotonic() - begin) * duration_s / piece


def measure_first_play(viewer: Viewer, video_path: Path, bare_ffmpeg_s: float) -> tuple[int, SegmentWait]:
    """Measure an upload until its first segment."""
    number, sent = viewer.upload(video_path)
    answered = time.monotonic()
    viewer.wait_for_segment(number, "480p", 0)
    done = time.monotonic()
    print(f"    of that, the answer to the upload (its bytes are on the disk then): {answered - sent:.2f} s")
    return number, SegmentWait("first play", done - sent, bare_ffmpeg_s)


def measure_seeks(
    viewer: Viewer, video_id: int, folder: Path, targets: Sequence[tuple[str, int, float]]
) -> list[SegmentWait]:
    """Measure seeks one after another while batch tasks run. Skip segments that exist by now."""
    waits = []
    for rendition, number, expected in targets:
        if (folder / rendition / f"{number:04d}.ts").exists():
            continue
        begin = time.monotonic()
        viewer.wait_for_segment(video_id, rendition, number)
        waits.append(SegmentWait(f"{rendition} {number}", time.monotonic() - begin, expected))
    return waits


def p95(values: Sequence[float]) -> float:
    """Return the 95th percentile."""
    ordered = sorted(values)
    return ordered[max(0, -(-95 * len(ordered) // 100) - 1)]


def worker_processes(site: VideoflixProcess) -> list[psutil.Process]:
    """Return the worker and the child processes of its pool."""
    worker = site.child("worker")
    return [worker, *(child for child in worker.children() if "spawn_main" in " ".join(child.cmdline()))]


def peak_memory_mb(process: psutil.Process) -> float:
    """Return the peak resident memory of a process in MB, including shared pages of libraries (VmHWM, proc(5))."""
    found = re.search(r"^VmHWM:\s+(\d+) kB$", Path(f"/proc/{process.pid}/status").read_text(), re.MULTILINE)
    assert found
    return int(found[1]) / 1024


def memory_report(site: VideoflixProcess) -> str:
    """Print the peak memory of the worker and its children without ffmpeg."""
    worker, *children = map(peak_memory_mb, worker_processes(site))
    return f"worker at most {worker:.0f} MB, each of its {len(children)} children at most {max(children):.0f} MB"


def overhead_share(site: VideoflixProcess) -> float:
    """Return the share of the worker's processor time, with children, that is not spent in ffmpeg."""
    worker, *children = (process.cpu_times() for process in worker_processes(site))
    own = worker.user + worker.system + sum(child.user + child.system for child in children)
    encoders = sum(child.children_user + child.children_system for child in children)
    return float(own / (own + encoders))


def measure(source: Path, minutes: float, seek_count: int, to_the_end: bool) -> None:
    """Measure one video on a site of its own."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        video_path = loop_source(source, minutes, folder)
        presentation = build_presentation(describe_source(video_path, BINARIES))
        dice = random.Random(7)
        picks = [
            (dice.choice(presentation.rendition_names), dice.randrange(1, presentation.segment_count))
            for _ in range(seek_count)
        ]
        print(f"{minutes:g} minutes, {video_path.stat().st_size / 2**20:.0f} MB")
        start = measure_bare_ffmpeg(presentation, video_path, "480p", 0, runs=3)
        seeks = [(name, number, measure_bare_ffmpeg(presentation, video_path, name, number)) for name, number in picks]
        reference_s = estimate_reference_480p(video_path, presentation.duration)
        print(f"    reference's first 480p rendition: after {reference_s:.0f} s")
        (folder / "site").mkdir()
        with running_videoflix(folder / "site", "--no-demo") as site:
            site.banner()
            viewer = Viewer(site)
            number, wait = measure_first_play(viewer, video_path, start)
            print(
                f"    first play {wait.wait_s:.2f} s, bare {wait.bare_ffmpeg_s:.2f} s: "
                f"ratio {wait.ratio:.2f} (at most 2.0)"
            )
            waits = measure_seeks(viewer, number, site.folder / "media" / "hls" / str(number), seeks)
            if waits:
                ratios = [one.ratio for one in waits]
                worst = max(waits, key=lambda one: one.ratio)
                median, slow = statistics.median(ratios), p95(ratios)
                print(f"    {len(waits)} seeks: median {median:.2f}, p95 {slow:.2f} (at most 4.0)")
                print(
                    f"    worst {worst.ratio:.2f}: {worst.name}, "
                    f"{worst.wait_s:.2f} s beside {worst.bare_ffmpeg_s:.2f} s"
                )
            if to_the_end:
                while site.get(f"/api/admin/videos/{number}/", viewer.cookie)["status"] == "processing":
                    time.sleep(0.2)
                print(f"    processor time that is not ffmpeg's: {100 * overhead_share(site):.1f} % (at most 5)")
            print(f"    memory: {memory_report(site)}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("--minutes", type=float, nargs="+", default=[1, 10, 60])
    parser.add_argument("--seeks", type=int, default=20)
    parser.add_argument("--to-the-end", action="store_true", help="wait until the video is ready; print the overhead")
    options = parser.parse_args()
    print(f"load of the last minute: {psutil.getloadavg()[0]:.1f} on {psutil.cpu_count()} cores")
    for length in options.minutes:
        measure(options.file.resolve(), length, options.seeks, options.to_the_end)
