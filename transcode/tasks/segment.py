"""The segment task: encode one segment that a viewer waits for. Its chunk replaces it later."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TypedDict

from transcode import paths, publishing
from transcode.errors import MediaError
from transcode.ffmpeg import audio_filters, muxing, video_filters, x264
from transcode.ffmpeg.inputs import LOG_ERRORS, PROGRESS_OPTIONS, guarded_input
from transcode.presentation import Presentation
from transcode.probe.mpegts import count_pictures
from transcode.tasks import encode
from transcode.tasks.context import ProgressSink, TaskContext
from transcode.tasks.frames import check_frames
from transcode.tasks.working_copy import working_source

# AAC frames encoded before the first wanted one: decoding a frame depends on its predecessor, and the limiter needs
# 50 ms to recover from a peak.
_PREROLL_FRAMES = 4

SEGMENT_FILE = "segment.ts"


@dataclass(frozen=True, slots=True)
class SegmentPlan:
    """Writes `SEGMENT_FILE`.

    `audio_path` is the encoded audio of the segment's chunk. It is None if the audio task has not come that far; the
    segment then encodes its own audio, on the same grid of AAC frames.
    """

    presentation: Presentation
    number: int
    rendition: str
    source: Path
    audio_path: Path | None

    @property
    def frame_count(self) -> int:
        """Number of frames in the segment."""
        return self.presentation.grid.count_frames(self.number, self.number + 1)

    def argv(self) -> list[str]:
        """Return the arguments of ffmpeg."""
        presentation, rendition = self.presentation, self.presentation.rendition(self.rendition)
        start = presentation.grid.segment_start(self.number)
        chains = [
            f"[0:{presentation.video.index}]{video_filters.grid_filters(presentation, start, self.frame_count)}[grid]",
            *video_filters.scale_chains(presentation, [rendition]),
        ]
        return [
            *LOG_ERRORS, *PROGRESS_OPTIONS, "-copyts",
            *guarded_input(self.source, *video_filters.seek_options(presentation, start)),
            *(muxing.chunk_audio_input(self.audio_path) if self.audio_path else []),
            "-filter_complex", ";".join(chains), "-map", f"[{rendition.name}]",
            *(self._audio_options() if presentation.audio else []),
            *x264.options(rendition, presentation.grid, x264.Quality.ON_DEMAND),
            *video_filters.color_tags(presentation),
            *muxing.TIMESTAMP_OPTIONS, "-f", "mpegts", "-mpegts_flags", muxing.INITIAL_DISCONTINUITY_FLAG, SEGMENT_FILE,
        ]  # fmt: skip

    def _audio_options(self) -> list[str]:
        if self.audio_path:
            chunk = self.presentation.grid.chunk_segments(self.presentation.grid.chunk_of(self.number))
            return ["-map", "1:a", "-c:a", "copy", "-bsf:a", self._trim_filter(self._first_aac_frame(chunk.start))]
        # Encode a few frames more on either side, so that both ends sound as if encoded in one run.
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
        """Return a bitstream filter that drops the neighbours' frames from a stream beginning with AAC frame `first`.

        It counts frames, because whether a bitstream filter sees the encoder's or the muxer's timestamps is undefined.
        """
        begin, end = self._first_aac_frame(self.number), self._first_aac_frame(self.number + 1)
        has_next = self.number + 1 < self.presentation.grid.segment_count
        drop_after = f"+gte(n\\,{end - first})" if has_next else ""
        return f"noise=drop=lt(n\\,{begin - first}){drop_after}"

    def _first_aac_frame(self, segment: int) -> int:
        return audio_filters.count_frames_before(self.presentation.grid.cut_tick(segment)) if segment else 0


class SegmentResult(TypedDict):
    """Result of the segment task."""

    is_new: bool  # whether this task published the segment; False if there was one already


def encode_segment(context: TaskContext, progress_sink: ProgressSink) -> SegmentResult:
    """Encode and publish one segment, unless it exists already."""
    presentation, rendition = context.presentation, context.rendition
    if rendition not in presentation.rendition_names or not 0 <= context.index < presentation.segment_count:
        raise MediaError("There is no such segment.", permanent=True)
    destination = paths.segment_path(context.media_root, context.video_id, rendition, context.index)
    if destination.exists():  # its chunk was faster
        return {"is_new": False}
    plan = SegmentPlan(presentation, context.index, rendition, working_source(context), _chunk_audio(context))
    progress = encode.progress_by_frames(plan.frame_count)
    encode.run_ffmpeg(context, progress_sink, plan.argv(), encode.ON_DEMAND_LIMITS, progress)
    encoded = context.scratch_dir / SEGMENT_FILE
    check_frames(count_pictures(encoded), plan.frame_count, presentation, context.index)
    return {"is_new": publishing.publish_if_absent(encoded, destination)}


def _chunk_audio(context: TaskContext) -> Path | None:
    """Return the encoded audio of the segment's chunk, None if it does not exist yet."""
    chunk = context.presentation.grid.chunk_of(context.index)
    audio_path = paths.chunk_audio_path(context.media_root, context.video_id, chunk)
    return audio_path if audio_path.exists() else None
