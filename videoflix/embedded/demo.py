"""The demo video: a short test pattern with sound, so that there is something to watch after the first start."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

from videoflix.errors import CommandError
from videoflix.models import NewVideo

DURATION_S = 40
DEMO_VIDEO = NewVideo(
    title="Welcome to Videoflix",
    description="A demo video, created on your machine at the first start. Delete it once you have videos of your own.",
    category="Demo",
)


def make_demo_video(
    ffmpeg: str, path: Path, frame_rate: int = 25, is_stopping: Callable[[], bool] = lambda: False
) -> None:
    """Encode the demo video to `path`, an MP4 file, at `frame_rate` frames per second.

    Raises CommandError with the last line of ffmpeg's errors, also if it was stopped because `is_stopping()` is true.
    """
    video_source = f"testsrc2=size=1920x1080:rate={frame_rate}:duration={DURATION_S}"
    audio_source = f"aevalsrc='0.12*sin(2*PI*(220+55*floor(mod(t,8)))*t)|0.12*sin(2*PI*330*t)':s=48000:d={DURATION_S}"
    argv = [
        *(ffmpeg, "-nostdin", "-hide_banner", "-loglevel", "error", "-y"),
        *("-f", "lavfi", "-i", video_source, "-f", "lavfi", "-i", audio_source),
        *("-c:v", "libx264", "-preset", "ultrafast", "-crf", "26", "-pix_fmt", "yuv420p", "-g", "50"),
        *("-c:a", "aac", "-b:a", "128k", "-movflags", "+faststart", "-f", "mp4", f"file:{path}"),
    ]
    null = subprocess.DEVNULL
    with subprocess.Popen(argv, stdin=null, stdout=null, stderr=subprocess.PIPE, text=True) as process:
        lines = _read_stderr(process, is_stopping).strip().splitlines() or ["ffmpeg gave no reason."]
    if process.returncode:
        path.unlink(missing_ok=True)
        raise CommandError(f"The demo video could not be created: {lines[-1]}")


def _read_stderr(process: subprocess.Popen[str], is_stopping: Callable[[], bool]) -> str:
    """Return what the process writes to stderr until it ends; kill it once `is_stopping()` is true.

    On a small machine encoding takes a minute, and stopping must not wait for it.
    """
    while True:
        try:
            return process.communicate(timeout=0.2)[1]
        except subprocess.TimeoutExpired:
            if is_stopping():
                process.kill()
