"""One segment of one rendition, at once; the chunk that it belongs to replaces it later."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TypedDict

from transcode import paths
from transcode.errors import MediaError
from transcode.ffmpeg import audio_filters, muxing, video_filters, x264
from transcode.ffmpeg.inputs import LOG_ERRORS, PROGRESS_OPTIONS, guarded_input
from transcode.hls.mpegts import count_pictures
from transcode.presentation import Presentation
from transcode.tasks import encode
from transcode.tasks.context import ProgressSink, TaskContext
from transcode.tasks.frames import check_frames
from transcode.tasks.working_copy import working_source

# AAC frames that are encoded before the first wanted one: what a frame decodes to depends on the one before it, and the
# limiter forgets a peak in 50 ms.
_PREROLL_FRAMES = 4

SEGMENT_FILE = "segment.ts"


@dataclass(frozen=True, slots=True)
class SegmentPlan:
    """Writes `SEGMENT`.

    `sound` is the file of sound of its chunk; None when the run of sound has not come that far, and then the
    segment encodes its own, on the same grid of AAC frames.
    """

    presentation: Presentation
    number: int
    rendition: str
    source: Path
    audio_path: Path | None

    @property
    def frame_count(self) -> int:
        """How many it shows."""
        return self.presentation.grid.count_frames(self.number, self.number + 1)

    def argv(self) -> list[str]:
        """Arguments of ffmpeg."""
        timeline, rendition = self.presentation, self.presentation.rendition(self.rendition)
        start = timeline.grid.segment_start(self.number)
        chains = [
            f"[0:{timeline.video.index}]{video_filters.grid_filters(timeline, start, self.frame_count)}[grid]",
            *video_filters.scale_chains(timeline, [rendition]),
        ]
        return [
            *LOG_ERRORS, *PROGRESS_OPTIONS, "-copyts", *guarded_input(self.source,
            *video_filters.seek_options(timeline, start)),
            *(muxing.chunk_audio_input(self.audio_path) if self.audio_path else []),
            "-filter_complex", ";".join(chains), "-map", f"[{rendition.name}]",
            *(self._audio_options() if timeline.audio else []),
            *x264.options(rendition, timeline.grid, x264.Quality.ON_DEMAND), *video_filters.color_tags(timeline),
            *muxing.TIMESTAMP_OPTIONS, "-f", "mpegts", "-mpegts_flags", muxing.INITIAL_DISCONTINUITY_FLAG, SEGMENT_FILE,
        ]  # fmt: skip

    def _audio_options(self) -> list[str]:
        if self.audio_path:
            chunk = self.presentation.grid.chunk_segments(self.presentation.grid.chunk_of(self.number))
            return ["-map", "1:a", "-c:a", "copy", "-bsf:a", self._trim_filter(self._first_aac_frame(chunk.start))]
        # From a few frames before the segment to a few after it, so that both ends are as in one run.
        first = max(0, self._first_aac_frame(self.number) - _PREROLL_FRAMES)
        return [*self._audio_filters(first), *audio_filters.ENCODER_OPTIONS, "-bsf:a", self._trim_filter(first)]

    def _audio_filters(self, first: int) -> list[str]:
        grid = self.presentation.grid
        end = min(
            grid.duration,
            grid.segment_start(self.number + 1)
            + Fraction(_PREROLL_FRAMES * audio_filters.AAC_FRAME_SAMPLES, audio_filters.SAMPLE_RATE_HZ),
        )
        return audio_filters.clock_filters(
            self.presentation, self.presentation.audio[0], first_sample=first * audio_filters.AAC_FRAME_SAMPLES, end=end
        )

    def _trim_filter(self, first: int) -> str:
        """Drops what belongs to the neighbours, of a stream that begins with AAC frame `first`.

        Frames are counted: whether a bitstream filter sees times of the encoder or of the muxer is a matter of luck.
        """
        begin, end = self._first_aac_frame(self.number), self._first_aac_frame(self.number + 1)
        behind = f"+gte(n\\,{end - first})" if self.number + 1 < self.presentation.grid.segment_count else ""
        return f"noise=drop=lt(n\\,{begin - first}){behind}"

    def _first_aac_frame(self, segment: int) -> int:
        return audio_filters.count_frames_before(self.presentation.grid.cut_tick(segment)) if segment else 0


class SegmentResult(TypedDict):
    """What a segment task reports."""

    is_new: bool  # no segment was in place, neither before nor after the task


def encode_segment(context: TaskContext, progress_sink: ProgressSink) -> SegmentResult:
    """Returns `is_new`: whether there was nothing in its place, neither before nor after the work."""
    timeline, rendition = context.presentation, context.rendition
    if rendition not in timeline.rendition_names or not 0 <= context.index < timeline.segment_count:
        raise MediaError("There is no such segment.", permanent=True)
    place = paths.segment_path(context.media_root, context.video_id, rendition, context.index)
    if place.exists():  # its chunk was quicker
        return {"is_new": False}
    sound = paths.chunk_audio_path(context.media_root, context.video_id, timeline.grid.chunk_of(context.index))
    plan = SegmentPlan(timeline, context.index, rendition, working_source(context), sound if sound.exists() else None)
    progress = encode.progress_by_frames(plan.frame_count)
    encode.run_ffmpeg(context, progress_sink, plan.argv(), encode.ON_DEMAND_LIMITS, progress)
    check_frames(count_pictures(context.scratch_dir / SEGMENT_FILE), plan.frame_count, timeline, context.index)
    return {"is_new": paths.publish_if_absent(context.scratch_dir / SEGMENT_FILE, place)}
