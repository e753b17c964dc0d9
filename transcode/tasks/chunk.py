"""A run of segments of all renditions, checked against the grid and published one by one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from transcode import paths
from transcode.errors import InputMissing, MediaError
from transcode.ffmpeg import muxing, video_filters, x264
from transcode.ffmpeg.inputs import LOG_ERRORS, PROGRESS_OPTIONS, format_seconds, guarded_input
from transcode.grid import Grid
from transcode.hls import mpegts, playlists
from transcode.ladder import Rendition
from transcode.paths import MEDIA_PLAYLIST
from transcode.presentation import Presentation
from transcode.tasks import encode
from transcode.tasks.context import ProgressSink, TaskContext
from transcode.tasks.frames import check_frames
from transcode.tasks.master import publish_master_after_chunk
from transcode.tasks.working_copy import working_source


@dataclass(frozen=True, slots=True)
class ChunkPlan:
    """Writes `<rendition>/NNNN.ts` for every segment of a chunk, and a playlist beside them.

    `sound` is the chunk's file of sound, None for a film without any.
    """

    presentation: Presentation
    index: int
    source: Path
    audio_path: Path | None

    @property
    def segments(self) -> range:
        """Numbers of the segments."""
        return self.presentation.grid.chunk_segments(self.index)

    @property
    def frame_count(self) -> int:
        """Of each rendition."""
        return self.presentation.grid.count_frames(self.segments.start, self.segments.stop)

    def argv(self) -> list[str]:
        """Arguments of ffmpeg."""
        timeline, start = self.presentation, self.presentation.grid.segment_start(self.segments.start)
        chains = [
            f"[0:{timeline.video.index}]{video_filters.grid_filters(timeline, start, self.frame_count)}[grid]",
            *video_filters.scale_chains(timeline, timeline.renditions),
        ]
        return [
            *LOG_ERRORS, *PROGRESS_OPTIONS, "-copyts",
            *guarded_input(self.source, "-an", "-sn", "-dn", *x264.THREAD_OPTIONS,
            *video_filters.seek_options(timeline, start)),
            *(muxing.chunk_audio_input(self.audio_path) if self.audio_path else []),
            "-filter_complex", ";".join(chains),
            *(option for rendition in timeline.renditions for option in self._output_options(rendition)),
        ]  # fmt: skip

    def _output_options(self, rendition: Rendition) -> list[str]:
        grid = self.presentation.grid
        return [
            "-map", f"[{rendition.name}]", *(["-map", "1:a", "-c:a", "copy"] if self.audio_path else []),
            *x264.options(rendition, grid, x264.Quality.BATCH), *video_filters.color_tags(self.presentation),
            *muxing.TIMESTAMP_OPTIONS,
            # A little less than a segment: with rounding, two segments would be merged into one now and then.
            "-f", "hls", "-hls_time", format_seconds(grid.gop / grid.fps * 9 / 10), "-hls_list_size", "0",
            "-start_number", str(self.segments.start),
            "-hls_segment_options", f"mpegts_flags={muxing.INITIAL_DISCONTINUITY_FLAG}",
            "-hls_segment_filename", f"{rendition.name}/%04d.ts", f"{rendition.name}/{MEDIA_PLAYLIST}",
        ]  # fmt: skip


class ChunkResult(TypedDict):
    """What a chunk task reports."""

    bytes: dict[str, int]  # of the chunk's segments, by rendition


def encode_chunk(context: TaskContext, progress_sink: ProgressSink) -> ChunkResult:
    """Returns `bytes`, by rendition."""
    timeline = context.presentation
    plan = ChunkPlan(timeline, context.index, working_source(context), _chunk_audio(context))
    for name in timeline.rendition_names:
        (context.scratch_dir / name).mkdir()
    done = encode.run_ffmpeg(
        context, progress_sink, plan.argv(), parse_progress=encode.progress_by_frames(plan.frame_count)
    )
    _check_any_output(context, plan, done.stderr_tail)
    made = {
        name: _check_segments(context.scratch_dir / name, timeline.grid, plan.segments)
        for name in timeline.rendition_names
    }
    sizes = {name: _publish(context, name, files, plan.segments) for name, files in made.items()}
    publish_master_after_chunk(context, sizes)
    return {"bytes": {name: sum(found.values()) for name, found in sizes.items()}}


def _chunk_audio(context: TaskContext) -> Path | None:
    """Of this chunk. Raises Lost: the chunk was not begun before it was there."""
    if not context.presentation.audio:
        return None
    sound = paths.chunk_audio_path(context.media_root, context.video_id, context.index)
    if not sound.exists():
        raise InputMissing("The sound of this part of the film is gone.")
    return sound


def _check_any_output(context: TaskContext, plan: ChunkPlan, stderr_tail: str) -> None:
    """Nothing at all comes out of a damaged stretch of the source, and ffmpeg calls that a success."""
    playlist = context.scratch_dir / plan.presentation.top_rendition.name / paths.MEDIA_PLAYLIST
    if not playlist.exists() or not any(playlists.parse_segments(playlist.read_text()).values()):
        check_frames(0, plan.frame_count, plan.presentation, plan.segments.start, stderr_tail)


def _check_segments(folder: Path, grid: Grid, segment_numbers: range) -> list[Path]:
    """The files of one rendition. Raises MediaError unless they are exactly those of the grid."""
    made = playlists.parse_segments((folder / paths.MEDIA_PLAYLIST).read_text())
    wanted = {paths.segment_name(number): grid.segment_duration(number) for number in segment_numbers}
    if made.keys() != wanted.keys() or any(abs(made[name] - wanted[name]) * grid.fps > 1 for name in wanted):
        described = ", ".join(f"{name} {float(length):.3f}s" for name, length in made.items())
        raise MediaError("The encoder did not make the segments it should have made.", stderr_tail=described)
    files = [folder / name for name in wanted]
    # What a disk that was full for a moment leaves out is a block, never a whole number of packets.
    if torn := [file.name for file in files if file.stat().st_size % mpegts.PACKET_BYTES]:
        raise MediaError("A segment was not written completely.", stderr_tail=", ".join(torn))
    return files


def _publish(context: TaskContext, rendition: str, files: list[Path], numbers: range) -> dict[int, int]:
    """Returns the bytes of the segments by their numbers."""
    folder = paths.rendition_dir(context.media_root, context.video_id, rendition)
    sizes = {number: file.stat().st_size for number, file in zip(numbers, files, strict=True)}
    for file in files:
        paths.publish(file, folder / file.name)
    paths.fsync_path(folder)
    return sizes
