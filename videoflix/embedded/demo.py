"""A short film with a moving picture and sound, so that a first start has something to watch."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

from videoflix.errors import CommandError
from videoflix.models import NewVideo

DURATION_S = 40
DEMO_VIDEO = NewVideo(
    title="Welcome to Videoflix",
    description="A demo film, made on your machine at the first start. Delete it when you have films of your own.",
    category="Demo",
)


def make_demo_video(
    ffmpeg: str, path: Path, frame_rate: int = 25, is_stopping: Callable[[], bool] = lambda: False
) -> None:
    """Write the film to `place` (an .mp4); `rate`: frames a second.

    Raises CommandError with ffmpeg's last line, also when it was stopped.
    """
    picture = f"testsrc2=size=1920x1080:rate={frame_rate}:duration={DURATION_S}"
    sound = f"aevalsrc='0.12*sin(2*PI*(220+55*floor(mod(t,8)))*t)|0.12*sin(2*PI*330*t)':s=48000:d={DURATION_S}"
    argv = [
        *(ffmpeg, "-nostdin", "-hide_banner", "-loglevel", "error", "-y"),
        *("-f", "lavfi", "-i", picture, "-f", "lavfi", "-i", sound),
        *("-c:v", "libx264", "-preset", "ultrafast", "-crf", "26", "-pix_fmt", "yuv420p", "-g", "50"),
        *("-c:a", "aac", "-b:a", "128k", "-movflags", "+faststart", "-f", "mp4", f"file:{path}"),
    ]
    none = subprocess.DEVNULL
    with subprocess.Popen(argv, stdin=none, stdout=none, stderr=subprocess.PIPE, text=True) as encoding:
        words = _read_stderr(encoding, is_stopping).strip().splitlines() or ["ffmpeg did not say why."]
    if encoding.returncode:
        path.unlink(missing_ok=True)
        raise CommandError(f"The demo film could not be made: {words[-1]}")


def _read_stderr(process: subprocess.Popen[str], is_stopping: Callable[[], bool]) -> str:
    """What it says on stderr. On a small machine it takes a minute, for which nobody waits who wants to stop."""
    while True:
        try:
            return process.communicate(timeout=0.2)[1]
        except subprocess.TimeoutExpired:
            if is_stopping():
                process.kill()
