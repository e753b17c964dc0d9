"""The storyboard task: tile the first pictures of the smallest rendition's segments, for scrubbing."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from transcode import paths, publishing
from transcode.errors import MediaError, Stopped
from transcode.ffmpeg.inputs import LOG_ERRORS, NO_METADATA
from transcode.ffmpeg.process import FfmpegProcess
from transcode.hls.storyboard import Storyboard, sheet_name
from transcode.tasks import encode
from transcode.tasks.context import ProgressSink, TaskContext
from transcode.tasks.iframes import iframe_size


@dataclass(frozen=True, slots=True)
class StoryboardPlan:
    """Writes `NNNN.jpg` for each sheet. `frames_path` holds the first pictures of segments, one after another.

    The input is a file of our own, so it needs no guards.
    """

    storyboard: Storyboard
    frames_path: Path

    def argv(self) -> list[str]:
        """Return the arguments of ffmpeg."""
        width, height = self.storyboard.image_size
        # Pictures are numbered instead of timed. In long videos the timestamps jump by more than ten seconds, which
        # ffmpeg treats as a discontinuity unless it must copy them; and in the encoder's default time base, which is
        # derived from the frame rate, distant sheets may get the same timestamp.
        tiled = f"scale={width}:{height},tile={self.storyboard.columns}x{self.storyboard.rows},settb=1/25,setpts=N"
        return [
            *LOG_ERRORS, "-copyts", "-f", "mpegts", "-skip_frame", "nokey", "-i", f"file:{self.frames_path}",
            "-map", "0:v", "-vf", tiled, "-fps_mode", "passthrough", "-enc_time_base", "1:25", *NO_METADATA,
            "-c:v", "mjpeg", "-pix_fmt", "yuvj420p", "-q:v", "5", "-f", "image2", "-start_number", "0", "%04d.jpg",
        ]  # fmt: skip


class StoryboardResult(TypedDict):
    """Result of the storyboard task."""

    pictures: int
    sheets: int
    width: int  # of one picture, in pixels
    height: int


def make_storyboard(context: TaskContext, progress_sink: ProgressSink) -> StoryboardResult:
    """Make and publish the storyboard. Raise FileNotFoundError if a segment of the smallest rendition is missing."""
    presentation = context.presentation
    storyboard = Storyboard(presentation.grid, presentation.renditions[0])
    frames_path = _collect_frames(context, progress_sink, storyboard)
    argv = [context.binaries.ffmpeg, *StoryboardPlan(storyboard, frames_path).argv()]
    FfmpegProcess(argv, context.scratch_dir, encode.BATCH_LIMITS, progress_sink.is_stop_requested).run()
    _publish(context, storyboard)
    width, height = storyboard.image_size
    return {"pictures": len(storyboard.segments), "sheets": storyboard.sheet_count, "width": width, "height": height}


def _collect_frames(context: TaskContext, progress_sink: ProgressSink, storyboard: Storyboard) -> Path:
    """Write the first pictures of the segments into one file and return its path."""
    frames_path = context.scratch_dir / "pictures.ts"
    with frames_path.open("wb") as frames:
        for count, number in enumerate(storyboard.segments, 1):
            if progress_sink.is_stop_requested():
                raise Stopped
            path = paths.segment_path(context.media_root, context.video_id, storyboard.rendition.name, number)
            with path.open("rb") as segment:
                frames.write(segment.read(iframe_size(path)))
            progress_sink.report_parts(count)
    return frames_path


def _publish(context: TaskContext, storyboard: Storyboard) -> None:
    """Publish the sheets, then the index, so that every listed sheet exists. Raise MediaError if one is missing."""
    folder = paths.storyboard_dir(context.media_root, context.video_id)
    folder.mkdir(exist_ok=True)
    sheets = [context.scratch_dir / sheet_name(number) for number in range(storyboard.sheet_count)]
    if missing := [sheet.name for sheet in sheets if not sheet.exists()]:
        raise MediaError("Pictures of the storyboard are missing.", stderr_tail=", ".join(missing))
    for sheet in sheets:
        publishing.publish(sheet, folder / sheet.name)
    publishing.publish_text(context.scratch_dir, folder / paths.STORYBOARD_INDEX, storyboard.render_index())
    publishing.fsync_path(folder)
