"""The complete transcode of a video beside the reference: python -m benchmarks.transcode FILE [FILE ...]

The reference is what a simple server does: three ffmpeg runs one after another, 1080p, 720p and 480p, preset medium,
CRF 23, HLS with segments of 4 seconds. Ours is a running Videoflix, from the response to the upload until the video is
`ready`: thumbnail, storyboard, audio and all three renditions. Both run on this machine, in this run, one after the
other. Printed: the speedup, and for each rendition its bytes and VMAF beside the reference's (scaled up to the source's
size; every Nth frame, --every).

Options tried for x264.py: 8 s of 720p (animation and camera), without and with grain; CRF interpolated so that VMAF is
0.4 below `medium -crf 23`, then bytes and processor time (one thread) relative to that. Groups of pictures of 4 s
without scene cuts, which the segment grid requires, cost 1 % by themselves.

    preset and --x264-params                             bytes         times less processor time
    medium                                               0.96  0.97    1.0
    faster                                               1.03  1.01    1.5
    faster aq-strength=0.7                               0.94  0.92    1.5
    veryfast                                             1.06  1.05    2.4
    veryfast rc-lookahead=20 / 40                        1.08  1.09    2.3
    veryfast subme=4:rc-lookahead=20                     1.08  1.04    1.6
    veryfast subme=4:trellis=1:rc-lookahead=20           1.03  1.00    1.7
    veryfast subme=3:trellis=1                           1.05  1.02    1.8
    veryfast subme=3:trellis=1:ref=2                     1.06  1.03    1.6
    veryfast subme=3:trellis=1:psy=0                     1.05  1.02    1.8
    veryfast subme=3:trellis=1:aq-mode=2                 0.98  0.98    1.9
    veryfast subme=3:trellis=1:aq-mode=3                 1.10  1.08    1.8
    veryfast subme=3:trellis=1:aq-mode=2:aq-strength=0.7 0.91  0.90    1.8
    veryfast trellis=1                                   1.11  1.00    2.4
    veryfast trellis=1:aq-strength=0.7                   0.92  0.91    2.3
    veryfast trellis=1:aq-strength=0.7:weightp=2         0.92  0.91    2.4
    veryfast trellis=1:aq-strength=0.7:rc-lookahead=20   0.93  0.92    2.2
    veryfast trellis=1:aq-strength=0.7:qcomp=0.7         0.95  0.94    2.3
    veryfast aq-strength=0.7                             0.98  0.96    2.5
    veryfast trellis=1:aq-mode=2:aq-strength=0.8         0.91  0.90    2.5
    the same with qcomp=0.55                             0.89  0.88    2.3
    the same with deblock=-1,-1                          0.90  0.88    2.6
    veryfast trellis=1:aq-mode=2:aq-strength=0.6         0.87  0.86    2.4   <- chosen, with deblock=-1,-1

VMAF of scaling alone, before encoding (480p, 720p): bicubic 95.2, 98.7; lanczos 96.6, 98.9; chained lanczos 96.8,
98.9; area 89.7. Batch tasks at once on two cores, seconds for 12 s of video: one with all threads 13.0, two with
two threads each 12.4, two with one thread each 11.7 (but then the last chunk uses one core only).
"""

from __future__ import annotations

import argparse
import re
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.upload import upload
from tests.support.videoflix_process import VideoflixProcess, running_videoflix
from transcode.ffmpeg.process import ENVIRONMENT
from videoflix.embedded.binaries import find_ffmpeg_binaries

HEIGHTS = {"480p": 480, "720p": 720, "1080p": 1080}
FFMPEG, FFPROBE = find_ffmpeg_binaries()
FFMPEG_COMMAND = (FFMPEG, "-nostdin", "-hide_banner", "-v", "error", "-y")


@dataclass(frozen=True)
class EncodeResult:
    """The result of one side: its wall-clock time in seconds, and the playlist of each rendition."""

    duration_s: float
    playlists: dict[str, Path]

    def rendition_bytes(self, name: str) -> int:
        """Return the total size of a rendition's segments in bytes."""
        return sum(file.stat().st_size for file in self.playlists[name].parent.glob("*.ts"))


