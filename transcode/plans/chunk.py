"""A run of segments of all renditions from one decoding of the source."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from transcode import x264
from transcode.ladder import Rendition
from transcode.layout import MEDIA_PLAYLIST
from transcode.plans import muxing, picture
from transcode.plans.source import PROGRESS, QUIET, guarded, seconds
from transcode.timeline import Timeline


@dataclass(frozen=True, slots=True)
class ChunkPlan:
    """Writes `<rendition>/NNNN.ts` for every segment of a chunk, and a playlist beside them.

    `sound` is the chunk's file of sound, None for a film without any.
    """

    timeline: Timeline
    index: int
    source: Path
    sound: Path | None

    @property
    def segments(self) -> range:
        """Numbers of the segments."""
        return self.timeline.grid.chunk(self.index)

    @property
    def frames(self) -> int:
        """Of each rendition."""
        return self.timeline.grid.frames_of(self.segments.start, self.segments.stop)

    def argv(self) -> list[str]:
        """Arguments of ffmpeg."""
        timeline, start = self.timeline, self.timeline.grid.start(self.segments.start)
        chains = [
            f"[0:{timeline.video.index}]{picture.on_grid(timeline, start, self.frames)}[grid]",
            *picture.sizes(timeline, timeline.renditions),
        ]
        return [
            *QUIET, *PROGRESS, "-copyts",
            *guarded(self.source, "-an", "-sn", "-dn", *x264.THREADS, *picture.seek(timeline, start)),
            *(muxing.finished_sound(self.sound) if self.sound else []),
            "-filter_complex", ";".join(chains),
            *(option for rendition in timeline.renditions for option in self._output(rendition)),
        ]  # fmt: skip

    def _output(self, rendition: Rendition) -> list[str]:
        grid = self.timeline.grid
        return [
            "-map", f"[{rendition.name}]", *(["-map", "1:a", "-c:a", "copy"] if self.sound else []),
            *x264.options(rendition, grid, x264.Quality.BULK), *picture.colour_tags(self.timeline), *muxing.CLOCK,
            # A little less than a segment: with rounding, two segments would be merged into one now and then.
            "-f", "hls", "-hls_time", seconds(grid.gop / grid.fps * 9 / 10), "-hls_list_size", "0",
            "-start_number", str(self.segments.start),
            "-hls_segment_options", f"mpegts_flags={muxing.DISCONTINUITY}",
            "-hls_segment_filename", f"{rendition.name}/%04d.ts", f"{rendition.name}/{MEDIA_PLAYLIST}",
        ]  # fmt: skip
