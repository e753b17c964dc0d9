"""The chunk task: encode a run of segments in all renditions, check them against the grid, and publish them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from transcode import paths, publishing
from transcode.errors import InputMissing, MediaError
from transcode.ffmpeg import muxing, video_filters, x264
from transcode.ffmpeg.inputs import LOG_ERRORS, PROGRESS_OPTIONS, format_seconds, guarded_input
from transcode.grid import Grid
from transcode.hls import playlists
from transcode.ladder import Rendition
from transcode.paths import MEDIA_PLAYLIST
from transcode.presentation import Presentation
from transcode.probe import mpegts
from transcode.tasks import encode
from transcode.tasks.context import ProgressSink, TaskContext
from transcode.tasks.frames import check_frames
from transcode.tasks.master import publish_master_after_chunk
from transcode.tasks.working_copy import working_source


@dataclass(frozen=True, slots=True)
class ChunkPlan:
    """Writes `<rendition>/NNNN.ts` for each segment of a chunk, and a media playlist for each rendition.

    `audio_path` is the chunk's encoded audio, None for a video without audio.
    """

    presentation: Presentation
    index: int
    source: Path
    audio_path: Path | None

    @property
    def segments(self) -> range:
        """Numbers of the chunk's segments."""
        return self.presentation.grid.chunk_segments(self.index)

    @property
    def frame_count(self) -> int:
        """Number of frames in each rendition."""
        return self.presentation.grid.count_frames(self.segments.start, self.segments.stop)

    def argv(self) -> list[str]:
        """Return the arguments of ffmpeg."""
        presentation, start = self.presentation, self.presentation.grid.segment_start(self.segments.start)
        chains = [
            f"[0:{presentation.video.index}]{video_filters.grid_filters(presentation, start, self.frame_count)}[grid]",
            *video_filters.scale_chains(presentation, presentation.renditions),
        ]
        return [
            *LOG_ERRORS, *PROGRESS_OPTIONS, "-copyts",
            *guarded_input(self.source, "-an", "-sn", "-dn", *x264.THREAD_OPTIONS,
            *video_filters.seek_options(presentation, start)),
            *(muxing.chunk_audio_input(self.audio_path) if self.audio_path else []),
            "-filter_complex", ";".join(chains),
            *(option for rendition in presentation.renditions for option in self._output_options(rendition)),
        ]  # fmt: skip

    def _output_options(self, rendition: Rendition) -> list[str]:
        grid = self.presentation.grid
        return [
            "-map", f"[{rendition.name}]", *(["-map", "1:a", "-c:a", "copy"] if self.audio_path else []),
            *x264.options(rendition, grid, x264.Quality.BATCH), *video_filters.color_tags(self.presentation),
            *muxing.TIMESTAMP_OPTIONS,
            # Slightly less than a segment, because rounding would merge two segments now and then.
            "-f", "hls", "-hls_time", format_seconds(grid.gop / grid.fps * 9 / 10), "-hls_list_size", "0",
            "-start_number", str(self.segments.start),
            "-hls_segment_options", f"mpegts_flags={muxing.INITIAL_DISCONTINUITY_FLAG}",
            "-hls_segment_filename", f"{rendition.name}/%04d.ts", f"{rendition.name}/{MEDIA_PLAYLIST}",
        ]  # fmt: skip


class ChunkResult(TypedDict):
    """Result of the chunk task."""

    bytes: dict[str, int]  # total size of the chunk's segments by rendition


def encode_chunk(context: TaskContext, progress_sink: ProgressSink) -> ChunkResult:
    """Encode and publish the segments of a chunk, then update the master playlist."""
    presentation = context.presentation
    plan = ChunkPlan(presentation, context.index, working_source(context), _chunk_audio(context))
    for name in presentation.rendition_names:
        (context.scratch_dir / name).mkdir()
    process = encode.run_ffmpeg(
        context, progress_sink, plan.argv(), parse_progress=encode.progress_by_frames(plan.frame_count)
    )
    _check_any_output(context, plan, process.stderr_tail)
    segments = {
        name: _check_segments(context.scratch_dir / name, presentation.grid, plan.segments)
        for name in presentation.rendition_names
    }
    sizes = {name: _publish(context, name, files, plan.segments) for name, files in segments.items()}
    publish_master_after_chunk(context, sizes)
    return {"bytes": {name: sum(segment_sizes.values()) for name, segment_sizes in sizes.items()}}


def _chunk_audio(context: TaskContext) -> Path | None:
    """Return the chunk's encoded audio, None for a video without audio.

    Raise InputMissing if it is gone: chunks are enqueued only after their audio has been encoded.
    """
    if not context.presentation.audio:
        return None
    audio_path = paths.chunk_audio_path(context.media_root, context.video_id, context.index)
    if not audio_path.exists():
        raise InputMissing("The encoded audio of this part of the video is gone.")
    return audio_path


def _check_any_output(context: TaskContext, plan: ChunkPlan, stderr_tail: str) -> None:
    """Raise MediaError if nothing was encoded: ffmpeg succeeds even if no frame of a damaged stretch decodes."""
    playlist = context.scratch_dir / plan.presentation.top_rendition.name / paths.MEDIA_PLAYLIST
    if not playlist.exists() or not any(playlists.parse_segments(playlist.read_text()).values()):
        check_frames(0, plan.frame_count, plan.presentation, plan.segments.start, stderr_tail)


def _check_segments(folder: Path, grid: Grid, segment_numbers: range) -> list[Path]:
    """Return the segment files of one rendition. Raise MediaError unless they match the grid to within a frame."""
    durations = playlists.parse_segments((folder / paths.MEDIA_PLAYLIST).read_text())
    expected = {paths.segment_name(number): grid.segment_duration(number) for number in segment_numbers}
    if durations.keys() != expected.keys() or any(
        abs(durations[name] - expected[name]) * grid.fps > 1 for name in expected
    ):
        listing = ", ".join(f"{name} {float(duration):.3f}s" for name, duration in durations.items())
        raise MediaError("The encoder did not produce the expected segments.", stderr_tail=listing)
    files = [folder / name for name in expected]
    # A disk that is full for a moment drops whole blocks, which are never a whole number of packets.
    if incomplete := [file.name for file in files if file.stat().st_size % mpegts.PACKET_BYTES]:
        raise MediaError("A segment was not written completely.", stderr_tail=", ".join(incomplete))
    return files


def _publish(context: TaskContext, rendition: str, files: list[Path], numbers: range) -> dict[int, int]:
    """Publish the segments of one rendition. Return their sizes in bytes by number."""
    folder = paths.rendition_dir(context.media_root, context.video_id, rendition)
    sizes = {number: file.stat().st_size for number, file in zip(numbers, files, strict=True)}
    for file in files:
        publishing.publish(file, folder / file.name)
    publishing.fsync_path(folder)
    return sizes