def encode_reference(video_path: Path, folder: Path) -> EncodeResult:
    """Run the reference: three ffmpeg commands, one after another."""
    playlists = {}
    begin = time.monotonic()
    for name, height in reversed(HEIGHTS.items()):
        place = folder / name / "index.m3u8"
        place.parent.mkdir(parents=True)
        subprocess.run(
            [
                *FFMPEG_COMMAND, "-i", str(video_path), "-vf", f"scale=-2:{height}",
                "-c:v", "libx264", "-preset", "medium", "-crf", "23", "-pix_fmt", "yuv420p",
                "-c:a", "aac", "-f", "hls", "-hls_time", "4", "-hls_list_size", "0", str(place),
            ],
            check=True,
        )  # fmt: skip
        playlists[name] = place
    return EncodeResult(time.monotonic() - begin, playlists)


def encode_with_videoflix(site: VideoflixProcess, video_path: Path) -> EncodeResult:
    """Run Videoflix, and measure from the end of the upload until the video is ready."""
    cookie = site.log_in()
    number, _ = upload(site.port, video_path, cookie)
    begin = time.monotonic()
    while (state := site.get(f"/api/admin/videos/{number}/", cookie))["status"] == "processing":
        time.sleep(0.1)
    seconds = time.monotonic() - begin
    assert state["status"] == "ready", state
    folder = site.folder / "media" / "hls" / str(number)
    return EncodeResult(seconds, {name: folder / name / "index.m3u8" for name in HEIGHTS})


def measure_vmaf(playlist: Path, video_path: Path, every: int) -> float:
    """Return the VMAF of a rendition, scaled up to the source's size."""
    width, height = video_dimensions(video_path)
    graph = (
        f"[0:v]setpts=PTS-STARTPTS,scale={width}:{height}:flags=bicubic[distorted];[1:v]setpts=PTS-STARTPTS[reference];"
        f"[distorted][reference]libvmaf=n_threads=2:n_subsample={every}:shortest=1"
    )
    argv = [
        FFMPEG,
        "-nostdin",
        "-v",
        "info",
        "-i",
        str(playlist),
        "-i",
        str(video_path),
        "-lavfi",
        graph,
        "-f",
        "null",
        "-",
    ]
    said = subprocess.run(argv, check=True, capture_output=True, text=True, env=ENVIRONMENT).stderr
    found = re.search(r"VMAF score: ([\d.]+)", said)
    assert found, said
    return float(found[1])


def video_dimensions(video_path: Path) -> tuple[int, int]:
    """Return width and height of a source."""
    argv = [FFPROBE, "-v", "error", "-select_streams", "v:0", "-show_entries", "stream=width,height", "-of", "csv=p=0"]
    said = subprocess.run([*argv, str(video_path)], check=True, capture_output=True, text=True).stdout
    width, height = said.strip().split(",")[:2]
    return int(width), int(height)


def compare(video_path: Path, every: int) -> None:
    """Run both sides and print the comparison."""
    with tempfile.TemporaryDirectory() as name, running_videoflix(_make_dir(Path(name, "site")), "--no-demo") as site:
        site.banner()
        theirs = encode_reference(video_path, Path(name, "reference"))
        mine = encode_with_videoflix(site, video_path)
        print(
            f"{video_path.name}: {theirs.duration_s / mine.duration_s:.2f} times faster "
            f"({mine.duration_s:.1f} s beside ",
            end="",
        )
        print(f"{theirs.duration_s:.1f} s); bytes {_total_bytes(mine) / _total_bytes(theirs):.3f} of the reference's")
        for rendition in HEIGHTS:
            scores = [measure_vmaf(made.playlists[rendition], video_path, every) for made in (mine, theirs)]
            print(
                f"  {rendition:>5}: bytes {mine.rendition_bytes(rendition) / theirs.rendition_bytes(rendition):.3f}, "
                f"VMAF {scores[0]:.2f} beside {scores[1]:.2f} ({scores[0] - scores[1]:+.2f})"
            )


def _total_bytes(result: EncodeResult) -> int:
    return sum(result.rendition_bytes(name) for name in HEIGHTS)


def _make_dir(folder: Path) -> Path:
    folder.mkdir()
    return folder


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path, nargs="+")
    parser.add_argument("--every", type=int, default=5, help="VMAF of every Nth frame (default 5)")
    options = parser.parse_args()
    for file in options.file:
        compare(file.resolve(), options.every)
