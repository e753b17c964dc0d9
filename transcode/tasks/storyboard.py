"""The storyboard: small pictures for scrubbing, made when the film's smallest rendition is complete."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from transcode import paths
from transcode.errors import MediaError, Stopped
from transcode.ffmpeg.inputs import LOG_ERRORS, NO_METADATA
from transcode.ffmpeg.process import FfmpegProcess
from transcode.hls.storyboard import Storyboard, sheet_name
from transcode.tasks import encode
from transcode.tasks.context import ProgressSink, TaskContext
from transcode.tasks.iframes import iframe_size


@dataclass(frozen=True, slots=True)
class StoryboardPlan:
    """Writes `NNNN.jpg`, one per sheet. `pictures` are the beginnings of segments, one after another: our own file."""

    storyboard: Storyboard
    frames_path: Path

    def argv(self) -> list[str]:
        """Arguments of ffmpeg."""
        width, height = self.storyboard.image_size
        # Pictures are counted, not timed. The time stamps of a long film jump by more than ten seconds, which ffmpeg
        # takes for a discontinuity unless it has to keep them; and in the encoder's usual time base, which follows from
        # the rate of the pictures, sheets of any distance may fall on one tick.
        tiled = f"scale={width}:{height},tile={self.storyboard.columns}x{self.storyboard.rows},settb=1/25,setpts=N"
        return [
            *LOG_ERRORS, "-copyts", "-f", "mpegts", "-skip_frame", "nokey", "-i", f"file:{self.frames_path}",
            "-map", "0:v", "-vf", tiled, "-fps_mode", "passthrough", "-enc_time_base", "1:25", *NO_METADATA,
            "-c:v", "mjpeg", "-pix_fmt", "yuvj420p", "-q:v", "5", "-f", "image2", "-start_number", "0", "%04d.jpg",
        ]  # fmt: skip


class StoryboardResult(TypedDict):
    """What the storyboard task reports."""

    pictures: int
    sheets: int
    width: int  # of one picture, in pixels
    height: int


def make_storyboard(assignment: TaskContext, monitor: ProgressSink) -> StoryboardResult:
    """From the I-frames of the smallest rendition. Returns `pictures`, `sheets`, `width` and `height` of a picture."""
    timeline = assignment.presentation
    board = Storyboard(timeline.grid, timeline.renditions[0])
    pictures = _collected(assignment, monitor, board)
    argv = [assignment.binaries.ffmpeg, *StoryboardPlan(board, pictures).argv()]
    FfmpegProcess(argv, assignment.scratch_dir, encode.BATCH_LIMITS, monitor.is_stop_requested)()
    _publish(assignment, board)
    width, height = board.image_size
    return {"pictures": len(board.segments), "sheets": board.sheet_count, "width": width, "height": height}


def _collected(assignment: TaskContext, monitor: ProgressSink, board: Storyboard) -> Path:
    """Write the first pictures of the segments into one file. Raise Lost when a segment is missing."""
    pictures = assignment.scratch_dir / "pictures.ts"
    with pictures.open("wb") as collected:
        for count, number in enumerate(board.segments, 1):
            if monitor.is_stop_requested():
                raise Stopped
            place = paths.segment_path(assignment.media_root, assignment.video_id, board.rendition.name, number)
            with place.open("rb") as segment:
                collected.write(segment.read(iframe_size(place)))
            monitor.report_parts(count)
    return pictures


def _publish(context: TaskContext, storyboard: Storyboard) -> None:
    """The sheets, then the index: what is listed is there."""
    place = paths.storyboard_dir(context.media_root, context.video_id)
    place.mkdir(exist_ok=True)
    made = [context.scratch_dir / sheet_name(number) for number in range(storyboard.sheet_count)]
    if missing := [file.name for file in made if not file.exists()]:
        raise MediaError("Pictures of the storyboard are missing.", stderr_tail=", ".join(missing))
    for file in made:
        paths.publish(file, place / file.name)
    paths.publish_text(context.scratch_dir, place / paths.STORYBOARD_INDEX, storyboard.render_index())
    paths.fsync_path(place)
