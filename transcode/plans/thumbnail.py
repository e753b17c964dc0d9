"""One frame of the film as a JPEG."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from transcode.plans import picture
from transcode.plans.source import NO_METADATA, QUIET, guarded
from transcode.timeline import Timeline

_WIDTH = 640  # pixels of the longer side

THUMBNAIL = "thumbnail.jpg"


@dataclass(frozen=True, slots=True)
class ThumbnailPlan:
    """Writes `THUMBNAIL`, and prints the frame's mean luma (16 is black) as `...YAVG=<number>`."""

    timeline: Timeline
    at: Fraction  # film time
    source: Path

    def argv(self) -> list[str]:
        """Arguments of ffmpeg."""
        timeline, top = self.timeline, self.timeline.top
        longer = f"{_WIDTH}:-2" if top.width >= top.height else f"-2:{_WIDTH}"
        chains = [
            f"[0:{timeline.video.index}]{picture.on_grid(timeline, self.at, 1)}[grid]",
            *picture.sizes(timeline, [top]),
            f"[{top.name}]signalstats,metadata=print:key=lavfi.signalstats.YAVG:file=-,scale={longer}[jpeg]",
        ]
        return [
            *QUIET, "-copyts", *guarded(self.source, "-an", *picture.seek(timeline, self.at)),
            "-filter_complex", ";".join(chains), "-map", "[jpeg]", *NO_METADATA,
            "-frames:v", "1", "-c:v", "mjpeg", "-pix_fmt", "yuvj420p", "-q:v", "3", "-f", "image2", "-update", "1",
            THUMBNAIL,
        ]  # fmt: skip
