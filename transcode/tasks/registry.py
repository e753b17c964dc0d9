"""Run a task of any kind in a process of the encoder pool: it publishes files and returns a small result."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from transcode.errors import InputMissing, MediaError, Stopped, from_os_error
from transcode.task_kinds import TaskKind
from transcode.tasks.alternate_audio import AlternateAudioResult, encode_alternate_audio
from transcode.tasks.audio import AudioResult, encode_audio
from transcode.tasks.chunk import ChunkResult, encode_chunk
from transcode.tasks.context import ProgressSink, TaskContext
from transcode.tasks.finalize import FinalizeResult, finalize
from transcode.tasks.iframes import IFramesResult, publish_iframe_playlists
from transcode.tasks.loudness import LoudnessResult, measure_loudness
from transcode.tasks.probe import ProbeResult, probe_video
from transcode.tasks.segment import SegmentResult, encode_segment
from transcode.tasks.storyboard import StoryboardResult, make_storyboard
from transcode.tasks.subtitles import SubtitlesResult, extract_subtitles
from transcode.tasks.thumbnail import ThumbnailResult, make_thumbnail

TaskResult = (
    ProbeResult
    | AudioResult
    | ChunkResult
    | SegmentResult
    | ThumbnailResult
    | AlternateAudioResult
    | SubtitlesResult
    | LoudnessResult
    | IFramesResult
    | StoryboardResult
    | FinalizeResult
)
TaskFunction = Callable[[TaskContext, ProgressSink], TaskResult]

TASKS: Mapping[str, TaskFunction] = {
    TaskKind.PROBE: probe_video,
    TaskKind.AUDIO: encode_audio,
    TaskKind.CHUNK: encode_chunk,
    TaskKind.SEGMENT: encode_segment,
    TaskKind.THUMBNAIL: make_thumbnail,
    TaskKind.ALTERNATE_AUDIO: encode_alternate_audio,
    TaskKind.SUBTITLES: extract_subtitles,
    TaskKind.LOUDNESS: measure_loudness,
    TaskKind.IFRAMES: publish_iframe_playlists,
    TaskKind.STORYBOARD: make_storyboard,
    TaskKind.FINALIZE: finalize,
}


def run_task(context: TaskContext, progress_sink: ProgressSink) -> TaskResult:
    """Run a task and return its result. Raise MediaError if it fails, Stopped if it was asked to stop.

    Idempotent: running a task again writes the same files.
    """
    try:
        result = TASKS[context.kind](context, progress_sink)
    except FileNotFoundError as error:
        if progress_sink.is_stop_requested():
            raise Stopped from error
        raise _missing_file_error(error, context.scratch_dir) from error
    except OSError as error:
        raise from_os_error(error) from error
    progress_sink.report_progress(1.0)
    return result


def _missing_file_error(error: FileNotFoundError, scratch: Path) -> MediaError:
    """Return InputMissing for a file of another task, MediaError for one that this attempt should have written itself.

    A failed rename means that the destination folder is gone, since the source was just checked.
    """
    path = Path(error.filename2 or error.filename or scratch)
    error_type = MediaError if path.is_relative_to(scratch) else InputMissing
    return error_type(stderr_tail=str(error))
