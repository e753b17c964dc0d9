"""The sheets of a storyboard, from the first pictures of finished segments."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from transcode.hls.storyboard import Storyboard
from transcode.plans.source import NO_METADATA, QUIET


@dataclass(frozen=True, slots=True)
class StoryboardPlan:
    """Writes `NNNN.jpg`, one per sheet. `pictures` are the beginnings of segments, one after another: our own file."""

    storyboard: Storyboard
    pictures: Path

    def argv(self) -> list[str]:
        """Arguments of ffmpeg."""
        width, height = self.storyboard.size
        # Pictures are counted, not timed. The time stamps of a long film jump by more than ten seconds, which ffmpeg
        # takes for a discontinuity unless it has to keep them; and in the encoder's usual time base, which follows from
        # the rate of the pictures, sheets of any distance may fall on one tick.
        tiled = f"scale={width}:{height},tile={self.storyboard.columns}x{self.storyboard.rows},settb=1/25,setpts=N"
        return [
            *QUIET, "-copyts", "-f", "mpegts", "-skip_frame", "nokey", "-i", f"file:{self.pictures}",
            "-map", "0:v", "-vf", tiled, "-fps_mode", "passthrough", "-enc_time_base", "1:25", *NO_METADATA,
            "-c:v", "mjpeg", "-pix_fmt", "yuvj420p", "-q:v", "5", "-f", "image2", "-start_number", "0", "%04d.jpg",
        ]  # fmt: skip
